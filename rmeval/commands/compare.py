"""Say whether one result is really better than another, row by row, and why they differ."""

import argparse
import json
from pathlib import Path

from rmeval.commands.shared.options import positive
from rmeval.judging.agreement import find_agreement
from rmeval.reports.agreement import agreement_line
from rmeval.reports.comparison import comparison_document, describe_comparison
from rmeval.reports.labels import is_judged
from rmeval.results.comparison import compare_results, most_different
from rmeval.results.files import read_result


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; the exit status does not say which is better, see `rmeval check`."""
    parser.add_argument("a", type=Path, metavar="A", help="the folder of a result")
    parser.add_argument(
        "b", type=Path, metavar="B", help="the folder of another result over the same rows"
    )
    parser.add_argument("--weighting", metavar="NAME", help="how subsets make a section")
    parser.add_argument(
        "--pairs", type=positive, default=10, metavar="N", help="show the N rows most different"
    )
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")
    options = parser.parse_args(arguments)
    comparison = compare_results(read_result(options.a), read_result(options.b), options.weighting)
    rows = most_different(comparison.a, comparison.b, options.pairs)
    if options.json:
        document = comparison_document(comparison, rows)
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        print(describe_comparison(comparison, rows))
        if is_judged(comparison.a) or is_judged(comparison.b):
            print("", agreement_line(find_agreement([comparison.a, comparison.b])), sep="\n")
    return 0
