"""What a run prints, and the leaderboard's order."""

from typing import Any

import pytest

from rmeval.known import Published
from rmeval.metrics.rewardbench import SECTIONS
from rmeval.reports.leaderboard import leaderboard_rows
from rmeval.reports.summary import compare_with_published, summarise
from rmeval.types import Metrics, Result

PROVENANCE = {
    "model": {"family": "fake", "dtype": "bfloat16", "attention": "sdpa"},
    "engine": {"path": "plain", "reason": "of its kind", "device": "cpu"},
    "data": {"empty_responses": 3, "identical_responses": 5, "revision": None},
    "seconds": 1.25,
}
PARTLY = Metrics(
    values={"section/Chat": 0.5, "subset/mt-bench-easy": 0.25, "subset/mt-bench-med": 0.75},
    rows={"mt-bench-easy": 28, "mt-bench-med": 4},
    partial_sections=("Chat",),
    counts={"ties": 2, "truncated": 1, "responses": 64},
)


def result_of(metrics: Metrics, **changes: Any) -> Result:
    named = {"benchmark": "rewardbench", "model": "org/m", "weighting": "rewardbench-v1"}
    rest = {"metrics": metrics, "scored": (), "partial": None, "provenance": PROVENANCE}
    return Result(**{**named, **rest, **changes})


def cells(text: str, beginning: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(beginning))
    return [cell for cell in line.split("  ") if cell]


def test_what_was_not_run_is_not_available_and_what_was_half_run_is_partial() -> None:
    text = summarise(result_of(PARTLY))
    assert [cell.strip() for cell in cells(text, "Chat  ")] == ["Chat", "50.0 (partial)", "32"]
    for name in ("Chat Hard", "Safety", "Reasoning"):
        assert [cell.strip() for cell in cells(text, name)] == [name, "not available", "0"]
    assert [cell.strip() for cell in cells(text, "Score")] == ["Score", "not available", "32"]
    assert "No Score: it needs every section whole." in text


def test_subsets_are_shown_with_their_wins() -> None:
    text = summarise(result_of(PARTLY))
    easy = next(line for line in text.splitlines() if "mt-bench-easy" in line)
    assert easy.split() == ["Chat", "mt-bench-easy", "25.0", "7/28"]
    assert "mt-bench-hard" not in text


def test_ties_truncations_and_odd_rows_are_told() -> None:
    text = summarise(result_of(PARTLY))
    assert "ties (counted as losses): 2; truncated: 1 of 64 responses" in text
    assert "empty responses: 3; identical responses in 5 pairs" in text
    assert "fake adapter, bfloat16, " in text
    assert ", cpu, 1.2 s" in text


def test_a_partial_run_says_so_and_the_demo_says_what_it_is() -> None:
    partial = summarise(result_of(PARTLY, partial="32 of 2985 rows (--limit)"))
    assert "PARTIAL: 32 of 2985 rows (--limit). No table ranks it." in partial
    assert "say nothing about a model" in summarise(result_of(PARTLY, benchmark="demo"))
    assert "say nothing" not in partial


def test_a_measured_row_stands_beside_the_published_one() -> None:
    published = Published("rewardbench-v1-2024-07", 80.0, dict.fromkeys(SECTIONS, 80.0))
    measured = {"overall": 0.8125, "Chat": 0.75, "Chat Hard": 0.8, "Safety": 1.0}
    measured["Reasoning"] = 0.7
    text = compare_with_published(published, measured, "org/m")
    assert text.splitlines()[0] == "org/m's authors, rewardbench-v1-2024-07 weighting:"
    rows = [line.split() for line in text.splitlines()[-3:]]
    assert rows == [
        ["published", "80.0", "80.0", "80.0", "80.0", "80.0"],
        ["measured", "81.2", "75.0", "80.0", "100.0", "70.0"],
        ["difference", "1.2", "-5.0", "0.0", "20.0", "-10.0"],
    ]


def document(model: str, overall: float | None, **changes: Any) -> dict[str, Any]:
    values = {} if overall is None else {"overall": overall}
    sections = {f"section/{name}": 0.5 for name in SECTIONS}
    named = {"benchmark": "rewardbench", "model": model, "weighting": "rewardbench-v1"}
    rest = {"partial": None, "metrics": values | sections, "provenance": PROVENANCE}
    return {**named, **rest, **changes}


def test_equal_scores_share_the_better_rank_and_the_next_one_is_skipped() -> None:
    found = [document(model, score) for model, score in [("c", 0.5), ("a", 0.75), ("b", 0.75)]]
    rows = [(row["rank"], row["model"], row["Score"]) for row in leaderboard_rows(found)]
    assert rows == [(1, "a", 75.0), (1, "b", 75.0), (3, "c", 50.0)]


def test_ranks_never_cross_a_benchmark_or_a_weighting() -> None:
    found = [
        document("a", 0.25),
        document("b", 0.5, weighting="rewardbench-v1-2024-07"),
        document("c", 0.75, benchmark="demo"),
        document("d", 0.125),
    ]
    rows = [(row["rank"], row["model"]) for row in leaderboard_rows(found)]
    assert rows == [(1, "c"), (1, "a"), (2, "d"), (1, "b")]


def test_partial_results_and_those_without_a_score_have_no_row() -> None:
    assert leaderboard_rows([document("a", 0.5, partial="limit"), document("b", None)]) == []


@pytest.mark.parametrize(
    ("benchmark", "revision", "shown"),
    [
        ("rewardbench", "0123456789abcdef", "01234567"),
        ("rewardbench", None, "local file"),
        ("demo", None, "shipped"),
    ],
)
def test_a_row_says_where_its_data_came_from(benchmark, revision, shown) -> None:
    provenance = {**PROVENANCE, "data": {"revision": revision}}
    found = [document("a", 0.5, benchmark=benchmark, provenance=provenance)]
    [row] = leaderboard_rows(found)
    assert row["data"] == shown
    assert row["dtype"] == "bfloat16"
