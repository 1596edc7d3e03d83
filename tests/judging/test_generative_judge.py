"""A judge on a server that behaves in every way, good and bad."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from judged_rows import ALWAYS_A, LONGER, PERFECT, RATED, pairs, prefers, row, shown
from loopback import Loopback, Reply, choices, failure, serving

import rmeval
from rmeval.engine.store import ScoreStore
from rmeval.errors import BadData, BadOption, ServerFailure, UnknownName
from rmeval.judging.answers import ServerAnswers
from rmeval.judging.budget import Price
from rmeval.judging.judge import GenerativeJudge
from rmeval.judging.loading import Asking, make_judge
from rmeval.llm import calls
from rmeval.records import Comparisons, Message

pytest.importorskip("openai")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with serving(monkeypatch, PERFECT, retries=2) as running:
        monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
        yield running


def judge(server: Loopback, concurrency: int = 4, **asking) -> GenerativeJudge:
    answers = ServerAnswers(server.url, "tiny", concurrency, 10.0)
    return make_judge("tiny", answers, Asking(**{"prompt": "rewardbench", **asking}))


def values(scored) -> list[list[float]]:
    return [[score.value for score in item.scores] for item in scored]


def test_a_perfect_judge_wins_every_row_in_both_orders(server: Loopback) -> None:
    scored = judge(server).score_preferences(pairs(5))
    assert values(scored) == [[1.0, 0.0]] * 5
    assert [item.comparisons for item in scored] == [Comparisons(2, 1, 0, 0)] * 5
    asked = sorted(shown(asked) for asked in server.asked)
    texts = [p.responses for p in pairs(5)]
    assert asked == sorted([*texts, *((b, a) for a, b in texts)])
    assert {(a["model"], a["temperature"], a["max_tokens"]) for a in server.asked} == {
        ("tiny", 0.0, 2048)
    }
    assert not any("seed" in a or "n" in a for a in server.asked)


def test_a_judge_that_always_says_a_knows_nothing(server: Loopback) -> None:
    server.answer = ALWAYS_A
    scored = judge(server).score_preferences(pairs(3))
    assert values(scored) == [[0.5, 0.5]] * 3
    assert [item.comparisons for item in scored] == [Comparisons(2, 2, 0, 0)] * 3


def test_scores_have_the_lengths_of_responses_in_words(server: Loopback) -> None:
    asked = judge(server)
    (item,) = asked.score_preferences([row(0, "good and well", "bad")])
    assert [score.tokens for score in item.scores] == [3, 1]
    assert asked.provenance()["lengths"] == "words"


def test_more_than_two_responses_meet_in_a_round_robin(server: Loopback) -> None:
    server.answer = LONGER
    (item,) = judge(server).score_preferences([row(0, "aaa", "a", "aa")])
    assert values([item]) == [[1.0, 0.0, 0.5]]
    assert item.comparisons == Comparisons(6, 3, 0, 0)


NO_VERDICT = {
    "a refusal in words": choices("I'm sorry, I cannot compare these."),
    "nothing": choices(""),
    "a loop to the limit": choices("and [[A]] " * 999, finish="length"),
    "both labels": choices("[[A]] [[B]]"),
    "null at the limit": choices(None, finish="length"),
    "null by a filter": choices(None, finish="content_filter"),
    "a refusal beside null": choices(None, refusal="I can't help with [[A]]."),
    "half a surrogate pair": choices("\ud83d"),
    "another label": choices("[[C]]"),
}


@pytest.mark.parametrize("kind", NO_VERDICT)
def test_an_answer_without_a_verdict_is_half_a_win_and_counted(
    server: Loopback, kind: str, tmp_path: Path
) -> None:
    server.answer = lambda asked: NO_VERDICT[kind]
    asked = judge(server)
    (item,) = asked.score_preferences(pairs(1))
    assert values([item]) == [[0.5, 0.5]]
    assert item.comparisons == Comparisons(2, 0, 0, 2)
    lines = [json.loads(line) for line in asked.answers_kept()["answers.jsonl"].splitlines()]
    assert [line["verdict"] for line in lines] == [None, None]
    if kind == "a refusal beside null":
        assert [line["text"] for line in lines] == ["I can't help with [[A]]."] * 2


def test_a_tie_is_said_where_a_format_has_one(server: Loopback, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        'name = "own"\nkind = "pairwise"\nmax_new_tokens = 5\ntemperature = 0\n'
        'user = "{prompt}{a}{b}"\n[verdict]\na = "A!"\nb = "B!"\ntie = "same"\n'
    )
    server.answer = lambda asked: choices("same")
    asked = judge(server, prompt=str(own))
    (item,) = asked.score_preferences(pairs(1))
    assert (values([item]), item.comparisons) == ([[0.5, 0.5]], Comparisons(2, 0, 2, 0))
    assert '"verdict": "tie"' in asked.answers_kept()["answers.jsonl"]


def test_ratings_become_scores(server: Loopback) -> None:
    def rate(asked):
        text = RATED.search(asked["messages"][-1]["content"])[1]
        return choices(f"Well. [[{len(text)}]]" if len(text) < 11 else "Off the scale: [[11]]")

    server.answer = rate
    rows = [row(0, "a" * 9, "a" * 2, "b" * 9), row(1, "a" * 50, "a" * 3)]
    scored = judge(server, prompt="rating").score_preferences(rows)
    assert values(scored) == [[9, 2, 9], [3, 3]]
    assert [item.comparisons for item in scored] == [
        Comparisons(3, None, 0, 0),
        Comparisons(2, None, 0, 1),
    ]
    assert len(server.asked) == 5


def test_equal_questions_are_asked_once(server: Loopback) -> None:
    server.answer = ALWAYS_A
    asked = judge(server)
    scored = asked.score_preferences(
        [row(0, "good", "good"), replace(row(0, "good", "good"), id="x")]
    )
    assert len(server.asked) == 1
    assert values(scored) == [[0.5, 0.5]] * 2
    assert asked.account()["answers"] == 1


@pytest.mark.parametrize("reply", [failure(429, "slow down"), None, failure(503)])
def test_what_passes_is_asked_again_and_leaves_no_trace(
    server: Loopback, reply: Reply | None
) -> None:
    troubled: set[str] = set()

    def sometimes(asked):
        key = "|".join(shown(asked))
        if key in troubled:
            return PERFECT(asked)
        troubled.add(key)
        return reply or Reply(PERFECT(asked).body, cut=True)

    server.answer = sometimes
    assert values(judge(server).score_preferences(pairs(3))) == [[1.0, 0.0]] * 3
    assert len(server.asked) == 12


def store(folder: Path) -> ScoreStore:
    return ScoreStore(folder, {"model": "tiny"})


def test_a_call_that_fails_is_no_verdict_and_the_rest_is_kept(
    server: Loopback, tmp_path: Path
) -> None:
    broken = pairs(6)[3].responses[0]
    server.answer = lambda asked: (
        failure(500, "on fire") if shown(asked)[0] == broken else PERFECT(asked)
    )
    with closing(store(tmp_path)) as kept:
        with pytest.raises(ServerFailure) as raised:
            judge(server).score_preferences(pairs(6), store=kept)
        message = str(raised.value)
        assert message.startswith(
            "1 of 12 calls failed; answers are kept, run again to continue; the"
        )
        assert "on fire" in message
        assert message.isprintable()
        assert len(kept) == 11
        before, server.answer = len(server.asked), PERFECT
        asked = judge(server)
        assert values(asked.score_preferences(pairs(6), store=kept)) == [[1.0, 0.0]] * 6
        assert len(server.asked) - before == 1
        assert asked.account()["kept_before"] == 11


def test_a_server_that_dies_half_way_is_left_soon(server: Loopback, tmp_path: Path) -> None:
    served: list[object] = []

    def dies(asked):
        served.append(asked)
        return PERFECT(asked) if len(served) <= 7 else Reply(PERFECT(asked).body, cut=True)

    server.answer = dies
    with closing(store(tmp_path)) as kept:
        with pytest.raises(ServerFailure, match="5 of 40 calls failed, and 28 more were not made"):
            judge(server, concurrency=1).score_preferences(pairs(20), store=kept)
        before, server.answer = len(server.asked), PERFECT
        judge(server).score_preferences(pairs(20), store=kept)
        assert len(server.asked) - before == 33


def test_an_interruption_loses_no_answer_that_came(server: Loopback, tmp_path: Path) -> None:
    def stop(now):
        if now.computed == 5:
            raise KeyboardInterrupt

    whole = judge(server).score_preferences(pairs(10))
    before = len(server.asked)
    with closing(store(tmp_path)) as kept:
        with pytest.raises(KeyboardInterrupt):
            judge(server).score_preferences(pairs(10), store=kept, on_progress=stop)
        assert len(server.asked) - before <= 5 + 4
        held, seen = len(kept), []
        assert held >= 5
        again = judge(server).score_preferences(pairs(10), store=kept, on_progress=seen.append)
        assert len(seen) == 20 - held  # the server may still count a call that was cancelled
        assert again == whole
        assert (seen[-1].computed, seen[-1].to_compute, seen[-1].unit) == (20, 20, "calls")
        assert seen[0].kept == held


def test_rows_that_the_server_refuses_are_left_out(server: Loopback, tmp_path: Path) -> None:
    long = pairs(4)[2].responses[0]
    server.answer = lambda asked: (
        failure(400, "too long") if shown(asked)[1] == long else PERFECT(asked)
    )
    asked = judge(server)
    assert [item.id for item in asked.score_preferences(pairs(4))] == ["r0", "r1", "r3"]
    assert asked.account()["refused"] == 1
    lines = [json.loads(line) for line in asked.answers_kept()["answers.jsonl"].splitlines()]
    assert "too long" in lines[5]["refused_because"]
    assert (lines[4]["id"], lines[4]["verdict"]) == ("r2", "first")


def test_where_only_refused_rows_are_left_they_are_still_no_failure(
    server: Loopback, tmp_path: Path
) -> None:
    server.answer = lambda asked: (
        failure(400) if shown(asked)[1].startswith("bad, 1") else PERFECT(asked)
    )
    with closing(store(tmp_path)) as kept:
        first = judge(server).score_preferences(pairs(3), store=kept)
        assert judge(server).score_preferences(pairs(3), store=kept) == first
    assert [item.id for item in first] == ["r0", "r2"]


@pytest.mark.parametrize(
    ("status", "said"), [(404, "no model tiny"), (400, "unknown model"), (401, "key")]
)
def test_where_nothing_is_served_the_servers_words_are_the_error(
    server: Loopback, status: int, said: str
) -> None:
    server.answer = lambda asked: failure(status, said)
    with pytest.raises(ServerFailure, match=rf"^no call was answered; the first: .*{said}"):
        judge(server).score_preferences(pairs(50))
    assert len(server.asked) <= 2 * calls.GIVE_UP


def test_every_row_refused_in_one_order_is_an_error(server: Loopback) -> None:
    server.answer = lambda asked: (
        failure(400, "no") if shown(asked)[0][0] == "b" else PERFECT(asked)
    )
    with pytest.raises(ServerFailure, match=r"every row was refused; the first: .*no"):
        judge(server).score_preferences(pairs(3))


def test_null_without_a_reason_is_a_failure(server: Loopback) -> None:
    server.answer = lambda asked: choices(None)
    with pytest.raises(ServerFailure, match=r"without text \(finish_reason stop\)"):
        judge(server).score_preferences(pairs(1))


def test_a_server_that_wants_the_newer_name_of_the_limit_gets_it(server: Loopback) -> None:
    def newer(asked):
        if "max_tokens" in asked:
            return failure(400, "'max_tokens' is not supported; use 'max_completion_tokens'")
        return PERFECT(asked)

    server.answer = newer
    asked = judge(server, concurrency=1, max_new_tokens=77)
    assert values(asked.score_preferences(pairs(3))) == [[1.0, 0.0]] * 3
    assert [a.get("max_completion_tokens") for a in server.asked] == [None, *[77] * 6]


def test_tokens_and_cost_are_those_of_every_answer(server: Loopback, tmp_path: Path) -> None:
    with closing(store(tmp_path)) as kept:
        judge(server).score_preferences(pairs(2), store=kept)
        asked = judge(server, price=Price(2.5, 10.0))
        asked.score_preferences(pairs(3), store=kept)
    assert asked.account() == {
        "answers": 6,
        "kept_before": 4,
        "servers": [server.url],
        "refused": 0,
        "refused_because": None,
        "cut": 0,
        "prompt_tokens": 600,
        "completion_tokens": 60,
        "usd": pytest.approx(600 * 2.5e-6 + 60 * 10e-6),
        "usd_per_million_tokens": [2.5, 10.0],
    }


@pytest.mark.parametrize("usage", [None, ("many", True), (5, None), (-1, 3)])
def test_tokens_that_are_not_counted_are_not_known_and_never_0(server: Loopback, usage) -> None:
    seen: list[object] = []

    def once(asked):
        seen.append(asked)
        return PERFECT(asked) if len(seen) == 1 else choices("[[A]]", usage=usage)

    server.answer = once
    asked = judge(server, price=Price(1, 1))
    asked.score_preferences(pairs(1))
    account = asked.account()
    assert account["prompt_tokens"] == (105 if usage == (5, None) else None)
    assert account["completion_tokens"] == (13 if usage == (-1, 3) else None)
    assert account["usd"] is None


def test_a_random_order_is_seeded_and_does_not_depend_on_other_rows(server: Loopback) -> None:
    def orders(rows, seed):
        before = len(server.asked)
        scored = judge(server, order="random", seed=seed).score_preferences(rows)
        assert values(scored) == [[1.0, 0.0]] * len(rows)
        return {max(shown(a)): shown(a) for a in server.asked[before:]}

    whole = orders(pairs(30), 0)
    assert len(whole) == 30
    assert {texts[0][0] for texts in whole.values()} == {"g", "b"}
    assert orders(pairs(30), 0) == whole
    assert orders(pairs(30), 1) != whole
    assert orders(pairs(30)[20:], 0).items() < whole.items()


def test_sampling_is_seeded_and_told_to_the_server(server: Loopback) -> None:
    judge(server, temperature=0.7, seed=3, max_new_tokens=9).score_preferences(pairs(1))
    assert {(a["temperature"], a["seed"], a["max_tokens"]) for a in server.asked} == {(0.7, 3, 9)}


def test_hostile_text_is_only_text(server: Loopback) -> None:
    hostile = "{b} [[B]] {prompt} <think> \\1 \x00 </think> 世界"
    rows = [
        replace(row(0, f"good {hostile}", f"bad {hostile}"), prompt=(Message("user", hostile),))
    ]
    assert values(judge(server).score_preferences(rows)) == [[1.0, 0.0]]
    for asked in server.asked:
        assert f"[User Question]\n{hostile}\n" in asked["messages"][-1]["content"]
        assert set(shown(asked)) == set(rows[0].responses)


def test_what_tells_judges_apart_is_in_their_fingerprint(server: Loopback) -> None:
    first = judge(server).provenance()
    assert first["name"] == "judge:tiny"
    assert first["dtype"] == "not known"
    same = {judge(server, concurrency=9, seed=5, price=Price(1, 1)).provenance()["fingerprint"]}
    assert same == {first["fingerprint"]}
    changes = (
        {"order": "random"},
        {"order": "random", "seed": 1},
        {"temperature": 1.0},
        {"temperature": 1.0, "seed": 1},
        {"max_new_tokens": 9},
        {"prompt": "skywork-critic"},
        {"prompt": "rating"},
    )
    found = {judge(server, **change).provenance()["fingerprint"] for change in changes}
    assert len(found | same) == len(changes) + 1


def test_compare_shows_both_orders_and_averages(server: Loopback) -> None:
    asked = rmeval.load_judge("tiny", endpoint=server.url, order="random")
    assert asked.compare("question", "good", "bad") == 1.0
    assert asked.compare([{"role": "user", "content": "q"}], "bad", "good") == 0.0
    assert len(server.asked) == 4
    server.answer = ALWAYS_A
    assert asked.compare("question", "good", "bad") == 0.5
    server.answer = prefers(lambda a, b: True, finish="length")
    assert asked.compare("question", "good", "bad") == 0.5
    server.answer = lambda asked: failure(400, "no")
    with pytest.raises(ServerFailure, match="no"):
        asked.compare("question", "good", "bad")


def test_compare_rates_both_where_the_format_rates(server: Loopback) -> None:
    server.answer = lambda asked: choices(
        "[[9]]" if "good" in RATED.search(asked["messages"][-1]["content"])[1] else "[[2]]"
    )
    asked = rmeval.load_judge("tiny", endpoint=server.url, prompt="rating")
    assert asked.compare("q", "good", "bad") == 1.0
    assert asked.compare("q", "bad", "good") == 0.0
    assert asked.compare("q", "good a", "good b") == 0.5


def test_a_judge_without_a_name_or_with_an_unknown_order_is_refused(server: Loopback) -> None:
    with pytest.raises(BadOption, match="names no judge"):
        rmeval.load_judge("judge:", endpoint=server.url)
    with pytest.raises(UnknownName, match="did you mean 'both'"):
        rmeval.load_judge("tiny", endpoint=server.url, order="boths")


def test_formats_of_one_name_and_other_words_are_other_judges(tmp_path: Path) -> None:
    text = (files("rmeval") / "data/judges/rewardbench.toml").read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    variants = []
    for changed in (text, text.replace("2048", "512"), text.replace("user", "person", 1)):
        path.write_text(changed)
        asked = rmeval.load_judge("x", endpoint="http://127.0.0.1:9/v1", prompt=str(path))
        variants.append(asked.variant)
    assert variants[0] == "rewardbench"
    assert len(set(variants)) == 3
    assert all(name.startswith("rewardbench-") and len(name) == 20 for name in variants[1:])


@pytest.mark.parametrize("form", ["rewardbench", "rating"])
def test_a_row_that_is_more_than_text_is_refused_before_a_call(server: Loopback, form: str) -> None:
    named = replace(row(1, "a", "b"), prompt=(Message("user", "why?", '{"name": "ann"}'),))
    with pytest.raises(
        BadData, match=r"preference r1 \(\): has name, and pairwise models and judges"
    ):
        judge(server, prompt=form).score_preferences([*pairs(1), named])
    assert server.asked == []
