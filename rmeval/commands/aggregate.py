"""Make every number again from stored scores, without a model, and explain how."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isclose
from pathlib import Path

from rmeval.benchmarks import scheme_of
from rmeval.benchmarks.prior_sets import join_prior_sets
from rmeval.metrics.scheme import Scheme
from rmeval.metrics.statistics import describe_scores
from rmeval.reports.metric_tables import explain
from rmeval.reports.summary import summarise
from rmeval.results import metric_document, read_result
from rmeval.types import Result


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; nothing is written."""
    parser.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="the folder of a result; with that of the same model on prior-sets, the Score of both",
    )
    parser.add_argument("--weighting", metavar="NAME", help="how subsets make a section")
    parser.add_argument("--explain", action="store_true", help="print the arithmetic")
    parser.add_argument("--json", action="store_true", help="print metrics and statistics as JSON")
    options = parser.parse_args(arguments)
    result, scheme = _join([read_result(folder) for folder in options.folders])
    weighting = scheme.check_weighting(options.weighting or result.weighting)
    again = replace(
        result, weighting=weighting, metrics=describe_scores(scheme, result.scored, weighting)
    )
    if options.json:
        print(json.dumps(metric_document(again.metrics), indent=2, ensure_ascii=False))
        return 0
    print(summarise(again, scheme))
    if options.explain:
        strata = scheme.stratify(again.scored)
        lines = explain(again.metrics.values, strata, scheme.parts(strata, weighting))
        print("", "The arithmetic, in percent:", "", *lines, sep="\n")
    if weighting == result.weighting and len(options.folders) == 1:
        same = _agree(again.metrics.values, result.metrics.values)
        print("as stored" if same else "NOT as stored: result.json was made by other arithmetic")
    return 0


def _agree(again: Mapping[str, float], stored: Mapping[str, float]) -> bool:
    """Whether two sets of metrics are equal but for the order in which floats were added."""
    return again.keys() == stored.keys() and all(
        isclose(value, stored[name], abs_tol=1e-12) for name, value in again.items()
    )


def _join(results: Sequence[Result]) -> tuple[Result, Scheme]:
    """Returns one result and its arithmetic; RewardBench and its prior sets make one."""
    if len(results) == 1:
        return results[0], scheme_of(results[0].definition)
    return join_prior_sets(results)
