"""Verdicts into scores: several samples of one question, several questions about one row."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from rmeval.duels import scored_row
from rmeval.judging.formats import Criterion
from rmeval.judging.verdicts import Verdict
from rmeval.records import Comparisons, Preference, Score, ScoredPreference

MEAN, MAJORITY = VOTES = ("mean", "majority")
Read = tuple[tuple[int, ...], int, Verdict | None]
"""Which responses were shown, in order; which criterion was asked about; and what was read."""


class Row(NamedTuple):
    """A row, the lengths of its responses, and what was read about it, every sample by itself.

    `scale` is that of ratings, None where responses are compared.
    """

    preference: Preference
    lengths: Sequence[int]
    criteria: Sequence[Criterion]
    scale: tuple[float, float] | None
    read: Sequence[Read]


def settle_row(row: Row, vote: str, *, several: bool = False) -> ScoredPreference:
    """Returns a row with its scores; each is the mean over the questions that showed a response.

    The samples of a question are one verdict, by `vote`; with `several` samples the scores by
    either vote are kept beside the score, and with several criteria that by each of them.
    """
    by = {name: _by_criterion(row, name) for name in (VOTES if several else (vote,))}
    weights = [one.weight for one in row.criteria]
    whole = {name: [_weighed(values, weights) for values in found] for name, found in by.items()}
    scores = []
    for place, size in enumerate(row.lengths):
        kept = [whole[name][place] for name in VOTES] if several else []
        kept += by[vote][place] if len(weights) > 1 else []
        scores.append(Score(whole[vote][place], size, False, tuple(kept)))
    return scored_row(row.preference, scores, _comparisons(row))


def objective_names(criteria: Sequence[Criterion], *, several: bool) -> list[str]:
    """Returns what the numbers beside a score are called, in order."""
    by_vote = [f"by {name}" for name in VOTES] if several else []
    return by_vote + ([one.name for one in criteria] if len(criteria) > 1 else [])


def majority(verdicts: Sequence[Verdict]) -> Verdict:
    """Returns the verdict of most samples: of ratings the commonest, of comparisons the best.

    Each sample votes for the best of the responses that were shown. Where several have equally
    many votes, they share the win, or their mean is the rating.
    """
    if len(verdicts[0]) == 1:
        counted = Counter(verdicts)
        most = max(counted.values())
        return (fmean(value for (value,), votes in counted.items() if votes == most),)
    votes = [sum(v[place] == max(v) for v in verdicts) for place in range(len(verdicts[0]))]
    best = [count == max(votes) for count in votes]
    return tuple(won / sum(best) for won in best)


def _vote(verdicts: Sequence[Verdict], name: str) -> Verdict:
    if name == MAJORITY:
        return majority(verdicts)
    return tuple(map(fmean, zip(*verdicts, strict=True)))


def _by_criterion(row: Row, vote: str) -> list[list[float]]:
    """Returns the number of each response by each criterion, (responses, criteria)."""
    asked: dict[tuple[tuple[int, ...], int], list[Verdict]] = {}
    for shown, criterion, verdict in row.read:
        found = asked.setdefault((shown, criterion), [])
        if verdict is not None:
            found.append(verdict)
    columns = [
        _column(row, vote, {shown: said for (shown, of), said in asked.items() if of == number})
        for number in range(len(row.criteria))
    ]
    return [list(values) for values in zip(*columns, strict=True)]


def _column(row: Row, vote: str, said: Mapping[tuple[int, ...], list[Verdict]]) -> list[float]:
    """Returns the number of each response by one criterion.

    Where no sample has a verdict, those that are compared share the win. A response without a
    rating takes the mean of its row's, or the middle of the scale where there are none: of two
    responses that is half a win for each, and among several what half a win against each other one
    would give, in the unit of the others.
    """
    told: list[list[float]] = [[] for _ in row.lengths]
    for shown, verdicts in said.items():
        if not verdicts and row.scale is not None:
            continue
        even = tuple(1 / len(shown) for _ in shown)
        for place, value in zip(shown, _vote(verdicts, vote) if verdicts else even, strict=True):
            told[place].append(value)
    values = [fmean(found) if found else None for found in told]
    known = [value for value in values if value is not None]
    mean = fmean(known) if known else sum(row.scale or (0.0, 1.0)) / 2
    return [mean if value is None else value for value in values]


def _weighed(values: Iterable[float], weights: Sequence[float]) -> float:
    return fmean(values, weights)


def _comparisons(row: Row) -> Comparisons:
    """Returns how many verdicts there were, and of which kinds; every sample counts."""
    found = [verdict for _, _, verdict in row.read]
    unread = found.count(None)
    if row.scale is not None:
        return Comparisons(len(found), first=None, tied=0, unparsed=unread)
    parsed = [verdict for verdict in found if verdict is not None]
    return Comparisons(
        made=len(found),
        first=sum(verdict[0] > max(verdict[1:]) for verdict in parsed),
        tied=sum(verdict.count(max(verdict)) > 1 for verdict in parsed),
        unparsed=unread,
    )
