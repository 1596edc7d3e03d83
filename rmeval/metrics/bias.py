"""Does the model reward length? And what would length alone, or a coin, score on these rows?"""

from collections.abc import Sequence
from itertools import product
from math import sqrt
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from rmeval.metrics.accuracy import difference
from rmeval.metrics.calibration import Pairs
from rmeval.metrics.intervals import Z
from rmeval.metrics.scheme import Floats, Scheme, Tally
from rmeval.records import Interval, Score, ScoredPreference

MANTEL_HAENSZEL = "Mantel-Haenszel over subsets, Sato's variance and two pseudo-flips, 95 %"


class Effect(NamedTuple):
    """By how much a share moves with something that should not move it; a fraction of one."""

    value: float
    interval: Interval

    @property
    def surely(self) -> float:
        """How far the interval stays away from 0; 0 where it does not."""
        return max(self.interval.low, -self.interval.high, 0.0)


def length_bias(pairs: Pairs) -> dict[str, Any]:
    """Returns how the margin goes with the difference in length, in tokens, over all pairs.

    `pearson` is the correlation, or None where either never varies. `accuracy_when_longer` and
    `accuracy_when_shorter` are the shares of pairs won whose chosen response is the longer or the
    shorter one, with the number of each; None where there are none.
    """
    won, longer, shorter = pairs.credits, pairs.lengths > 0, pairs.lengths < 0
    return {
        "pearson": _pearson(pairs.lengths, pairs.margins, pairs.weights),
        "accuracy_when_longer": _share(won, longer, pairs.weights),
        "accuracy_when_shorter": _share(won, shorter, pairs.weights),
        "pairs": len(won),
        "pairs_longer": int(longer.sum()),
        "pairs_shorter": int(shorter.sum()),
        "method": "weighted Pearson of margin and difference in tokens",
    }


def length_effect(scored: Sequence[ScoredPreference]) -> Effect | None:
    """Returns how much more often pairs are won whose chosen response is longer than shorter.

    Only rows of one subset are held against each other, since subsets differ in both: the
    difference is Mantel and Haenszel's, its variance Sato's (Biometrics 45, 1989), and two flips
    more keep a few rows that agree from being too sure. A unit of chance counts once on each side.
    None where no subset has both kinds.
    """
    cells = np.array([*_by_length_within(scored).values()], float).reshape(-1, 4)
    cells = cells[(cells[:, 1] > 0) & (cells[:, 3] > 0)]
    if not len(cells):
        return None
    x, n1, y, n0 = cells.T  # won and all: of the longer ones, of the shorter ones
    both = n1 + n0
    weight = float((n1 * n0 / both).sum())
    value = float(((x * n0 - y * n1) / both).sum()) / weight
    p = (n1**2 * y - n0**2 * x + n1 * n0 * (n0 - n1) / 2) / both**2
    q = (x * (n0 - y) + y * (n1 - x)) / (2 * both)
    variance = float(value * p.sum() + q.sum()) / weight**2 + 2 / (weight * (weight + 2))
    half = Z * sqrt(variance)
    ends = Interval(max(-1.0, value - half), min(1.0, value + half), MANTEL_HAENSZEL)
    return Effect(value, ends)


def _by_length_within(scored: Sequence[ScoredPreference]) -> dict[str, list[float]]:
    """Returns by subset: won and all of the longer ones, won and all of the shorter ones."""
    units: dict[tuple[str, tuple[str, str]], tuple[list[float], list[float]]] = {}
    for item in scored:
        sides = units.setdefault((item.subset, item.unit), ([], []))
        for a, b in product(item.scores[: item.num_chosen], item.scores[item.num_chosen :]):
            margin = difference(a.value, b.value)
            credit = 0.5 if margin == 0 and item.comparisons else float(margin > 0)
            if a.tokens != b.tokens:
                sides[a.tokens < b.tokens].append(credit)
    cells: dict[str, list[float]] = {}
    for (subset, _), sides in units.items():
        cell = cells.setdefault(subset, [0.0] * 4)
        for place, credits in enumerate(sides):
            if credits:
                cell[2 * place] += fmean(credits)
                cell[2 * place + 1] += 1
    return cells


def baselines(
    scheme: Scheme, scored: Sequence[ScoredPreference], tally: Tally
) -> dict[str, dict[str, float]]:
    """Returns the metrics of "longer wins", "shorter wins" and "coin" on the rows of a tally.

    Length is in tokens as the model read them; equal lengths are a tie, and so a loss, for both.
    A coin has the expected value of random rewards, where there is a formula for it.
    """
    return {
        "longer": scheme.tally(_by_length(scored, 1), tally.weighting).values,
        "shorter": scheme.tally(_by_length(scored, -1), tally.weighting).values,
        "coin": tally.chance(),
    }


def _by_length(scored: Sequence[ScoredPreference], sign: int) -> list[ScoredPreference]:
    return [
        ScoredPreference(
            item.id,
            item.subset,
            item.num_chosen,
            tuple(Score(float(sign * s.tokens), s.tokens, s.truncated) for s in item.scores),
            item.digest,
            item.magnitude,
            item.weight,
        )
        for item in scored
    ]


def _share(won: Floats, among: np.ndarray, weights: Floats) -> float | None:
    return float(np.average(won[among], weights=weights[among])) if among.any() else None


def _centred(column: Floats, weights: Floats) -> Floats:
    """Returns a column less its mean, in units in which neither squares nor sums overflow."""
    column = column / (np.abs(column).max(initial=0.0) or 1.0)
    centred: Floats = column - np.average(column, weights=weights)
    return centred / (np.abs(centred).max(initial=0.0) or 1.0)


def _pearson(x: Floats, y: Floats, weights: Floats) -> float | None:
    if not len(weights):
        return None
    x, y = (_centred(column, weights) for column in (x, y))
    spread = np.sqrt(np.average(x * x, weights=weights) * np.average(y * y, weights=weights))
    return float(np.average(x * y, weights=weights) / spread) if spread > 0 else None
