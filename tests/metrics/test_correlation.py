"""Correlations of benchmarks: against scipy, and whether intervals hold what they promise."""

from math import asin, pi

import numpy as np
import pytest
from scipy import stats

from rmeval.metrics.correlation import correlations

DRAWS = 600


def test_pearsons_interval_is_scipys() -> None:
    x, y = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2.0, 1.0, 4.0, 3.0, 7.0, 5.0]
    found = correlations(x, y)[0]
    ends = stats.pearsonr(x, y).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high), abs=1e-6)


def test_coefficients_of_ranks_worked_by_hand() -> None:
    _, spearman, kendall = correlations([1, 2, 3, 4, 5], [1, 2, 3, 5, 4])
    assert spearman.value == pytest.approx(1 - 6 * 2 / (5 * 24))
    assert kendall.value == pytest.approx((9 - 1) / 10)


@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_intervals_hold_the_true_value_in_95_of_100_draws(rho: float) -> None:
    draw = np.random.default_rng(0)
    true = (rho, 6 / pi * asin(rho / 2), 2 / pi * asin(rho))
    held = np.zeros(3)
    for _ in range(DRAWS):
        x, y = draw.multivariate_normal([0, 0], [[1, rho], [rho, 1]], 20).T
        for place, found in enumerate(correlations(x.tolist(), y.tolist())):
            assert found.low is not None
            assert found.high is not None
            held[place] += found.low <= true[place] <= found.high
    assert (held / DRAWS > 0.92).all()
    assert (held / DRAWS < 0.98).all()


def test_perfect_agreement_has_no_interval_and_equal_values_no_coefficient() -> None:
    up = [1.0, 2.0, 3.0, 4.0, 5.0]
    assert [(f.value, f.low) for f in correlations(up, up)] == [(pytest.approx(1), None)] * 3
    with pytest.warns(stats.ConstantInputWarning):
        assert correlations(up, [7.0] * 5) == []
