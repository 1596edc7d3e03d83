"""How far several who judge the same rows agree, beyond what chance would make equal.

Cohen's kappa (Educ. Psychol. Meas. 20, 1960) of two, and Krippendorff's alpha for nominal data (the
coincidences of his "Computing Krippendorff's Alpha-Reliability", 2011) of any number, of whom some
may have no verdict on a row. Intervals are of the jackknife over units of chance.
"""

from collections.abc import Callable, Sequence
from math import isfinite, sqrt
from typing import NamedTuple

import numpy as np

from rmeval.metrics.scheme import Floats
from rmeval.records import Interval, ScoredPreference

TIE = -1  # the label of a row of which several responses are best
JACKKNIFE = "Student 95 % on the jackknife over units"
STUDENT = "Student 95 % over units"


class Figure(NamedTuple):
    """A number with its interval; of one unit, or where nothing varies, that is None."""

    value: float
    interval: Interval | None


def label_of(item: ScoredPreference) -> int:
    """Returns the place of the best response of a row, or TIE where several are."""
    values = [score.value for score in item.scores]
    best = max(values)
    return TIE if values.count(best) > 1 else values.index(best)


def cohen_kappa(a: Sequence[int], b: Sequence[int], units: Sequence[int]) -> Figure | None:
    """Returns kappa of two lists of labels, or None where both have but one, and the same.

    `units` are numbers: rows of one are left out together.
    """
    codes = _codes([*a, *b])
    tables = np.zeros((max(units) + 1, len(codes), len(codes)))
    for one, other, unit in zip(a, b, units, strict=True):
        tables[unit, codes[one], codes[other]] += 1
    return _jackknife(tables, _kappa)


def krippendorff_alpha(rows: Sequence[Sequence[int | None]], units: Sequence[int]) -> Figure | None:
    """Returns alpha of the labels that each row has, None for one that is missing.

    None where there are no two labels of a row, or all are the same.
    """
    codes = _codes([label for row in rows for label in row if label is not None])
    tables = np.zeros((max(units) + 1, len(codes), len(codes)))
    for row, unit in zip(rows, units, strict=True):
        found = [codes[label] for label in row if label is not None]
        for place, one in enumerate(found):
            for other in (*found[:place], *found[place + 1 :]):
                tables[unit, one, other] += 1 / (len(found) - 1)
    return _jackknife(tables, _alpha)


def share_of(parts: Sequence[float], wholes: Sequence[float], units: Sequence[int]) -> Figure:
    """Returns the sum of parts over that of wholes, as a ratio of what each unit adds to either."""
    tables = np.zeros((max(units) + 1, 2))
    np.add.at(tables, list(units), np.stack([parts, wholes], -1))
    found = _jackknife(tables, lambda sums: sums[..., 0] / sums[..., 1])
    assert found is not None, "a share of nothing"
    return found


def _codes(labels: Sequence[int]) -> dict[int, int]:
    return {label: code for code, label in enumerate(sorted(set(labels)))}


def _kappa(tables: Floats) -> Floats:
    """Returns kappa of tables of counts, (..., C, C)."""
    total = tables.sum((-2, -1))
    seen = np.trace(tables, axis1=-2, axis2=-1) / total
    chance = (tables.sum(-1) * tables.sum(-2)).sum(-1) / total**2
    found: Floats = (seen - chance) / (1 - chance)
    return found


def _alpha(tables: Floats) -> Floats:
    """Returns alpha of coincidences, (..., C, C)."""
    of_label = tables.sum(-1)
    total = of_label.sum(-1)
    apart = total - np.trace(tables, axis1=-2, axis2=-1)
    expected = (total**2 - (of_label**2).sum(-1)) / (total - 1)
    found: Floats = 1 - apart / expected
    return found


def _jackknife(tables: Floats, statistic: Callable[[Floats], Floats]) -> Figure | None:
    """Returns a statistic of the sum of units' tables, and its interval by leaving each out."""
    from scipy.special import stdtrit

    tables = tables[tables.reshape(len(tables), -1).any(-1)]
    units, whole = len(tables), tables.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(whole))
        without = statistic(whole - tables)
    if not isfinite(value):
        return None
    if units < 2 or not np.isfinite(without).all():
        return Figure(value, None)
    spread = sqrt((units - 1) / units * float(((without - without.mean()) ** 2).sum()))
    half = float(stdtrit(units - 1, 0.975)) * spread
    return Figure(value, Interval(max(-1.0, value - half), min(1.0, value + half), JACKKNIFE))
