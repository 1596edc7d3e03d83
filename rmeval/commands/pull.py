"""Bring the results of a results repository on the Hub beside those that are here."""

import argparse
from collections import Counter
from pathlib import Path

from rmeval.errors import one_line
from rmeval.hub import require_repository
from rmeval.results.exchange import Outcome, fingerprint_conflicts, pull


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; returns 1 where something in the repository was refused."""
    parser.add_argument(
        "repository",
        type=require_repository,
        metavar="ORG/NAME",
        help="a data set on the Hub with the layout results/<benchmark>/<model>/",
    )
    parser.add_argument("--output", type=Path, default=Path("results"), metavar="FOLDER")
    parser.add_argument("--benchmark", metavar="NAME", help="only this one")
    parser.add_argument(
        "--revision", metavar="NAME", help="a branch, commit or pull request (refs/pr/1)"
    )
    options = parser.parse_args(arguments)
    items = pull(
        options.repository,
        options.output,
        benchmark=options.benchmark,
        revision=options.revision,
    )
    for item in items:
        if item.outcome is not Outcome.THERE:
            print(one_line(f"{item.outcome.value}: {item.folder} ({item.reason})"))
    for conflict in fingerprint_conflicts(item.result for item in items if item.result):
        print(f"beware: {conflict}")
    counts = Counter(item.outcome for item in items)
    print(", ".join(f"{counts[outcome]} {outcome.value}" for outcome in Outcome))
    return int(counts[Outcome.REFUSED] > 0)
