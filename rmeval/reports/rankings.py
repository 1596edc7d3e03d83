"""The rows of several results and tables by benchmark, and a ranking of each."""

from collections.abc import Sequence

from rmeval.errors import UnknownName
from rmeval.known import Published
from rmeval.records import Result
from rmeval.results.standings import Row, rank_rows

Rows = tuple[list[Result], list[Published]]  # what was measured, and what was published


def by_benchmark(
    results: Sequence[Result], published: Sequence[Published], wanted: str | None = None
) -> dict[str, Rows]:
    """Returns the rows of each benchmark, apart where one name has two definitions.

    Raises UnknownName for one that is not there.
    """
    kinds = {(result.benchmark, result.definition) for result in results}
    kinds |= {(row.benchmark, row.benchmark) for row in published}
    names = sorted({benchmark for benchmark, _ in kinds})
    if wanted is not None and wanted not in names:
        raise UnknownName("benchmark among these results", wanted, names)
    return {
        benchmark if benchmark == definition else f"{benchmark} ({definition})": (
            [r for r in results if (r.benchmark, r.definition) == (benchmark, definition)],
            [row for row in published if row.benchmark == benchmark == definition],
        )
        for benchmark, definition in sorted(kinds)
        if wanted in (None, benchmark)
    }


def rank_each(
    results: Sequence[Result],
    published: Sequence[Published],
    benchmark: str | None = None,
    weighting: str | None = None,
    sort: str | None = None,
) -> dict[str, list[Row]]:
    """Returns a ranking by the name of its benchmark, of all or of one; see `rank_rows`."""
    return {
        name: rank_rows(*rows, weighting=weighting, sort=sort)
        for name, rows in by_benchmark(results, published, benchmark).items()
    }
