"""Log loss, Brier score and calibration error against plain loops."""

from math import exp, log, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from rmeval.metrics.calibration import (
    Pairs,
    all_pairs,
    at_temperature,
    calibration,
    fit_temperature,
    reliability,
)
from rmeval.records import Comparisons, Score, ScoredPreference


def pairs_of(margins, weights=None, magnitudes=None) -> Pairs:
    size = len(margins)
    return Pairs(
        np.array(margins, float),
        np.zeros(size),
        np.ones(size) if weights is None else np.array(weights, float),
        np.full(size, nan) if magnitudes is None else np.array(magnitudes, float),
        np.array(margins, float),
        np.array(margins, float) > 0,
        np.arange(size) % 5.0,
    )


def by_loops(margins, weights) -> tuple[float, float, float]:
    total, log_loss, brier = sum(weights), 0.0, 0.0
    bins: dict[int, list[float]] = {}
    for margin, weight in zip(margins, weights, strict=True):
        p = 1 / (1 + exp(-margin))
        log_loss -= weight * log(p)
        brier += weight * (1 - p) ** 2
        confidence = max(p, 1 - p)
        right = 1.0 if margin > 0 else 0.5 if margin == 0 else 0.0
        place = bins.setdefault(min(int((confidence - 0.5) / 0.05), 9), [0.0, 0.0])
        place[0] += weight * confidence
        place[1] += weight * right
    ece = sum(abs(confidence - right) for confidence, right in bins.values())
    return log_loss / total, brier / total, ece / total


@given(st.lists(st.tuples(st.integers(-300, 300), st.integers(1, 9)), min_size=1, max_size=60))
def test_the_numbers_are_those_of_a_plain_loop(rows) -> None:
    # Margins that lie on no bin's edge: an edge is the logarithm of a rational number.
    margins, weights = [m / 97 for m, _ in rows], [w for _, w in rows]
    found = calibration(pairs_of(margins, weights))
    expected = by_loops(margins, weights)
    assert (found["log_loss"], found["brier"], found["ece"]) == pytest.approx(expected, abs=1e-9)


def test_a_coin_has_log_loss_ln_2_and_is_calibrated() -> None:
    found = calibration(pairs_of([0.0, 0.0, 0.0]))
    assert found["log_loss"] == pytest.approx(log(2))
    assert found["brier"] == 0.25
    assert found["ece"] == 0.0
    assert found["bins"] == [{"share": 1.0, "confidence": 0.5, "accuracy": 0.5}]


def test_a_small_case_worked_by_hand() -> None:
    # σ(ln 3) = 3/4, σ(−ln 3) = 1/4: three right and one wrong at confidence 3/4 is honest.
    ln3 = log(3)
    found = calibration(pairs_of([ln3, ln3, ln3, -ln3]))
    assert found["log_loss"] == pytest.approx((3 * log(4 / 3) + log(4)) / 4)
    assert found["brier"] == pytest.approx((3 / 16 + 9 / 16) / 4)
    assert found["ece"] == pytest.approx(0.0)


def test_a_model_that_is_always_wrong_and_sure_has_an_error_of_its_confidence() -> None:
    found = calibration(pairs_of([-log(19)] * 5))
    assert found["ece"] == pytest.approx(0.95)


def test_huge_margins_neither_overflow_nor_vanish() -> None:
    found = calibration(pairs_of([-1e4, 1e4]))
    assert found["log_loss"] == 5e3
    assert found["brier"] == 0.5
    assert found["ece"] == pytest.approx(0.5)


def test_the_scaled_loss_is_over_the_pairs_that_say_how_strongly() -> None:
    found = calibration(pairs_of([0.0, 0.0, 5.0], [1, 3, 1], [1.0, 3.0, nan]))
    assert found["scaled_log_loss"] == pytest.approx((1 * 1 + 3 * 3) / 4 * log(2))
    assert "scaled_log_loss" not in calibration(pairs_of([0.0, 5.0]))


def test_the_method_says_what_was_made_a_probability() -> None:
    method = calibration(pairs_of([1.0]))["method"]
    assert method == "sigmoid(chosen - rejected); ece over 10 equal bins of confidence"


def test_bins_share_all_the_weight_and_empty_ones_are_left_out() -> None:
    bins = reliability(pairs_of([0.01, -0.02, 3.0], [1, 1, 2]))
    assert [b["share"] for b in bins] == [0.5, 0.5]
    assert [b["accuracy"] for b in bins] == [0.5, 1.0]


def test_a_row_of_many_responses_is_every_pair_of_them_at_a_share_of_its_weight() -> None:
    scores = [Score(v, t, False) for v, t in ((3.0, 10), (1.0, 20), (2.0, 5), (0.0, 7), (1.0, 1))]
    item = ScoredPreference("1", "s", 2, tuple(scores), "", 0.5, 6.0)
    pairs = all_pairs([item])
    assert pairs.margins.tolist() == [1.0, 3.0, 2.0, -1.0, 1.0, 0.0]
    assert pairs.lengths.tolist() == [5.0, 3.0, 9.0, 15.0, 13.0, 19.0]
    assert pairs.weights.tolist() == [1.0] * 6
    assert pairs.magnitudes.tolist() == [0.5] * 6


def test_a_row_without_a_magnitude_has_none_and_no_rows_have_no_pairs() -> None:
    scores = (Score(1.0, 3, False), Score(0.0, 2, False))
    assert np.isnan(all_pairs([ScoredPreference("1", "s", 1, scores)]).magnitudes).all()
    assert [len(column) for column in all_pairs([])] == [0] * 7


def compared(p: float) -> ScoredPreference:
    scores = (Score(p, 1, False), Score(1 - p, 1, False))
    return ScoredPreference("1", "s", 1, scores, comparisons=Comparisons(2, 1, 0, 0))


def test_probabilities_of_verdicts_are_taken_as_they_are():
    found = calibration(all_pairs([compared(0.9), compared(0.2), compared(0.5)]))
    assert found["log_loss"] == pytest.approx(-(log(0.9) + log(0.2) + log(0.5)) / 3)
    assert found["brier"] == pytest.approx((0.1**2 + 0.8**2 + 0.5**2) / 3)
    confidences = [b["confidence"] for b in found["bins"]]
    assert confidences == pytest.approx([0.5, 0.8, 0.9])


def test_a_sure_verdict_has_a_log_loss_only_where_it_is_right():
    assert calibration(all_pairs([compared(1.0)]))["log_loss"] == 0.0
    wrong = calibration(all_pairs([compared(1.0), compared(0.0)]))
    assert wrong["log_loss"] is None
    assert wrong["brier"] == 0.5
    assert wrong["ece"] == 0.5


def test_ratings_are_no_probabilities() -> None:
    scores = (Score(9, 1, False), Score(3, 1, False))
    rated = ScoredPreference("1", "s", 1, scores, comparisons=Comparisons(2, None, 0, 0))
    found = calibration(all_pairs([rated, rated]))
    assert (found["log_loss"], found["brier"], found["ece"], found["bins"]) == (None,) * 3 + ([],)
    mixed = calibration(all_pairs([rated, compared(0.9)]))
    assert mixed["log_loss"] == pytest.approx(-log(0.9))


def drawn(size: int = 2_000, scale: float = 7.0) -> Pairs:
    """Margins that are honest at the temperature `scale`."""
    draw = np.random.default_rng(1)
    log_odds = np.abs(draw.normal(0, 2, size))
    won = draw.random(size) < 1 / (1 + np.exp(-log_odds))
    return pairs_of(scale * np.where(won, log_odds, -log_odds), draw.gamma(2, size=size))


def test_the_temperature_has_the_least_log_loss() -> None:
    pairs = drawn()
    found = fit_temperature(pairs.margins, pairs.weights)
    least = minimize_scalar(
        lambda t: np.average(np.logaddexp(0, -pairs.margins / t), weights=pairs.weights),
        bounds=(1, 50),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert found == pytest.approx(least.x, rel=1e-5)
    assert found == pytest.approx(7, rel=0.1)


def test_three_right_and_one_wrong_by_one_point_have_the_temperature_of_odds_of_three() -> None:
    assert fit_temperature(np.array([1.0, 1, 1, -1]), np.ones(4)) == pytest.approx(1 / log(3))


def test_each_part_is_judged_at_the_temperature_of_the_others() -> None:
    pairs = drawn(200)
    losses = np.empty(200)
    for fold in range(5):
        inside = np.arange(200) % 5 == fold
        fitted = fit_temperature(pairs.margins[~inside], pairs.weights[~inside])
        losses[inside] = np.logaddexp(0, -pairs.margins[inside] / fitted)
    found = at_temperature(pairs)
    assert found["log_loss"] == pytest.approx(np.average(losses, weights=pairs.weights))
    assert found["temperature"] == fit_temperature(pairs.margins, pairs.weights)
    assert found["folds"] == 5


@pytest.mark.parametrize("scale", [1e-300, 1e-3, 1.0, 1e300])
def test_rewards_have_no_scale_once_a_temperature_is_fitted(scale: float) -> None:
    plain = at_temperature(drawn(300, 1.0))
    found = at_temperature(drawn(300, scale))
    assert found["temperature"] == pytest.approx(scale * plain["temperature"])
    for name in ("log_loss", "brier", "ece"):
        assert found[name] == pytest.approx(plain[name])


@pytest.mark.parametrize("margins", [[1.0] * 9, [-1.0] * 9, [0.0] * 9, [1, -1] * 5, [1.0, -0.5]])
def test_where_no_temperature_is_the_best_there_is_none(margins: list[float]) -> None:
    assert at_temperature(pairs_of(margins)) is None
    assert calibration(pairs_of(margins))["fitted"] is None


def test_the_rows_of_a_cluster_are_in_one_fold_whatever_their_order() -> None:
    scores = (Score(1.0, 3, False), Score(0.0, 2, False))
    rows = [ScoredPreference(str(i), "s", 1, scores, cluster=f"c{i % 7}") for i in range(21)]
    folds = all_pairs(rows).folds
    assert (folds == np.tile(folds[:7], 3)).all()
    assert np.bincount(folds[:7].astype(int)).tolist() == [2, 2, 1, 1, 1]
    assert (all_pairs(rows[::-1]).folds == folds[::-1]).all()


def test_probabilities_of_verdicts_have_a_scale() -> None:
    assert calibration(all_pairs([compared(0.9), compared(0.2)] * 5))["fitted"] is None
