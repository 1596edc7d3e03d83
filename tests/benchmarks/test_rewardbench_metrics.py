"""From scored rows to metrics, with answers worked by hand."""

import pytest

from rmeval.benchmarks.rewardbench import REWARDBENCH, ROWS
from rmeval.errors import BadData
from rmeval.metrics.accuracy import margin, strict_win
from rmeval.records import Score, ScoredPreference

TWO_EACH = dict.fromkeys(ROWS, 2)
SMALL = REWARDBENCH.with_rows(TWO_EACH)


def scored(subset: str, *rewards: float, num_chosen: int = 1, cut: bool = False):
    scores = tuple(Score(reward, 7, cut) for reward in rewards)
    return ScoredPreference("1", subset, num_chosen, scores)


def two_rows_each(**changed: list[tuple[float, float]]):
    """Two won rows in every subset, but for those named (with _ for -)."""
    won = [(1.0, 0.0), (2.0, -1.0)]
    return [
        scored(subset, *rewards)
        for subset in ROWS
        for rewards in changed.get(subset.replace("-", "_"), won)
    ]


def test_a_win_needs_a_strictly_higher_reward() -> None:
    assert strict_win(scored("hep-go", 0.5, 0.25))
    assert not strict_win(scored("hep-go", 0.25, 0.5))
    assert not strict_win(scored("hep-go", 0.5, 0.5))


def test_every_preferred_response_must_beat_every_other() -> None:
    assert margin(scored("hep-go", 3.0, 2.0, 1.5, -4.0, num_chosen=2)) == 0.5
    assert not strict_win(scored("hep-go", 3.0, 1.0, 1.5, num_chosen=2))


def test_a_small_benchmark_worked_by_hand() -> None:
    metrics = SMALL.metrics(
        two_rows_each(
            xstest_should_refuse=[(0.0, 1.0), (0.0, 1.0)],  # 0 of 2: Safety loses 154 of 740
            math_prm=[(1.0, 0.0), (0.0, 1.0)],  # 1 of 2, and half of Reasoning's weight
            llmbar_natural=[(1.0, 0.0), (1.0, 1.0)],  # a tie is a loss: loses 50 of 456
        ),
    )
    values = metrics.values
    assert values["subset/llmbar-natural"] == values["subset/math-prm"] == 0.5
    assert values["subset/xstest-should-refuse"] == 0.0
    assert values["section/Chat"] == 1.0
    assert values["section/Chat Hard"] == pytest.approx(406 / 456)
    assert values["section/Safety"] == pytest.approx(586 / 740)
    assert values["section/Reasoning"] == pytest.approx(0.75)
    assert values["overall"] == pytest.approx((1 + 406 / 456 + 586 / 740 + 0.75) / 4)
    assert metrics.counts == {"ties": 1, "truncated": 0, "responses": 92}
    assert metrics.rows == TWO_EACH
    assert metrics.partial_sections == ()


def test_the_weights_of_2024_07_count_should_refuse_as_250() -> None:
    rows = two_rows_each(xstest_should_refuse=[(0.0, 1.0), (0.0, 1.0)])
    metrics = SMALL.metrics(rows, "rewardbench-v1-2024-07")
    assert metrics.values["section/Safety"] == pytest.approx(490 / 740)


def test_the_order_of_the_rows_changes_nothing() -> None:
    rows = two_rows_each(hep_go=[(0.0, 1.0), (1.0, 0.0)])
    forward, backward = (SMALL.metrics(r) for r in (rows, rows[::-1]))
    assert forward.values == backward.values


def test_a_section_with_a_row_too_few_is_partial_and_there_is_no_score() -> None:
    rows = [row for row in two_rows_each() if row.subset != "donotanswer"]
    rows.append(scored("donotanswer", 1.0, 0.0))
    metrics = SMALL.metrics(rows)
    assert metrics.partial_sections == ("Safety",)
    assert metrics.values["section/Safety"] == 1.0
    assert "overall" not in metrics.values


def test_a_section_with_a_subset_missing_is_partial_and_there_is_no_score() -> None:
    rows = [row for row in two_rows_each() if row.subset != "math-prm"]
    metrics = SMALL.metrics(rows)
    assert metrics.partial_sections == ("Reasoning",)
    assert "subset/math-prm" not in metrics.values
    assert "overall" not in metrics.values


def test_a_section_without_rows_is_absent_and_neither_0_nor_partial() -> None:
    rows = [row for row in two_rows_each() if row.subset.startswith(("hep", "math"))]
    metrics = SMALL.metrics(rows)
    assert [name for name in metrics.values if name.startswith("section")] == ["section/Reasoning"]
    assert metrics.partial_sections == ()
    assert "overall" not in metrics.values


def test_truncated_responses_are_counted_one_by_one() -> None:
    rows = [scored("hep-go", 1.0, 0.0, cut=True), scored("hep-go", 1.0, 0.0)]
    assert REWARDBENCH.metrics(rows).counts == {"ties": 0, "truncated": 2, "responses": 4}


def test_no_rows_have_no_average() -> None:
    with pytest.raises(BadData, match="no scored preferences"):
        REWARDBENCH.metrics([])


def test_the_rows_of_rewardbench_are_2985() -> None:
    assert sum(ROWS.values()) == 2985
    assert len(ROWS) == 23
