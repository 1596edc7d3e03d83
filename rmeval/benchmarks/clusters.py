"""Which rows are one unit of chance: those of one prompt, of one problem, of one translated row."""

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace

from rmeval.records import Preference

Keys = Callable[[Sequence[Preference]], Iterable[Sequence[Hashable]]]
HEP, PROBLEMS = "hep-", 164  # HumanEval's, each in six languages


def with_clusters(preferences: Sequence[Preference], keys: Keys) -> tuple[Preference, ...]:
    """Returns the rows with their clusters: those that share a key, and those that these share one
    with. `keys` yields the keys of each row. A cluster is called by the id of its first row.
    """
    above = list(range(len(preferences)))

    def first(row: int) -> int:
        while above[row] != row:
            above[row] = above[above[row]]
            row = above[row]
        return row

    known: dict[Hashable, int] = {}
    for row, found in enumerate(keys(preferences)):
        for key in found:
            one, other = sorted((first(row), first(known.setdefault(key, row))))
            above[other] = one
    firsts = [first(row) for row in range(len(preferences))]
    shared = {one for row, one in enumerate(firsts) if row != one}
    return tuple(
        replace(item, cluster=preferences[one].id) if one in shared else item
        for item, one in zip(preferences, firsts, strict=True)
    )


def by_prompt(preferences: Sequence[Preference]) -> Iterable[Sequence[Hashable]]:
    """Yields each row's prompt."""
    return ([item.prompt] for item in preferences)


def by_problem(preferences: Sequence[Preference]) -> Iterable[Sequence[Hashable]]:
    """Yields each row's prompt, and of RewardBench's code the problem, which has six languages.

    The rows of a `hep-` subset are numbered in the problems' order. Where their numbers do not
    span all problems nobody can say which is which, and each row is taken as a problem of its own.
    """
    numbers: dict[str, dict[str, int]] = {}
    for item in preferences:
        name, number = item.subset.rpartition("/")[2], re.search(r"\d{1,9}$", item.id)
        if name.startswith(HEP) and number:
            numbers.setdefault(name, {})[item.id] = int(number[0])
    problems = {
        row_id: number - min(found.values())
        for found in numbers.values()
        if max(found.values()) - min(found.values()) == PROBLEMS - 1
        for row_id, number in found.items()
    }
    for item in preferences:
        yield [item.prompt, *([problems[item.id]] if item.id in problems else [])]


def by_translated_row(preferences: Sequence[Preference]) -> Iterable[Sequence[Hashable]]:
    """Yields the same, and the id that a row has in every language: `deu_Latn/17` is `17`."""
    for item, keys in zip(preferences, by_problem(preferences), strict=True):
        yield [*keys, item.id.partition("/")[2]]
