"""Differences of two models on the same rows, against scipy and against all 2^k sign flips."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, t

from rmeval.benchmarks.rewardbench import REWARDBENCH, ROWS
from rmeval.benchmarks.rm_bench import ROWS as STYLED_ROWS
from rmeval.benchmarks.rm_bench import SCHEME as RM_BENCH
from rmeval.metrics import paired
from rmeval.metrics.linear import Linear
from rmeval.metrics.paired import (
    ALL,
    EXACT,
    FLIPS,
    STUDENT,
    WEIGHTED,
    adjusted,
    flip_test,
    holm,
    paired_differences,
    real_differences,
)
from rmeval.metrics.pairs import PAIRS
from rmeval.records import Score, ScoredPreference


def row(number: object, won: bool, subset: str = "s", weight: float = 1.0) -> ScoredPreference:
    scores = (Score(1.0 if won else -1.0, 9, False), Score(0.0, 8, False))
    return ScoredPreference(f"{subset}/{number}", subset, 1, scores, "text", None, weight)


def difference(a: list[ScoredPreference], b: list[ScoredPreference], metric: str = "overall"):
    scheme = REWARDBENCH if a[0].subset in ROWS else PAIRS
    return paired_differences(scheme.tally(a), scheme.tally(b), [metric])[0]


def two_models(both: int, only_a: int, only_b: int, neither: int = 0):
    wins = [(1, 1)] * both + [(1, 0)] * only_a + [(0, 1)] * only_b + [(0, 0)] * neither
    return [[row(i, bool(pair[k])) for i, pair in enumerate(wins)] for k in (0, 1)]


@pytest.mark.parametrize(
    ("only_a", "only_b"), [(0, 1), (6, 0), (0, 6), (5, 5), (12, 3), (3, 12), (61, 40), (200, 260)]
)
def test_rows_that_weigh_alike_have_mcnemars_exact_p(only_a: int, only_b: int) -> None:
    found = difference(*two_models(20, only_a, only_b, 7))
    discordant = only_a + only_b
    assert found.method == EXACT
    assert (found.only_a, found.only_b) == (only_a, only_b)
    assert found.value == pytest.approx((only_b - only_a) / (27 + discordant))
    assert found.p == pytest.approx(binomtest(only_b, discordant).pvalue, rel=1e-9)


def test_six_losses_and_no_gain_worked_by_hand() -> None:
    found = difference(*two_models(4, 6, 0))
    assert found.p == pytest.approx(2 / 64)
    assert (found.a, found.b, found.value) == pytest.approx((1.0, 0.4, -0.6))


def test_models_that_agree_everywhere_do_not_differ() -> None:
    found = difference(*two_models(5, 0, 0, 5))
    assert (found.p, found.value) == (1.0, 0.0)
    # Nobody knows of the next row: two flips of 12, the square of a half-width of t_9 deviations.
    half = t.ppf(0.975, 9) * (2 / (10 * 12)) ** 0.5
    assert found.interval[:2] == pytest.approx((-half, half))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 9), st.integers(0, 9), st.integers(1, 50), st.integers(0, 50))
def test_rows_that_both_win_or_both_lose_change_no_p(only_a, only_b, both, neither) -> None:
    few = difference(*two_models(1, only_a, only_b))
    many = difference(*two_models(both, only_a, only_b, neither))
    assert many.p == few.p


def all_flips(effects: np.ndarray) -> float:
    signs = np.array(list(product((-1, 1), repeat=len(effects))))
    sums, observed = signs @ np.abs(effects), effects.sum()
    slack = 1e-9 * np.abs(effects).sum()
    return float((np.abs(sums) >= abs(observed) - slack).mean())


def within_noise(p: float, expected: float) -> bool:
    return abs(p - expected) <= 5 * (expected * (1 - expected) / FLIPS) ** 0.5 + 2 / FLIPS


@pytest.mark.parametrize("few", [0, 16])
@pytest.mark.parametrize("seed", range(6))
def test_weighted_flips_are_all_that_there_are_or_agree_with_them(
    monkeypatch: pytest.MonkeyPatch, seed: int, few: int
) -> None:
    monkeypatch.setattr(paired, "MOST_ENUMERATED", few)
    draw = np.random.default_rng(seed)
    size = int(draw.integers(3, 13))
    kinds = draw.choice([1 / 358, 1 / 456, 1 / 740, 984 / 447 / 1968], size)
    effects = kinds * draw.choice([-1, 1], size)
    if len(set(kinds)) == 1:
        effects = np.append(effects, 0.01)
    p, method = flip_test(effects)
    if few:
        assert (p, method) == (pytest.approx(all_flips(effects)), ALL)
    else:
        assert method == WEIGHTED
        assert within_noise(p, all_flips(effects))


@pytest.mark.parametrize("seed", range(3))
def test_flips_of_sizes_that_are_all_different_agree_too(seed: int) -> None:
    draw = np.random.default_rng(100 + seed)
    effects = draw.gamma(1.0, size=17) * draw.choice([-1, 1], 17, p=[0.7, 0.3])
    p, method = flip_test(effects)
    assert method == WEIGHTED
    assert within_noise(p, all_flips(effects))


def test_flips_of_many_sizes_have_the_variance_of_their_squares() -> None:
    effects = np.random.default_rng(0).gamma(1.0, size=300)
    effects[::2] *= -1
    sizes = np.abs(effects) / np.abs(effects).max()
    drawn = paired._flip(sizes)
    assert len(drawn) == FLIPS
    deviation = float((sizes**2).sum() ** 0.5)
    assert drawn.mean() == pytest.approx(0, abs=5 * deviation / FLIPS**0.5)
    assert drawn.std() == pytest.approx(deviation, rel=0.02)
    assert np.abs(drawn).max() <= sizes.sum()


def test_no_weighted_p_is_ever_0() -> None:
    assert flip_test(-np.arange(1.0, 41.0)) == (1 / (FLIPS + 1), WEIGHTED)
    assert flip_test(-np.arange(1.0, 9.0)) == (2 / 2**8, ALL)


def test_sums_that_differ_only_by_rounding_count_as_equal() -> None:
    assert flip_test(np.array([0.1, 0.2, -0.3])) == (1.0, ALL)  # 0.1 + 0.2 is not 0.3


def test_what_cancels_within_a_unit_is_no_change() -> None:
    assert flip_test(np.array([0.1 + 0.2 - 0.3, 1.0, 1.0])) == (0.5, EXACT)


def test_the_rows_of_a_cluster_flip_together() -> None:
    # Of five problems in four languages each the second model loses all: 2/2^5, not 2/2^20.
    a, b = two_models(0, 20, 0)
    a, b = ([replace(item, cluster=f"c{i % 5}") for i, item in enumerate(rows)] for rows in (a, b))
    found = difference(a, b)
    assert found.p == pytest.approx(2 / 2**5)
    assert (found.only_a, found.only_b, found.method) == (20, 0, EXACT)
    # An older result knows no clusters; those of the other hold, whichever comes first.
    bare = [replace(item, cluster="") for item in a]
    assert difference(bare, b).p == difference(b, bare).p == found.p


def churned(rows: list[ScoredPreference], share: float, seed: int = 1) -> list[ScoredPreference]:
    draw = np.random.default_rng(seed)
    return [
        replace(item, scores=item.scores[::-1]) if draw.random() < share else item for item in rows
    ]


def rewardbench_rows(accuracy: float = 0.85) -> list[ScoredPreference]:
    draw = np.random.default_rng(0)
    return [
        row(number, bool(draw.random() < accuracy), subset)
        for subset, rows in ROWS.items()
        for number in range(rows)
    ]


NAMES = ("overall", "section/Chat", "section/Safety", "section/Reasoning", "subset/math-prm")


@pytest.mark.parametrize("metric", NAMES)
def test_swapping_the_models_negates_the_difference_and_keeps_p(metric: str) -> None:
    a = rewardbench_rows()
    b = churned(a, 0.06)
    ab, ba = difference(a, b, metric), difference(b, a, metric)
    assert ab.value == -ba.value
    assert (ab.p, ab.method) == (ba.p, ba.method)
    assert (ab.only_a, ab.only_b) == (ba.only_b, ba.only_a)
    assert ab.interval[:2] == pytest.approx((-ba.interval.high, -ba.interval.low))


def test_a_section_of_equal_weights_is_tested_exactly_and_mathematics_is_not_one() -> None:
    a = rewardbench_rows()
    b = churned(a, 0.06)
    methods = {name: difference(a, b, name).method for name in NAMES}
    assert methods == {
        "overall": WEIGHTED,
        "section/Chat": EXACT,
        "section/Safety": EXACT,
        "section/Reasoning": WEIGHTED,
        "subset/math-prm": EXACT,
    }


def test_a_row_of_mathematics_counts_for_two_of_code() -> None:
    a = rewardbench_rows()
    losers = {f"math-prm/{i}" for i in range(447)}
    b = [replace(i, scores=i.scores[::-1]) if i.id in losers else i for i in a]
    wins = sum(item.scores[0].value > 0 for item in a if item.id in losers)
    found = difference(a, b, "section/Reasoning")
    assert found.value == pytest.approx((447 - 2 * wins) / 447 / 2)


def test_the_paired_interval_worked_by_hand() -> None:
    # 10 - 25 of 200: the variance of a row is 35/200 - 0.075^2, of 199/200 of which it is made.
    a, b = two_models(140, 25, 10, 25)
    found = difference(a, b, "subset/s")
    assert found.interval.method == STUDENT
    variance = (35 / 200 - 0.075**2) / 199 + 2 / (200 * 202)
    half = t.ppf(0.975, 199) * variance**0.5
    assert found.interval[:2] == pytest.approx((-0.075 - half, -0.075 + half))


def test_the_paired_interval_of_two_subsets_worked_by_hand() -> None:
    # Of 40 rows 10 are lost, of 20 five gained: variances n/(n - 1) * p(1 - p) of each.
    a = [row(i, True, "a") for i in range(40)] + [row(i, i < 10, "b") for i in range(20)]
    b = [row(i, i >= 10, "a") for i in range(40)] + [row(i, i < 15, "b") for i in range(20)]
    found = difference(a, b)
    inside = (3 / 16) * (40 / 39), (3 / 16) * (20 / 19)
    variance = (40 * inside[0] + 20 * inside[1]) / 60**2 + 2 / (60 * 62)
    freedom = 60**2 / (40**2 / 39 + 20**2 / 19)
    half = t.ppf(0.975, freedom) * variance**0.5
    assert found.value == pytest.approx(-5 / 60)
    assert found.interval[:2] == pytest.approx((-5 / 60 - half, -5 / 60 + half))


def test_one_row_says_nothing_of_the_others() -> None:
    found = difference([row(1, True)], [row(1, False)])
    assert found.interval.low == -1.0
    assert found.interval.high == 1.0


def test_levels_are_corrected_one_by_one() -> None:
    names = ["overall", "overall/hard", "section/a", "section/b", "section/a/hard", "subset/x/y"]
    one = difference(*two_models(4, 6, 0))
    p = adjusted(replace(one, metric=name) for name in names)
    assert {name: round(value * 32) for name, value in p.items()} == {
        "overall": 1, "overall/hard": 1, "section/a": 2, "section/b": 2, "section/a/hard": 1,
        "subset/x/y": 1,
    }  # fmt: skip


def test_of_several_pairs_of_models_those_are_real_that_holm_leaves() -> None:
    a, b = two_models(4, 6, 0)
    both = PAIRS.tally(a), PAIRS.tally(b)
    assert real_differences([both], "overall") == [True]  # p = 1/32
    assert real_differences([both] * 2, "overall") == [False, False]


def test_differences_of_many_subsets_take_time_with_their_number_alone() -> None:
    a = [row(i, i % 3 > 0, f"s{i // 2}") for i in range(4_000)]
    tally = PAIRS.tally(a)
    shares = Linear(tally.strata, tally.parts)._shares
    assert sum(map(len, shares.values())) == 2 * 2_000  # not 2,000 for each of 2,000
    assert len(paired_differences(tally, tally, tally.values)) == 2_001


def test_rm_benchs_rows_flip_with_all_their_cells() -> None:
    def tally_of(seed: int):
        draw = np.random.default_rng(seed)
        values = draw.normal((0.5, 0.5, 0.5, 0, 0, 0), size=(2 * len(STYLED_ROWS), 6))
        return RM_BENCH.with_rows(dict.fromkeys(STYLED_ROWS, 2)).tally(
            [
                ScoredPreference(
                    str(i), subset, 3, tuple(Score(float(v), 9, False) for v in values[i])
                )
                for i, subset in enumerate([*STYLED_ROWS, *STYLED_ROWS])
            ]
        )

    tallies = [tally_of(seed) for seed in (10, 11)]
    strata = [tally.strata for tally in tallies]
    found = paired_differences(*tallies, ["overall"])
    # By hand: what a row adds to a domain is a third of its cells over the rows that count.
    share = dict.fromkeys(STYLED_ROWS, 1.0)
    share |= {"safety-refuse": 284 / 441, "safety-response": 157 / 441}
    effects = np.concatenate(
        [
            (strata[1][name].credits - strata[0][name].credits).mean(axis=1) / 2 * share[name] / 4
            for name in strata[0]
        ]
    )
    assert found[0].value == pytest.approx(effects.sum())
    assert found[0].p == pytest.approx(all_flips(effects[effects != 0]))


def test_the_order_of_the_rows_changes_no_difference() -> None:
    a = rewardbench_rows()
    b = churned(a, 0.05)
    order = np.random.default_rng(3).permutation(len(a)).tolist()
    for metric in NAMES:
        forward = difference(a, b, metric)
        shuffled = difference([a[i] for i in order], [b[i] for i in order], metric)
        assert shuffled.interval[:2] == pytest.approx(forward.interval[:2], rel=1e-9)
        assert replace(shuffled, interval=forward.interval) == forward


def test_holm_worked_by_hand() -> None:
    # 4 · 0.005, 3 · 0.01, 2 · 0.03, then 0.04 may not fall below it
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )


def test_holm_of_one_is_itself_of_none_is_none_and_never_above_1() -> None:
    assert holm({"a": 0.3}) == {"a": 0.3}
    assert holm({}) == {}
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}


@given(st.dictionaries(st.integers(), st.floats(0, 1), max_size=30), st.floats(0.001, 0.5))
def test_holms_p_rejects_what_the_step_down_procedure_rejects(p_values, alpha) -> None:
    named = {str(name): p for name, p in p_values.items()}
    rejected = set()
    for rank, name in enumerate(sorted(named, key=lambda n: named[n])):
        if named[name] * (len(named) - rank) > alpha:
            break
        rejected.add(name)
    adjusted = holm(named)
    assert list(adjusted) == list(named)
    assert {name for name, p in adjusted.items() if p <= alpha} == rejected
    assert all(adjusted[name] >= p for name, p in named.items())
