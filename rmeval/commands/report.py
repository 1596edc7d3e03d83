"""Write a report that opens in any browser: scores, pictures, every row with its texts."""

import argparse
import sys
from pathlib import Path

from rmeval.benchmarks import scheme_of
from rmeval.files import prepare_file, write_atomically
from rmeval.reports.pages import render_report
from rmeval.reports.texts import find_texts
from rmeval.results.files import read_result


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; the texts are read again from where the run found them."""
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="folders of results on the same rows"
    )
    parser.add_argument("--output", type=Path, default=Path("report.html"), metavar="FILE.html")
    parser.add_argument("--data", type=Path, metavar="PATH", help="the rows, if they have moved")
    options = parser.parse_args(arguments)
    results = [read_result(folder) for folder in options.folders]
    prepare_file(options.output)
    texts = find_texts(results[0], options.data)
    page = render_report(results, scheme_of(results[0].definition), texts)
    write_atomically(options.output, page)
    if texts.missing:
        print(f"without texts: {texts.missing}; pass --data", file=sys.stderr)
    print(f"{options.output}: {len(page.encode()) / 1e6:.1f} MB")
    return 0
