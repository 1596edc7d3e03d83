"""What the best of n is worth, against brute force and by hand."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from rmeval.errors import BadData
from rmeval.metrics.best_of_n import best_of_n_curve, expected_best, kl_bound


@pytest.mark.parametrize("total", [1, 2, 3, 7, 10])
def test_it_is_the_mean_of_the_best_over_all_subsets(total):
    draw = np.random.default_rng(total)
    rewards = np.concatenate([draw.normal(3, 2, (4, total)), draw.integers(0, 3, (3, total))])
    found = expected_best(rewards)
    assert found.shape == rewards.shape
    for row, prompt in zip(found, rewards, strict=True):
        for n in range(1, total + 1):
            best = [max(subset) for subset in itertools.combinations(prompt, n)]
            assert row[n - 1] == pytest.approx(np.mean(best), abs=1e-12)


def test_by_hand():
    # Of 1, 2, 4: single 7/3; pairs have 2, 4, 4; all three have 4.
    assert expected_best(np.array([[4.0, 1.0, 2.0]])) == pytest.approx(
        np.array([[7 / 3, 10 / 3, 4]])
    )


def test_it_is_unbiased_for_fresh_samples():
    """Of uniform samples the best of n is n/(n + 1) on average."""
    draws = np.random.default_rng(0).random((20_000, 6))
    for n, mean in enumerate(expected_best(draws).mean(axis=0), 1):
        assert mean == pytest.approx(n / (n + 1), abs=0.01)


def test_more_samples_are_never_worse_and_many_are_no_trouble():
    rewards = np.random.default_rng(1).normal(size=(2, 1500)) - 1e6
    found = expected_best(rewards)
    assert np.all(np.diff(found, axis=1) >= -1e-6)
    assert found[:, 0] == pytest.approx(rewards.mean(axis=1), abs=1e-6)
    assert found[:, -1] == pytest.approx(rewards.max(axis=1), abs=1e-9)


def test_equal_rewards_give_a_flat_curve():
    assert {point.reward for point in best_of_n_curve([[2.0] * 4, [2.0] * 4])} == {2.0}


def test_the_interval_is_students_over_prompts():
    rewards = [[1.0, 3.0], [2.0, 2.0], [0.0, 7.0]]
    for point, best in zip(best_of_n_curve(rewards), ([2, 2, 3.5], [3, 2, 7]), strict=True):
        expected = ttest_1samp(best, 0).confidence_interval(0.95)
        assert point.reward == pytest.approx(np.mean(best))
        assert (point.low, point.high) == pytest.approx(tuple(expected))


def test_one_prompt_says_nothing_about_others():
    (point,) = best_of_n_curve([[5.0]])
    assert point == (1, 5.0, None, None, 0.0)


def test_the_kl_bound_by_hand():
    assert kl_bound(1) == 0
    assert kl_bound(4) == pytest.approx(math.log(4) - 0.75)
    assert [point.kl_bound for point in best_of_n_curve([[1.0, 2.0]])] == [0, math.log(2) - 0.5]


@pytest.mark.parametrize("rewards", [[], [[]], [[], []], [[1.0], [1.0, 2.0]]])
def test_without_equally_many_rewards_there_is_no_curve(rewards):
    with pytest.raises(BadData, match="equally many rewards"):
        best_of_n_curve(rewards)
