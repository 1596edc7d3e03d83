"""How sure a number is, given that other rows of the same kind could have been asked.

A subset of rows that are won or lost has Wilson's interval. All else has Wilson's at the number of
rows that would be as sure (Korn and Graubard, Survey Methodology 24, 1998): the variance within
subsets gives it. `scripts/interval_coverage.py` measures how often these intervals hold the truth.
"""

from math import sqrt

import numpy as np

from rmeval.metrics.linear import Linear, Spread, spread
from rmeval.metrics.scheme import Stratum, Tally
from rmeval.records import Interval

Z = 1.959963984540054  # the normal distribution's 97.5 % quantile

WILSON = "Wilson 95 %"
EFFECTIVE = "Wilson 95 % on the effective number of rows"


def wilson_interval(wins: float, rows: float) -> tuple[float, float]:
    """Returns Wilson's 95 % score interval for wins of rows (J. Am. Stat. Assoc. 22, 1927)."""
    share, z2 = wins / rows, Z * Z
    centre = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    half = Z / (1 + z2 / rows) * sqrt(share * (1 - share) / rows + z2 / (4 * rows * rows))
    return max(0.0, centre - half), min(1.0, centre + half)


def metric_intervals(tally: Tally) -> dict[str, Interval]:
    """Returns a 95 % interval for each metric."""
    strata, linear = tally.strata, Linear(tally.strata, tally.parts)
    wins = {leaf for s in strata.values() if counts_wins(s, alone=True) for leaf in s.leaves}
    intervals = {}
    for name in tally.values:
        rows = linear.of(name, strata)
        if wins.issuperset(linear.leaves(name)) and not rows.strata.any():
            won, size = round(rows.value * len(rows.shares)), len(rows.shares)
            intervals[name] = Interval(*wilson_interval(won, size), WILSON)
        else:
            intervals[name] = effective_interval(rows.value, spread(rows))
    return intervals


def effective_interval(value: float, found: Spread) -> Interval:
    """Returns Wilson's interval of a metric at its effective number of rows.

    That is p(1 − p) over the variance, less for few degrees of freedom. It is no more than the
    rows would give if they were won alike, and no more than half the degrees of freedom for each
    unit: a small variance of few units, or of few heavy rows, may be luck. Where nothing varies,
    it is the number of units.
    """
    share, rows = min(max(value, 0.0), 1.0), found.units
    if found.variance > 0 and 0 < share < 1:
        most = share * (1 - share)
        rows = min(
            most / found.variance * (Z / found.quantile()) ** 2,
            most / found.alike,
            max(1.0, found.freedom / 2) * found.units,
        )
    low, high = wilson_interval(share * rows, rows)
    return Interval(min(low, value), max(high, value), EFFECTIVE)


def counts_wins(stratum: Stratum, *, halves: bool = False, alone: bool = False) -> bool:
    """Whether those of a stratum's rows that count are won or lost and weigh alike.

    With `halves` a row may be half won; with `alone` each must be a unit of its own.
    """
    counted = stratum.weights[:, 0] > 0
    credits, weights = stratum.credits[counted], stratum.weights[counted, 0]
    return (
        len(stratum.leaves) == 1
        and bool(np.isin(credits, (0.0, 1.0, *([0.5] if halves else []))).all())
        and bool((weights == weights[:1]).all())
        and (not alone or len(set(stratum.units)) == len(stratum.units))
    )
