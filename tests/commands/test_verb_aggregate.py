"""`rmeval aggregate`: every number again, from the stored scores alone."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from command_line import Capture, done, refusal
from demo_results import PROVENANCE, ZERO, keep

from rmeval.benchmarks.rewardbench import PRIOR_ROWS, ROWS
from rmeval.cli import main
from rmeval.files import prepare_folder
from rmeval.records import Metrics, Result, Score, ScoredPreference
from rmeval.results.files import write_result

LOST = {"xstest-should-refuse": 0, "math-prm": 8, "llmbar-natural": 15}


def test_the_numbers_are_those_that_are_stored(tmp_path: Path, capsys: Capture) -> None:
    made = keep(tmp_path / "a", LOST)
    before = {path: path.read_bytes() for path in made.iterdir()}
    out, err = done(capsys, "aggregate", made)
    assert err == ""
    assert out.splitlines()[-1] == "as stored"
    safety = next(line.split() for line in out.splitlines() if line.startswith("Safety "))
    assert safety[1] == f"{100 * (1 - 154 / 740):.1f}"
    assert before == {path: path.read_bytes() for path in made.iterdir()}


def test_the_arithmetic_is_explained_line_by_line(tmp_path: Path, capsys: Capture) -> None:
    out, _ = done(capsys, "aggregate", keep(tmp_path / "a", LOST), "--explain")
    lines = out.splitlines()
    assert "subset/math-prm = 8 / 16 rows = 50.0000" in lines
    assert "subset/llmbar-natural = 15 / 16 rows = 93.7500" in lines
    start = lines.index("section/Reasoning = 75.0000")
    assert lines[start + 1] == "    50.0000 x 984   subset/math-prm"
    assert lines[start + 2] == "    100.0000 x 164   subset/hep-cpp"
    assert lines[start + 8] == "    sum 147600.0000 / 1968 = 75.0000"
    hard, safety = 1 - 100 / 16 / 456, 1 - 154 / 740
    score = f"{100 * (1 + hard + safety + 0.75) / 4:.4f}"
    start = lines.index(f"overall = {score}")
    assert lines[start + 1] == "    100.0000 x 1   section/Chat"
    assert lines[start + 2] == f"    {100 * hard:.4f} x 1   section/Chat Hard"
    assert lines[start + 5].endswith(f" / 4 = {score}")


def test_the_other_weighting_gives_other_numbers_and_says_nothing_of_the_stored_ones(
    tmp_path: Path, capsys: Capture
) -> None:
    made = keep(tmp_path / "a", LOST)
    arguments = ["aggregate", made, "--weighting", "rewardbench-v1-2024-07"]
    out, _ = done(capsys, *arguments)
    assert "(rewardbench-v1-2024-07 weighting)" in out
    assert "as stored" not in out
    found = json.loads(done(capsys, *arguments, "--json")[0])
    assert found["metrics"]["section/Safety"] == pytest.approx(1 - 250 / 740)
    assert found["intervals"]["overall"]["method"].startswith("Wilson 95 % on the")
    assert set(found["statistics"]) == {"calibration", "length", "baselines"}


def store(made: Path, metric: str, value: object) -> None:
    document = json.loads((made / "result.json").read_text("utf-8"))
    document["metrics"][metric] = value
    (made / "result.json").write_text(json.dumps(document), "utf-8")


def test_numbers_that_other_arithmetic_made_are_pointed_out_and_put_right(
    tmp_path: Path, capsys: Capture
) -> None:
    made = keep(tmp_path / "a", LOST)
    before = (made / "result.json").read_bytes()
    store(made, "section/Chat", 0.123)
    assert main(["aggregate", str(made)]) == 1
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("NOT as stored: section/Chat differs in result.json")
    out, _ = done(capsys, "aggregate", made, "--write")
    assert (
        out.splitlines()[-1]
        == "written: result.json now has the numbers that follow from the scores"
    )
    assert (made / "result.json").read_bytes() == before
    assert done(capsys, "aggregate", made)[0].splitlines()[-1] == "as stored"
    line = refusal(capsys, "aggregate", made, "--write", "--weighting", "rewardbench-v1-2024-07")
    assert line.startswith("--write takes one folder")


@pytest.mark.parametrize("value", [5.0, math.nan, math.inf, "0.5", None, 10**99], ids=str)
@pytest.mark.parametrize(
    "verb",
    [
        ["leaderboard", "."],
        ["report", "a"],
        ["plot", "a", "--output", "figures"],
        ["export", "a", "--format", "csv"],
        ["baseline", "a", "--output", "baseline.json"],
        ["check", "--result", "a", "--baseline", "published"],
        ["compare", "a", "b"],
        ["ensemble", "a", "b", "--output", "out"],
    ],
    ids=lambda verb: verb[0],
)
def test_no_verb_takes_a_number_that_the_scores_do_not_make(
    verb: list[str],
    value: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    keep(Path("b"), model="org/n")
    store(keep(Path("a"), LOST), "overall", value)
    made = json.loads((tmp_path / "b/result.json").read_text("utf-8"))["metrics"]["overall"]
    assert made == 1.0
    line = refusal(capsys, *verb)
    assert line.startswith(f"a: overall is {str(value)[:40]} in result.json, but its scores make 0")
    assert line.endswith("`rmeval aggregate DIR --write` corrects the numbers")
    assert not Path("baseline.json").exists()


def test_intervals_and_statistics_are_made_again_whoever_wrote_them(
    tmp_path: Path, capsys: Capture
) -> None:
    made = keep(tmp_path / "a", LOST)
    sound = done(capsys, "leaderboard", tmp_path, "--format", "json")[0]
    document = json.loads((made / "result.json").read_text("utf-8"))
    document |= {"intervals": {"overall": {"low": -9, "high": 9, "method": "none"}}}
    document |= {"statistics": {"of": "an older rmeval"}, "counts": {}, "partial_sections": []}
    (made / "result.json").write_text(json.dumps(document), "utf-8")
    assert done(capsys, "leaderboard", tmp_path, "--format", "json")[0] == sound


def test_a_rounding_of_the_last_digit_is_no_other_arithmetic(
    tmp_path: Path, capsys: Capture
) -> None:
    made = keep(tmp_path / "a", LOST)
    document = json.loads((made / "result.json").read_text("utf-8"))
    document["metrics"]["overall"] += 1e-15
    (made / "result.json").write_text(json.dumps(document), "utf-8")
    assert done(capsys, "aggregate", made)[0].splitlines()[-1] == "as stored"


def of_rows(folder: Path, name: str, rows: dict[str, int], won: float, **changes: Any) -> Path:
    scored = tuple(
        ScoredPreference(
            f"{subset}/{i}", subset, 1, (Score(1.0 if i < won * n else -1.0, 9, False), ZERO), "t"
        )
        for subset, n in rows.items()
        for i in range(n)
    )
    named = {"benchmark": name, "definition": name, "model": "org/m", "partial": None}
    made = {"scored": scored, "provenance": PROVENANCE, "metrics": Metrics({}, dict(rows))}
    weighting = "mean" if name == "prior-sets" else "rewardbench-v1"
    result = Result(**{**named, **made, "weighting": weighting, **changes})
    write_result(prepare_folder(folder), result)
    return folder


@pytest.fixture
def core(tmp_path: Path) -> Path:
    return of_rows(tmp_path / "core", "rewardbench", ROWS, 1.0)


@pytest.fixture
def prior(tmp_path: Path) -> Path:
    return of_rows(tmp_path / "prior", "prior-sets", PRIOR_ROWS, 0.0)


def test_the_prior_sets_join_the_score_at_half_a_sections_weight(
    core: Path, prior: Path, capsys: Capture
) -> None:
    found = json.loads(done(capsys, "aggregate", core, prior, "--json")[0])
    assert found["metrics"]["section/Prior"] == 0.0
    assert found["metrics"]["overall"] == pytest.approx(4 / 4.5)
    swapped = json.loads(done(capsys, "aggregate", prior, core, "--json")[0])
    assert swapped == found
    out, _ = done(capsys, "aggregate", core, prior, "--explain")
    assert "    0.0000 x 0.5   section/Prior" in out.splitlines()
    assert "    sum 400.0000 / 4.5 = 88.8889" in out.splitlines()


def test_a_score_of_which_one_result_is_partial_is_partial(
    core: Path, tmp_path: Path, capsys: Capture
) -> None:
    few = dict.fromkeys(PRIOR_ROWS, 5)
    part = of_rows(tmp_path / "part", "prior-sets", few, 1.0, partial="20 rows")
    out, _ = done(capsys, "aggregate", core, part)
    assert "PARTIAL: 20 rows. No table ranks it." in out
    score = next(line.split() for line in out.splitlines() if line.startswith("Score "))
    assert score[1:3] == ["not", "available"]


def test_other_pairs_of_results_are_not_joined(core: Path, tmp_path: Path, capsys: Capture) -> None:
    other = {**PROVENANCE, "model": {**PROVENANCE["model"], "fingerprint": "g"}}
    of_another = of_rows(tmp_path / "other", "prior-sets", PRIOR_ROWS, 0.0, provenance=other)
    message = "only a model's results on rewardbench and on prior-sets, or on rmb-pairwise"
    for folders in ((core, core), (core, of_another), (core, of_another, of_another)):
        assert refusal(capsys, "aggregate", *folders).startswith(message)


def test_an_unknown_weighting_and_a_folder_without_a_result_are_refused(
    core: Path, tmp_path: Path, capsys: Capture
) -> None:
    line = refusal(capsys, "aggregate", core, "--weighting", "rewardbench-v2")
    assert line.startswith("unknown weighting 'rewardbench-v2'; did you mean 'rewardbench-v1'")
    line = refusal(capsys, "aggregate", tmp_path)
    assert line.startswith(f"{tmp_path}: no result.json here")
