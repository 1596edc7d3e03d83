"""Show model adapters, benchmarks, and the checkpoints that are known by name."""

import argparse

from rmeval.benchmarks import BENCHMARKS
from rmeval.known import known_checkpoints
from rmeval.models import FAMILIES
from rmeval.reports.tables import format_rows


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; nothing is loaded but tables."""
    parser.parse_args(arguments)
    adapters = [{"model adapter": entry.name, "serves": entry.summary} for entry in FAMILIES]
    benchmarks = [{"benchmark": entry.name, "what it is": entry.summary} for entry in BENCHMARKS]
    checkpoints = [
        {
            "known checkpoint": known.name,
            "adapter": known.family,
            "size": known.parameters,
            "published": known.published.overall if known.published else None,
            "weighting": known.published.weighting if known.published else None,
        }
        for known in known_checkpoints().values()
    ]
    for rows in (adapters, benchmarks, checkpoints):
        print(format_rows(rows, "table"), end="\n\n")
    print("Any other checkpoint of these families works too: --model FOLDER or --model ORG/NAME.")
    return 0
