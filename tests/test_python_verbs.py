"""The verbs in Python give what they give on the command line."""

import json
import math

import pytest

import rmeval
from rmeval.cli import main
from rmeval.errors import BadData, BadOption, ServerFailure, UnknownName
from rmeval.records import Message, Score

DEMO = rmeval.load_benchmark("demo")


class Length:
    """Its reward is the length of the last turn; of this and of minus this it is made."""

    name = "org/length"

    def provenance(self):
        return {"objectives": ["long", "short"]}

    def score_conversations(self, conversations, **how):
        sizes = [float(len(c[-1].content)) for c in conversations]
        return [Score(size, 3, size > 100, (size, -size)) for size in sizes]


class Comparer:
    """Prefers the first of the responses, and says so."""

    name, variant, warnings = "org/first", "twice", ["cost 7"]

    def provenance(self):
        return {"family": "first", "dtype": "float32", "fingerprint": "f"}

    def score_preferences(self, preferences, **how):
        from rmeval.duels import scored_row

        scores = [Score(1.0, 1, False), Score(0.0, 1, False)]
        return [scored_row(row, scores) for row in preferences]

    def answers_kept(self):
        return {"answers.txt": "first\n"}

    def examine(self, preferences):
        return f"looked at {len(preferences)}"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    return (
        rmeval.evaluate(Length(), DEMO, output=folder),
        rmeval.evaluate(Comparer(), DEMO, output=folder),
    )


def test_a_scorer_with_all_that_it_may_have(results):
    _, first = results
    assert first.overall == 1
    assert first.model == "org/first@twice"
    assert first.folder.name == "org__first@twice"
    assert (first.folder / "answers.txt").read_text() == "first\n"
    assert first.provenance["warnings"] == ["cost 7"]
    assert first.provenance["model"] == {**Comparer().provenance(), "name": "org/first@twice"}
    from rmeval.scorer import examine

    assert examine(Comparer(), DEMO.preferences) == "looked at 368"


def test_a_scorer_with_nothing_more_is_told_from_another_of_its_name(results):
    length, _ = results
    made = length.provenance
    assert (made["model"]["family"], made["model"]["dtype"]) == ("own", "not known")
    assert made["engine"] == {"path": "own", "reason": None, "device": "not known"}

    class Other(Length):
        def provenance(self):
            return {"version": 2}

    other = rmeval.evaluate(Other(), DEMO)
    assert other.provenance["model"]["fingerprint"] != made["model"]["fingerprint"]


@pytest.mark.parametrize(
    ("rewards", "words"),
    [([1.0], "gave 1 scores for 736 conversations"), ([math.nan] * 736, "preference 0 .*chosen")],
)
def test_a_scorer_that_is_wrong_is_named(rewards, words):
    class Wrong(Length):
        def score_conversations(self, conversations, **how):
            return [Score(reward, 1, False) for reward in rewards]

    with pytest.raises(rmeval.RmevalError, match=words):
        rmeval.evaluate(Wrong(), DEMO)


def test_models_and_judges_are_scorers():
    from rmeval.judging.judge import GenerativeJudge

    assert isinstance(Length(), rmeval.Scorer)
    assert not isinstance(object(), rmeval.Scorer)
    for kind in (rmeval.RewardModel, rmeval.DPOModel):
        assert hasattr(kind, "score_conversations")
    for kind in (rmeval.PairwiseModel, GenerativeJudge):
        assert hasattr(kind, "score_preferences")
        assert not hasattr(kind, "score_conversations")


def test_frames_have_a_row_a_preference_or_a_row_a_response(results):
    length, _ = results
    frame = length.to_frame()
    item = length.scored[0]
    row = frame.iloc[0]
    assert len(frame) == 368
    assert list(row["rewards"]) == [score.value for score in item.scores]
    assert row["margin"] == item.scores[0].value - item.scores[1].value
    assert row["objectives"] == [[s.value, -s.value] for s in item.scores]
    by_subset = frame.groupby("subset")["won"].mean()
    for subset, value in by_subset.items():
        assert value == pytest.approx(length.metrics.values[f"subset/{subset}"])
    apart = length.to_frame("response")
    assert len(apart) == 736
    assert (apart["long"] == apart["reward"]).all()
    assert (apart["short"] == -apart["reward"]).all()
    assert apart.groupby("id")["chosen"].sum().eq(1).all()
    assert set(apart["section"]) == {"Chat", "Chat Hard", "Safety", "Reasoning"}
    with pytest.raises(UnknownName, match="did you mean 'response'"):
        length.to_frame("respons")


def test_a_result_is_a_data_set(results):
    pytest.importorskip("datasets")
    found = results[0].to_dataset("response")
    assert found.num_rows == 736
    assert found.to_pandas().equals(results[0].to_frame("response"))


def test_results_are_shown_in_a_line_and_as_a_table(results):
    from markupsafe import escape

    length, _ = results
    assert repr(length).startswith("<org/length on demo: Score ")
    assert "Chat Hard" in length._repr_html_()
    hostile = rmeval.evaluate(type("Bad", (Length,), {"name": "<b>x\n"})(), DEMO, name="<b>\n")
    assert "\n" not in repr(hostile)
    assert "<b>" not in hostile._repr_html_()
    assert escape("<b>") in hostile._repr_html_()
    assert repr(DEMO) == "<demo: 368 rows from shipped with rmeval>"
    assert len(repr(rmeval.load_model("demo", weights=False))) < 80


def test_read_compare_gate_and_rank_results(results, tmp_path):
    length, first = results
    output = length.folder.parents[1]
    assert rmeval.read_result(length.folder) == length
    assert rmeval.read_results(output) == [first, length]
    comparison = rmeval.compare(length.folder, first)
    assert comparison.overall().value == pytest.approx(1 - length.overall)
    assert repr(comparison).startswith("<org/first@twice is better than org/length by ")
    baseline = rmeval.baseline(first, tmp_path / "base.json")
    assert rmeval.check(first, baseline).outcome == 0
    gate = rmeval.check(length, tmp_path / "base.json", per="overall")
    assert (gate.outcome, repr(gate)) == (1, "<REGRESSED: overall>")
    with pytest.raises(BadOption, match="no published row"):
        rmeval.check(length, "published")
    ranking = rmeval.leaderboard([output])
    assert list(ranking["model"]) == ["org/first@twice", "org/length"]
    assert list(rmeval.leaderboard([length, first])["Score"]) == list(ranking["Score"])
    assert set(rmeval.leaderboard(published=["grm"])["benchmark"]) == {"rewardbench"}
    with pytest.raises(UnknownName, match="unknown card 'gmr'"):
        rmeval.leaderboard(published=["gmr"])


def test_an_ensemble_in_python_is_the_command_lines(results, tmp_path, capsys):
    folders = [str(result.folder) for result in results]
    mixed = rmeval.ensemble(*folders, weights=[0.7, 0.3], name="mix", output=tmp_path / "python")
    verb = ["ensemble", *folders, "--weights", "0.7,0.3", "--name", "mix"]
    assert main([*verb, "--output", str(tmp_path / "verb")]) == 0
    capsys.readouterr()
    place = mixed.folder.relative_to(tmp_path / "python")
    kept = [tmp_path / side / place / "scores.jsonl" for side in ("python", "verb")]
    assert kept[0].read_bytes() == kept[1].read_bytes()
    assert rmeval.ensemble(*folders).metrics.values["overall"] > 0
    with pytest.raises(rmeval.UnknownName, match="unknown normalisation 'max'"):
        rmeval.ensemble(*folders, normalise="max")


def test_the_frame_of_results_is_the_leaderboard_of_the_command_line(results, capsys):
    output = results[0].folder.parents[1]
    assert main(["leaderboard", str(output), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    frame = rmeval.results_frame(output)
    scores = dict(zip(frame["model"], 100 * frame["overall"], strict=True))
    assert {row["model"]: row["Score"] for row in told} == pytest.approx(scores)


def test_rank_and_filter_are_those_of_the_command_line(tmp_path):
    model = rmeval.load_model("demo", device="cpu")
    lines = [{"prompt": "Why?", "responses": ["So.", "I cannot help.", "So."], "n": 1}]
    ranked = rmeval.rank(model, lines)
    assert ranked == through("rank", lines, tmp_path)
    pairs = list(rmeval.pairs(ranked, strategy="all"))
    turned = [{**pair, "chosen": pair["rejected"], "rejected": pair["chosen"]} for pair in pairs]
    kept, others = rmeval.filter(model, [*pairs, *turned])
    assert kept == through("filter", [*pairs, *turned], tmp_path)
    assert len(kept) == len(others) == len(pairs)


def through(verb, lines, folder):
    """What a verb writes for lines."""
    (folder / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    files = ["--input", str(folder / "in.jsonl"), "--output", str(folder / f"{verb}.jsonl")]
    assert main([verb, "--model", "demo", "--device", "cpu", *files]) == 0
    return [json.loads(line) for line in (folder / f"{verb}.jsonl").read_text().splitlines()]


def test_lines_that_are_none_are_named():
    with pytest.raises(BadData, match=r"candidates\[1\]: no responses"):
        rmeval.rank(Length(), [{"prompt": "a", "responses": ["b"]}, {"prompt": "a"}])
    with pytest.raises(BadOption, match="pass agree"):
        rmeval.filter(Length(), [], keep="disagree")
    with pytest.raises(BadData, match="pairs: no rows"):
        rmeval.filter(Length(), [])


class Alphabet:
    """Draws a, bb, ccc and so on; without the last prompts, if it is asked to fail."""

    def __init__(self, fail=0):
        self.fail = fail

    def settings(self):
        return {"generator": "alphabet"}

    def check(self, prompts, sampling):
        assert prompts[0] == (Message("user", "Why?"),)

    def draw(self, prompts, waiting, sampling):
        for index in waiting:
            drawn = [letter * n for n, letter in enumerate("abc"[: sampling.n], 1)]
            yield index, ServerFailure("too busy") if index >= len(prompts) - self.fail else drawn


def test_the_best_of_n_is_drawn_once_and_ranked(tmp_path):
    how = {"output": tmp_path / "drawn", "sampling": rmeval.Sampling(n=3)}
    prompts = ["Why?", {"messages": [{"role": "user", "content": "How?"}], "id": 7}]
    with pytest.raises(ServerFailure, match=r"1 of 2 prompts .* prompts\[1\]: too busy"):
        rmeval.best_of_n(Length(), Alphabet(fail=1), prompts, **how)
    found = rmeval.best_of_n(Length(), Alphabet(), prompts, **how)
    assert found.best == ["ccc", "ccc"]
    assert [point.reward for point in found.curve] == [2.0, pytest.approx(8 / 3), 3.0]
    assert found.ranked[1]["id"] == 7
    assert found.ranked[1]["ranks"] == [2, 1, 0]


def test_the_best_of_n_is_checked_by_a_function_or_by_name(tmp_path):
    """Alphabet draws a, bb and ccc; Length prefers ccc."""
    how = {"sampling": rmeval.Sampling(n=3)}
    prompts = [{"prompt": "Why?", "answer": "ccc"}, {"prompt": "How?", "answer": "a"}]
    named = rmeval.best_of_n(
        Length(), Alphabet(), prompts, output=tmp_path / "1", answers="exact", **how
    )
    assert [line["correct"] for line in named.ranked] == [
        [False, False, True],
        [True, False, False],
    ]
    # of two, ccc is there in 2 of 3 pairs; a is never the longer
    curve = [point["accuracy"] for point in named.answers["curve"]]
    assert curve == pytest.approx([1 / 3, (2 / 3 + 0) / 2, 1 / 2])
    assert named.answers["majority"]["value"] == pytest.approx(1 / 3)
    mine = rmeval.best_of_n(
        Length(), Alphabet(), prompts, output=tmp_path / "2", **how,
        answers=lambda response, answer: response == answer,
    )  # fmt: skip
    assert mine.answers["curve"] == named.answers["curve"]
    assert mine.answers["majority"] is None
    with pytest.raises(BadData, match=r"prompts\[1\]: no answer to hold responses to"):
        rmeval.best_of_n(
            Length(), Alphabet(), [prompts[0], "How?"], output=tmp_path / "3", answers="exact"
        )
    assert (
        rmeval.best_of_n(Length(), Alphabet(), ["Why?"], output=tmp_path / "4", **how).answers
        is None
    )


def test_the_doctor_looks_at_a_model():
    checks = rmeval.doctor(rmeval.load_model("demo", device="cpu"))
    assert {check.status for check in checks} <= {"pass", "warn", "skipped"}


def test_all_that_is_public_is_listed_and_helped(capsys):
    assert set(rmeval.__all__) <= set(dir(rmeval))
    help(rmeval)
    said = capsys.readouterr().out
    for name in ("leaderboard(", "load_model(", "class BadOption", "evaluate("):
        assert name in said
