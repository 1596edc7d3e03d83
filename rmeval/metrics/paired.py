"""Two models on the same rows: is one better, or were the rows kind to it?

Only rows that the two count differently tell anything. Under the null hypothesis each of them,
with all others of its unit, could as well have gone the other way. Where these weigh alike in a
metric, as in a subset, this is McNemar's exact test. Where they do not (mathematics counts double
in Reasoning, the four sections alike in the Score) the same flips are made, each with its weight:
all that there are of a few, draws of many.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
import scipy

from rmeval.metrics.linear import Counted, Linear, spread
from rmeval.metrics.names import Metric
from rmeval.metrics.scheme import Floats, Strata, Tally
from rmeval.records import Interval

ALPHA = 0.05
FLIPS = 100_000
SEED = 0
DRAWS_AT_ONCE = 4_000_000  # of a table of draws that is in memory at once
BINOMIAL_KINDS = 50  # sizes of effects up to which counting each kind is the quicker way
MOST_ENUMERATED = 16  # effects, of which all flips are fewer than FLIPS
EXACT = "exact McNemar"
ALL = "exact McNemar with the metric's weights, all flips"
WEIGHTED = f"McNemar with the metric's weights, {FLIPS} draws"
STUDENT = "variance within subsets and two pseudo-flips, Student's t, 95 %"


@dataclass(frozen=True, slots=True)
class Difference:
    """How a metric differs between two models, as a fraction: b minus a.

    `only_a` and `only_b` are the rows that count more with that model. `p` is two-sided: the
    probability of a difference this large if nothing had changed.
    """

    metric: str
    a: float
    b: float
    interval: Interval
    only_a: int
    only_b: int
    p: float
    method: str

    @property
    def value(self) -> float:
        """The difference, b minus a."""
        return self.b - self.a


def is_real(p: float, alpha: float = ALPHA) -> bool:
    """Whether a difference is more than noise, by its p corrected for whatever else was asked.

    The test decides, wherever two results are compared; the interval says how large it may be.
    """
    return p < alpha


def adjusted(differences: Iterable[Difference]) -> dict[str, float]:
    """Returns the p-values by metric, by Holm's correction among the metrics of each level.

    Levels are the Score, the sections, their parts and the subsets. With one correction over all
    of them whoever looks at the subsets too would overlook differences of the Score.
    """
    levels: dict[tuple[str, bool], dict[str, float]] = {}
    for item in differences:
        levels.setdefault(Metric(item.metric).level, {})[item.metric] = item.p
    return {name: p for level in levels.values() for name, p in holm(level).items()}


def paired_differences(a: Tally, b: Tally, metrics: Iterable[str]) -> list[Difference]:
    """Returns how the named metrics differ; both tallies are of the same rows in one order."""
    change = _change(a.strata, b.strata)
    linear = Linear(change, a.parts)
    return [
        _difference(name, a.values[name], b.values[name], linear.of(name, change))
        for name in metrics
    ]


def real_differences(pairs: Sequence[tuple[Tally, Tally]], metric: str) -> list[bool]:
    """Returns whether each two models really differ in a metric, by Holm over all the pairs.

    All tallies are of the same rows in one order.
    """
    first = pairs[0][0]
    linear = Linear(first.strata, first.parts)
    changes = (linear.of(metric, _change(a.strata, b.strata)) for a, b in pairs)
    found = {str(number): flip_test(rows.by_unit())[0] for number, rows in enumerate(changes)}
    return list(map(is_real, holm(found).values()))


def _change(a: Strata, b: Strata) -> Strata:
    """Returns the same rows with what each counts more with b than with a.

    Results of before rows had clusters know none: there the others' hold.
    """
    return {
        name: replace(
            stratum,
            credits=b[name].credits - stratum.credits,
            units=tuple(
                mine if mine[0] else other
                for mine, other in zip(stratum.units, b[name].units, strict=True)
            ),
        )
        for name, stratum in a.items()
    }


def _difference(metric: str, a: float, b: float, rows: Counted) -> Difference:
    gained, lost = int((rows.credits > 0).sum()), int((rows.credits < 0).sum())
    p, method = flip_test(rows.by_unit())
    return Difference(metric, a, b, student_interval(b - a, rows), lost, gained, p, method)


def student_interval(value: float, rows: Counted) -> Interval:
    """Returns Student's interval; two flips more, one each way, keep it from being too sure.

    Where few rows change, or none, the variance says little (after Agresti and Min, Statistics in
    Medicine 24, 2005).
    """
    found = spread(rows)
    flips = 2 / (found.rows * (found.rows + 2))
    half = found.quantile() * sqrt(found.variance + flips)
    return Interval(max(-1.0, value - half), min(1.0, value + half), STUDENT)


def flip_test(effects: Floats) -> tuple[float, str]:
    """Returns how likely a sum of effects this far from 0 is if every sign were a coin's.

    Then the method's name.
    """
    largest = np.abs(effects).max(initial=0.0)
    sizes = np.round(np.abs(effects) / largest, 9) if largest > 0 else effects
    effects, sizes = effects[sizes > 0], sizes[sizes > 0]
    if not len(effects):
        return 1.0, EXACT
    if (sizes == sizes[0]).all():
        return _sign_test(int((effects > 0).sum()), len(effects)), EXACT
    observed = float((np.sign(effects) * sizes).sum())
    slack = 1e-6  # sums of equal weights in another order
    if len(sizes) <= MOST_ENUMERATED:
        return float((np.abs(_all_flips(sizes)) >= abs(observed) - slack).mean()), ALL
    larger = (np.abs(_flip(sizes)) >= abs(observed) - slack).sum()
    # The observed signs are one of the possible ones, so no p is ever 0.
    return float(1 + larger) / (FLIPS + 1), WEIGHTED


def _sign_test(gained: int, discordant: int) -> float:
    fewer = min(gained, discordant - gained)
    return min(1.0, 2 * float(scipy.special.bdtr(fewer, discordant, 0.5)))


def _all_flips(sizes: Floats) -> Floats:
    """Returns the sums of effects of these sizes under all signs."""
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums - size, sums + size])
    return sums


def _flip(sizes: Floats) -> Floats:
    """Returns FLIPS sums of effects of these sizes under random signs."""
    draw = np.random.default_rng(SEED)
    kinds, counts = np.unique(sizes, return_counts=True)
    step, chunks = max(1, DRAWS_AT_ONCE // len(kinds)), []
    if len(kinds) > BINOMIAL_KINDS:
        return _flip_each(np.sort(sizes), draw)
    for start in range(0, FLIPS, step):
        shape = (min(step, FLIPS - start), len(kinds))
        gained = draw.binomial(counts, 0.5, shape)
        chunks.append((2 * gained - counts) @ kinds)
    return np.concatenate(chunks)


def _flip_each(sizes: Floats, draw: np.random.Generator) -> Floats:
    """Returns the same of sizes that are nearly all different: a random bit for each."""
    step, chunks, width = max(1, DRAWS_AT_ONCE // len(sizes)), [], -(-len(sizes) // 8)
    for start in range(0, FLIPS, step):
        rows = min(step, FLIPS - start)
        bits = np.frombuffer(draw.bytes(rows * width), np.uint8).reshape(rows, width)
        gained = np.unpackbits(bits, axis=1, count=len(sizes))
        chunks.append(2 * (gained @ sizes) - sizes.sum())
    return np.concatenate(chunks)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Returns Holm's adjusted p-values (Scand. J. Stat. 6, 1979): all may be held to one level."""
    ordered = sorted(p_values, key=lambda name: p_values[name])
    adjusted, largest = {}, 0.0
    for rank, name in enumerate(ordered):
        largest = max(largest, min(1.0, (len(ordered) - rank) * p_values[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}
