"""What a leaderboard is made of, as command lines name it: folders, files and shipped tables."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rmeval.commands.shared.options import one_of
from rmeval.known import (
    Published,
    published_rows,
    published_tables,
    read_published,
    without_repeats,
)
from rmeval.records import Result
from rmeval.results.files import find_results, read_result

DEFAULT = Path("results")


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Adds the folders and files, --published and --card."""
    parser.add_argument(
        "sources",
        nargs="*",
        type=Path,
        metavar="DIR|FILE.csv",
        help="folders with results, or tables of published rows; default: results",
    )
    parser.add_argument(
        "--published", action="store_true", help="add the rows of every shipped table"
    )
    parser.add_argument(
        "--card",
        action="append",
        default=[],
        type=one_of("card", published_tables()),
        metavar="NAME",
        help=f"add the rows of one shipped table: {', '.join(published_tables())}",
    )


def read_sources(
    options: argparse.Namespace,
) -> tuple[list[Path], list[Result], tuple[Published, ...]]:
    """Returns the sources that are meant, their results, and all published rows.

    Raises BadData, UnknownName.
    """
    sources: Sequence[Path] = options.sources or _usual(options)
    rows = [row for path in sources if path.suffix == ".csv" for row in read_published(path)]
    rows += [row for name in options.card for row in published_tables()[name]]
    if options.published:
        rows += published_rows()
    found = find_results([source for source in sources if source.suffix != ".csv"])
    return list(sources), [read_result(path) for path, _ in found], without_repeats(rows)


def _usual(options: argparse.Namespace) -> list[Path]:
    """Returns the usual folder; beside published rows only where there is one."""
    beside = options.published or options.card
    return [DEFAULT] if DEFAULT.is_dir() or not beside else []
