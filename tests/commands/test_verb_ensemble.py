"""`rmeval ensemble`: several models' stored scores as a model of its own."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Capture, done, refusal
from documented import assert_documented

from rmeval.benchmarks import scheme_of
from rmeval.files import prepare_folder
from rmeval.metrics.summary import describe_scores
from rmeval.records import Result, Score, ScoredPreference
from rmeval.results.files import read_result, write_result

# Three pairs; the members disagree on each, and have units of their own.
FIRST = [(2.0, 1.0), (0.0, 4.0), (3.0, 3.0)]
SECOND = [(-100.0, 100.0), (300.0, 200.0), (0.0, -100.0)]


def keep(folder: Path, scores: list[tuple[float, ...]], model: str, **changes: Any) -> Path:
    """A result on pairs of one's own, with these scores; `cut` marks every response truncated."""
    tokens, cut = changes.pop("tokens", 9), changes.pop("cut", False)
    scored = tuple(
        ScoredPreference(str(i), "s", 1, tuple(Score(v, tokens, cut) for v in row), f"text {i}")
        for i, row in enumerate(scores)
    )
    about = {"source": "mine.jsonl", "revision": None, "empty_responses": 0, "reading": {}}
    provenance = {
        "model": {"name": model, "revision": None, "fingerprint": model, "family": "grm"}
        | {"dtype": "float32"},
        "engine": {"path": "packed", "reason": None, "device": "cpu"},
        "versions": {"rmeval": "0"},
        "data": {**about, "identical_responses": 0, "layout": None, "sha256": "d"},
        "started": "2026-01-01T00:00:00+00:00",
        "seconds": 1.0,
    }
    values = {"scored": scored, "partial": None, "provenance": provenance, **changes}
    metrics = describe_scores(scheme_of("pairs"), values["scored"])
    named = {"benchmark": "mine", "definition": "pairs", "model": model, "weighting": "rows"}
    write_result(prepare_folder(folder), Result(**{**named, "metrics": metrics, **values}))
    return folder


@pytest.fixture
def members(tmp_path: Path) -> tuple[Path, Path]:
    return keep(tmp_path / "a", FIRST, "org/a"), keep(tmp_path / "b", SECOND, "org/b")


def combined(capsys: Capture, output: Path, *arguments: object, beside: bool = False) -> Result:
    out, err = done(capsys, "ensemble", *arguments, "--output", output)
    assert ("this one goes to" in err) if beside else err == ""
    return read_result(Path(out.splitlines()[-1].removeprefix("kept in ")))


def values(result: Result) -> list[list[float]]:
    return [[score.value for score in item.scores] for item in result.scored]


def min_max(x: np.ndarray) -> np.ndarray:
    return (x - x.min()) / (x.max() - x.min())


def z_score(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / np.sqrt(((x - x.mean()) ** 2).mean())


def ranks(x: np.ndarray) -> np.ndarray:
    """The share of the other responses below each, half of the equal ones."""
    below, equal = (x[:, None] > x).sum(1), (x[:, None] == x).sum(1) - 1
    return (below + equal / 2) / (len(x) - 1)


@pytest.mark.parametrize(
    ("normalise", "by_hand"),
    [("minmax", min_max), ("zscore", z_score), ("rank", ranks), ("none", lambda x: x)],
)
def test_scores_are_the_weighted_sum_that_numpy_gives(
    members: tuple[Path, Path], normalise: str, by_hand: Any, tmp_path: Path, capsys: Capture
) -> None:
    arguments = [*members, "--weights", "0.7", "0.3", "--normalise", normalise]
    found = combined(capsys, tmp_path / "out", *arguments)
    flat = [by_hand(np.array(scores).reshape(-1)) for scores in (FIRST, SECOND)]
    expected = (0.7 * flat[0] + 0.3 * flat[1]).reshape(3, 2)
    np.testing.assert_allclose(values(found), expected, rtol=1e-13)
    won = (expected[:, 0] > expected[:, 1]).mean()
    assert found.overall == pytest.approx(won)


def test_min_max_by_hand(members: tuple[Path, Path], tmp_path: Path, capsys: Capture) -> None:
    # First: 0 to 4, second: -100 to 300. The last pair: 3/4 + 1/4 against 3/4 + 0.
    found = combined(capsys, tmp_path / "out", *members, "--weights", "1,1")
    assert values(found)[2] == [1.0, 0.75]
    assert values(found)[0] == [0.5, 0.75]


def test_without_weights_each_member_has_its_equal_share(
    members: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    found = combined(capsys, tmp_path / "out", *members, "--normalise", "none")
    assert values(found)[0] == [-49.0, 50.5]


def test_a_negative_weight_turns_a_member_round(
    members: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    arguments = [*members, "--weights", "-1", "0", "--normalise", "none"]
    found = combined(capsys, tmp_path / "out", *arguments)
    assert values(found) == [[-2, -1], [0, -4], [-3, -3]]


def test_the_order_of_a_members_rows_does_not_matter(
    members: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    turned = tuple(reversed(read_result(members[1]).scored))
    other = keep(tmp_path / "turned", SECOND, "org/b", scored=turned)
    there = combined(capsys, tmp_path / "x", *members)
    assert values(combined(capsys, tmp_path / "y", members[0], other)) == values(there)


def test_members_weights_and_normalisation_are_in_the_provenance(
    members: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    found = combined(capsys, tmp_path / "out", *members, "--weights", "0.7,0.3")
    how = found.provenance["ensemble"]
    assert (how["normalise"], how["over"]) == ("minmax", "all responses of a member's result")
    assert [(m["weight"], m["model"]["name"]) for m in how["members"]] == [
        (0.7, "org/a"),
        (0.3, "org/b"),
    ]
    stored = json.loads((members[1] / "result.json").read_text())["scores_sha256"]
    assert how["members"][1]["scores_sha256"] == stored
    assert found.provenance["model"]["family"] == "ensemble"
    assert found.folder is not None
    assert_documented(found.folder)
    assert found.provenance["data"] == read_result(members[0]).provenance["data"]


def test_another_weight_is_another_model_in_another_folder(
    members: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    one = combined(capsys, tmp_path, *members, "--weights", "0.7,0.3")
    two = combined(capsys, tmp_path, *members, "--weights", "0.6,0.4")
    named = combined(capsys, tmp_path, *members, "--name", "both")
    assert len({one.folder, two.folder, named.folder}) == 3
    assert named.folder == tmp_path / "mine" / "both"
    assert one.model.startswith("ensemble-")


def test_an_ensemble_takes_its_own_place_again_and_never_that_of_a_model(
    members: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    member = keep(tmp_path / "mine" / "org__a", FIRST, "org/a")
    before = [path.read_bytes() for path in sorted(member.iterdir())]
    arguments = ["ensemble", member, members[1], "--output", tmp_path, "--name"]
    line = refusal(capsys, *arguments, "org/a")
    assert line == f"{member} holds a model's result; choose another --name or --output"
    assert [path.read_bytes() for path in sorted(member.iterdir())] == before
    for _ in range(2):
        done(capsys, *arguments, "both")


def test_tokens_are_the_first_members_and_a_cut_of_any_counts(
    tmp_path: Path, members: tuple[Path, Path], capsys: Capture
) -> None:
    cut = keep(tmp_path / "cut", SECOND, "org/b", tokens=5, cut=True)
    score = combined(capsys, tmp_path, members[0], cut).scored[0].scores[0]
    assert (score.tokens, score.truncated) == (9, True)


def test_an_ensemble_of_partial_results_is_partial(
    tmp_path: Path, members: tuple[Path, Path], capsys: Capture
) -> None:
    part = keep(tmp_path / "part", SECOND, "org/b", partial="3 of 9 rows (--limit)")
    assert combined(capsys, tmp_path, members[0], part).partial == "3 of 9 rows (--limit)"


def test_every_verb_that_reads_results_reads_an_ensembles(
    members: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    found = combined(capsys, tmp_path / "results", *members)
    out, _ = done(capsys, "aggregate", found.folder)
    assert out.splitlines()[-1] == "as stored"
    assert "ensemble of stored scores, minmax: 0.5 x org/a + 0.5 x org/b" in out.splitlines()
    assert found.model in done(capsys, "leaderboard", tmp_path / "results")[0]
    assert "minmax" in done(capsys, "compare", members[0], found.folder)[0]
    page = tmp_path / "report.html"
    assert done(capsys, "report", found.folder, "--output", page)[0].startswith(str(page))
    baseline = tmp_path / "baseline.json"
    done(capsys, "baseline", found.folder, "--output", baseline)
    done(capsys, "check", "--result", found.folder, "--baseline", baseline)


def test_members_over_different_rows_are_refused(
    members: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    rows = read_result(members[1]).scored
    fewer = keep(tmp_path / "fewer", SECOND, "org/b", scored=rows[1:])
    assert "first '0'" in refusal(capsys, "ensemble", members[0], fewer)
    new = (replace(rows[0], digest="new"), *rows[1:])
    line = refusal(capsys, "ensemble", *members, keep(tmp_path / "new", [], "c", scored=new))
    assert line.startswith("different rows: 1 have other text or another subset in ")
    three = (replace(rows[0], scores=(*rows[0].scores, Score(0.0, 1, False))), *rows[1:])
    line = refusal(capsys, "ensemble", members[0], keep(tmp_path / "3", [], "c", scored=three))
    assert line.startswith("different rows: '0' has other responses in ")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--weights", "1"], "1 weights for 2 members; pass one for each"),
        (["--weights", "0", "0"], "the weights must be finite, and one of them other than 0"),
        (["--weights", "nan", "1"], "the weights must be finite"),
        (["--weights", "1,x"], "argument --weights: '1,x' is not a list of numbers like 0.7,0.3"),
        (["--normalise", "minmix"], "unknown normalisation 'minmix'; did you mean 'minmax'?"),
        (["--weighting", "rosw"], "unknown weighting 'rosw'; did you mean 'rows'?"),
    ],
)
def test_what_cannot_be_weighed_is_one_line(
    members: tuple[Path, Path], arguments: list[str], complaint: str, capsys: Capture
) -> None:
    assert refusal(capsys, "ensemble", *members, *arguments).startswith(complaint)


def test_one_member_is_no_ensemble(members: tuple[Path, Path], capsys: Capture) -> None:
    assert "at least two members" in refusal(capsys, "ensemble", members[0])


@pytest.mark.parametrize("normalise", ["minmax", "zscore"])
def test_a_member_that_gives_every_response_one_score_is_refused(
    members: tuple[Path, Path], normalise: str, tmp_path: Path, capsys: Capture
) -> None:
    flat = keep(tmp_path / "flat", [(1.0, 1.0)] * 3, "org/flat")
    line = refusal(capsys, "ensemble", members[0], flat, "--normalise", normalise)
    assert line.startswith(f"{flat}: every response has the same score")


def test_a_benchmarks_name_from_a_file_leads_nowhere(tmp_path: Path, capsys: Capture) -> None:
    named = {"benchmark": "../../x"}
    folders = [keep(tmp_path / n, rows, n, **named) for n, rows in (("a", FIRST), ("b", SECOND))]
    result = combined(capsys, tmp_path / "deep/out", *folders, "--name", "..")
    assert result.folder is not None
    assert result.folder.resolve().parent.parent == tmp_path / "deep/out"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "deep"]


def test_another_ensemble_of_the_same_name_stands_beside(
    members: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    arguments = [*members, "--name", "both"]
    one = combined(capsys, tmp_path, *arguments)
    two = combined(capsys, tmp_path, *arguments, "--weights", "0.9,0.1", beside=True)
    assert one.folder != two.folder
    assert read_result(tmp_path / "mine/both").scored == one.scored
