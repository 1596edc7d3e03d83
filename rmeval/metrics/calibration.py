"""Are the margins honest? Under Bradley-Terry, σ(r_chosen − r_rejected) is a probability.

Where verdicts were the scores, these are probabilities already: of two responses P and 1 − P.
A row of several responses is as many pairs as it has chosen times rejected ones, which share the
row's weight.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import product
from math import inf, isfinite, nan
from typing import Any, NamedTuple

import numpy as np
import scipy

from rmeval.metrics.accuracy import difference
from rmeval.metrics.scheme import Floats
from rmeval.records import ScoredPreference

BINS = 10
FOLDS = 5
SHARPEST = 2.0**60  # of the largest margin; a slope that still rises there has no end


class Pairs(NamedTuple):
    """Every chosen response against every rejected one of its row, P in all.

    `margins` (P,) in units of reward, `lengths` (P,) how many tokens the chosen one is longer,
    `weights` (P,), `magnitudes` (P,), NaN where the row has none. `log_odds` (P,) of the chosen
    one being better, as the model says it: the margin of rewards, infinite for a sure verdict, NaN
    where the scores say none.
    `credits` (P,) what each pair counts: 1 won, 0 lost, a tie half where verdicts made it.
    `folds` (P,) in which of FOLDS parts of the rows it is, or NaN where its scores are no rewards.
    """

    margins: Floats
    lengths: Floats
    weights: Floats
    magnitudes: Floats
    log_odds: Floats
    credits: Floats
    folds: Floats


def all_pairs(scored: Iterable[ScoredPreference]) -> Pairs:
    """Returns the pairs of all rows, in order."""
    scored = list(scored)
    rows, folds = [], _folds(scored)
    for item in scored:
        chosen, rejected = item.scores[: item.num_chosen], item.scores[item.num_chosen :]
        weight = item.weight / max(1, len(chosen) * len(rejected))
        size = nan if item.magnitude is None else item.magnitude
        for a, b in product(chosen, rejected):
            margin, longer = difference(a.value, b.value), a.tokens - b.tokens
            credit = 0.5 if margin == 0 and item.comparisons else float(margin > 0)
            fold = nan if item.comparisons else folds[item.unit]
            rows.append((margin, longer, weight, size, _log_odds(item, margin), credit, fold))
    return Pairs(*np.array(rows, float).reshape(-1, len(Pairs._fields)).T)


def _folds(scored: Sequence[ScoredPreference]) -> dict[tuple[str, str], int]:
    """Returns the part that each unit of chance is in: by its hash, whatever the rows' order."""
    units = {item.unit for item in scored}
    shuffled = sorted(units, key=lambda unit: (sha256("\0".join(unit).encode()).digest(), unit))
    return {unit: place % FOLDS for place, unit in enumerate(shuffled)}


def _log_odds(item: ScoredPreference, margin: float) -> float:
    """Returns the log-odds of a pair: the margin of rewards, or that of a verdict's P and 1 - P.

    NaN where scores are neither: ratings, and mean chances against several others.
    """
    if item.comparisons is None:
        return margin
    if item.comparisons.first is None or len(item.scores) > 2:
        return nan
    return float(scipy.special.logit((1 + margin) / 2))


def calibration(pairs: Pairs) -> dict[str, Any]:
    """Returns the Bradley-Terry log loss, Brier score and calibration error of the margins.

    `log_loss` is the mean of −log σ(margin), in nats: 0.693 is a coin. `brier` is the mean of
    (1 − σ(margin))². `ece` is the expected calibration error over BINS equal bins of confidence
    max(p, 1 − p) from 0.5 to 1, where a tie is half right. `scaled_log_loss`, the mean of
    −d·log σ(margin), is over the pairs with a magnitude d, where there are any. Either loss is
    None where a sure verdict was wrong. Pairs without log-odds are left out; of ratings alone
    nothing is defined, and all is None. `fitted` is what `at_temperature` finds.
    """
    pairs = Pairs(*(column[~np.isnan(pairs.log_odds)] for column in pairs))
    if not len(pairs.log_odds):
        return {"log_loss": None, "brier": None, "ece": None, "bins": [], "method": "none"}
    weights, magnitudes, bins = pairs.weights, pairs.magnitudes, reliability(pairs)
    losses = np.logaddexp(0.0, -pairs.log_odds)
    found: dict[str, Any] = {
        **_errors(pairs, bins),
        "bins": bins,
        "method": f"sigmoid(chosen - rejected); ece over {BINS} equal bins of confidence",
        "fitted": at_temperature(pairs),
    }
    stated = ~np.isnan(magnitudes)
    if stated.any():
        with np.errstate(over="ignore"):  # then there is no number to say
            scaled = (magnitudes * losses)[stated]
        found["scaled_log_loss"] = _mean(scaled, weights[stated])
    return found


def at_temperature(pairs: Pairs) -> dict[str, Any] | None:
    """Returns log loss, Brier score and calibration error of margins over a fitted temperature.

    Rewards have no scale of their own: a policy is trained at whatever suits them. Each of FOLDS
    parts is judged at the temperature that has the least log loss on the others; `temperature` is
    that of all. None where there is none: all pairs are won, margins that tell nothing, or scores
    that are no rewards.
    """
    pairs = Pairs(*(column[~np.isnan(pairs.folds)] for column in pairs))
    cooled = np.empty_like(pairs.margins)
    whole = fit_temperature(pairs.margins, pairs.weights)
    for fold in np.unique(pairs.folds):
        inside = pairs.folds == fold
        fitted = fit_temperature(pairs.margins[~inside], pairs.weights[~inside])
        if fitted is None:
            return None
        with np.errstate(over="ignore"):  # then it is as sure as can be
            cooled[inside] = pairs.margins[inside] / fitted
    if whole is None:
        return None
    pairs = pairs._replace(log_odds=cooled)
    return {"temperature": whole, "folds": FOLDS, **_errors(pairs, reliability(pairs))}


def fit_temperature(margins: Floats, weights: Floats) -> float | None:
    """Returns the temperature T of the least mean of −log σ(margin / T), or None without one."""
    largest = float(np.abs(margins).max(initial=0.0))
    if not largest or not (margins < 0).any():
        return None
    scaled = margins / largest

    def slope(sharpness: float) -> float:
        return float(weights @ (scaled * scipy.special.expit(-sharpness * scaled)))

    if slope(0.0) <= 0:
        return None
    end = 1.0
    while slope(end) > 0 and end < SHARPEST:
        end *= 2
    if end >= SHARPEST:
        return None
    temperature = largest / float(scipy.optimize.brentq(slope, 0.0, end, xtol=1e-12, rtol=1e-12))
    return temperature if 0 < temperature < inf else None


def _errors(pairs: Pairs, bins: Sequence[Mapping[str, float]]) -> dict[str, float | None]:
    return {
        "log_loss": _mean(np.logaddexp(0.0, -pairs.log_odds), pairs.weights),
        "brier": float(
            np.average(scipy.special.expit(-pairs.log_odds) ** 2, weights=pairs.weights)
        ),
        "ece": sum(b["share"] * abs(b["accuracy"] - b["confidence"]) for b in bins),
    }


def _mean(losses: Floats, weights: Floats) -> float | None:
    with np.errstate(over="ignore"):
        mean = float(np.average(losses, weights=weights))
    return mean if isfinite(mean) else None


def reliability(pairs: Pairs) -> list[dict[str, float]]:
    """Returns each bin that has pairs: their share of all, mean confidence and accuracy."""
    log_odds, weights = pairs.log_odds, pairs.weights
    confidence = scipy.special.expit(np.abs(log_odds))
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
