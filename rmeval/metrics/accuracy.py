"""Wins, ties and rows: what every benchmark of preferences is built from."""

from collections.abc import Iterable
from math import comb

from rmeval.types import Preference, ScoredPreference


def margin(preference: ScoredPreference) -> float:
    """Returns the lowest preferred reward minus the highest other one, in units of reward."""
    values = [score.value for score in preference.scores]
    return min(values[: preference.num_chosen]) - max(values[preference.num_chosen :])


def strict_win(preference: ScoredPreference) -> bool:
    """Whether every preferred response has a higher reward than every other: a tie is a loss."""
    return margin(preference) > 0


def win_credit(preference: ScoredPreference) -> float:
    """Returns 1 for a strict win, 0 for a loss; a tie is half a win where verdicts made it."""
    if preference.comparisons is not None and margin(preference) == 0:
        return 0.5
    return float(strict_win(preference))


def win_chance(preference: ScoredPreference) -> float:
    """Returns the probability that random rewards win: one of the orders that put chosen first."""
    return 1 / comb(len(preference.scores), preference.num_chosen)


def subset_rows(scored: Iterable[ScoredPreference | Preference]) -> dict[str, int]:
    """Returns the number of preferences in each subset, in the order of first appearance."""
    rows: dict[str, int] = {}
    for preference in scored:
        rows[preference.subset] = rows.get(preference.subset, 0) + 1
    return rows


def count_oddities(scored: Iterable[ScoredPreference]) -> dict[str, int]:
    """Returns how many preferences tied, and how many of all responses were truncated.

    Of rows that were compared, also how many verdicts there were, and of which kinds.
    """
    scored = list(scored)
    compared = [item.comparisons for item in scored if item.comparisons is not None]
    verdicts = {
        "verdicts": sum(counts.made for counts in compared),
        "verdicts_for_first": sum(counts.first for counts in compared),
        "verdicts_tied": sum(counts.tied for counts in compared),
        "verdicts_unparsed": sum(counts.unparsed for counts in compared),
    }
    return {
        "ties": sum(margin(preference) == 0 for preference in scored),
        "truncated": sum(score.truncated for item in scored for score in item.scores),
        "responses": sum(len(preference.scores) for preference in scored),
        **(verdicts if compared else {}),
    }
