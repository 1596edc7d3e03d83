"""A scheme that is none says so; leaves of one subset may weigh its rows differently."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm, t
from scored_rows import scored

from rmeval.errors import BadData
from rmeval.metrics.intervals import metric_intervals
from rmeval.metrics.names import OVERALL, Metric
from rmeval.metrics.paired import paired_differences
from rmeval.metrics.scheme import WIN, Leaf, Part, Scheme, Stratum, Tie, by_subset
from rmeval.records import ScoredPreference

ROWS = [scored("1", "a", 1, 0), scored("2", "a", 0, 1), scored("3", "b", 1, 0)]
MEAN = Part("overall", {"subset/a": 1.0, "subset/b": 1.0})


def scheme(*parts: Part, leaves: tuple[Leaf, ...] = (WIN,)) -> Scheme:
    return Scheme(by_subset(*leaves), lambda strata, weighting: parts, ("mean",))


def test_a_tally_has_strata_parts_values_and_what_is_partial_at_once() -> None:
    whole = Scheme(by_subset(WIN), lambda strata, weighting: [MEAN], ("mean",), {"a": 2, "b": 2})
    tally = whole.tally(ROWS)
    assert tally.values == {"overall": 0.75, "subset/a": 0.5, "subset/b": 1.0}
    assert tally.partial == ("subset/b", "overall")
    assert tally.rows == {"a": 2, "b": 1}
    assert list(tally.strata) == ["a", "b"]
    assert tally.parts == (MEAN,)
    assert tally.chance()["overall"] == 0.5
    assert tally.ties() == (Tie.LOSS,)


@pytest.mark.parametrize(
    ("parts", "fault"),
    [
        ([], "one of them is 'overall'"),
        ([MEAN, MEAN], "a name of their own"),
        ([Part("overall", {"section/x": 1.0}), Part("section/x", {"subset/a": 1.0})], "before"),
        ([MEAN._replace(weights={"section/x": 1.0})], "before what it is made of"),
        ([Part("subset/c", {"subset/a": 1.0}), MEAN], "no section"),
        ([Part("overall", {})], "finite and above 0"),
        ([Part("overall", {"subset/a": 0.0})], "finite and above 0"),
        ([Part("overall", {"subset/a": float("nan")})], "finite and above 0"),
        ([Part("total", {"subset/a": 1.0}), MEAN], "'total' is no metric"),
    ],
)
def test_a_chain_that_is_none_is_refused(parts: list[Part], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        scheme(*parts).tally(ROWS)


def test_strata_go_by_the_names_of_the_rows_subsets() -> None:
    def renamed(name: str, leaf: str) -> Callable[..., dict[str, Stratum]]:
        return lambda rows: {name: Stratum.of(leaf, list(rows), [WIN])}

    for strata, fault in (
        (renamed("c", "c"), "a stratum is called 'c'"),
        (renamed("a", "b"), "'subset/b' is no leaf of 'a'"),
    ):
        with pytest.raises(ValueError, match=fault):
            Scheme(strata, lambda strata, weighting: [MEAN], ("mean",)).tally(ROWS)


def test_weightings_and_rows_must_be_there() -> None:
    for given in ((), ("a", "a")):
        with pytest.raises(ValueError, match="one at least, each once"):
            Scheme(by_subset(WIN), lambda strata, weighting: [MEAN], given)
    for rows in ({}, {"a": 0}):
        with pytest.raises(ValueError, match="one row at least"):
            Scheme(by_subset(WIN), lambda strata, weighting: [MEAN], ("mean",), rows)


def test_credits_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="credits must be finite"):
        scheme(MEAN, leaves=(Leaf(lambda item: float("nan")),)).tally(ROWS)
    with pytest.raises(ValueError, match="weights not negative"):
        scheme(MEAN, leaves=(Leaf(WIN.credit, weight=lambda item: -1.0),)).tally(ROWS)


@pytest.mark.parametrize(("chosen", "rewards"), [(0, (1, 2)), (2, (1, 2))])
def test_a_row_without_two_sides_is_named_before_anything_is_compared(chosen, rewards) -> None:
    with pytest.raises(BadData, match=f"row 9: {chosen} of 2 responses are preferred"):
        scheme(MEAN).tally([*ROWS, scored("9", "a", *rewards, num_chosen=chosen)])


def test_names_of_metrics_are_texts_that_know_what_they_are_of() -> None:
    hard, chat = Metric.section("chat", "hard"), Metric.section("chat")
    assert (hard, hard.kind, hard.rest, hard.part) == (
        "section/chat/hard", "section", "chat/hard", "hard",
    )  # fmt: skip
    assert (hard.whole, hard.level, chat.level) == (chat, ("section", True), ("section", False))
    assert (OVERALL.column, Metric.overall("hard").column, chat.column) == (
        "Score", "Score hard", "chat",
    )  # fmt: skip
    subset = Metric.subset("gpt-4o/math")
    assert (subset.part, subset.whole, subset.rest) == ("", subset, "gpt-4o/math")
    for text in ("total", "section/", "subset", ""):
        with pytest.raises(ValueError, match="is no metric"):
            _ = Metric(text).kind


def prompts(seed: int, count: int, better: float = 0.0) -> list[ScoredPreference]:
    """Prompts with 1 to 4 right ones of 2 to 8 responses; the right ones' rewards are higher."""
    sizes, draw = np.random.default_rng(1), np.random.default_rng(seed)
    rows = []
    for number in range(count):
        right, wrong = sizes.integers(1, 5, 2)
        rewards = [*draw.normal(0.6 + better, 1, right), *draw.normal(0, 1, wrong)]
        rows.append(scored(str(number), "a", *rewards, num_chosen=int(right)))
    return rows


def pair_share(item: ScoredPreference) -> float:
    values = np.array([score.value for score in item.scores])
    right, wrong = values[: item.num_chosen], values[item.num_chosen :]
    return float((right[:, None] > wrong).mean())


def count_pairs(item: ScoredPreference) -> float:
    return float(item.num_chosen * (len(item.scores) - item.num_chosen))


def best_is_right(item: ScoredPreference) -> float:
    values = [score.value for score in item.scores]
    return float(values.index(max(values)) < item.num_chosen)


POOLED = Leaf(pair_share, weight=count_pairs, chance=lambda item: 0.5, part="pairs")
BEST = Leaf(best_is_right, chance=lambda i: i.num_chosen / len(i.scores), part="best")
BOTH = scheme(
    Part("overall/pairs", {"subset/a/pairs": 1.0}),
    Part("overall", {"subset/a/best": 1.0}),
    leaves=(POOLED, BEST),
)


def test_pairs_pooled_over_prompts_stand_beside_the_best_of_each() -> None:
    rows = prompts(5, 40)
    tally = BOTH.tally(rows)
    won = sum(pair_share(row) * count_pairs(row) for row in rows)
    assert tally.values["overall/pairs"] == pytest.approx(won / sum(map(count_pairs, rows)))
    assert tally.values["overall"] == np.mean(list(map(best_is_right, rows)))
    assert tally.chance()["overall/pairs"] == 0.5
    chance = [row.num_chosen / len(row.scores) for row in rows]
    assert tally.chance()["overall"] == pytest.approx(np.mean(chance))


def test_the_interval_of_pooled_pairs_is_that_of_a_ratio_over_prompts() -> None:
    """The linearised variance of a ratio (Cochran), with the prompts as units, and Wilson's."""
    rows = prompts(6, 200)
    weights, shares = (np.array(list(map(f, rows))) for f in (count_pairs, pair_share))
    ratio = weights @ shares / weights.sum()
    inside = weights / weights.sum()
    kept = 1 - 2 * inside + (inside**2).sum()
    variance = (((inside * (shares - ratio)) ** 2) / kept).sum()
    interval = metric_intervals(BOTH.tally(rows))["overall/pairs"]
    half = norm.ppf(0.975) * variance**0.5
    assert interval[:2] == pytest.approx((ratio - half, ratio + half), abs=0.15 * half)
    plain = metric_intervals(BOTH.tally(rows))["overall"]
    p = BOTH.tally(rows).values["overall"]
    half = t.ppf(0.975, 199) * (p * (1 - p) / 199) ** 0.5
    assert plain[:2] == pytest.approx((p - half, p + half), abs=0.1 * half)


def test_a_metric_of_leaves_that_weigh_differently_measures_each_from_its_own_mean() -> None:
    rows = prompts(7, 150)
    mixed = scheme(
        Part("overall", {"subset/a/pairs": 1.0, "subset/a/best": 1.0}), leaves=(POOLED, BEST)
    )
    weights, shares = (np.array(list(map(f, rows))) for f in (count_pairs, pair_share))
    best = np.array(list(map(best_is_right, rows)))
    moved = weights * (shares - weights @ shares / weights.sum()) / weights.sum()
    moved = (moved + (best - best.mean()) / len(rows)) / 2
    interval = metric_intervals(mixed.tally(rows))["overall"]
    half = norm.ppf(0.975) * float((moved**2).sum()) ** 0.5
    width = interval.high - interval.low
    assert width == pytest.approx(2 * half, rel=0.05)


def test_a_row_that_does_not_weigh_is_as_if_it_were_not_there() -> None:
    only = scheme(MEAN, leaves=(Leaf(WIN.credit, weight=lambda item: float(item.id != "0")),))
    rows = [scored(str(n), s, n % 3, 1) for n in range(9) for s in ("a", "b")]
    rows = [row for n, row in enumerate(rows) if row.id != "0" or n < 2]
    rest = [row for row in rows if row.id != "0"]
    assert only.tally(rows).values == only.tally(rest).values
    assert metric_intervals(only.tally(rows)) == metric_intervals(only.tally(rest))


def test_a_leaf_to_which_no_row_counts_is_absent_and_what_needs_it_too() -> None:
    none = Leaf(WIN.credit, weight=lambda item: 0.0, part="none")
    some = Leaf(WIN.credit, part="some")
    parts = [
        Part("section/none", {"subset/a/none": 1.0}),
        Part("overall", {"subset/a/some": 1.0, "subset/b/some": 1.0}),
    ]
    tally = scheme(*parts, leaves=(none, some)).tally(ROWS)
    assert tally.values == {"overall": 0.75, "subset/a/some": 0.5, "subset/b/some": 1.0}
    assert metric_intervals(tally).keys() == tally.values.keys()


def test_two_models_are_compared_pair_by_pair_and_prompt_by_prompt() -> None:
    a, b = BOTH.tally(prompts(8, 120)), BOTH.tally(prompts(8, 120, better=0.8))
    pairs, best = paired_differences(a, b, ["overall/pairs", "overall"])
    weights = np.array([count_pairs(row) for row in prompts(8, 120)])
    change = b.strata["a"].credits[:, 0] - a.strata["a"].credits[:, 0]
    assert pairs.value == pytest.approx(weights @ change / weights.sum())
    assert pairs.interval.low < pairs.value < pairs.interval.high
    assert pairs.p < 0.001
    assert best.only_b == (b.strata["a"].credits[:, 1] > a.strata["a"].credits[:, 1]).sum()
