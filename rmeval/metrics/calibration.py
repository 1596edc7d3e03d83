"""Are the margins honest? Under Bradley-Terry, σ(r_chosen − r_rejected) is a probability.

Where verdicts were the scores, these are probabilities already: of two responses P and 1 − P.
A row of several responses is as many pairs as it has chosen times rejected ones, which share the
row's weight.
"""

from collections.abc import Iterable
from itertools import product
from math import copysign, inf, isfinite, log, nan
from typing import Any, NamedTuple

import numpy as np

from rmeval.metrics.scheme import Floats
from rmeval.types import ScoredPreference

BINS = 10


class Pairs(NamedTuple):
    """Every chosen response against every rejected one of its row, P in all.

    `margins` (P,) in units of reward, `lengths` (P,) how many tokens the chosen one is longer,
    `weights` (P,), `magnitudes` (P,), NaN where the row has none. `log_odds` (P,) of the chosen
    one being better, as the model says it: the margin of rewards, infinite for a sure verdict, NaN
    where the scores say none.
    `credits` (P,) what each pair counts: 1 won, 0 lost, a tie half where verdicts made it.
    """

    margins: Floats
    lengths: Floats
    weights: Floats
    magnitudes: Floats
    log_odds: Floats
    credits: Floats


def all_pairs(scored: Iterable[ScoredPreference]) -> Pairs:
    """Returns the pairs of all rows, in order."""
    rows = []
    for item in scored:
        chosen, rejected = item.scores[: item.num_chosen], item.scores[item.num_chosen :]
        weight = item.weight / (len(chosen) * len(rejected))
        size = nan if item.magnitude is None else item.magnitude
        for a, b in product(chosen, rejected):
            margin, longer = a.value - b.value, a.tokens - b.tokens
            credit = 0.5 if margin == 0 and item.comparisons else float(margin > 0)
            rows.append((margin, longer, weight, size, _log_odds(item, margin), credit))
    return Pairs(*np.array(rows, float).reshape(-1, 6).T)


def _log_odds(item: ScoredPreference, margin: float) -> float:
    """Returns the log-odds of a pair: the margin of rewards, or that of a verdict's P and 1 - P.

    NaN where scores are neither: ratings, and mean chances against several others.
    """
    if item.comparisons is None:
        return margin
    p = (1 + margin) / 2
    if item.comparisons.first is None or len(item.scores) > 2:
        return nan
    return log(p / (1 - p)) if 0 < p < 1 else copysign(inf, p - 0.5)


def calibration(pairs: Pairs) -> dict[str, Any]:
    """Returns the Bradley-Terry log loss, Brier score and calibration error of the margins.

    `log_loss` is the mean of −log σ(margin), in nats: 0.693 is a coin. `brier` is the mean of
    (1 − σ(margin))². `ece` is the expected calibration error over BINS equal bins of confidence
    max(p, 1 − p) from 0.5 to 1, where a tie is half right. `scaled_log_loss`, the mean of
    −d·log σ(margin), is over the pairs with a magnitude d, where there are any. Either loss is
    None where a sure verdict was wrong. Pairs without log-odds are left out; of ratings alone
    nothing is defined, and all is None.
    """
    pairs = Pairs(*(column[~np.isnan(pairs.log_odds)] for column in pairs))
    if not len(pairs.log_odds):
        return {"log_loss": None, "brier": None, "ece": None, "bins": [], "method": "none"}
    weights, magnitudes, log_odds = pairs.weights, pairs.magnitudes, pairs.log_odds
    losses, bins = np.logaddexp(0.0, -log_odds), reliability(pairs)
    found: dict[str, Any] = {
        "log_loss": _mean(losses, weights),
        "brier": float(np.average(sigmoid(-log_odds) ** 2, weights=weights)),
        "ece": sum(b["share"] * abs(b["accuracy"] - b["confidence"]) for b in bins),
        "bins": bins,
        "method": f"sigmoid(chosen - rejected); ece over {BINS} equal bins of confidence",
    }
    stated = ~np.isnan(magnitudes)
    if stated.any():
        scaled = (magnitudes * losses)[stated]
        found["scaled_log_loss"] = _mean(scaled, weights[stated])
    return found


def _mean(losses: Floats, weights: Floats) -> float | None:
    mean = float(np.average(losses, weights=weights))
    return mean if isfinite(mean) else None


def reliability(pairs: Pairs) -> list[dict[str, float]]:
    """Returns each bin that has pairs: their share of all, mean confidence and accuracy."""
    log_odds, weights = pairs.log_odds, pairs.weights
    confidence = sigmoid(np.abs(log_odds))
    right = (log_odds > 0) + 0.5 * (log_odds == 0)
    bins = np.minimum(((confidence - 0.5) * 2 * BINS).astype(int), BINS - 1)
    curve = []
    for number in np.unique(bins):
        inside = bins == number
        curve.append(
            {
                "share": float(weights[inside].sum() / weights.sum()),
                "confidence": float(np.average(confidence[inside], weights=weights[inside])),
                "accuracy": float(np.average(right[inside], weights=weights[inside])),
            }
        )
    return curve


def sigmoid(x: Floats) -> Floats:
    """Returns the probabilities that log-odds stand for."""
    return np.exp(-np.logaddexp(0.0, -x))  # neither end overflows
