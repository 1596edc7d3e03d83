"""How far two benchmarks order the same models alike."""

from collections.abc import Sequence
from math import atanh, isnan, sqrt, tanh
from typing import NamedTuple

from rmeval.metrics.intervals import Z

LEAST = 5  # models, below which Kendall's interval is not defined


class Correlation(NamedTuple):
    """A coefficient with the ends of its 95 % interval, or without where there is none."""

    name: str
    value: float
    low: float | None
    high: float | None


def correlations(x: Sequence[float], y: Sequence[float]) -> list[Correlation]:
    """Returns Pearson's r, Spearman's rho and Kendall's tau-b of LEAST values or more.

    Intervals are Fisher's, with Bonett and Wright's variances (Psychometrika 65, 2000), as if the
    models were drawn at random; perfect agreement has none. Of values that are all equal there is
    no coefficient.
    """
    from scipy import stats

    n = len(x)
    pearson, spearman, kendall = (
        float(test(x, y).statistic) for test in (stats.pearsonr, stats.spearmanr, stats.kendalltau)
    )
    found = (
        ("Pearson", pearson, 1 / (n - 3)),
        ("Spearman", spearman, (1 + spearman**2 / 2) / (n - 3)),
        ("Kendall", kendall, 0.437 / (n - 4)),
    )
    return [
        Correlation(name, r, *_ends(r, variance)) for name, r, variance in found if not isnan(r)
    ]


def _ends(r: float, variance: float) -> tuple[float | None, float | None]:
    if not abs(r) < 1 - 1e-12:
        return None, None
    half = Z * sqrt(variance)
    return tanh(atanh(r) - half), tanh(atanh(r) + half)
