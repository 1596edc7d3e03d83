"""How sure a number is, given that other rows of the same kind could have been asked.

A subset of rows that are won or lost has Wilson's interval. All else has a stratified bootstrap:
rows are drawn again within each subset, the weights are fixed.
"""

from collections.abc import Iterable, Sequence
from math import sqrt

import numpy as np

from rmeval.metrics.scheme import Floats, Part, Strata, Stratum, compose, leaf_means
from rmeval.types import Interval

RESAMPLES = 10_000
SEED = 0
Z = 1.959963984540054  # the normal distribution's 97.5 % quantile
CELLS = 4_000_000  # of a table of draws that is in memory at once

WILSON = "Wilson 95 %"
BOOTSTRAP = f"stratified bootstrap over rows, 95 %, {RESAMPLES} resamples, seed {SEED}"


def wilson_interval(wins: float, rows: float) -> tuple[float, float]:
    """Returns Wilson's 95 % score interval for wins of rows (J. Am. Stat. Assoc. 22, 1927)."""
    share, z2 = wins / rows, Z * Z
    centre = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    half = Z / (1 + z2 / rows) * sqrt(share * (1 - share) / rows + z2 / (4 * rows * rows))
    return max(0.0, centre - half), min(1.0, centre + half)


def metric_intervals(
    strata: Strata, parts: Sequence[Part], names: Iterable[str]
) -> dict[str, Interval]:
    """Returns a 95 % interval for each of the named metrics.

    Drawing rows again tells nothing where every subset is all won or all lost. There, and for
    what is one subset alone, it is Wilson's, on as many rows as would be as sure with equal
    weights.
    """
    resampled, _ = compose(resample(strata), parts)
    values, _ = compose(leaf_means(strata), parts)
    rows = _equivalent_rows(strata, parts)
    alone = {leaf for stratum in strata.values() if counts_wins(stratum) for leaf in stratum.leaves}
    alone |= {p.name for p in parts if len(p.weights) == 1 and alone.issuperset(p.weights)}
    return {
        name: _wilson(values[name], rows[name])
        if name in alone or np.ptp(resampled[name]) == 0
        else percentile_interval(resampled[name])
        for name in names
    }


def _wilson(share: float, rows: float) -> Interval:
    share = min(max(share, 0.0), 1.0)
    return Interval(*wilson_interval(share * rows, rows), WILSON)


def _equivalent_rows(strata: Strata, parts: Sequence[Part]) -> dict[str, float]:
    """Returns how many rows of equal weight would weigh each metric's as its own do (Kish)."""
    leaves = [leaf for stratum in strata.values() for leaf in stratum.leaves]
    unit = dict(zip(leaves, np.eye(len(leaves)), strict=True))
    rows = np.array(
        [
            stratum.weights.sum() ** 2 / (stratum.weights**2).sum()
            for stratum in strata.values()
            for _ in stratum.leaves
        ]
    )
    shares, _ = compose(unit, parts)
    return {name: float(1 / (share**2 / rows).sum()) for name, share in shares.items()}


def resample(strata: Strata) -> dict[str, Floats]:
    """Returns RESAMPLES means of each leaf, (RESAMPLES,), of rows drawn again with replacement.

    Rows of equal weight and credits are alike, so drawing n rows is drawing how often each kind
    occurs: a multinomial, and for won and lost a binomial. Every subset has a seed of its own, made
    of its name, so that neither the order of the rows nor what else was run changes anything.
    """
    means: dict[str, Floats] = {}
    for name, stratum in strata.items():
        drawn = _resample(stratum, np.random.default_rng([SEED, *name.encode()]))
        means.update(zip(stratum.leaves, drawn.T, strict=True))
    return means


def counts_wins(stratum: Stratum, *, halves: bool = False) -> bool:
    """Whether a stratum's rows are won or lost, or half won if that will do, and weigh alike."""
    return (
        len(stratum.leaves) == 1
        and bool(np.isin(stratum.credits, (0.0, 1.0, *([0.5] if halves else []))).all())
        and bool((stratum.weights == stratum.weights[0]).all())
    )


def _resample(stratum: Stratum, draw: np.random.Generator) -> Floats:
    """Returns (RESAMPLES, leaves) weighted means of resampled rows."""
    rows = np.column_stack([stratum.weights, stratum.credits * stratum.weights[:, None]])
    kinds, counts = np.unique(rows, axis=0, return_counts=True)
    size, chunks = int(counts.sum()), []
    step = max(1, CELLS // len(kinds))
    for start in range(0, RESAMPLES, step):
        times = draw.multinomial(size, counts / size, min(step, RESAMPLES - start))
        sums = times @ kinds  # (step, 1 + leaves)
        chunks.append(sums[:, 1:] / sums[:, :1])
    return np.concatenate(chunks)


def percentile_interval(values: Floats, method: str = BOOTSTRAP) -> Interval:
    """Returns the interval that holds the middle 95 % of resampled values."""
    low, high = np.percentile(values, (2.5, 97.5))
    return Interval(float(low), float(high), method)


def plus_minus(interval: Interval) -> float:
    """Returns half an interval's width: the ± beside a number."""
    return (interval.high - interval.low) / 2
