"""Two models on the same rows: is one better, or were the rows kind to it?

Only rows that the two count differently tell anything. Under the null hypothesis each of them
could as well have gone the other way. Where these rows weigh alike in a metric, as in a subset,
this is McNemar's exact test. Where they do not (mathematics counts double in Reasoning, the four
sections alike in the Score) the same flips are drawn, each with its row's weight.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rmeval.metrics.intervals import BOOTSTRAP, CELLS, SEED, percentile_interval, resample
from rmeval.metrics.scheme import Floats, Part, Strata, compose, leaf_means
from rmeval.types import Interval

FLIPS = 100_000
BINOMIAL_KINDS = 50  # sizes of effects up to which counting each kind is the quicker way
EXACT = "exact McNemar"
WEIGHTED = f"McNemar with the metric's weights, {FLIPS} draws"


@dataclass(frozen=True, slots=True)
class Difference:
    """How a metric differs between two models, as a fraction: b minus a.

    `only_a` and `only_b` are the rows that count more with that model. `p` is two-sided, `p_drop`
    one-sided: the probability of a loss this large if nothing had changed.
    """

    metric: str
    a: float
    b: float
    interval: Interval
    only_a: int
    only_b: int
    p: float
    p_drop: float
    method: str

    @property
    def value(self) -> float:
        """The difference, b minus a."""
        return self.b - self.a


def paired_differences(
    a: Strata, b: Strata, parts: Sequence[Part], metrics: Iterable[str]
) -> list[Difference]:
    """Returns the differences of the named metrics; the strata hold the same rows in one order."""
    change = _change(a, b)
    resampled, _ = compose(resample(change), parts)
    values_a, values_b = (compose(leaf_means(strata), parts)[0] for strata in (a, b))
    effects = _Effects(change, parts)
    differences = []
    for name in metrics:
        interval = percentile_interval(resampled[name], f"paired {BOOTSTRAP}")
        effect = effects.of(name)
        differences.append(_difference(name, values_a[name], values_b[name], effect, interval))
    return differences


def paired_tests(
    pairs: Sequence[tuple[Strata, Strata]], parts: Sequence[Part], metric: str
) -> list[float]:
    """Returns the two-sided p of one metric for each pair of models, adjusted by Holm."""
    found = {}
    for number, (a, b) in enumerate(pairs):
        effects = _Effects(_change(a, b), parts).of(metric)
        found[str(number)] = flip_test(effects[effects != 0])[0]
    return list(holm(found).values())


def _change(a: Strata, b: Strata) -> Strata:
    """Returns the same rows with what each counts more with b than with a."""
    return {
        name: replace(stratum, credits=b[name].credits - stratum.credits)
        for name, stratum in a.items()
    }


class _Effects:
    """What each row's change does to a metric, which is linear in the rows."""

    def __init__(self, change: Strata, parts: Sequence[Part]) -> None:
        self._change = change
        self._leaves = [leaf for stratum in change.values() for leaf in stratum.leaves]
        unit = np.eye(len(self._leaves))
        self._weights = compose(dict(zip(self._leaves, unit, strict=True)), parts)[0]

    def of(self, metric: str) -> Floats:
        """Returns the effect of every row, (rows of all subsets,)."""
        coefficients = dict(zip(self._leaves, self._weights[metric], strict=True))
        return np.concatenate(
            [
                stratum.weights
                / stratum.weights.sum()
                * (stratum.credits @ [coefficients[leaf] for leaf in stratum.leaves])
                for stratum in self._change.values()
            ]
        )


def _difference(metric: str, a: float, b: float, effects: Floats, interval: Interval) -> Difference:
    gained, lost = int((effects > 0).sum()), int((effects < 0).sum())
    p, p_drop, method = flip_test(effects[effects != 0])
    return Difference(metric, a, b, interval, lost, gained, p, p_drop, method)


def flip_test(effects: Floats) -> tuple[float, float, str]:
    """Returns how likely a sum of effects this far from 0 is if every sign were a coin's.

    Two-sided, then for a sum this low, then the method's name.
    """
    if not len(effects):
        return 1.0, 1.0, EXACT
    sizes = np.round(np.abs(effects) / np.abs(effects).max(), 9)
    if (sizes == sizes[0]).all():
        return *_sign_test(int((effects > 0).sum()), len(effects)), EXACT
    observed = float((np.sign(effects) * sizes).sum())
    drawn = _flip(sizes)
    slack = 1e-6  # sums of equal weights in another order
    two_sided = (np.abs(drawn) >= abs(observed) - slack).sum()
    lower = (drawn <= observed + slack).sum()
    # The observed signs are one of the possible ones, so no p is ever 0.
    return float(1 + two_sided) / (FLIPS + 1), float(1 + lower) / (FLIPS + 1), WEIGHTED


def _sign_test(gained: int, discordant: int) -> tuple[float, float]:
    from scipy.special import bdtr

    fewer = min(gained, discordant - gained)
    two_sided = min(1.0, 2 * float(bdtr(fewer, discordant, 0.5)))
    return two_sided, float(bdtr(gained, discordant, 0.5))


def _flip(sizes: Floats) -> Floats:
    """Returns FLIPS sums of effects of these sizes under random signs."""
    draw = np.random.default_rng(SEED)
    kinds, counts = np.unique(sizes, return_counts=True)
    step, chunks = max(1, CELLS // len(kinds)), []
    if len(kinds) > BINOMIAL_KINDS:
        return _flip_each(np.sort(sizes), draw)
    for start in range(0, FLIPS, step):
        shape = (min(step, FLIPS - start), len(kinds))
        gained = draw.binomial(counts, 0.5, shape)
        chunks.append((2 * gained - counts) @ kinds)
    return np.concatenate(chunks)


def _flip_each(sizes: Floats, draw: np.random.Generator) -> Floats:
    """Returns the same of sizes that are nearly all different: a random bit for each."""
    step, chunks, width = max(1, CELLS // len(sizes)), [], -(-len(sizes) // 8)
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
