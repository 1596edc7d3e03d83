"""Is what is served what was evaluated? An engine's rewards, a model's, and what explains both.

Differences are told in shares of the spread, the standard deviation of the model's rewards of the
same conversations. A mistake is judged over all rows by the mean logarithm of what is left of them,
so that a few rows on which rounding is large, as it is on random weights in bfloat16, neither hide
a mistake nor make one up.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rmeval.models.doctor.check import Check
from rmeval.models.doctor.mistakes import (
    ADVICE,
    OF_CUT,
    OF_TEMPLATE,
    RIGHT,
    SIGMOID,
    SOFTMAX,
    Expected,
    Mistake,
)

Numbers = NDArray[np.float64]  # one for each row, (N,)

SAME, NEAR = 1e-4, 1e-2  # shares of the spread: one number, computed in float32 twice; nearly so
FINE = ("float64", "float32")
# Times what a dtype itself moves rewards by, an engine may differ in it: in the middle, at most.
ROUNDING, BEYOND_ROUNDING = 2.0, 4.0
UNKNOWN_ROUNDING = 0.05  # of the spread, where no finer dtype fitted into memory
# What each thing that goes wrong must gain, in logarithms of shares summed over the rows: two
# numbers that have nothing to do with each other differ by about one spread, whose logarithm is 0.
COST, COST_OF_CUT, COST_OF_FEW, COST_OF_FIT, COST_OF_DTYPE = 3.0, 3.0, 3.0, 6.0, 0.5
FEWEST = 3  # rows that anything is said of
FEW = 3  # rows: what touches fewer may fit by chance
SCALED = "the reward scaled and shifted, {:.3g} r {:+.3g}, as by mean and standard deviation"


class Told(NamedTuple):
    """What an engine says of rows: the reward of each, and how many tokens it read if it counts."""

    rewards: Sequence[float]
    tokens: Sequence[int] | None = None


class Parity(NamedTuple):
    """How far an engine is from its model: the largest difference, as a share of the spread too."""

    largest: float
    share: float
    rows: int


@dataclass(frozen=True)
class Explanation:
    """A mistake, made in a dtype, and what of each row's reward it leaves, in shares.

    `limit` is what rounding may leave of a row in the middle, `most` of any row; `cost` is what the
    mistake must be worth.
    """

    mistake: Mistake
    dtype: str
    left: Numbers
    touched: NDArray[np.bool_]
    limit: float
    most: float
    cost: float

    @property
    def holds(self) -> bool:
        """Whether it leaves no more than rounding, also of the rows that the mistake touches."""
        return all(np.median(part) <= self.limit for part in (self.left, self.left[self.touched]))

    @property
    def explained(self) -> int:
        """How many rows it leaves no more of than rounding."""
        return int((self.left <= self.most).sum())


def measure(told: Sequence[float], right: Sequence[float]) -> Parity:
    """Returns how far an engine's rewards are from a model's own of the same rows."""
    differences = np.abs(np.subtract(told, right))
    largest = float(differences.max())
    return Parity(largest, largest / spread_of(np.asarray(right)), len(differences))


def is_same(told: Told, expected: Expected) -> bool:
    """Whether nothing needs an explanation."""
    same_tokens = told.tokens is None or list(told.tokens) == expected.tokens(RIGHT)
    return same_tokens and measure(told.rewards, expected.right).share <= SAME


def judge(name: str, told: Told, expected: Expected) -> Check:
    """Says whether an engine's rewards are the model's, and if not, why not."""
    rewards = np.asarray(told.rewards, float)
    if not np.isfinite(rewards).all():
        broken = int((~np.isfinite(rewards)).sum())
        return Check(name, "fail", f"{broken} of {len(rewards)} rewards are no numbers")
    found = measure(told.rewards, expected.right)
    largest = f"largest difference {found.largest:.1e} ({percent(found.share)} of the spread)"
    if is_same(told, expected):
        return Check(name, "pass", f"{largest}{_tokens(told, expected)}")
    if np.ptp(rewards) == 0:
        return _constant(name, float(rewards[0]), len(rewards))
    best, off = explain(told, expected), _differences(told, expected)
    if best is None:
        why, advice = _unexplained(told, expected)
        return Check(name, "fail", f"{off}; {why}", advice)
    if best.mistake == RIGHT and best.explained == len(rewards):
        return _rounding(name, best, largest, expected)
    if best.mistake == RIGHT:
        return _some_rows(name, best, off, expected)
    rows = f"{best.explained} of {len(rewards)} rows explained"
    where = f", in {best.dtype}" if best.dtype != expected.dtype else ""
    return Check(name, "fail", f"{off}; why: {best.mistake} ({rows}{where})", best.mistake.advice())


def explain(told: Told, expected: Expected) -> Explanation | None:
    """Returns the best explanation of an engine's rewards, or None where none holds.

    What the best of all leaves in the middle is the engine's rounding: below that, less is not
    better.
    """
    tried = list(_explanations(told, expected))
    floor = max([SAME, *([min(float(np.median(one.left)) for one in tried)] if tried else [])])
    return min(
        (one for one in tried if one.holds),
        key=lambda one: float(np.log(one.left + floor).sum()) + one.cost,
        default=None,
    )


def _explanations(told: Told, expected: Expected) -> Iterator[Explanation]:
    rewards, fine = np.asarray(told.rewards, float), expected.rewards[_finest(expected)]
    written = written_in(rewards)
    for dtype, found in expected.rewards.items():
        if written in expected.rewards and dtype != written:
            continue
        for mistake, values in found.items():
            if told.tokens is not None and list(told.tokens) != expected.tokens(mistake):
                continue
            for number, made_of in _numbers(rewards, np.asarray(values)):
                given, finely = made_of(np.asarray(values)), made_of(np.asarray(fine[mistake]))
                rounding = np.abs(given - finely) / spread_of(finely)
                if dtype not in FINE and dtype == _finest(expected):
                    rounding[:] = UNKNOWN_ROUNDING
                whole = mistake._replace(number=number)
                with np.errstate(over="ignore"):  # of what hardly has a spread
                    left = np.abs(rewards - given) / spread_of(given)
                touched = np.not_equal(values, found[RIGHT]) | (mistake == RIGHT)
                yield _explanation(told, expected, whole, dtype, left, touched, rounding)


def _explanation(
    told: Told,
    expected: Expected,
    mistake: Mistake,
    dtype: str,
    left: Numbers,
    touched: NDArray[np.bool_],
    rounding: Numbers,
) -> Explanation:
    cost = COST * len(mistake.parts()) + (COST_OF_DTYPE if dtype != expected.dtype else 0)
    cost += COST_OF_CUT if mistake.kept and told.tokens is None else 0
    cost += COST_OF_FEW if touched.sum() < FEW else 0
    cost += COST_OF_FIT if mistake.number not in ("", SIGMOID) else 0
    return Explanation(
        mistake,
        dtype,
        left,
        touched,
        limit=max(NEAR, ROUNDING * float(np.median(rounding))),
        most=max(NEAR, BEYOND_ROUNDING * float(rounding.max())),
        cost=cost,
    )


def _numbers(told: Numbers, rewards: Numbers) -> Iterator[tuple[str, Callable[[Numbers], Numbers]]]:
    """Yields what may be made of rewards, by name: nothing, the sigmoid, a line through them."""
    yield "", lambda r: r
    yield SIGMOID, _sigmoid
    first, second = np.triu_indices(len(rewards), 1)
    apart = rewards[first] != rewards[second]
    if apart.any():  # the median of the slopes: a few rows that something else went wrong with
        rises = (told[second] - told[first])[apart] / (rewards[second] - rewards[first])[apart]
        slope = float(np.median(rises))
        shift = float(np.median(told - slope * rewards))
        if slope:
            yield SCALED.format(slope, shift), lambda r: slope * r + shift


def _sigmoid(rewards: Numbers) -> Numbers:
    return np.asarray(1 / (1 + np.exp(-np.clip(rewards, -700, 700))))


def _finest(expected: Expected) -> str:
    """Returns the finest dtype in which rewards are known: rounding is measured against it."""
    return next((name for name in FINE if name in expected.rewards), expected.dtype)


def spread_of(rewards: Sequence[float] | Numbers) -> float:
    """Returns the standard deviation of rewards; no less than the smallest number, to divide by."""
    return max(float(np.std(rewards)), float(np.finfo(float).tiny))


def _rounding(name: str, best: Explanation, largest: str, expected: Expected) -> Check:
    """Says of rewards that differ by rounding alone in which dtype they were computed."""
    if best.dtype in FINE:
        return Check(name, "warn", largest, "this is rounding: of TF32 or another kernel?")
    told = f"{largest}, in the middle {percent(float(np.median(best.left)))}"
    finding = f"{told}; only rounding: computed in {best.dtype}"
    if best.dtype == expected.dtype:
        return Check(name, "pass", finding)
    advice = f"serve in {expected.dtype} where it matters, or evaluate with `dtype='{best.dtype}'`"
    return Check(name, "warn", finding, advice)


def _some_rows(name: str, best: Explanation, off: str, expected: Expected) -> Check:
    """Says which rows differ by more than rounding where most do not."""
    lengths, agree = np.array(expected.tokens(RIGHT)), best.left <= best.most
    told = f"{off}; {int((~agree).sum())} of {len(agree)} rows differ by more than rounding"
    if lengths[agree].max() < lengths[~agree].min():
        told += f": those of {lengths[~agree].min()} tokens and more, so they are cut"
        return Check(name, "fail", told, OF_CUT)
    rows = ", ".join(map(str, np.flatnonzero(~agree)))
    return Check(name, "fail", f"{told}: {rows}")


def _constant(name: str, value: float, rows: int) -> Check:
    told = f"all {rows} rewards are {value:.6g}"
    if value == 1:
        return Check(name, "fail", f"{told}; why: {SOFTMAX}", ADVICE[SOFTMAX])
    return Check(name, "fail", told, "no reward head answers, or conversations do not reach it")


def _differences(told: Told, expected: Expected) -> str:
    """Returns how far rewards and numbers of tokens are off, in words."""
    differences = np.abs(np.subtract(told.rewards, expected.right))
    middle = float(np.median(differences))
    share = percent(middle / spread_of(np.asarray(expected.right)))
    return f"median difference {middle:.2g} ({share} of the spread){_tokens(told, expected)}"


def _tokens(told: Told, expected: Expected) -> str:
    if told.tokens is None:
        return ""
    more = np.subtract(told.tokens, expected.tokens(RIGHT))
    if not more.any():
        return "; same numbers of tokens"
    low, high = int(more.min()), int(more.max())
    said = f"{low:+d}" if low == high else f"{low:+d} to {high:+d}"
    return f"; {said} tokens in {int((more != 0).sum())} of {len(more)} rows"


def _unexplained(told: Told, expected: Expected) -> tuple[str, str]:
    """Returns what is to be said of rewards that no known mistake explains, and what to do."""
    lengths = expected.tokens(RIGHT)
    if told.tokens is not None and list(told.tokens) != lengths:
        most = max(told.tokens)
        if list(told.tokens) == [min(length, most) for length in lengths]:
            return f"why: cut to {most} tokens; not known is which part is lost", OF_CUT
        return "it reads another text: another chat template or tokenizer", OF_TEMPLATE
    correlation = rank_correlation(told.rewards, expected.right)
    said = f"nothing known explains it, rank correlation {correlation:.2f}: another checkpoint?"
    return said, "compare fingerprint and revision with what the engine has loaded"


def written_in(rewards: Sequence[float] | Numbers) -> str | None:
    """Returns the half precision whose numbers rewards all are: an engine's head ran in it."""
    exact = np.asarray(rewards, np.float32)
    if len(set(exact.tolist())) < FEW or not np.array_equal(exact, np.asarray(rewards, float)):
        return None
    if not (exact.view(np.uint32) & 0xFFFF).any():
        return "bfloat16"
    with np.errstate(over="ignore"):
        return "float16" if np.array_equal(exact, exact.astype(np.float16)) else None


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Returns Spearman's correlation of two lists of numbers; equal ones share their mean rank."""
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: Sequence[float]) -> Numbers:
    ordered = np.sort(values)
    low, high = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return np.asarray((low + high) / 2)


def percent(share: float) -> str:
    """Returns a share in percent, with two digits at least."""
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"
