"""Right and wrong answers: held to enumeration, to scipy, and to prompts of known pass rates."""

from collections import Counter
from itertools import combinations
from math import comb

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm
from scored_rows import scored

from rmeval.errors import BadData
from rmeval.metrics.correctness import (
    ANSWERS,
    Answered,
    answer_curve,
    answered,
    auc,
    best_of_n_accuracy,
    describe_answers,
    majority,
    pass_at,
)
from rmeval.metrics.intervals import metric_intervals
from rmeval.metrics.summary import describe_scores
from rmeval.records import Comparisons, ScoredPreference


def prompt(rewards: list[float], right: list[int], **more) -> Answered:
    return Answered(np.array(rewards, float), np.array(right, float), **more)


def by_enumeration(rewards: list[float], right: list[int], n: int) -> tuple[float, float]:
    """The accuracy of the best of n, ties shared, and pass@n, over every subset of n."""
    best, there = [], []
    for chosen in combinations(range(len(rewards)), n):
        top = max(rewards[i] for i in chosen)
        tied = [right[i] for i in chosen if rewards[i] == top]
        best.append(sum(tied) / len(tied))
        there.append(float(any(right[i] for i in chosen)))
    return sum(best) / len(best), sum(there) / len(there)


@pytest.mark.parametrize("seed", range(12))
def test_the_curve_is_the_mean_over_every_subset_of_n_and_ties_are_shared(seed: int) -> None:
    draw = np.random.default_rng(seed)
    k = int(draw.integers(1, 9))
    rewards = draw.integers(0, 4, k).astype(float).tolist()  # many are equal
    right = draw.integers(0, 2, k).tolist()
    found = best_of_n_accuracy(np.array(rewards), np.array(right, float))
    ceiling = pass_at(np.array(right, float))
    for n in range(1, k + 1):
        best, there = by_enumeration(rewards, right, n)
        assert found[n - 1] == pytest.approx(best, abs=1e-12)
        assert ceiling[n - 1] == pytest.approx(there, abs=1e-12)


def test_pass_at_n_is_the_published_estimator_for_many_samples() -> None:
    right = np.zeros(200)
    right[:7] = 1
    for n in (1, 10, 100, 193, 194, 200):
        wanted = 1 - comb(193, n) / comb(200, n)
        assert pass_at(right)[n - 1] == pytest.approx(wanted, rel=1e-12)


def test_a_curve_of_a_thousand_samples_has_no_number_that_is_none() -> None:
    draw = np.random.default_rng(2)
    right = (draw.random(1000) < 0.3).astype(float)
    rewards = draw.normal(size=1000) + right
    curve = best_of_n_accuracy(rewards, right)
    assert np.isfinite(curve).all()
    assert curve[0] == pytest.approx(right.mean())
    assert curve[-1] == right[rewards.argmax()]
    assert (curve <= pass_at(right) + 1e-12).all()


def test_points_stand_for_n_up_to_the_fewest_responses_with_floor_and_ceiling() -> None:
    prompts = [prompt([3, 2, 1], [1, 0, 0], unit=("", "a")), prompt([1, 2], [1, 0], unit=("", "b"))]
    first, second = answer_curve(prompts)
    assert (first.n, first.accuracy) == (1, pytest.approx((1 / 3 + 1 / 2) / 2))
    assert first.ceiling == pytest.approx(first.accuracy)
    assert (second.accuracy, second.ceiling) == (
        pytest.approx((2 / 3 + 0) / 2), pytest.approx((2 / 3 + 1) / 2),
    )  # fmt: skip
    assert first.low < first.accuracy < first.high


def test_the_score_is_the_best_of_each_prompt_and_pairs_stand_beside_it() -> None:
    rows = [
        scored("1", "a", 2, 1, 0, num_chosen=1),  # best right; 2 of 2 pairs
        scored("2", "a", 2, 0, 1, 1, num_chosen=2),  # best right; 2 of 4 pairs
        scored("3", "a", 1, 1, num_chosen=1),  # the best is shared; its pair is tied, a loss
        scored("4", "b", 0, 1, num_chosen=2),  # all right
        scored("5", "b", 0, 1, num_chosen=0),  # all wrong
    ]
    values = ANSWERS.tally(rows).values
    assert values["subset/a"] == pytest.approx(2.5 / 3)
    assert values["subset/b"] == 0.5
    assert values["overall"] == pytest.approx(3.5 / 5)
    assert values["overall/pairs"] == pytest.approx(4 / 7)
    assert values["overall/pairs by prompt"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert "subset/b/pairs" not in values
    chance = ANSWERS.tally(rows).chance()
    assert chance["overall"] == pytest.approx((1 / 3 + 1 / 2 + 1 / 2 + 1 + 0) / 5)
    assert chance["overall/pairs"] == 0.5


def test_verdicts_that_tie_are_half_a_pair() -> None:
    tied = scored("1", "a", 0.5, 0.5)
    judged = ScoredPreference("1", "a", 1, tied.scores, comparisons=Comparisons(2, 1, 0, 0))
    assert ANSWERS.tally([tied]).values["overall/pairs"] == 0.0
    assert ANSWERS.tally([judged]).values["overall/pairs"] == 0.5


@pytest.mark.parametrize("chosen", [0, 2])
def test_prompts_of_one_kind_alone_are_a_result_without_pairs(chosen: int) -> None:
    metrics = describe_scores(
        ANSWERS, [scored(str(n), "a", n, 1, num_chosen=chosen) for n in range(4)]
    )
    assert metrics.values == {"overall": chosen / 2, "subset/a": chosen / 2}
    assert metrics.intervals.keys() == metrics.values.keys()
    assert metrics.statistics["answers"]["auc"] is None
    assert metrics.statistics["length"]["pairs"] == 0


def test_a_row_without_a_response_is_refused() -> None:
    with pytest.raises(BadData, match="row 1: 0 of 0 responses"):
        ANSWERS.tally([ScoredPreference("1", "a", 0, ())])


def test_a_majority_is_the_most_frequent_answer_and_equal_ones_share() -> None:
    def of(*pairs: tuple[int, int], unit: str = "") -> Answered:
        answers, right = zip(*pairs, strict=True)
        return prompt([0.0] * len(pairs), list(right), answers=answers, unit=("", unit))

    clear = of((0, 1), (0, 1), (1, 0), unit="1")
    shared = of((0, 1), (1, 0), (1, 0), (0, 1), unit="2")
    wrong = of((0, 0), (0, 0), (1, 1), unit="3")
    partly = of((0, 1), (0, 0), (0, 1), unit="4")  # an answer in a form that was not accepted once
    found = majority([clear, shared, wrong, partly])
    assert found is not None
    assert found[0] == pytest.approx((1 + 0.5 + 0 + 2 / 3) / 4)
    assert found[1].low < found[0] < found[1].high
    assert majority([clear, prompt([0, 1], [1, 0])]) is None


def test_the_auc_is_mann_whitneys_over_all_responses_ties_half() -> None:
    draw = np.random.default_rng(5)
    prompts = []
    for number in range(60):
        right = draw.integers(0, 2, 6)
        rewards = np.round(draw.normal(size=6) + 0.7 * right, 1)
        prompts.append(prompt(rewards.tolist(), right.tolist(), unit=("", str(number))))
    rewards, right = (np.concatenate([p[i] for p in prompts]) for i in (0, 1))
    u = mannwhitneyu(rewards[right == 1], rewards[right == 0]).statistic
    found = auc(prompts)
    assert found is not None
    assert found[0] == pytest.approx(u / (right.sum() * (1 - right).sum()), abs=1e-12)


def test_weights_count_as_so_many_prompts() -> None:
    one = [
        prompt([2, 1], [1, 0], unit=("", "a")),
        prompt([1, 2], [1, 0], weight=3.0, unit=("", "b")),
    ]
    three = [one[0], *(one[1]._replace(weight=1.0, unit=("", f"b{n}")) for n in range(3))]
    first, second = (describe_answers(prompts) for prompts in (one, three))
    for name in ("accuracy", "ceiling"):
        assert [p[name] for p in first["curve"]] == pytest.approx(
            [p[name] for p in second["curve"]]
        )
    assert first["auc"]["value"] == pytest.approx(second["auc"]["value"])


def simulated(draw: np.random.Generator, prompts: int, k: int) -> list[ScoredPreference]:
    """Prompts whose pass rates are uniform, and rewards that are higher by 1 for what is right."""
    rows = []
    for number in range(prompts):
        right = int(draw.binomial(k, draw.random()))
        rewards = [*draw.normal(1, 1, right), *draw.normal(0, 1, k - right)]
        rows.append(scored(str(number), "a", *rewards, num_chosen=right))
    return rows


def true_accuracy(n: int) -> float:
    """That the best of n is right: with pass rate p, ∫∫ n·p·f(r−1)·((1−p)F(r) + p·F(r−1))^(n−1)."""
    rates, rewards = (np.arange(400) + 0.5) / 400, np.linspace(-6, 8, 2001)
    p = rates[:, None]
    below = (1 - p) * norm.cdf(rewards) + p * norm.cdf(rewards - 1)
    density = n * p * norm.pdf(rewards - 1) * below ** (n - 1)
    return float(np.trapezoid(density, rewards, axis=1).mean())


def test_the_curve_and_its_intervals_hold_the_truth_of_known_pass_rates() -> None:
    """Of 300 benchmarks of 60 prompts the curve is right on average, and 95 % of intervals hold."""
    draw, runs, sizes = np.random.default_rng(11), 300, (1, 3, 6)
    truth = {n: true_accuracy(n) for n in sizes}
    values, held = {n: [] for n in sizes}, Counter()
    for _ in range(runs):
        rows = simulated(draw, 60, 6)
        curve = {point.n: point for point in answer_curve([*map(answered, rows)])}
        for n in sizes:
            values[n].append(curve[n].accuracy)
            held[n] += curve[n].low <= truth[n] <= curve[n].high
            assert curve[n].accuracy <= curve[n].ceiling + 1e-12
        found = auc([*map(answered, rows)])
        assert found is not None
        held["auc"] += found[1].low <= norm.cdf(1 / 2**0.5) <= found[1].high
        interval = metric_intervals(ANSWERS.tally(rows))["overall/pairs"]
        held["pairs"] += interval.low <= norm.cdf(1 / 2**0.5) <= interval.high
    for n in sizes:
        error = np.std(values[n]) / runs**0.5
        assert np.mean(values[n]) == pytest.approx(truth[n], abs=3.5 * error)
    assert all(0.915 <= count / runs <= 0.99 for count in held.values()), held
