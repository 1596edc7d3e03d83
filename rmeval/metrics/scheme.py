"""From scores to metrics: what a benchmark must say of itself, and the arithmetic all share.

Every published number here is a chain of weighted means that begins at the rows of a subset. So
a benchmark names what a row counts (`strata`) and the chain (`parts`); value, interval,
difference and explanation follow from these two, by the same code for all.
"""

from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rmeval.errors import BadData, UnknownName
from rmeval.metrics.accuracy import count_oddities, subset_rows, win_credit
from rmeval.records import Metrics, ScoredPreference

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stratum:
    """The rows of a subset: what each counted towards each of `leaves`, and its own weight.

    `ids` are N, `credits` (N, len(leaves)) from about 0 to 1, `weights` (N,), `units` (N,) those
    that the rows belong to. Where a row is more than one preference, `ids` names all.
    """

    leaves: tuple[str, ...]
    ids: tuple[str, ...]
    credits: Floats
    weights: Floats
    units: tuple[tuple[str, str], ...]

    def means(self) -> dict[str, float]:
        """Returns the weighted mean of each leaf."""
        sums = self.weights @ self.credits
        return dict(zip(self.leaves, (sums / self.weights.sum()).tolist(), strict=True))


class Part(NamedTuple):
    """A metric that is the weighted mean of others, leaves or earlier parts, by name.

    `needs_all`: it is given only where every one of them is there and whole; otherwise it is
    made from those that are there, and marked partial.
    """

    name: str
    weights: Mapping[str, float]
    needs_all: bool = False


Strata = dict[str, Stratum]  # by subset
Values = dict[str, float]  # by metric


def no_chance(_: ScoredPreference) -> float | None:
    """Returns that nobody knows what a coin would get."""
    return None


@dataclass(frozen=True)
class Scheme:
    """How a benchmark's numbers are made from stored scores alone.

    `strata` says what the rows count; `parts(strata, weighting)` how the subsets add up, in an
    order in which each part stands after what it is made of. `rows` is the published number of
    rows by subset, or None where there is none to hold the data to. `chance` is the expected
    credit of a row for random scores.
    """

    strata: Callable[[Sequence[ScoredPreference]], Strata]
    parts: Callable[[Strata, str], list[Part]]
    weightings: tuple[str, ...]
    chance: Callable[[ScoredPreference], float | None] = no_chance
    rows: Mapping[str, int] | None = None

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

    def metrics(self, scored: Sequence[ScoredPreference], weighting: str | None = None) -> Metrics:
        """Returns the metrics of scored rows, without statistics.

        A subset counts as whole only if it has the published number of rows. Raises BadData when
        there is nothing to average, UnknownName for an unknown weighting or subset.
        """
        weighting, strata = self.check_weighting(weighting), self.stratify(scored)
        rows = subset_rows(scored)
        values, partial = compose(
            leaf_means(strata), self.parts(strata, weighting), self.short_leaves(strata, rows)
        )
        return Metrics(
            values=values,
            rows=rows,
            partial_sections=tuple(
                name.removeprefix("section/") for name in partial if name.startswith("section/")
            ),
            counts=count_oddities(scored),
        )

    def stratify(self, scored: Sequence[ScoredPreference]) -> Strata:
        """Returns the rows by subset. Raises BadData where there are none, UnknownName."""
        if not scored:
            raise BadData("there are no scored preferences to average")
        if self.rows is not None:
            for item in scored:
                if item.subset not in self.rows:
                    raise UnknownName("subset", item.subset, self.rows)
        return self.strata(scored)

    def short_leaves(self, strata: Strata, rows: Mapping[str, int]) -> set[str]:
        """Returns the leaves of subsets that do not have their published number of rows."""
        if self.rows is None:
            return set()
        wrong = [name for name in strata if rows[name] != self.rows[name]]
        return {leaf for name in wrong for leaf in strata[name].leaves}


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
    ordered = {name: values[name] for name in sorted(values, key=_place)}
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
    """Returns the value of every leaf."""
    return {leaf: mean for stratum in strata.values() for leaf, mean in stratum.means().items()}


def win_strata(scored: Sequence[ScoredPreference]) -> Strata:
    """Returns strata in which a row counts 1 when every chosen response beats every other."""
    return credit_strata(scored, win_credit)


def credit_strata(
    scored: Iterable[ScoredPreference], credit: Callable[[ScoredPreference], float]
) -> Strata:
    """Returns strata with one leaf each, `subset/<name>`, in the order of first appearance."""
    groups: dict[str, list[ScoredPreference]] = {}
    for item in scored:
        groups.setdefault(item.subset, []).append(item)
    return {
        subset: Stratum(
            (f"subset/{subset}",),
            tuple(item.id for item in items),
            np.array([[credit(item)] for item in items], float),
            np.array([item.weight for item in items], float),
            tuple(item.unit for item in items),
        )
        for subset, items in groups.items()
    }


def _place(name: str) -> int:
    return 0 if name == "overall" else 1
