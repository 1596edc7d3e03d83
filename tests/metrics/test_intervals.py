"""Intervals against scipy, and against what is worked by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm, t

from rmeval.benchmarks.rewardbench import REWARDBENCH, ROWS
from rmeval.benchmarks.rm_bench import ROWS as STYLED_ROWS
from rmeval.benchmarks.rm_bench import SCHEME as RM_BENCH
from rmeval.metrics.intervals import (
    EFFECTIVE,
    WILSON,
    counts_wins,
    metric_intervals,
    wilson_interval,
)
from rmeval.metrics.pairs import PAIRS
from rmeval.metrics.summary import describe_scores
from rmeval.records import Interval, Score, ScoredPreference


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


def interval_of(rows: list[ScoredPreference], scheme=PAIRS, name: str = "overall") -> Interval:
    return metric_intervals(scheme.tally(rows))[name]


def at_rows(value: float, rows: float) -> tuple[float, float]:
    """Wilson's interval by scipy's normal quantile, at a number of rows that need not be whole."""
    z2 = norm.ppf(0.975) ** 2
    centre, inside = value + z2 / (2 * rows), value * (1 - value) / rows + z2 / (4 * rows**2)
    half = z2**0.5 * inside**0.5
    return (centre - half) / (1 + z2 / rows), (centre + half) / (1 + z2 / rows)


def test_subsets_have_wilsons_interval_and_what_is_made_of_them_that_of_effective_rows() -> None:
    rows = rewardbench_rows()
    values = REWARDBENCH.metrics(rows).values
    found = metric_intervals(REWARDBENCH.tally(rows))
    assert list(found) == list(values)
    for name, interval in found.items():
        assert interval.method == (WILSON if name.startswith("subset/") else EFFECTIVE)
        assert interval.low <= values[name] <= interval.high
    wins = sum(item.scores[0].value > 0 for item in rows if item.subset == "hep-go")
    assert found["subset/hep-go"][:2] == wilson_interval(wins, 164)


def test_the_methods_are_named() -> None:
    assert WILSON == "Wilson 95 %"
    assert EFFECTIVE == "Wilson 95 % on the effective number of rows"


def test_a_score_of_two_subsets_worked_by_hand() -> None:
    # 3 of 4 and 4 of 6, shares 0.4 and 0.6. Variance: 0.16 * (3/16)/3 + 0.36 * (8/36)/5 = 0.026.
    rows = [row(i, "a", i < 3) for i in range(4)] + [row(i, "b", i < 4) for i in range(6)]
    # Degrees of freedom for rows of one variance: 10^2 / (16/3 + 36/5) of n^2 / sum(n^2/(n-1)).
    freedom = 10**2 / (4**2 / 3 + 6**2 / 5)
    effective = 0.7 * 0.3 / 0.026 * (norm.ppf(0.975) / t.ppf(0.975, freedom)) ** 2
    assert interval_of(rows)[:2] == pytest.approx(at_rows(0.7, effective))


def test_subsets_of_one_row_are_taken_as_one_subset() -> None:
    # 7 of 10 rows, each a subset: the variance is that of one subset of 10, p(1 - p)/9.
    rows = [row(i, f"s{i}", i < 7) for i in range(10)]
    effective = 9 * (norm.ppf(0.975) / t.ppf(0.975, 9)) ** 2
    assert interval_of(rows)[:2] == pytest.approx(at_rows(0.7, effective))


def test_a_cluster_is_one_unit() -> None:
    """Every row four times over: the interval is that of the rows once, by their clusters."""
    once = [row(i, "s", i < 14) for i in range(20)]
    often = [
        replace(item, id=f"{item.id}/{copy}", cluster=item.id) for item in once for copy in range(4)
    ]
    found = interval_of(often)
    assert found.method == EFFECTIVE
    effective = 19 * (norm.ppf(0.975) / t.ppf(0.975, 19)) ** 2
    assert found[:2] == pytest.approx(at_rows(0.7, effective))


def test_a_cluster_across_subsets_is_one_unit_too() -> None:
    """Each problem in three languages: the same as all of its rows in one subset."""
    rows = [replace(row(i, f"s{j}", i < 14), cluster=f"c{i}") for i in range(20) for j in range(3)]
    effective = 19 * (norm.ppf(0.975) / t.ppf(0.975, 19)) ** 2
    assert interval_of(rows)[:2] == pytest.approx(at_rows(0.7, effective))


def test_rows_of_one_unit_say_as_much_as_one_row() -> None:
    rows = [replace(row(i, "s", True), cluster="one") for i in range(9)]
    assert interval_of(rows)[:2] == pytest.approx(wilson_interval(1, 1))


def test_weighted_rows_worked_by_hand() -> None:
    # Weights 2, 1, 1, of which the heavy one is lost: p = 1/2; shares h = 1/2, 1/4, 1/4.
    rows = [row(1, "s", False, 2.0), row(2, "s", True, 1.0), row(3, "s", True, 1.0)]
    # Squares of h(z - p): 1/16, 1/64, 1/64; over 1 - 2h + sum(h^2): 3/8, 7/8, 7/8.
    variance = (1 / 16) / (3 / 8) + 2 * (1 / 64) / (7 / 8)
    fourths = (1 / 2) ** 4 / (3 / 8) + 2 * (1 / 4) ** 4 / (7 / 8)
    freedom = (3 / 8) ** 2 / fourths
    assert freedom < 1  # and is taken for 1
    effective = 0.25 / variance * (norm.ppf(0.975) / t.ppf(0.975, 1)) ** 2
    assert interval_of(rows)[:2] == pytest.approx(at_rows(0.5, effective))


def test_the_scores_interval_on_many_rows_is_the_normal_one_that_the_weights_give() -> None:
    rows = rewardbench_rows()
    tally, variance = REWARDBENCH.tally(rows), 0.0
    sections = {part.name: part.weights for part in tally.parts if part.name != "overall"}
    for weights in sections.values():
        for leaf, weight in weights.items():
            p = tally.strata[leaf.removeprefix("subset/")].means()[leaf]
            share = weight / sum(weights.values()) / len(sections)
            variance += share**2 * p * (1 - p) / ROWS[leaf.removeprefix("subset/")]
    interval = metric_intervals(tally)["overall"]
    value = REWARDBENCH.metrics(rows).values["overall"]
    expected = (value - 1.96 * variance**0.5, value + 1.96 * variance**0.5)
    assert interval[:2] == pytest.approx(expected, abs=0.1 * variance**0.5)


BETTER = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])


def styled(number: int, subset: str, values: np.ndarray) -> ScoredPreference:
    scores = tuple(Score(float(value), 9, False) for value in values)
    return ScoredPreference(f"{subset}/{number}", subset, 3, scores)


def test_an_interval_of_rm_bench_is_given_for_every_metric() -> None:
    draw = np.random.default_rng(4)
    rows = [
        styled(i, subset, draw.normal(size=6) + BETTER)
        for subset, count in STYLED_ROWS.items()
        for i in range(count)
    ]
    tally = RM_BENCH.tally(rows)
    found, values = metric_intervals(tally), tally.values
    assert all(found[name].low < value < found[name].high for name, value in values.items())


def test_three_levels_of_a_row_are_one_row() -> None:
    """A domain's variance is that of the means of each row's three shares."""
    draw = np.random.default_rng(3)
    rows = [styled(i, "chat", draw.normal(size=6) + BETTER) for i in range(129)]
    credits = RM_BENCH.tally(rows).strata["chat"].credits.mean(axis=1)
    p, variance = credits.mean(), credits.var(ddof=1) / 129
    effective = p * (1 - p) / variance * (norm.ppf(0.975) / t.ppf(0.975, 128)) ** 2
    assert interval_of(rows, RM_BENCH, "section/chat")[:2] == pytest.approx(at_rows(p, effective))


def test_the_order_of_the_rows_and_of_the_subsets_changes_no_interval() -> None:
    rows = rewardbench_rows()
    one, other = (metric_intervals(REWARDBENCH.tally(r)) for r in (rows, rows[::-1]))
    assert one.keys() == other.keys()
    for name in one:
        assert one[name][:2] == pytest.approx(other[name][:2], rel=1e-12)


def test_a_section_has_the_same_interval_whatever_else_was_run() -> None:
    rows = rewardbench_rows()
    code = [item for item in rows if item.subset.startswith(("hep", "math"))]
    of_all, of_code = (
        metric_intervals(REWARDBENCH.tally(some))["section/Reasoning"] for some in (rows, code)
    )
    assert of_all == of_code


@settings(deadline=None, max_examples=15)
@given(st.lists(st.tuples(st.booleans(), st.floats(0.1, 10)), min_size=1, max_size=40))
def test_every_interval_holds_its_value(rows) -> None:
    scored = [row(i, "s", won, weight) for i, (won, weight) in enumerate(rows)]
    tally = PAIRS.tally(scored)
    values = tally.values
    for name, interval in metric_intervals(tally).items():
        assert interval.low - 1e-12 <= values[name] <= interval.high + 1e-12


def test_wins_are_counted_only_where_rows_weigh_alike_and_none_is_half_won() -> None:
    stratum = PAIRS.tally([row(1, "s", True), row(2, "s", False)]).strata["s"]
    assert counts_wins(stratum)
    assert not counts_wins(replace(stratum, credits=np.array([[0.5], [1.0]])))
    assert not counts_wins(replace(stratum, weights=np.array([[1.0], [2.0]])))
    assert counts_wins(replace(stratum, weights=np.array([[2.0], [2.0]])))


def test_what_is_all_won_or_all_lost_is_not_certain() -> None:
    """All won in subsets of any weights: as many wins as there are rows, by their weights."""
    rows = [row(1, "a", True), row(2, "b", True), row(3, "b", True)]
    assert interval_of(rows)[:2] == pytest.approx(wilson_interval(3, 3))
    assert interval_of([row(1, "a", False)])[:2] == pytest.approx(wilson_interval(0, 1))


def test_the_score_of_one_subset_has_that_subsets_interval() -> None:
    metrics = describe_scores(PAIRS, [row(number, "a", number < 7) for number in range(10)])
    assert metrics.intervals["overall"] == metrics.intervals["subset/a"]
    assert metrics.intervals["overall"][:2] == pytest.approx(wilson_interval(7, 10))
