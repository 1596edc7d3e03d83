"""Preferences that simply add up: the Score is wins / rows, or wins by weight where rows have one.

JudgeBench and RMB are such benchmarks, and so is data of the user's own.
"""

from collections.abc import Callable, Mapping

from rmeval.metrics.names import OVERALL, Metric
from rmeval.metrics.scheme import WIN, Part, Scheme, Strata, by_subset


def no_sections(subset: str) -> tuple[str, ...]:
    """Returns that a subset belongs to no section."""
    return ()


def row_weighted(
    rows: Mapping[str, int] | None = None,
    sections: Callable[[str], tuple[str, ...]] = no_sections,
) -> Scheme:
    """Returns the scheme in which every row counts alike, over all rows and in each section.

    `rows` is the published number of rows by subset, `sections` says to which sections a subset
    belongs. Where rows of unequal weight are added up, every weight takes the place of a row.
    """

    def parts(strata: Strata, weighting: str) -> list[Part]:
        totals = {name: stratum.weight_of(Metric.subset(name)) for name, stratum in strata.items()}
        weights: dict[str, float] = dict(rows) if rows is not None else totals
        members: dict[str, dict[str, float]] = {}
        for subset, weight in weights.items():
            for section in sections(subset):
                members.setdefault(section, {})[Metric.subset(subset)] = weight
        overall: dict[str, float] = {
            Metric.subset(subset): weight for subset, weight in weights.items()
        }
        return [
            *(Part(Metric.section(section), subsets) for section, subsets in members.items()),
            Part(OVERALL, overall, needs_all=True),
        ]

    return Scheme(by_subset(WIN), parts, ("rows",), rows)


PAIRS = row_weighted()
