"""A ranking for each benchmark of some results."""

from collections.abc import Sequence

from rmeval.errors import UnknownName
from rmeval.known import Published
from rmeval.reports.leaderboard import Row, rank_rows
from rmeval.types import Result


def rank_each(
    results: Sequence[Result],
    published: Sequence[Published],
    benchmark: str | None = None,
    weighting: str | None = None,
    sort: str | None = None,
) -> dict[str, list[Row]]:
    """Returns a ranking by the name of its benchmark, of all or of one; see `rank_rows`.

    Raises UnknownName for a benchmark that none is of.
    """
    kinds = {(result.benchmark, result.definition) for result in results}
    kinds |= {(row.benchmark, row.benchmark) for row in published}
    names = sorted({name for name, _ in kinds})
    if benchmark is not None:
        if benchmark not in names:
            raise UnknownName("benchmark among these results", benchmark, names)
        kinds = {kind for kind in kinds if kind[0] == benchmark}
    return {
        name if name == definition else f"{name} ({definition})": rank_rows(
            [r for r in results if (r.benchmark, r.definition) == (name, definition)],
            [row for row in published if row.benchmark == name == definition],
            weighting=weighting,
            sort=sort,
        )
        for name, definition in sorted(kinds)
    }
