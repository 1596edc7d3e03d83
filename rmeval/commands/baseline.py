"""Write what `rmeval check` compares with: metrics, and a bit per row; small enough to commit."""

import argparse
from pathlib import Path

from rmeval.files import prepare_file
from rmeval.results.baselines import write_baseline
from rmeval.results.files import read_result


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder of a result")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.json")
    options = parser.parse_args(arguments)
    result = read_result(options.folder)
    prepare_file(options.output)
    write_baseline(options.output, result)
    size = options.output.stat().st_size
    print(f"{options.output}: {result.shown_name} on {result.benchmark}, {size:,} bytes")
    return 0
