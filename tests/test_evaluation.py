"""A model on a benchmark, with a fake model whose rewards are known."""

import hashlib
import json
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

import rmeval
from rmeval.benchmarks import Benchmark
from rmeval.benchmarks.demo import DEMO as DEMO_DEFINITION
from rmeval.errors import BadOption, BadReward, OutputFailure, UnknownName
from rmeval.evaluation import scoring_provenance
from rmeval.records import Message, Preference, Score
from rmeval.results.scores import read_scores

DEMO = rmeval.load_benchmark("demo")


class LengthModel:
    """Its reward is the length of the last turn."""

    name, revision_asked, variant = "org/length", None, None

    def __init__(self) -> None:
        self.calls: list[list[tuple[Message, ...]]] = []

    def score_conversations(self, conversations, **options) -> list[Score]:
        self.calls.append(list(conversations))
        return [Score(float(len(c[-1].content)), len(c), False) for c in conversations]

    def provenance(self) -> dict[str, Any]:
        return {"name": self.name, "family": "fake", "dtype": "float32", "fingerprint": "f"}

    def engine_provenance(self) -> dict[str, Any]:
        return {"path": "padded", "reason": None, "device": "cpu"}


class FailingModel(LengthModel):
    """The reward of one conversation is not finite."""

    def __init__(self, index: int, value: float) -> None:
        self.error = BadReward(index, value)

    def score_conversations(self, conversations, **options) -> list[Score]:
        raise self.error


def evaluate(model: Any = None, benchmark: Benchmark = DEMO, **options: Any) -> rmeval.Result:
    return rmeval.evaluate(model or LengthModel(), benchmark, **options)


def test_every_response_is_scored_once_in_the_order_of_the_rows() -> None:
    model = LengthModel()
    result = evaluate(model)
    [seen] = model.calls
    first = DEMO.preferences[0]
    assert seen[0] == (*first.prompt, Message("assistant", first.responses[0]))
    assert seen[1] == (*first.prompt, Message("assistant", first.responses[1]))
    assert len(seen) == 736
    assert [item.id for item in result.scored] == [item.id for item in DEMO.preferences]
    for scored, asked in zip(result.scored, DEMO.preferences, strict=True):
        assert [score.value for score in scored.scores] == [len(r) for r in asked.responses]
        assert (scored.subset, scored.num_chosen) == (asked.subset, 1)


def test_rows_may_have_any_number_of_responses() -> None:
    prompt = (Message("user", "q"),)
    rows = (
        Preference("best-of-4", "hep-go", prompt, ("abcd", "abc", "ab", "a")),
        Preference("two-good", "hep-cpp", prompt, ("abcd", "abc", "ab"), num_chosen=2),
        Preference("pair", "hep-js", prompt, ("a", "ab")),
    )
    result = evaluate(benchmark=replace(DEMO, preferences=rows, partial="3 rows"))
    rewards = [[score.value for score in item.scores] for item in result.scored]
    assert rewards == [[4, 3, 2, 1], [4, 3, 2], [1, 2]]
    values = result.metrics.values
    assert values["subset/hep-go"] == values["subset/hep-cpp"] == 1.0
    assert values["subset/hep-js"] == 0.0


def test_the_metrics_are_named_overall_section_and_subset() -> None:
    result = evaluate()
    names = list(result.metrics.values)
    assert names[0] == "overall"
    assert names[1:5] == [
        f"section/{name}" for name in ("Chat", "Chat Hard", "Safety", "Reasoning")
    ]
    assert len(names) == 5 + 23
    assert all(name.startswith("subset/") for name in names[5:])
    assert result.overall == result.metrics.values["overall"]
    assert result.partial is None


def test_the_longer_response_wins_with_a_model_that_measures_length() -> None:
    longer = sum(len(p.responses[0]) > len(p.responses[1]) for p in DEMO.preferences)
    result = evaluate()
    values, rows = result.metrics.values, result.metrics.rows
    assert round(sum(values[f"subset/{subset}"] * rows[subset] for subset in rows)) == longer


def test_a_limited_run_is_partial_and_has_no_score() -> None:
    result = evaluate(limit=23)
    assert result.partial == "23 of 368 rows, evenly spread"
    assert result.overall is None
    assert len(result.scored) == 23
    assert result.metrics.partial_sections == ("Chat", "Chat Hard", "Safety", "Reasoning")


def test_an_impossible_limit_or_weighting_is_refused_before_scoring() -> None:
    model = LengthModel()
    with pytest.raises(BadOption, match="at least one row"):
        evaluate(model, limit=0)
    with pytest.raises(UnknownName, match="unknown weighting"):
        evaluate(model, weighting="rewardbench")
    assert model.calls == []


def test_a_run_says_what_made_its_numbers() -> None:
    provenance = evaluate(limit=23).provenance
    made_by = {"model", "engine", "versions", "python", "data", "started", "seconds"}
    assert made_by <= set(provenance)
    assert provenance["versions"]["rmeval"] == rmeval.__version__
    assert {"torch", "transformers", "tokenizers"} <= set(provenance["versions"])
    assert provenance["data"]["rows"] == 23
    assert provenance["data"]["source"] == "shipped with rmeval"
    assert provenance["data"]["sha256"] == DEMO.limited(23).digest
    assert provenance["started"].endswith("+00:00")
    assert provenance["seconds"] >= 0


@pytest.mark.parametrize(
    ("index", "kind"), [(0, "chosen"), (1, "rejected"), (14, "chosen"), (275, "rejected")]
)
def test_a_reward_that_is_not_finite_names_preference_and_response(index: int, kind: str) -> None:
    asked = DEMO.preferences[index // 2]
    with pytest.raises(BadReward) as caught:
        evaluate(FailingModel(index, float("nan")))
    place = f"preference {asked.id} ({asked.subset}), {kind} response: the reward is nan"
    assert str(caught.value).startswith(place)
    assert caught.value.index == index


def test_the_scores_alone_give_every_number_again(tmp_path: Path) -> None:
    for weighting in ("rewardbench-v1", "rewardbench-v1-2024-07"):
        evaluate(output=tmp_path, weighting=weighting)
        folder = tmp_path / "demo/org__length"
        document = json.loads((folder / "result.json").read_text())
        scored = read_scores(folder / "scores.jsonl")
        again = DEMO_DEFINITION.scheme.metrics(scored, weighting)
        assert again.values == document["metrics"]
        assert again.counts == document["counts"]
        assert document["weighting"] == weighting
        accuracies = {k[7:]: v for k, v in again.values.items() if k.startswith("subset/")}
        sections = rmeval.section_scores(accuracies, weighting)
        assert sections.pop("overall") == document["metrics"]["overall"]
        assert all(document["metrics"][f"section/{k}"] == v for k, v in sections.items())


def test_a_second_run_gives_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "demo/org__length/scores.jsonl"
    evaluate(output=tmp_path)
    first = path.read_bytes()
    path.unlink()
    evaluate(output=str(tmp_path))
    assert path.read_bytes() == first
    document = json.loads(path.with_name("result.json").read_text())
    assert document["scores_sha256"] == hashlib.sha256(first).hexdigest()


def test_a_limited_run_never_replaces_a_whole_result(tmp_path: Path) -> None:
    evaluate(output=tmp_path)
    path = tmp_path / "demo/org__length/result.json"
    whole = path.read_bytes()
    limited = evaluate(output=tmp_path, limit=23)
    assert path.read_bytes() == whole
    assert limited.folder is not None
    assert json.loads((limited.folder / "result.json").read_text())["partial"] == limited.partial


def test_a_whole_run_takes_the_place_of_a_limited_one(tmp_path: Path) -> None:
    evaluate(output=tmp_path, limit=23)
    result = evaluate(output=tmp_path)
    assert result.folder == tmp_path / "demo/org__length"
    assert json.loads((result.folder / "result.json").read_text())["partial"] is None


def test_an_output_that_cannot_be_written_is_found_before_scoring(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("a file in the way")
    model = LengthModel()
    with pytest.raises(OutputFailure, match="choose another `output=`"):
        evaluate(model, output=tmp_path)
    assert model.calls == []


def test_without_an_output_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert evaluate().folder is None
    assert list(tmp_path.iterdir()) == []


def test_a_run_needs_no_installation_of_rmeval(monkeypatch):
    """A folder on PYTHONPATH has no metadata."""

    def of_others(name):
        if name == "rmeval":
            raise PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr("rmeval.evaluation.version", of_others)
    provenance = scoring_provenance(LengthModel())
    assert provenance["versions"]["rmeval"] == rmeval.__version__
