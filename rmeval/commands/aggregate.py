"""Recompute every number from stored scores, without a model, and explain it."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rmeval.benchmarks import scheme_of
from rmeval.benchmarks.joints import join_results
from rmeval.errors import BadOption, one_line
from rmeval.metrics.scheme import Scheme
from rmeval.metrics.summary import describe_scores
from rmeval.records import Result
from rmeval.reports.metric_tables import explain
from rmeval.reports.summary import summarise
from rmeval.results.files import differing_metric, metric_document, remake_result, write_result


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; returns 1 where the stored numbers are others, and were not written again."""
    parser.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="the folder of a result; two, of rewardbench and prior-sets or of rmb-pairwise and "
        "rmb-bon, for the Score of both",
    )
    parser.add_argument("--weighting", metavar="NAME", help="how subsets make a section")
    parser.add_argument("--explain", action="store_true", help="print the arithmetic")
    parser.add_argument(
        "--write", action="store_true", help="correct the numbers in result.json where they differ"
    )
    parser.add_argument("--json", action="store_true", help="print metrics and statistics as JSON")
    options = parser.parse_args(arguments)
    read = [remake_result(folder) for folder in options.folders]
    result, scheme = _join([result for result, _ in read])
    weighting = scheme.check_weighting(options.weighting or result.weighting)
    as_it_was = weighting == result.weighting and len(read) == 1
    if options.write and not as_it_was:
        raise BadOption("--write takes one folder, under the weighting that it was run with")
    again = replace(
        result, weighting=weighting, metrics=describe_scores(scheme, result.scored, weighting)
    )
    if options.json:
        print(json.dumps(metric_document(again.metrics), indent=2, ensure_ascii=False))
    else:
        _print(again, scheme, explained=options.explain)
    return _hold_to_stored(again, read[0][1], options) if as_it_was else 0


def _print(result: Result, scheme: Scheme, *, explained: bool) -> None:
    print(summarise(result, scheme))
    if explained:
        lines = explain(scheme.tally(result.scored, result.weighting))
        print("", "The arithmetic, in percent:", "", *lines, sep="\n")


def _hold_to_stored(result: Result, stored: Mapping[str, Any], options: argparse.Namespace) -> int:
    """Says whether the stored numbers are these, and writes them where asked; the exit status."""
    name = differing_metric(result.metrics.values, stored)
    if name is None:
        said = "as stored"
    elif options.write:
        said = "written: result.json now has the numbers that follow from the scores"
    else:
        said = f"NOT as stored: {one_line(name)} differs in result.json; --write corrects it"
    if options.write and result.folder is not None:
        write_result(result.folder, result)
    print(said, file=sys.stderr if options.json else sys.stdout)
    return int(name is not None and not options.write)


def _join(results: Sequence[Result]) -> tuple[Result, Scheme]:
    """Returns one result and its arithmetic; those on some benchmarks make one together."""
    if len(results) == 1:
        return results[0], scheme_of(results[0].definition)
    return join_results(results)
