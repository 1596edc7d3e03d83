"""Prompts with right and wrong answers: does the model pick right ones?

A prompt's right responses are its first, `num_chosen` of them; there may be none, and no wrong one.
The accuracy of the best of n is the expected one over all subsets of n of a prompt's k responses,
unbiased for fresh samples: its i-th response in ascending order of rewards is the best of
C(i−1, n−1) of the C(k, n) subsets, as pass@k is computed (arXiv 2107.03374); responses of equal
reward share it. Beside it stands pass@n, the share of subsets with a right response, which no model
can exceed.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from rmeval.metrics.best_of_n import best_of_n_weights
from rmeval.metrics.intervals import Z, effective_interval, wilson_interval
from rmeval.metrics.linear import Counted, spread
from rmeval.metrics.names import Metric
from rmeval.metrics.scheme import Floats, Leaf, Part, Scheme, Strata, Tie, by_subset, row_weight
from rmeval.records import Interval, ScoredPreference

MAJORITY = "the answer that most responses give"
OF_AUC = "clustered by prompt (Obuchowski), Wilson 95 % on the effective number of prompts"


class Answered(NamedTuple):
    """A prompt's k responses: `rewards` (k,) and which of them are `right` (k,), 0 or 1.

    `answers` (k,) are equal where the final answers are, or empty where nobody knows them. Prompts
    of one `unit` are drawn together.
    """

    rewards: Floats
    right: Floats
    weight: float = 1.0
    unit: tuple[str, str] = ("", "")
    answers: tuple[int, ...] = ()


def answered(item: ScoredPreference) -> Answered:
    """Returns a row as a prompt whose preferred responses are the right ones."""
    rewards = np.array([score.value for score in item.scores])
    right = (np.arange(len(rewards)) < item.num_chosen).astype(float)
    return Answered(rewards, right, item.weight, item.unit, item.answers)


def best_credit(item: ScoredPreference) -> float:
    """Returns the share of right ones among the responses of the highest reward."""
    rewards, right, *_ = answered(item)
    return float(right[rewards == rewards.max()].mean())


def pair_credit(item: ScoredPreference) -> float:
    """Returns the share of a prompt's pairs, a right and a wrong response, that are won.

    A tie is a loss, and half a win where verdicts made it; a prompt without pairs has 0 of them.
    """
    rewards, right, *_ = answered(item)
    gaps = np.subtract.outer(rewards[right == 1], rewards[right == 0])
    won = (gaps > 0) + 0.5 * (gaps == 0) * (item.comparisons is not None)
    return float(won.mean()) if won.size else 0.0


def count_pairs(item: ScoredPreference) -> float:
    """Returns how many pairs a prompt has, by its weight."""
    return item.weight * item.num_chosen * (len(item.scores) - item.num_chosen)


def _one_if_pairs(item: ScoredPreference) -> float:
    return item.weight * (count_pairs(item) > 0)


def _share_right(item: ScoredPreference) -> float:
    return item.num_chosen / len(item.scores)


def _half(item: ScoredPreference) -> float:
    return 0.5


BEST = Leaf(best_credit, row_weight, _share_right, Tie.SHARED)
"""Is the response of the highest reward right?"""
PAIRS = Leaf(pair_credit, count_pairs, _half, part="pairs")
"""Pairs of a right and a wrong response, pooled over prompts: each weighs as many as it has."""
PAIRS_BY_PROMPT = Leaf(pair_credit, _one_if_pairs, _half, part="pairs by prompt")
"""The same, every prompt alike."""
LEAVES = (BEST, PAIRS, PAIRS_BY_PROMPT)


def _parts(strata: Strata, weighting: str) -> list[Part]:
    """Returns each number over all subsets, weighed as within them."""
    parts = []
    for leaf in LEAVES:
        names = {Metric.subset(name, leaf.part): stratum for name, stratum in strata.items()}
        weights = {name: stratum.weight_of(name) for name, stratum in names.items()}
        there: dict[str, float] = {name: weight for name, weight in weights.items() if weight > 0}
        parts += [Part(Metric.overall(leaf.part), there)] if there else []
    return parts


ANSWERS = Scheme(by_subset(*LEAVES), _parts, ("rows",), answers=True)
"""Of data of the user's own: the Score is the accuracy of the best response of each prompt."""


class AnswerPoint(NamedTuple):
    """How often the best of n is right, its 95 % interval over prompts, and pass@n, the ceiling."""

    n: int
    accuracy: float
    low: float
    high: float
    ceiling: float


def describe_answers(prompts: Sequence[Answered]) -> dict[str, Any]:
    """Returns the curve of the best of n, its floor and its ceiling, and how well rewards separate.

    `curve` is for n = 1 … the fewest responses of a prompt; at n = 1 it is the share of right
    responses. `majority` is how often the most frequent answer is right, ties shared, or None where
    a prompt's answers are not known. `auc` is the probability that a right response, of whatever
    prompt, has a higher reward than a wrong one, ties half; None where all are right, or all wrong.
    Every interval is over prompts.
    """
    sizes = [len(prompt.right) for prompt in prompts]
    return {
        "prompts": len(prompts),
        "responses": sum(sizes),
        "right": int(sum(prompt.right.sum() for prompt in prompts)),
        "one_sided": sum(len(set(prompt.right.tolist())) == 1 for prompt in prompts),
        "curve": [point._asdict() for point in answer_curve(prompts)],
        "majority": _shown(majority(prompts)),
        "auc": _shown(auc(prompts)),
        "method": "best of n over all subsets of a prompt's responses, ties shared; 95 % intervals "
        "over prompts",
    }


def answer_curve(prompts: Sequence[Answered]) -> list[AnswerPoint]:
    """Returns a point for each n from 1 to the fewest responses that a prompt has."""
    most = min(len(prompt.right) for prompt in prompts)
    accuracy = np.array([best_of_n_accuracy(p.rewards, p.right)[:most] for p in prompts])
    ceiling = np.array([pass_at(p.right)[:most] for p in prompts])
    weights = np.array([prompt.weight for prompt in prompts])
    points = []
    for n in range(1, most + 1):
        value, interval = _mean(accuracy[:, n - 1], prompts)
        top = float(np.average(ceiling[:, n - 1], weights=weights))
        points.append(AnswerPoint(n, value, interval.low, interval.high, top))
    return points


def best_of_n_accuracy(rewards: Floats, right: Floats) -> Floats:
    """Returns how often the best of n of k responses is right, for n = 1 … k, (k,) from (k,)s."""
    order = np.argsort(rewards, kind="stable")
    _, group = np.unique(rewards[order], return_inverse=True)
    shared = (np.bincount(group, right[order]) / np.bincount(group))[group]
    return np.asarray(_weights_of(len(rewards)) @ shared)


def pass_at(right: Floats) -> Floats:
    """Returns how often n of k responses hold a right one, 1 − C(wrong, n)/C(k, n), n = 1 … k."""
    drawn = np.arange(len(right))
    wrong = len(right) - right.sum()
    return np.asarray(1 - np.cumprod(np.clip(wrong - drawn, 0, None) / (len(right) - drawn)))


@cache
def _weights_of(total: int) -> Floats:
    """Returns how probably each of `total` ascending rewards is the best of n, (n, total)."""
    return np.array([best_of_n_weights(n, total) for n in range(1, total + 1)])


def majority(prompts: Sequence[Answered]) -> tuple[float, Interval] | None:
    """Returns how often a prompt's most frequent answer is right; None where answers are unknown.

    Answers that are equally frequent share it. An answer is as right as the responses that give it.
    """
    if not all(len(prompt.answers) == len(prompt.right) for prompt in prompts):
        return None
    credits = []
    for prompt in prompts:
        _, group = np.unique(np.array(prompt.answers), return_inverse=True)
        votes = np.bincount(group)
        credits.append(
            float((np.bincount(group, prompt.right) / votes)[votes == votes.max()].mean())
        )
    return _mean(np.array(credits), prompts)


def auc(prompts: Sequence[Answered]) -> tuple[float, Interval] | None:
    """Returns the area under the ROC curve of rewards against correctness, over all responses.

    Its variance is that of sums over the units of chance of each response's share of the other
    side that it beats (Obuchowski, Biometrics 53, 1997).
    """
    rewards = np.concatenate([prompt.rewards for prompt in prompts])
    right = np.concatenate([prompt.right for prompt in prompts]) == 1
    weights = np.concatenate([np.full(len(p.right), p.weight) for p in prompts])
    if right.all() or not right.any():
        return None
    units = _units(prompts)
    of_response = np.repeat(units, [len(prompt.right) for prompt in prompts])
    below = _share_below(rewards[~right], weights[~right], rewards[right])
    above = 1 - _share_below(rewards[right], weights[right], rewards[~right])
    value = float(np.average(below, weights=weights[right]))
    moved = np.zeros(units.max() + 1)
    for side, placed in ((right, below), (~right, above)):
        share = weights[side] / weights[side].sum()
        moved += np.bincount(of_response[side], share * (placed - value), len(moved))
    return value, _of_units(value, moved)


def _share_below(others: Floats, weights: Floats, values: Floats) -> Floats:
    """Returns what share of `others`, by weight, is below each value, equal ones half."""
    order = np.argsort(others)
    total = np.concatenate([[0.0], np.cumsum(weights[order])])
    ends = [np.searchsorted(others[order], values, side) for side in ("left", "right")]
    return np.asarray((total[ends[0]] + total[ends[1]]) / (2 * total[-1]))


def _of_units(value: float, moved: Floats) -> Interval:
    """Returns Wilson's interval at the number of units that would be as sure."""
    from scipy.special import stdtrit

    rows = len(moved)
    variance = float(moved @ moved) * rows / max(rows - 1, 1)
    size = float(rows)
    if variance > 0 and rows > 1:
        size = value * (1 - value) / variance * (Z / float(stdtrit(rows - 1, 0.975))) ** 2
    return Interval(*wilson_interval(value * size, size), OF_AUC)


def _mean(credits: Floats, prompts: Sequence[Answered]) -> tuple[float, Interval]:
    """Returns the mean over prompts by their weights, with its interval."""
    weights = np.array([prompt.weight for prompt in prompts])
    rows = Counted(weights / weights.sum(), credits, np.zeros(len(credits), int), _units(prompts))
    return rows.value, effective_interval(rows.value, spread(rows))


def _units(prompts: Sequence[Answered]) -> Any:
    """Returns the unit of each prompt as a number, (P,)."""
    known: dict[tuple[str, str], int] = {}
    return np.array([known.setdefault(prompt.unit, len(known)) for prompt in prompts])


def _shown(found: tuple[float, Interval] | None) -> dict[str, Any] | None:
    return None if found is None else {"value": found[0], **found[1]._asdict()}
