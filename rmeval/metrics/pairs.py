"""Preferences that simply add up: the Score is wins / rows, or wins by weight where rows have one.

JudgeBench (arXiv 2410.12784), and data of the user's own; RMB is in `rmb.py`.
"""

from collections.abc import Callable, Mapping

from rmeval.metrics.names import OVERALL, Metric
from rmeval.metrics.scheme import WIN, Part, Scheme, Strata, by_subset

JUDGEBENCH_ROWS = {
    "gpt-4o/knowledge": 154,
    "gpt-4o/reasoning": 98,
    "gpt-4o/math": 56,
    "gpt-4o/coding": 42,
    "claude-3.5/knowledge": 154,
    "claude-3.5/reasoning": 51,
    "claude-3.5/math": 34,
    "claude-3.5/coding": 31,
}


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
        totals = {name: float(stratum.weights[:, 0].sum()) for name, stratum in strata.items()}
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


def _judgebench_sections(subset: str) -> tuple[str, ...]:
    """Returns the category, over both response models, and the response model.

    The paper's tables are of one response model each, so these are sections too.
    """
    model, _, category = subset.partition("/")
    return category, model


PAIRS = row_weighted()
JUDGEBENCH = row_weighted(JUDGEBENCH_ROWS, _judgebench_sections)
