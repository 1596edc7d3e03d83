"""Best-of-N: what reward the best of n samples has, from N that were drawn.

The expected maximum of n of the N rewards of a prompt, over all subsets of n, is unbiased for
fresh samples: sum over the rewards in ascending order of r_(i)·C(i−1, n−1)/C(N, n), as pass@k is
computed (arXiv 2107.03374). How far best-of-n moves the policy is at most log n − (n−1)/n, in
nats (the formula: arXiv 2009.01325; that it is a bound: arXiv 2401.01879).
"""

from collections.abc import Sequence
from math import log, sqrt
from typing import NamedTuple

import numpy as np
import scipy

from rmeval.errors import BadData
from rmeval.metrics.scheme import Floats


class CurvePoint(NamedTuple):
    """The expected best reward of n samples, its 95 % interval over prompts, and the KL bound.

    Of one prompt nothing is known about others: there the interval is None.
    """

    n: int
    reward: float
    low: float | None
    high: float | None
    kl_bound: float


def best_of_n_curve(rewards: Sequence[Sequence[float]]) -> list[CurvePoint]:
    """Returns a point for each n from 1 to N, from the N rewards of each prompt.

    The interval is Student's, over prompts: they are what is drawn anew, and there may be few.
    Raises BadData where there are no rewards, or not equally many of each prompt.
    """
    counts = set(map(len, rewards))
    if len(counts) != 1 or counts == {0}:
        raise BadData("a best-of-n curve needs equally many rewards of each prompt, at least one")
    return [
        _point(n, best) for n, best in enumerate(expected_best(np.asarray(rewards, float)).T, 1)
    ]


def expected_best(rewards: Floats) -> Floats:
    """Returns the expected maximum of n of a prompt's N rewards for n = 1 … N, (P, N) to (P, N)."""
    ascending = np.sort(rewards, axis=1)  # (P, N)
    return np.stack(
        [
            ascending @ best_of_n_weights(n, rewards.shape[1])
            for n in range(1, rewards.shape[1] + 1)
        ],
        1,
    )


def kl_bound(n: int) -> float:
    """Returns the most that best-of-n moves a policy, in nats: log n − (n−1)/n."""
    return log(n) - (n - 1) / n


def best_of_n_weights(n: int, total: int) -> Floats:
    """Returns how probably each of `total` ascending rewards is the best of n, (total,).

    C(i−1, n−1)/C(total, n), from the last downwards, where it is n/total: each is the one above
    it times (i−n)/(i−1), so that no number is large.
    """
    places = np.arange(total, 1, -1)  # i = total … 2
    ratios = np.clip(places - n, 0, None) / (places - 1)
    return (n / total * np.cumprod([1.0, *ratios]))[::-1]


def _point(n: int, best: Floats) -> CurvePoint:
    reward, prompts = float(best.mean()), len(best)
    if prompts == 1:
        return CurvePoint(n, reward, None, None, kl_bound(n))
    half = (
        float(scipy.special.stdtrit(prompts - 1, 0.975)) * float(best.std(ddof=1)) / sqrt(prompts)
    )
    return CurvePoint(n, reward, reward - half, reward + half, kl_bound(n))
