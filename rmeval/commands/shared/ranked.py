"""What a verb ranks: results in folders, tables of published rows, and rows that ship."""

import argparse
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
    """Adds the sources, --published and --card."""
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


def sources_of(options: argparse.Namespace) -> list[Path]:
    """Returns the sources; without any the usual folder, beside published rows if it is there."""
    beside = options.published or options.card
    usual = [DEFAULT] if DEFAULT.is_dir() or not beside else []
    return list(options.sources) or usual


def read_sources(options: argparse.Namespace) -> tuple[list[Result], tuple[Published, ...]]:
    """Returns what was measured, and what was published. Raises BadData."""
    sources = sources_of(options)
    rows = [row for path in sources if path.suffix == ".csv" for row in read_published(path)]
    rows += [row for name in options.card for row in published_tables()[name]]
    if options.published:
        rows += published_rows()
    found = find_results([source for source in sources if source.suffix != ".csv"])
    return [read_result(path) for path, _ in found], without_repeats(rows)
