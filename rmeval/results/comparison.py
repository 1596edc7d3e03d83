"""Two results side by side: over the same rows, or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np

from rmeval.benchmarks import scheme_of
from rmeval.errors import BadData, one_line
from rmeval.metrics.accuracy import count_oddities, margin, win_credit
from rmeval.metrics.names import OVERALL
from rmeval.metrics.paired import Difference, adjusted, is_real, paired_differences
from rmeval.metrics.scheme import Floats
from rmeval.records import Result, ScoredPreference

OUTCOMES = {0.0: "lost", 0.5: "tied", 1.0: "won"}
NOT_A_CAUSE = ("started", "seconds", "model.name", "kind", "findings")


@dataclass(frozen=True)
class Comparison:
    """What is different between two results, and in how they were made.

    `adjusted` holds each metric's p by Holm's correction among those of its level. `causes` are
    (what, of a, of b).
    """

    a: Result
    b: Result
    weighting: str
    differences: tuple[Difference, ...]
    adjusted: dict[str, float]
    causes: tuple[tuple[str, str, str], ...]

    def __repr__(self) -> str:
        return one_line(f"<{verdict(self, (self.a.shown_name, self.b.shown_name))}>")

    def is_real(self, difference: Difference) -> bool:
        """Whether a metric's difference is more than noise."""
        return is_real(self.adjusted[difference.metric])

    def overall(self) -> Difference | None:
        """Returns the difference of the Scores, where both have one."""
        return next((d for d in self.differences if d.metric == OVERALL), None)


def compare_results(a: Result, b: Result, weighting: str | None = None) -> Comparison:
    """Returns how `b` differs from `a`, over the same rows, under one weighting.

    Without a weighting it is that of both, or the benchmark's default where they differ.
    Raises BadData for results over different rows.
    """
    require_same_rows(a, b)
    scheme = scheme_of(a.definition)
    if weighting is None and a.weighting == b.weighting:
        weighting = a.weighting
    of_a, of_b = (scheme.tally(rows, weighting) for rows in (a.scored, rows_in_order_of(a, b)))
    differences = paired_differences(of_a, of_b, of_a.values)
    causes = tuple(_causes(a, b))
    return Comparison(a, b, of_a.weighting, tuple(differences), adjusted(differences), causes)


def require_same_rows(a: Result, b: Result) -> None:
    """Raises BadData unless two results are over the same questions, text by text."""
    names = [f"{result.folder or result.model}" for result in (a, b)]
    if a.definition != b.definition:
        raise BadData(
            f"{names[0]} is of {a.benchmark} and {names[1]} of {b.benchmark}: nothing to compare"
        )
    rows_a, rows_b = ({item.id: item for item in result.scored} for result in (a, b))
    for name, other, mine, theirs in (
        (names[0], names[1], rows_a, rows_b),
        (names[1], names[0], rows_b, rows_a),
    ):
        extra = [row_id for row_id in mine if row_id not in theirs]
        if extra:
            raise BadData(
                f"different rows: {len(extra)} of {name} are not in {other}, first {extra[0]!r}"
            )
    changed = [row_id for row_id, item in rows_a.items() if _is_other(item, rows_b[row_id])]
    if changed:
        raise BadData(
            f"different rows: {len(changed)} have other text or another subset in {names[1]} than "
            f"in {names[0]}, first {changed[0]!r}"
        )


def rows_in_order_of(first: Result, other: Result) -> list[ScoredPreference]:
    """Returns the rows of `other`, which are the same, in the order in which `first` has them."""
    by_id = {item.id: item for item in other.scored}
    return [by_id[item.id] for item in first.scored]


def _is_other(a: ScoredPreference, b: ScoredPreference) -> bool:
    return (a.digest, a.subset, a.weight) != (b.digest, b.subset, b.weight)


def most_different(a: Result, b: Result, count: int) -> list[dict[str, Any]]:
    """Returns the rows whose margins differ most, each margin in units of its model's spread.

    Rewards have no common unit, so a margin is divided by the root mean square of its model's.
    """
    both = zip(a.scored, rows_in_order_of(a, b), strict=True)
    pairs = [(x, y) for x, y in both if not isnan(margin(x))]
    if not pairs:
        return []
    margins = np.array([[margin(x), margin(y)] for x, y in pairs])
    scaled = in_spreads(margins.T).T
    apart = np.abs(scaled[:, 1] - scaled[:, 0])
    order = np.argsort(-apart, kind="stable")[: min(count, int((apart > 0).sum()))]
    return [
        {
            "id": pairs[index][0].id,
            "subset": pairs[index][0].subset,
            "margin A": float(margins[index, 0]),
            "margin B": float(margins[index, 1]),
            "A": OUTCOMES[win_credit(pairs[index][0])],
            "B": OUTCOMES[win_credit(pairs[index][1])],
        }
        for index in order.tolist()
    ]


def in_spreads(margins: Floats) -> Floats:
    """Returns (models, rows) margins in units of the root mean square of their model's."""
    largest = np.abs(margins).max(axis=1, keepdims=True)  # of which the squares could overflow
    margins = margins / np.where(largest > 0, largest, 1.0)
    spread = np.sqrt((margins**2).mean(axis=1, keepdims=True))
    return np.asarray(margins / np.where(spread > 0, spread, 1.0))


def _causes(a: Result, b: Result) -> list[tuple[str, str, str]]:
    manifests = [
        {
            "weighting": r.weighting,
            "truncated": count_oddities(r.scored)["truncated"],
            **r.provenance,
        }
        for r in (a, b)
    ]
    flat_a, flat_b = (flattened(manifest) for manifest in manifests)
    return [
        (key, str(flat_a.get(key, "absent")), str(flat_b.get(key, "absent")))
        for key in dict.fromkeys([*flat_a, *flat_b])
        if key not in NOT_A_CAUSE and flat_a.get(key) != flat_b.get(key)
    ]


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested values by their dotted names, such as `model.dtype`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(flattened(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def verdict(comparison: Comparison, names: Sequence[str] = ("A", "B")) -> str:
    """Returns in a sentence whether b is really better."""
    name_a, name_b = names
    found = comparison.overall()
    if found is None:
        return f"No Score to compare: {comparison.a.partial or 'a section is not whole'}."
    low, high = 100 * found.interval.low, 100 * found.interval.high
    between = f"95 % interval {low:+.1f} to {high:+.1f}, p = {found.p:.2g}"
    if comparison.is_real(found):
        word = "better" if found.value > 0 else "worse"
        return f"{name_b} is {word} than {name_a} by {abs(100 * found.value):.1f} ({between})."
    return f"{name_b} is not distinguishable from {name_a} on this benchmark ({between})."
