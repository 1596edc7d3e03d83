"""Rank the results found in folders. Partial results are left out, and counted."""

import argparse
import sys
from pathlib import Path

from rmeval.commands.options import one_of
from rmeval.reports.leaderboard import leaderboard_rows
from rmeval.reports.tables import FORMATS, format_rows
from rmeval.results import find_results


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; the table goes to stdout, remarks to stderr."""
    parser.add_argument("folders", nargs="*", type=Path, metavar="DIR", help="default: results")
    parser.add_argument(
        "--format",
        type=one_of("format", FORMATS),
        default="table",
        metavar="|".join(FORMATS),
    )
    options = parser.parse_args(arguments)
    folders = options.folders or [Path("results")]
    found = [document for _, document in find_results(folders)]
    rows = leaderboard_rows(found)
    if rows or options.format == "json":
        print(format_rows(rows, options.format))
    if len(rows) < len(found):
        print(f"left out: {len(found) - len(rows)} partial results", file=sys.stderr)
    if not found:
        where = ", ".join(map(str, folders))
        print(f"no results in {where}; `rmeval run` makes one", file=sys.stderr)
    return 0
