"""Models by benchmarks in one table."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Capture, done, refusal
from measured import keep, measured

from rmeval.errors import UnknownName
from rmeval.files import prepare_folder
from rmeval.known import Published, published_rows
from rmeval.reports.across import across_rows, format_across
from rmeval.results.standings import find_entries

FACTS = ("t", "rewardbench-v1")


def row(model: str, score: float, benchmark: str = "rewardbench", **more: str) -> Published:
    made = Published(model, benchmark, *FACTS, score, {}, "s", "2025", "")
    return replace(made, **more)


def table(*published: Published, results=(), sort: str | None = None):
    names = sorted({one.benchmark for one in published} | {one.benchmark for one in results})
    entries = {
        name: find_entries(
            [one for one in results if one.benchmark == name],
            [one for one in published if one.benchmark == name],
        )
        for name in names
    }
    return across_rows(entries, sort)


A = row("org/a", 90.0)
A2 = row("org/a", 70.0, "rewardbench-2", weighting="mean", source="other")
B2 = row("org/b", 60.0, "rewardbench-2", weighting="mean", note="unverified")


def test_a_model_has_one_row_over_the_sources_and_what_is_missing_is_empty() -> None:
    first, second = table(A, A2, B2)
    assert (first["model"], first["rewardbench"], first["rewardbench-2"]) == ("org/a", 90, 70)
    assert first["mean"] == 80
    assert (second["model"], second["rewardbench"], second["mean"]) == ("org/b", None, None)
    assert first["sources"] == {"rewardbench": "s, 2025", "rewardbench-2": "other, 2025"}
    assert second["notes"] == {"rewardbench-2": ["unverified"]}


def test_what_was_measured_stands_above_what_was_published_of_it() -> None:
    made = measured("org/a", 3)
    rows = table(A, B2, results=[made])
    assert [(one["model"], one["origin"]) for one in rows[:2]] == [
        ("org/a", "measured"),
        ("org/a", "published"),
    ]
    (mine,) = (one for one in rows if one["origin"] == "measured")
    assert mine["rewardbench"] == pytest.approx(100 * made.metrics.values["overall"])
    assert mine["rewardbench-2"] is None


def test_two_figures_of_one_model_are_two_rows_with_their_sources() -> None:
    rows = table(A, row("ORG/a", 88.0, source="card"), A2)
    assert [one["rewardbench"] for one in rows] == [90.0, 88.0]
    assert [one["rewardbench-2"] for one in rows] == [70.0, None]
    assert rows[1]["notes"] == {"rewardbench": ["from card, 2025"]}


def test_a_partial_result_is_an_empty_cell_with_a_footnote() -> None:
    part = measured("org/p", 0, partial="9 of 2985 rows (--limit)")
    (one,) = table(results=[part])
    assert one["rewardbench"] is None
    assert one["notes"] == {"rewardbench": ["partial: 9 of 2985 rows (--limit)"]}
    text = format_across([one], "table")
    assert "org/p    measured (1)  [a]" in text
    assert "\n[a] partial: 9 of 2985 rows (--limit)\n(1) measured, bfloat16, 01234567\n" in text


def test_most_benchmarks_first_or_the_best_on_one() -> None:
    c = row("org/c", 99.0)
    assert [one["model"] for one in table(c, A, A2, B2)] == ["org/a", "org/c", "org/b"]
    by_one = table(c, A, A2, B2, sort="rewardbench")
    assert [one["model"] for one in by_one] == ["org/c", "org/a", "org/b"]
    with pytest.raises(UnknownName, match="did you mean 'rewardbench'"):
        table(A, A2, sort="rewardbanch")


def test_a_benchmark_called_as_a_column_takes_no_column() -> None:
    made = [measured("org/a", 3, benchmark=name, definition="pairs") for name in ("model", "mean")]
    entries = {one.benchmark: find_entries([one], []) for one in made}
    (one,) = across_rows(entries)
    assert one["model"] == "org/a"
    assert {"model (benchmark)", "mean (benchmark)"} <= one.keys()


FORMS = ("table", "markdown", "csv", "json", "latex", "html")


@pytest.mark.parametrize("form", FORMS)
def test_measured_and_published_stand_together_in_every_format(
    form: str, tmp_path: Path, capsys: Capture
) -> None:
    keep(prepare_folder(tmp_path / "r"), measured("internlm/internlm2-7b-reward", 9))
    keep(tmp_path / "r", measured("org/<b>|$", 3))
    arguments = ("leaderboard", tmp_path / "r", "--published", "--across", "--format", form)
    out, _ = done(capsys, *arguments)
    assert "internlm2-7b-reward" in out
    if form in ("json", "csv"):
        rows = json.loads(out) if form == "json" else list(csv.DictReader(io.StringIO(out)))
        found = [one for one in rows if one["model"] == "internlm/internlm2-7b-reward"]
        assert [one["origin"] for one in found] == ["measured", "published", "published"]
        assert [float(one["rewardbench"]) for one in found[1:]] == [87.59, 86.6]
        assert float(found[1]["rm-bench"]) == 67.1
        assert not found[2]["rm-bench"]
        cells = sum(bool(one[name]) for one in rows for name in rows[0] if name in BENCHMARKS)
        assert cells == len(published_rows()) + 2
    else:
        assert "the Score has Prior in it" in out
        assert "org/<b>|$" not in out or form == "table"


BENCHMARKS = {one.benchmark for one in published_rows()}


def test_a_column_that_is_not_there_is_named(capsys: Capture) -> None:
    line = refusal(capsys, "leaderboard", "--published", "--across", "--sort", "rmbench")
    assert line == "unknown column 'rmbench'; did you mean 'rm-bench'?"
