"""Rows whose responses were rated one by one: ratings into scores."""

from collections.abc import Sequence
from statistics import fmean

from rmeval.duels import scored_row
from rmeval.records import Comparisons, Preference, Score, ScoredPreference


def settle_ratings(
    preferences: Sequence[Preference],
    ratings: Sequence[Sequence[float | None]],
    lengths: Sequence[Sequence[int]],
    middle: float,
) -> tuple[ScoredPreference, ...]:
    """Returns the rows with their ratings as scores; None is an answer without a rating.

    Such a response takes the mean of its row's ratings, or the `middle` of the scale where there
    are none: of two responses that is half a win for each, and among several what half a win
    against each other one would give, in the unit of the others.
    """
    return tuple(
        scored_row(
            preference,
            (Score(v, t, False) for v, t in zip(_values(found, middle), tokens, strict=True)),
            Comparisons(len(found), first=None, tied=0, unparsed=found.count(None)),
        )
        for preference, found, tokens in zip(preferences, map(list, ratings), lengths, strict=True)
    )


def _values(ratings: Sequence[float | None], middle: float) -> list[float]:
    known = [rating for rating in ratings if rating is not None]
    mean = fmean(known) if known else middle
    return [mean if rating is None else rating for rating in ratings]
