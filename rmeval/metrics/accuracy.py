"""Wins, ties and rows: what every benchmark of preferences is built from."""

from collections.abc import Iterable
from math import comb, isnan, nan
from sys import float_info

from rmeval.records import Preference, ScoredPreference

LARGEST = float_info.max


def margin(preference: ScoredPreference) -> float:
    """Returns the lowest preferred reward minus the highest other one, in units of reward.

    NaN where all responses are of one kind, which some answers to a question are.
    """
    values = [score.value for score in preference.scores]
    chosen, rejected = values[: preference.num_chosen], values[preference.num_chosen :]
    return difference(min(chosen), max(rejected)) if chosen and rejected else nan


def difference(a: float, b: float) -> float:
    """Returns a − b, the largest number there is where that is beyond it."""
    return max(-LARGEST, min(LARGEST, a - b))


def strict_win(preference: ScoredPreference) -> bool:
    """Whether every preferred response has a higher reward than every other: a tie is a loss."""
    return margin(preference) > 0


def win_credit(preference: ScoredPreference) -> float:
    """Returns 1 for a strict win, 0 for a loss; where verdicts made a tie, the win is shared.

    One of k that are equally good has 1/k of it: of two that is half a win. NaN where there is
    nothing to win.
    """
    if isnan(margin(preference)):
        return nan
    if preference.comparisons is not None and margin(preference) == 0:
        values = [score.value for score in preference.scores]
        return 1 / values.count(max(values)) if preference.num_chosen == 1 else 0.5
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

    Of rows that were compared or rated, also how many verdicts or ratings there were, of which
    kinds.
    """
    scored = list(scored)
    counts = {
        "ties": sum(margin(preference) == 0 for preference in scored),
        "truncated": sum(score.truncated for item in scored for score in item.scores),
        "responses": sum(len(preference.scores) for preference in scored),
    }
    made = [item.comparisons for item in scored if item.comparisons is not None]
    if compared := [item for item in made if item.first is not None]:
        counts["verdicts"] = sum(item.made for item in compared)
        counts["verdicts_for_first"] = sum(item.first or 0 for item in compared)
        counts["verdicts_tied"] = sum(item.tied for item in compared)
        counts["verdicts_unparsed"] = sum(item.unparsed for item in compared)
    if rated := [item for item in made if item.first is None and item.made]:
        counts["ratings"] = sum(item.made for item in rated)
        counts["ratings_unparsed"] = sum(item.unparsed for item in rated)
    return counts
