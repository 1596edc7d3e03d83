"""Every metric is linear in the rows: what each row counts in it, and how far chance moves it.

Rows are drawn in units: a cluster of rows that belong together (one problem in six languages), or
a row of its own. A unit may have rows in several strata.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from rmeval.metrics.scheme import Floats, Part, Strata, leaf_shares

Codes = NDArray[np.intp]
LEAST_SHARE = 1e-12  # of what is kept of a square; a unit of all the weight leaves nothing


class Counted(NamedTuple):
    """The N rows of a metric: their shares in it (in all 1), what each counts, and where it is.

    `strata` and `units` are numbers; only which are equal has a meaning.
    """

    shares: Floats
    credits: Floats
    strata: Codes
    units: Codes

    @property
    def value(self) -> float:
        """The metric."""
        return float(self.shares @ self.credits)

    def by_unit(self) -> Floats:
        """Returns what each unit adds to the metric."""
        added = np.bincount(self.units, self.shares * self.credits)
        return added.astype(float, copy=False)


class Spread(NamedTuple):
    """How far a metric wanders when other units of the same kind are drawn.

    `freedom` are the degrees of freedom of `variance`; `alike` is what the variance would be if
    every row of a stratum were as likely to be won, whatever its weight or unit; `rows` and
    `units` are how many of equal weight would weigh as its own do (Kish).
    """

    variance: float
    alike: float
    freedom: float
    rows: float
    units: float

    def quantile(self) -> float:
        """Returns Student's 97.5 % quantile at the degrees of freedom, which are at least 1."""
        return float(scipy.special.stdtrit(max(self.freedom, 1.0), 0.975))


class Linear:
    """What the rows of some strata count in each metric that is made of them.

    Leaves of one subset that weigh its rows differently are as subsets of their own, of the same
    units: each has its own mean, from which the rows' distances are taken.
    """

    def __init__(self, strata: Strata, parts: Sequence[Part]) -> None:
        known: dict[tuple[str, str], int] = {}
        self._units = {
            name: np.array([known.setdefault(unit, len(known)) for unit in stratum.units])
            for name, stratum in strata.items()
        }
        self._blocks = {
            name: [(np.flatnonzero(weights), weights, columns) for columns, weights in s.blocks()]
            for name, s in strata.items()
        }
        self._block_of: dict[str, tuple[str, int]] = {
            strata[name].leaves[column]: (name, number)
            for name, blocks in self._blocks.items()
            for number, (_, _, columns) in enumerate(blocks)
            for column in columns
        }
        self._shares = leaf_shares(self._block_of, parts)

    def leaves(self, metric: str) -> Iterable[str]:
        """Returns the leaves that a metric is made of."""
        return self._shares[metric]

    def of(self, metric: str, strata: Strata) -> Counted:
        """Returns the rows of a metric; `strata` hold the same rows, whatever they count."""
        inside: dict[tuple[str, int], dict[str, float]] = {}
        for leaf, share in self._shares[metric].items():
            inside.setdefault(self._block_of[leaf], {})[leaf] = share
        shares, credits, units = [], [], []
        for (name, number), leaves in inside.items():
            counting, weights, _ = self._blocks[name][number]
            stratum, whole = strata[name], sum(leaves.values())
            columns = [leaves.get(leaf, 0.0) / whole for leaf in stratum.leaves]
            shares.append((weights * (whole / weights.sum()))[counting])
            credits.append((stratum.credits @ columns)[counting])
            units.append(self._units[name][counting])
        sizes = [len(part) for part in shares]
        return Counted(
            np.concatenate(shares),
            np.concatenate(credits),
            np.repeat(np.arange(len(sizes)), sizes),
            _numbered(np.concatenate(units)),
        )


def spread(rows: Counted) -> Spread:
    """Returns the linearised variance of a metric within its strata, unbiased for equal weights.

    A unit's part is the sum of its rows' distances from the means of their strata, each by its
    share in the metric. A distance from a mean that the unit itself has a hand in is too small:
    of a share h among those of its stratum its square is 1 − 2h + Σh² of what it should be, which
    is (n − 1)/n where n weigh alike. The degrees of freedom are Satterthwaite's for units of one
    variance. Strata of one unit are taken as one (`_collapsed`).
    """
    shares, units = rows.shares, rows.units
    strata, pair, of_stratum, of_unit = _collapsed(rows.strata, units)
    whole = np.bincount(strata, shares)
    means = np.bincount(strata, shares * rows.credits) / whole
    parts = np.bincount(pair, shares * (rows.credits - means[strata]))
    weights = np.bincount(pair, shares)
    inside = weights / whole[of_stratum]
    kept = 1 - 2 * inside + np.bincount(of_stratum, inside**2)[of_stratum]
    several = np.bincount(of_stratum)[of_stratum] > 1
    kept = np.where(several, np.maximum(kept, LEAST_SHARE), np.inf)
    moved = np.bincount(of_unit, parts / np.sqrt(kept))
    squares = np.bincount(strata, shares**2)
    left = whole**2 - squares
    distance = np.bincount(strata, shares * (rows.credits - means[strata]) ** 2) * whole
    alike = (squares * distance)[left > 0] / left[left > 0]
    total, fourth = np.bincount(units, shares), np.bincount(of_unit, weights / kept**0.25)
    fourths, variance = float((fourth**4).sum()), float(moved @ moved)
    return Spread(
        variance=variance,
        alike=float(alike.sum()) or variance,
        freedom=float(total @ total) ** 2 / fourths if fourths else 0.0,
        rows=float(1 / (shares @ shares)),
        units=float(1 / (total @ total)),
    )


def _collapsed(strata: Codes, units: Codes) -> tuple[Codes, Codes, Codes, Codes]:
    """Returns strata of two units at least, where there are two: those of one are made one.

    If these are all of one unit, the stratum with the fewest units joins them. Beside the strata
    of the rows: which pair of stratum and unit each is in, and each pair's stratum and unit.
    """
    _, of_stratum, of_unit = _pairs(strata, units)
    count = np.bincount(of_stratum)
    order = np.argsort(count, kind="stable")
    joined = int((count == 1).sum())
    if joined in (0, len(count)):
        if joined:
            strata = np.zeros_like(strata)
        return strata, *_pairs(strata, units)
    alone = of_unit[count[of_stratum] == 1]
    joined += int((alone == alone[0]).all())
    into = np.arange(1, len(count) + 1)
    into[order[:joined]] = 0
    strata = _numbered(into[strata])
    return strata, *_pairs(strata, units)


def _pairs(strata: Codes, units: Codes) -> tuple[Codes, Codes, Codes]:
    size = int(units.max()) + 1
    found, pair = np.unique(strata * size + units, return_inverse=True)
    return pair, found // size, found % size


def _numbered(codes: Codes) -> Codes:
    return np.unique(codes, return_inverse=True)[1]
