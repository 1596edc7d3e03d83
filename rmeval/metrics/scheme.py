"""From scores to metrics: what a benchmark must say of itself, and the arithmetic all share.

Every published number here is a chain of weighted means that begins at the rows of a subset. So
a benchmark names what a row counts (its leaves) and the chain (`parts`); value, interval,
difference and explanation follow from these two, by the same code for all.
"""

from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import isfinite, nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rmeval.errors import BadData, UnknownName, one_line
from rmeval.metrics.accuracy import count_oddities, subset_rows, win_chance, win_credit
from rmeval.metrics.names import OVERALL, Metric
from rmeval.records import Metrics, ScoredPreference

Floats = NDArray[np.float64]
Values = dict[str, float]  # by metric


class Tie(Enum):
    """What equal scores count: no win, but a share of it where verdicts made them; or a share."""

    LOSS = "loss"
    SHARED = "shared"


def row_weight(item: ScoredPreference) -> float:
    """Returns the row's own weight, which is 1 unless the data says otherwise."""
    return item.weight


def no_chance(_: ScoredPreference) -> float | None:
    """Returns that nobody knows what a coin would get."""
    return None


@dataclass(frozen=True)
class Leaf:
    """One number that the rows of a subset make.

    `credit` is what a row counts towards it, from about 0 to 1, `weight` how much it weighs there
    (0: not at all), `chance` the credit that random scores are expected to earn, or None where
    nobody knows. `tie` says what equal scores count. `part` names the number where a subset has
    several.
    """

    credit: Callable[[ScoredPreference], float]
    weight: Callable[[ScoredPreference], float] = row_weight
    chance: Callable[[ScoredPreference], float | None] = no_chance
    tie: Tie = Tie.LOSS
    part: str = ""


WIN = Leaf(win_credit, chance=win_chance)
"""Won when every chosen response has a higher score than every other."""


@dataclass(frozen=True, eq=False)
class Stratum:
    """The N rows of a subset, and what each counts towards each of L leaves.

    `credits` and `weights` are (N, L), `chances` too, NaN where nobody knows; `units` (N,) are
    those that the rows belong to. Where a row is more than one preference, `ids` names all.
    """

    leaves: tuple[Metric, ...]
    ids: tuple[str, ...]
    credits: Floats
    weights: Floats
    chances: Floats
    ties: tuple[Tie, ...]
    units: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        shape = (len(self.ids), len(self.leaves))
        tables = (self.credits, self.weights, self.chances)
        if any(table.shape != shape for table in tables) or len(self.units) != shape[0]:
            raise ValueError(f"the tables of {self.leaves} are not {shape[0]} rows by {shape[1]}")
        if not shape[0] or len(set(self.leaves)) != len(self.leaves) == len(self.ties):
            raise ValueError(f"{self.leaves} need rows, and each a name and a tie of its own")
        if not np.isfinite(self.credits).all() or not (self.weights >= 0).all():
            raise ValueError(f"{self.leaves}: credits must be finite, and weights not negative")

    @classmethod
    def of(
        cls, subset: str, items: Sequence[ScoredPreference], leaves: Sequence[Leaf]
    ) -> "Stratum":
        """Returns the rows of a subset, each counted towards these leaves."""
        chances = [[leaf.chance(item) for leaf in leaves] for item in items]
        return cls(
            tuple(Metric.subset(subset, leaf.part) for leaf in leaves),
            tuple(item.id for item in items),
            np.array([[leaf.credit(item) for leaf in leaves] for item in items], float),
            np.array([[leaf.weight(item) for leaf in leaves] for item in items], float),
            np.array([[nan if c is None else c for c in row] for row in chances], float),
            tuple(leaf.tie for leaf in leaves),
            tuple(item.unit for item in items),
        )

    def weight_of(self, leaf: str) -> float:
        """Returns how much the rows weigh in a leaf, together."""
        return float(self.weights[:, self.leaves.index(Metric(leaf))].sum())

    def blocks(self) -> Iterator[tuple[list[int], Floats]]:
        """Yields the leaves that weigh alike, by their columns, with the weights of the rows (N,).

        A leaf to which no row counts is in none.
        """
        left = [column for column in range(len(self.leaves)) if self.weights[:, column].any()]
        while left:
            weights = np.ascontiguousarray(self.weights[:, left[0]])
            alike = [column for column in left if (self.weights[:, column] == weights).all()]
            yield alike, weights
            left = [column for column in left if column not in alike]

    def means(self) -> Values:
        """Returns the weighted mean of each leaf; one to which no row counts is absent."""
        means: dict[str, float] = {}
        for columns, weights in self.blocks():
            found = (weights @ self.credits) / weights.sum()
            means.update({self.leaves[column]: float(found[column]) for column in columns})
        return {leaf: means[leaf] for leaf in self.leaves if leaf in means}

    def chance(self) -> Values:
        """Returns the mean that random scores are expected to have, where that is known."""
        means: Values = {
            self.leaves[column]: float(np.average(self.chances[:, column], weights=weights))
            for columns, weights in self.blocks()
            for column in columns
        }
        return {leaf: mean for leaf, mean in means.items() if isfinite(mean)}


class Part(NamedTuple):
    """A metric that is the weighted mean of others, leaves or earlier parts, by name.

    `needs_all`: it is given only where every one of them is there and whole; otherwise it is
    made from those that are there, and marked partial.
    """

    name: str
    weights: Mapping[str, float]
    needs_all: bool = False


Strata = dict[str, Stratum]  # by subset


@dataclass(frozen=True, eq=False)
class Tally:
    """What scored rows add up to: `strata` and `parts`, the chain, and the numbers it makes.

    `values` has every metric that can be made, `partial` the names of those that are not whole.
    `rows` counts the preferences of each subset.
    """

    weighting: str
    rows: dict[str, int]
    strata: Strata
    parts: tuple[Part, ...]
    values: Values
    partial: tuple[str, ...]

    def with_strata(self, strata: Strata) -> "Tally":
        """Returns what the same rows add up to where they count otherwise."""
        short = [name for name in self.partial if Metric(name).kind == "subset"]
        values, partial = compose(leaf_means(strata), self.parts, short)
        return replace(self, strata=strata, values=values, partial=tuple(partial))

    def chance(self) -> Values:
        """Returns the metrics that random scores are expected to get, where that is known."""
        leaves = {k: v for stratum in self.strata.values() for k, v in stratum.chance().items()}
        return compose(leaves, self.parts, [name for name in self.partial if name in leaves])[0]

    def ties(self) -> tuple[Tie, ...]:
        """Returns what equal scores count, in the order of the leaves."""
        return tuple(dict.fromkeys(tie for stratum in self.strata.values() for tie in stratum.ties))


@dataclass(frozen=True)
class Scheme:
    """How a benchmark's numbers are made from stored scores alone.

    `strata` says what the rows count (`by_subset` makes it of leaves); `parts(strata, weighting)`
    how the subsets add up, in an order in which each part stands after what it is made of. `rows`
    is the published number of rows by subset, or None where there is none to hold the data to.
    `answers`: a row is a prompt with right and wrong answers, and may have none of either.
    """

    strata: Callable[[Sequence[ScoredPreference]], Strata]
    parts: Callable[[Strata, str], Sequence[Part]]
    weightings: tuple[str, ...]
    rows: Mapping[str, int] | None = None
    answers: bool = False

    def __post_init__(self) -> None:
        if not self.weightings or len(set(self.weightings)) < len(self.weightings):
            raise ValueError(f"weightings {self.weightings}: a scheme has one at least, each once")
        if self.rows is not None and not (self.rows and min(self.rows.values()) > 0):
            raise ValueError("rows: subsets of one row at least, or None where nothing is known")

    def check_weighting(self, weighting: str | None) -> str:
        """Returns `weighting`, or the default for None. Raises UnknownName."""
        if weighting is None:
            return self.weightings[0]
        if weighting not in self.weightings:
            raise UnknownName("weighting", weighting, self.weightings)
        return weighting

    def with_rows(self, rows: Mapping[str, int]) -> "Scheme":
        """Returns the same arithmetic for data of another size."""
        return replace(self, rows=rows)

    def check_sides(self, place: str, chosen: int, responses: int) -> None:
        """Raises BadData for a row that has not what this arithmetic compares."""
        least = 0 if self.answers else 1
        if not least <= chosen <= responses - least or not responses:
            raise BadData(
                f"{one_line(place)}: {chosen} of {responses} responses are preferred; a row needs "
                + ("a response" if self.answers else "a chosen and a rejected one")
            )

    def metrics(self, scored: Sequence[ScoredPreference], weighting: str | None = None) -> Metrics:
        """Returns the metrics of scored rows, without statistics; raises as `tally` does."""
        return metrics_of(self.tally(scored, weighting), scored)

    def tally(self, scored: Sequence[ScoredPreference], weighting: str | None = None) -> Tally:
        """Returns what scored rows add up to, under a weighting or the default.

        A subset counts as whole only if it has the published number of rows. Raises BadData when
        there is nothing to average, UnknownName for an unknown weighting or subset, ValueError for
        an arithmetic that is none: names that are taken, unknown or in the wrong order.
        """
        weighting, rows = self.check_weighting(weighting), self._rows_of(scored)
        strata = self.strata(scored)
        parts = tuple(self.parts(strata, weighting))
        _check_chain(strata, parts, rows)
        values, partial = compose(leaf_means(strata), parts, self._short(strata, rows))
        return Tally(weighting, rows, strata, parts, values, tuple(partial))

    def _rows_of(self, scored: Sequence[ScoredPreference]) -> dict[str, int]:
        if not scored:
            raise BadData("there are no scored preferences to average")
        rows = subset_rows(scored)
        for subset in rows if self.rows is not None else ():
            if subset not in (self.rows or ()):
                raise UnknownName("subset", subset, self.rows or ())
        for item in scored:
            self.check_sides(f"row {item.id}", item.num_chosen, len(item.scores))
        return rows

    def _short(self, strata: Strata, rows: Mapping[str, int]) -> set[str]:
        """Returns the leaves of subsets that do not have their published number of rows."""
        if self.rows is None:
            return set()
        wrong = [name for name in strata if rows[name] != self.rows[name]]
        return {leaf for name in wrong for leaf in strata[name].leaves}


def metrics_of(tally: Tally, scored: Sequence[ScoredPreference]) -> Metrics:
    """Returns a tally as the metrics of a result, without intervals and statistics."""
    partial = map(Metric, tally.partial)
    return Metrics(
        values=tally.values,
        rows=tally.rows,
        partial_sections=tuple(name.rest for name in partial if name.kind == "section"),
        counts=count_oddities(scored),
    )


def _check_chain(strata: Strata, parts: Sequence[Part], rows: Mapping[str, int]) -> None:
    """Raises ValueError unless strata are of the rows' subsets, and parts of what stands before."""
    known: set[str] = set()
    for name, stratum in strata.items():
        if name not in rows:
            raise ValueError(f"a stratum is called {name!r}; the rows' subsets are {list(rows)}")
        strange = [leaf for leaf in stratum.leaves if not f"{leaf}/".startswith(f"subset/{name}/")]
        if strange:
            raise ValueError(f"{strange[0]!r} is no leaf of {name!r}; call it 'subset/{name}'")
        known.update(stratum.leaves)
    names = {part.name for part in parts}
    if len(names) < len(parts) or names & known or OVERALL not in names:
        raise ValueError("parts need a name of their own each, and one of them is 'overall'")
    for part in parts:
        before = [name for name in part.weights if name in names or Metric(name).kind != "subset"]
        if Metric(part.name).kind == "subset" or not known.issuperset(before):
            raise ValueError(f"{part.name!r} stands before what it is made of, or is no section")
        if not part.weights or not all(w > 0 and isfinite(w) for w in part.weights.values()):
            raise ValueError(f"{part.name!r}: its weights must be finite and above 0")
        known.add(part.name)


def compose(
    leaves: Mapping[str, float], parts: Iterable[Part], short: Iterable[str] = ()
) -> tuple[Values, list[str]]:
    """Returns the values of all parts and leaves, and the names of those that are not whole.

    What cannot be made is absent.
    """
    values: Values = {}
    partial, known = dict.fromkeys(short), ChainMap(values, dict(leaves))
    for name, weights, needs_all in parts:
        present = {item: weight for item, weight in weights.items() if item in known}
        if len(present) < len(weights) or any(item in partial for item in present):
            if needs_all or not present:
                continue
            partial[name] = None
        total = sum(known[item] * weight for item, weight in present.items())
        values[name] = total / sum(present.values())
    ordered = {name: values[name] for name in sorted(values, key=lambda name: name != OVERALL)}
    return {**ordered, **leaves}, list(partial)


def leaf_shares(leaves: Iterable[str], parts: Iterable[Part]) -> dict[str, dict[str, float]]:
    """Returns how much each leaf counts in each metric, in all 1; leaves that do not are absent."""
    shares = {leaf: {leaf: 1.0} for leaf in leaves}
    for name, weights, _ in parts:
        present = {item: weight for item, weight in weights.items() if item in shares}
        total, found = sum(present.values()), dict[str, float]()
        for item, weight in present.items():
            for leaf, share in shares[item].items():
                found[leaf] = found.get(leaf, 0.0) + share * weight / total
        if found:
            shares[name] = found
    return shares


def leaf_means(strata: Strata) -> dict[str, float]:
    """Returns the value of every leaf that a row counts to."""
    return {leaf: mean for stratum in strata.values() for leaf, mean in stratum.means().items()}


def by_subset(*leaves: Leaf) -> Callable[[Iterable[ScoredPreference]], Strata]:
    """Returns how rows count where those of every subset count towards the same leaves.

    Subsets stand in the order of first appearance.
    """

    def strata(scored: Iterable[ScoredPreference]) -> Strata:
        groups: dict[str, list[ScoredPreference]] = {}
        for item in scored:
            groups.setdefault(item.subset, []).append(item)
        return {subset: Stratum.of(subset, items, leaves) for subset, items in groups.items()}

    return strata
