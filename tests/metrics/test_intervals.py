"""Intervals against scipy, and against a bootstrap that draws rows one by one."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from rmeval.metrics import intervals
from rmeval.metrics.intervals import (
    BOOTSTRAP,
    WILSON,
    counts_wins,
    metric_intervals,
    plus_minus,
    resample,
    wilson_interval,
)
from rmeval.metrics.pairs import PAIRS
from rmeval.metrics.rewardbench import REWARDBENCH, ROWS
from rmeval.metrics.rm_bench import RM_BENCH
from rmeval.metrics.rm_bench import ROWS as STYLED_ROWS
from rmeval.metrics.scheme import Stratum
from rmeval.metrics.statistics import describe_scores
from rmeval.types import Interval, Score, ScoredPreference

# A bootstrap percentile of 10,000 draws wanders by about 0.03 of the bootstrap's own deviation.
WANDER = 0.15


def row(number: object, subset: str, won: bool, weight: float = 1.0) -> ScoredPreference:
    scores = (Score(1.0 if won else -1.0, 9, False), Score(0.0, 8, False))
    return ScoredPreference(f"{subset}/{number}", subset, 1, scores, "text", None, weight)


def rewardbench_rows(seed: int = 0, accuracy: float = 0.85) -> list[ScoredPreference]:
    draw = np.random.default_rng(seed)
    return [
        row(number, subset, bool(draw.random() < accuracy))
        for subset, rows in ROWS.items()
        for number in range(rows)
    ]


def percentiles_by_hand(stratum: Stratum, seed: int = 5) -> tuple[np.ndarray, float]:
    """Draws row indices; returns the percentiles of each leaf's mean, and the deviations."""
    draw = np.random.default_rng(seed)
    size = len(stratum.ids)
    picks = draw.integers(0, size, (10_000, size))
    weights = stratum.weights[picks]
    sums = (stratum.credits[picks] * weights[:, :, None]).sum(axis=1)
    means = sums / weights.sum(axis=1)[:, None]
    return np.percentile(means, (2.5, 97.5), axis=0), means.std(axis=0)


@pytest.mark.parametrize(
    ("wins", "rows"), [(0, 1), (1, 1), (0, 28), (28, 28), (33, 37), (428, 447), (8_999, 9_000)]
)
def test_wilsons_interval_is_scipys(wins: int, rows: int) -> None:
    theirs = binomtest(wins, rows).proportion_ci(method="wilson")
    assert wilson_interval(wins, rows) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilsons_interval_of_nothing_won_of_ten_worked_by_hand() -> None:
    # z² / (n + z²) = 3.8415 / 13.8415
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.27753), abs=1e-5)


@given(st.integers(1, 5_000), st.data())
def test_wilsons_interval_holds_its_value_and_stays_within_0_and_1(rows, data) -> None:
    wins = data.draw(st.integers(0, rows))
    low, high = wilson_interval(wins, rows)
    assert 0 <= low <= wins / rows <= high <= 1 or wins in (0, rows)
    assert 0 <= low < high <= 1


def test_subsets_have_wilsons_interval_and_what_is_made_of_them_a_bootstrap() -> None:
    rows = rewardbench_rows()
    strata = REWARDBENCH.stratify(rows)
    values = REWARDBENCH.metrics(rows).values
    found = metric_intervals(strata, REWARDBENCH.parts(strata, "rewardbench-v1"), values)
    assert list(found) == list(values)
    for name, interval in found.items():
        assert interval.method == (WILSON if name.startswith("subset/") else BOOTSTRAP)
        assert interval.low <= values[name] <= interval.high
    wins = sum(item.scores[0].value > 0 for item in rows if item.subset == "hep-go")
    assert found["subset/hep-go"][:2] == wilson_interval(wins, 164)


def test_the_methods_are_named_with_resamples_and_seed() -> None:
    assert WILSON == "Wilson 95 %"
    assert BOOTSTRAP == "stratified bootstrap over rows, 95 %, 10000 resamples, seed 0"


def test_the_scores_interval_is_the_normal_one_that_the_weights_give() -> None:
    rows = rewardbench_rows()
    strata = REWARDBENCH.stratify(rows)
    parts = REWARDBENCH.parts(strata, "rewardbench-v1")
    variance = 0.0
    sections = {part.name: part.weights for part in parts if part.name != "overall"}
    for weights in sections.values():
        for leaf, weight in weights.items():
            p = strata[leaf.removeprefix("subset/")].means()[leaf]
            share = weight / sum(weights.values()) / len(sections)
            variance += share**2 * p * (1 - p) / ROWS[leaf.removeprefix("subset/")]
    interval = metric_intervals(strata, parts, ["overall"])["overall"]
    value = REWARDBENCH.metrics(rows).values["overall"]
    expected = (value - 1.96 * variance**0.5, value + 1.96 * variance**0.5)
    assert interval[:2] == pytest.approx(expected, abs=WANDER * variance**0.5)


def test_weighted_rows_are_drawn_as_rows_and_not_as_weights() -> None:
    draw = np.random.default_rng(2)
    weights = draw.gamma(1.0, size=120)
    rows = [row(i, "mine", bool(draw.random() < 0.7), float(w)) for i, w in enumerate(weights)]
    strata = PAIRS.stratify(rows)
    assert not counts_wins(strata["mine"])
    found = metric_intervals(strata, PAIRS.parts(strata, "rows"), ["overall", "subset/mine"])
    (low, high), deviation = percentiles_by_hand(strata["mine"])
    for interval in found.values():
        assert interval.method == BOOTSTRAP
        assert interval[:2] == pytest.approx((low[0], high[0]), abs=WANDER * deviation[0])


BETTER = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])


def styled(number: int, subset: str, values: np.ndarray) -> ScoredPreference:
    scores = tuple(Score(float(value), 9, False) for value in values)
    return ScoredPreference(f"{subset}/{number}", subset, 3, scores)


def test_three_leaves_of_a_row_are_drawn_together() -> None:
    draw = np.random.default_rng(3)
    rows = [styled(i, "chat", draw.normal(size=6) + BETTER) for i in range(129)]
    stratum = RM_BENCH.stratify(rows)["chat"]
    drawn = np.column_stack(list(resample({"chat": stratum}).values()))
    (low, high), deviation = percentiles_by_hand(stratum)
    found = np.percentile(drawn, (2.5, 97.5), axis=0)
    assert (np.abs(found - [low, high]) < WANDER * deviation).all()
    # The levels of one row hang together, and so do their resampled means.
    expected = np.corrcoef(stratum.credits.T)
    assert np.corrcoef(drawn.T) == pytest.approx(expected, abs=0.05)


def test_an_interval_of_rm_bench_is_given_for_every_metric() -> None:
    draw = np.random.default_rng(4)
    rows = [
        styled(i, subset, draw.normal(size=6) + BETTER)
        for subset, count in STYLED_ROWS.items()
        for i in range(count)
    ]
    strata, values = RM_BENCH.stratify(rows), RM_BENCH.metrics(rows).values
    found = metric_intervals(strata, RM_BENCH.parts(strata, "mean"), values)
    assert all(found[name].low < value < found[name].high for name, value in values.items())


def test_draws_in_parts_are_the_same_number_of_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    strata = PAIRS.stratify([row(i, "s", i % 3 > 0) for i in range(30)])
    whole = resample(strata)["subset/s"]
    monkeypatch.setattr(intervals, "CELLS", 2 * 999)
    assert (resample(strata)["subset/s"] == whole).all()
    assert len(whole) == 10_000


def test_neither_the_order_of_the_rows_nor_of_the_subsets_changes_an_interval() -> None:
    rows = rewardbench_rows()
    forward, backward = (REWARDBENCH.stratify(r) for r in (rows, rows[::-1]))
    parts = REWARDBENCH.parts(forward, "rewardbench-v1")
    names = REWARDBENCH.metrics(rows).values
    assert metric_intervals(forward, parts, names) == metric_intervals(backward, parts, names)


def test_a_section_has_the_same_interval_whatever_else_was_run() -> None:
    rows = rewardbench_rows()
    code = [item for item in rows if item.subset.startswith(("hep", "math"))]
    of_all, of_code = (
        metric_intervals(strata, REWARDBENCH.parts(strata, "rewardbench-v1"), ["section/Reasoning"])
        for strata in (REWARDBENCH.stratify(rows), REWARDBENCH.stratify(code))
    )
    assert of_all == of_code


@settings(deadline=None, max_examples=15)
@given(st.lists(st.tuples(st.booleans(), st.floats(0.1, 10)), min_size=1, max_size=40))
def test_every_interval_holds_its_value(rows) -> None:
    scored = [row(i, "s", won, weight) for i, (won, weight) in enumerate(rows)]
    strata, values = PAIRS.stratify(scored), PAIRS.metrics(scored).values
    found = metric_intervals(strata, PAIRS.parts(strata, "rows"), values)
    for name, interval in found.items():
        assert interval.low - 1e-12 <= values[name] <= interval.high + 1e-12


def test_wins_are_counted_only_where_rows_weigh_alike_and_none_is_half_won() -> None:
    stratum = PAIRS.stratify([row(1, "s", True), row(2, "s", False)])["s"]
    assert counts_wins(stratum)
    assert not counts_wins(replace(stratum, credits=np.array([[0.5], [1.0]])))
    assert not counts_wins(replace(stratum, weights=np.array([1.0, 2.0])))
    assert counts_wins(replace(stratum, weights=np.array([2.0, 2.0])))


def test_plus_minus_is_half_the_width() -> None:
    assert plus_minus(Interval(0.25, 0.75, "")) == 0.25


def test_what_is_all_won_or_all_lost_is_not_certain() -> None:
    """A subset of one row won and one of one row lost: drawing them again always gives a half."""
    rows = [row(1, "a", True), row(2, "b", False)]
    metrics = describe_scores(PAIRS, rows)
    low, high = metrics.intervals["overall"][:2]
    assert (low, high) == pytest.approx(wilson_interval(1, 2))


def test_the_score_of_one_subset_has_that_subsets_interval() -> None:
    metrics = describe_scores(PAIRS, [row(number, "a", number < 7) for number in range(10)])
    assert metrics.intervals["overall"] == metrics.intervals["subset/a"]
    assert metrics.intervals["overall"][:2] == pytest.approx(wilson_interval(7, 10))
