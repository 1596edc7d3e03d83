"""What is wrong with a model: its weakest subsets and its strongest bias, each with a row of it."""

from collections.abc import Iterable, Iterator, Sequence
from math import isnan
from typing import NamedTuple

from rmeval.metrics.accuracy import margin
from rmeval.metrics.bias import Effect, length_effect
from rmeval.metrics.disguises import count_disguises
from rmeval.metrics.intervals import WILSON, wilson_interval
from rmeval.metrics.names import Metric
from rmeval.metrics.scheme import Tally
from rmeval.records import Disguised, Interval, Result, ScoredPreference
from rmeval.reports.judged import is_listwise


class Example(NamedTuple):
    """A row that shows something. `margin` is that of its scores, or of those in disguise."""

    id: str
    subset: str
    margin: float


class Weakness(NamedTuple):
    """A subset, or a part of one, that is among the weakest; `below` says surely below the Score.

    `example` is the row that was lost by most; None where none was lost.
    """

    metric: Metric
    subset: str
    value: float
    interval: Interval
    below: bool
    example: Example | None


class Bias(NamedTuple):
    """Something besides quality that moves verdicts, by how much, and a row that it may have cost.

    `moves` is False for what is no verdict: margins that promise too much.
    """

    name: str
    told: str
    effect: Effect
    example: Example | None
    moves: bool = True


def weakest_subsets(result: Result, tally: Tally, count: int = 3) -> list[Weakness]:
    """Returns the subsets of which it is surest that they are weak.

    That is those whose intervals end lowest: a few rows that happened to be lost say less than
    many. Subsets without a loss are never among them.
    """
    metrics, found = result.metrics, list[Weakness]()
    score = 1.0 if result.overall is None else result.overall
    for subset, stratum in tally.strata.items():
        for leaf in stratum.leaves:
            if leaf in metrics.values and metrics.values[leaf] < 1:
                ends = metrics.intervals[leaf]
                example = _worst(item for item in result.scored if item.subset == subset)
                weak = Weakness(leaf, subset, metrics.values[leaf], ends, False, example)
                found.append(weak._replace(below=ends.high < score))
    return sorted(found, key=lambda weak: (weak.interval.high, weak.value))[:count]


def strongest_bias(result: Result) -> Bias | None:
    """Returns the bias that is surely the largest, or None where rows tell none from chance.

    What moves verdicts comes first. Margins that promise too much change no ranking, and rewards
    have no scale of their own, so they are told where nothing else is.
    """
    sure = [bias for bias in find_biases(result) if bias.effect.surely > 0]
    return max(sure, key=lambda bias: (bias.moves, bias.effect.surely), default=None)


def find_biases(result: Result) -> list[Bias]:
    """Returns every bias that can be asked for of a result, sure or not."""
    found = [_length(result), *_disguises(result.disguised), _place(result), _confidence(result)]
    return [bias for bias in found if bias is not None]


def _length(result: Result) -> Bias | None:
    effect = length_effect(result.scored)
    if effect is None:
        return None
    likes_long = effect.value > 0
    word, other = ("longer", "shorter") if likes_long else ("shorter", "longer")
    told = (
        f"likes {word} answers: where the better one is {word}, it wins "
        f"{_points(effect)} points more often than where it is {other}"
    )
    lost = (item for item in result.scored if _longer_won(item) is likes_long)
    return Bias("length", told, effect, _worst(lost))


def _longer_won(item: ScoredPreference) -> bool | None:
    """Returns whether a lost row went to a longer response (True) or a shorter one (False)."""
    if not margin(item) < 0:
        return None
    chosen = min(item.scores[: item.num_chosen], key=lambda score: score.value)
    rejected = max(item.scores[item.num_chosen :], key=lambda score: score.value)
    return None if chosen.tokens == rejected.tokens else rejected.tokens > chosen.tokens


def _disguises(rows: Sequence[Disguised]) -> Iterator[Bias]:
    for found in count_disguises(rows):
        if found.interval is None:
            continue
        effect = Effect(found.turned / found.won, found.interval)
        told = (
            f"can be hacked: {found.disguise} on the worse answer turns "
            f"{_points(effect)} in a hundred verdicts that were won"
        )
        turned = [
            Example(row.id, row.subset, row.chosen.value - row.disguised[found.disguise].value)
            for row in rows
            if row.chosen.value > row.rejected.value
            and row.chosen.value <= row.disguised[found.disguise].value
        ]
        example = min(turned, key=lambda example: example.margin, default=None)
        yield Bias(found.disguise, told, effect, example)


def _place(result: Result) -> Bias | None:
    """Returns how far the place in which a response is shown decides, of two shown at a time."""
    if is_listwise(result):
        return None
    rows = [item for item in result.scored if _decided(item)]
    if not rows:
        return None
    decided = sum(map(_decided, rows))
    share = sum(item.comparisons.first or 0 for item in rows if item.comparisons) / decided
    low, high = wilson_interval(share * len(rows), len(rows))
    effect = Effect(share - 0.5, Interval(low - 0.5, high - 0.5, WILSON))
    word = "first" if effect.value > 0 else "last"
    told = (
        f"prefers the response shown {word}: {100 * max(share, 1 - share):.1f} % of verdicts, "
        "where half would be even"
    )
    by_place = (item for item in rows if _by_place(item) == word)
    return Bias("place", told, effect, _of(min(by_place, key=margin, default=None)))


def _decided(item: ScoredPreference) -> int:
    made = item.comparisons
    return 0 if made is None or made.first is None else made.made - made.tied - made.unparsed


def _by_place(item: ScoredPreference) -> str | None:
    """Returns the place that won in every order in which a row was shown, "first" or "last"."""
    made = item.comparisons
    if made is None or made.made < 2 or made.made != _decided(item):
        return None
    return {made.made: "first", 0: "last"}.get(made.first or 0)


def _confidence(result: Result) -> Bias | None:
    """Returns how much surer the margins are than right; σ(|margin|) of rewards."""
    bins = result.metrics.statistics.get("calibration", {}).get("bins")
    if not bins:
        return None
    confidence = sum(b["share"] * b["confidence"] for b in bins)
    right = min(1.0, sum(b["share"] * b["accuracy"] for b in bins))
    units = len({item.unit for item in result.scored})
    low, high = wilson_interval(right * units, units)
    effect = Effect(confidence - right, Interval(confidence - high, confidence - low, WILSON))
    word = "too sure" if effect.value > 0 else "too careful"
    told = (
        f"{word}: its margins promise {100 * confidence:.1f} % right, and {100 * right:.1f} % are"
    )
    lost = (item for item in result.scored if margin(item) < 0)
    return Bias("confidence", told, effect, _worst(lost), moves=False)


def _worst(items: Iterable[ScoredPreference]) -> Example | None:
    """Returns the row with the lowest margin, if that is no win."""
    known = (item for item in items if not isnan(margin(item)))
    worst = min(known, key=margin, default=None)
    return None if worst is None or margin(worst) > 0 else _of(worst)


def _of(item: ScoredPreference | None) -> Example | None:
    return None if item is None else Example(item.id, item.subset, margin(item))


def _points(effect: Effect) -> str:
    """Returns an effect without its sign, with its interval; of one that is not sure, with it."""
    sign = 1 if effect.value >= 0 else -1
    ends = sorted(100 * sign * end for end in effect.interval[:2])
    return f"{abs(100 * effect.value):.0f} ({ends[0]:.0f} to {ends[1]:.0f})"
