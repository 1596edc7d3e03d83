"""`rmeval history`: which results are one model's, in which order, and what the gate says."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Capture, done, refusal
from demo_results import PROVENANCE, keep

import rmeval
from rmeval.benchmarks.rewardbench import ROWS
from rmeval.cli import main
from rmeval.records import Result
from rmeval.results.files import read_result
from rmeval.results.history import find_histories, run_of, step_of

WORSE = dict.fromkeys(ROWS, 2)  # of 6 rows in each subset


def at(day: int) -> dict[str, Any]:
    return {"provenance": {**PROVENANCE, "started": f"2026-03-{day:02d}T10:00:00+00:00"}}


def kept(folder: Path, name: str, won: dict[str, int] | None = None, **changes: Any) -> Path:
    return keep(folder / name.replace("/", "__"), won, model=name, **changes)


@pytest.fixture
def training(tmp_path: Path) -> Path:
    """A run of three checkpoints, of which the second got worse; kept in another order."""
    folder = tmp_path / "results" / "demo"
    kept(folder, "run/step-10000", **at(1))
    kept(folder, "run/step-900", WORSE, **at(3))
    kept(folder, "run/step-80", **at(2))
    return folder.parent


def rows_of(out: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(out)
    return rows


def test_checkpoints_stand_in_the_order_of_their_steps(training: Path, capsys: Capture) -> None:
    out, err = done(capsys, "history", training, "--format", "json")
    rows = rows_of(out)
    assert [row["step"] for row in rows] == ["80", "900", "10000"]
    assert [row["run"] for row in rows] == ["run"] * 3
    assert [row["Score"] for row in rows] == [100.0, 12.5, 100.0]
    assert err == ""


def test_each_verdict_is_that_of_check_against_the_one_before(
    training: Path, tmp_path: Path, capsys: Capture
) -> None:
    baseline = tmp_path / "b.json"
    out, _ = done(capsys, "history", training, "--format", "json")
    verdicts = [row["verdict"] for row in rows_of(out)]
    assert verdicts[1].startswith("regressed: Score")
    assert (verdicts[0], verdicts[2]) == ("", "passed")
    for before, after in (("80", "900"), ("900", "10000")):
        held = training / "demo" / f"run__step-{before}"
        done(capsys, "baseline", held, "--output", baseline)
        status = main(["check", f"{training}/demo/run__step-{after}", "--baseline", str(baseline)])
        assert status == (1 if after == "900" else 0)
        capsys.readouterr()


def test_all_may_be_held_to_the_first_or_to_a_file(
    training: Path, tmp_path: Path, capsys: Capture
) -> None:
    out, _ = done(capsys, "history", training, "--baseline", "first", "--format", "json")
    assert [row["change"] for row in rows_of(out)] == [None, -87.5, 0.0]
    baseline = tmp_path / "b.json"
    done(capsys, "baseline", training / "demo" / "run__step-900", "--output", baseline)
    out, _ = done(capsys, "history", training, "--baseline", baseline, "--format", "json")
    assert [row["verdict"] for row in rows_of(out)] == ["passed"] * 3
    assert rows_of(out)[0]["change"] == 87.5


def test_other_rows_are_no_regression(tmp_path: Path, capsys: Capture) -> None:
    kept(tmp_path, "run/step-1")
    whole = read_result(kept(tmp_path, "run/step-2"))
    kept(tmp_path, "run/step-2", scored=whole.scored[:60], partial="the first 60 rows")
    out, _ = done(capsys, "history", tmp_path)
    assert "could not tell: the baseline was made from other rows or other texts" in out
    assert "2: partial: the first 60 rows" in out


def test_without_steps_the_dates_are_the_order(tmp_path: Path, capsys: Capture) -> None:
    for place, day in (("b", 2), ("a", 9), ("c", 5)):
        keep(tmp_path / place / "demo" / "org__m", **at(day))
    out, _ = done(capsys, "history", tmp_path, "--format", "csv")
    dates = [row["date"] for row in csv.DictReader(io.StringIO(out))]
    assert dates == ["2026-03-02 10:00", "2026-03-05 10:00", "2026-03-09 10:00"]


def test_one_result_is_no_history(tmp_path: Path, capsys: Capture) -> None:
    kept(tmp_path, "org/a")
    kept(tmp_path, "org/b")
    out, err = done(capsys, "history", tmp_path)
    assert out == ""
    assert "without another of its model and benchmark: 2 of the results" in err
    assert "nothing to draw" in refusal(capsys, "history", tmp_path, "--figure", "x.pdf")


def named(model: str, folder: str = "f", name: str | None = None) -> Result:
    from preferences_by_hand import question, result, scored

    return result(
        [scored(question("1"), 1, 0)], model, folder=Path("results/pairs") / folder, name=name
    )


@pytest.mark.parametrize(
    ("model", "run", "step"),
    [
        ("./checkpoints/step-2000", "./checkpoints", 2000),
        ("./out/rm-v1.5/checkpoint-500", "./out/rm-v1.5", 500),
        ("checkpoint-500", "checkpoint", 500),
        ("out/global_step_300/hf", "out/hf", 300),
        ("org/rm-step2k-bf16", "org/rm-bf16", 2000),
        ("org/rm-epoch-2-step-40", "org/rm-epoch-2", 40),
        ("run/epoch_3", "run", 3),
        ("org/Llama-3.1-8B", "org/Llama-3.1-8B", None),
        ("org/footsteps-9", "org/footsteps-9", None),
        ("org/step-by-step-7b", "org/step-by-step-7b", None),
        ("org/step-7b", "org/step-7b", None),
    ],
)
def test_names_give_runs_and_steps(model: str, run: str, step: int | None) -> None:
    assert (run_of(named(model)), step_of(named(model))) == (run, step)


def test_a_step_may_stand_in_a_revision_or_in_a_name_that_was_given() -> None:
    assert step_of(named("org/m", "org__m@step3000")) == 3000
    assert step_of(named("./last", "x__last", "mine, step 7")) == 7
    assert run_of(named("./last", "x__last", "mine, step 7")) == "mine,"


def test_histories_of_two_runs_are_apart_and_one_figure_shows_both(
    tmp_path: Path, capsys: Capture
) -> None:
    for run in ("a", "b"):
        for step in (1, 2):
            kept(tmp_path, f"{run}/step-{step}", WORSE if step == 2 else None)
    for kind, start in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        figure = tmp_path / "new" / f"h.{kind}"
        out, _ = done(capsys, "history", tmp_path, "--figure", figure)
        assert figure.read_bytes().startswith(start)
        assert ("a on demo" in out, "b on demo" in out) == (True, True)
    text = (tmp_path / "new" / "h.svg").read_text(encoding="utf-8")
    assert "regressed (rmeval check)" in text
    assert 'viewBox="0 0 486 ' in text  # 6.75 inches of 72 points: both columns of a paper


def test_a_figure_is_of_one_benchmark_and_one_kind_of_order(
    tmp_path: Path, capsys: Capture
) -> None:
    for step in (1, 2):
        kept(tmp_path / "x", f"a/step-{step}")
        kept(tmp_path / "y", f"a/step-{step}", benchmark="other")
        keep(tmp_path / f"z{step}" / "m", **at(step))
    both = ("history", tmp_path / "x", tmp_path / "y", "--output", tmp_path / "t")
    assert "one figure is of one benchmark" in refusal(capsys, *both, "--figure", "h.pdf")
    done(capsys, *both, "--benchmark", "demo", "--figure", tmp_path / "h.pdf")
    mixed = ("history", tmp_path, "--benchmark", "demo", "--output", tmp_path / "t")
    assert "some of these runs have steps" in refusal(capsys, *mixed, "--figure", "h.pdf")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--figure", "h.gif"), "h.gif does not end in .pdf, .svg, .png"),
        (("--benchmark", "dmeo"), "did you mean 'demo'?"),
        (("--baseline", "nowhere.json"), "`rmeval baseline` makes one"),
        (("--per", "all"), "unknown level 'all'"),
    ],
)
def test_what_a_user_can_mend_is_one_line(
    training: Path, capsys: Capture, arguments: tuple[str, ...], words: str
) -> None:
    assert words in refusal(capsys, "history", training, *arguments)


def test_hostile_names_are_shown_on_one_line(tmp_path: Path, capsys: Capture) -> None:
    for step in (1, 2):
        keep(tmp_path / str(step), model=f"a\x1b[31m\n$x_{{&/step-{step}")
    for form in ("table", "markdown", "latex", "html"):
        out, _ = done(capsys, "history", tmp_path, "--format", form)
        assert "\x1b" not in out
    assert out.startswith("<!doctype html>")
    assert "<h2" in out
    assert "<td>passed</td>" in out
    done(capsys, "history", tmp_path, "--figure", tmp_path / "h.pdf")


def test_dates_are_compared_as_dates_and_what_is_none_is_named(
    tmp_path: Path, capsys: Capture
) -> None:
    for place, started in (("a", "2026-03-02T01:00:00+05:00"), ("b", "2026-03-01T22:00:00+00:00")):
        keep(tmp_path / place, provenance={**PROVENANCE, "started": started})
    out, _ = done(capsys, "history", tmp_path, "--format", "json")
    assert [row["date"] for row in rows_of(out)] == ["2026-03-01 20:00", "2026-03-01 22:00"]
    done(capsys, "history", tmp_path, "--figure", tmp_path / "h.png")
    keep(tmp_path / "b", **at(2))
    keep(tmp_path / "a", **at(2))
    _, err = done(capsys, "history", tmp_path, "--figure", tmp_path / "at-once.png")
    assert err == ""
    keep(tmp_path / "b", provenance={**PROVENANCE, "started": "yesterday"})
    line = refusal(capsys, "history", tmp_path)
    assert line == f"{tmp_path}/b: it was started at 'yesterday', which is no date"


def test_python_has_the_same_histories(training: Path) -> None:
    found, again = rmeval.history(training), rmeval.history(*rmeval.read_results(training))
    assert [c.step for c in found[0].checkpoints] == [80, 900, 10000]
    assert [c.gate and c.gate.outcome for c in found[0].checkpoints] == [None, 1, 0]
    assert repr(found[0]) == "<run on demo: 3 results, 80 to 10000>" == repr(again[0])
    with pytest.raises(rmeval.UnknownName):
        rmeval.history(training, per="all")


def test_results_of_two_weightings_are_shown_under_the_default(tmp_path: Path) -> None:
    from measured import measured

    results = [
        measured("r/step-1", 3, weighting="rewardbench-v1-2024-07"),
        measured("r/step-2", 3),
    ]
    (found,) = find_histories(results)
    first, second = found.checkpoints
    assert found.weighting == "rewardbench-v1"
    assert first.score == second.score == second.metrics.values["overall"]
