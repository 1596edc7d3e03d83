"""Rows whose responses were rated one by one: ratings into scores."""

from collections.abc import Sequence

from rmeval.duels import EVEN, scored_row
from rmeval.types import Comparisons, Preference, Score, ScoredPreference


def settle_ratings(
    preferences: Sequence[Preference],
    ratings: Sequence[Sequence[float | None]],
    lengths: Sequence[Sequence[int]],
) -> tuple[ScoredPreference, ...]:
    """Returns the rows with their ratings as scores; None is an answer without a rating.

    A row with such a response is scored by a round robin instead: the higher rating wins, and
    equal ones, or one that is missing, are half a win for each.
    """
    return tuple(
        scored_row(
            preference,
            (Score(v, t, False) for v, t in zip(_values(found), tokens, strict=True)),
            Comparisons(len(found), first=0, tied=0, unparsed=found.count(None)),
        )
        for preference, found, tokens in zip(preferences, map(list, ratings), lengths, strict=True)
    )


def _values(ratings: Sequence[float | None]) -> list[float]:
    known = [rating for rating in ratings if rating is not None]
    if len(known) == len(ratings):
        return known
    return [
        sum(_win(rating, other) for k, other in enumerate(ratings) if k != place)
        / (len(ratings) - 1)
        for place, rating in enumerate(ratings)
    ]


def _win(rating: float | None, other: float | None) -> float:
    if rating is None or other is None or rating == other:
        return EVEN
    return float(rating > other)
