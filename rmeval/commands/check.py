"""Fail when a result is worse than its baseline. Exit status 0: passed, 1: worse, 2: unknown."""

import argparse
import os
import sys
from pathlib import Path

from rmeval.commands.shared.gate_options import add_gate_options
from rmeval.door import print_commands
from rmeval.errors import BadOption, OutputFailure
from rmeval.files import prepare_file, real, write_atomically
from rmeval.records import Result
from rmeval.reports.gate import (
    gate_annotations,
    gate_junit,
    gate_markdown,
    gate_table,
    sentence,
)
from rmeval.results.baselines import PUBLISHED, published_baselines, read_baseline
from rmeval.results.files import read_result
from rmeval.results.regression import Gate, Outcome, gate_result


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; returns the verdict as the exit status."""
    _add_options(parser)
    options = parser.parse_args(arguments)
    if (options.folder is None) == (options.result is None):
        raise BadOption("pass the folder of one result, as DIR or as --result DIR")
    options.result = options.result or options.folder
    folder = options.result if options.result.is_dir() else options.result.parent
    junit, markdown = options.junit or folder / "check.xml", options.markdown or folder / "check.md"
    for path in (junit, markdown):  # no verdict of an earlier check may stand beside an error
        if path.is_file():
            real(path).unlink()
    result = read_result(options.result)
    gates, texts = _hold(result, options)
    gate, text = gates[0], texts[0]
    for other, told in zip(gates[1:], texts[1:], strict=True):
        if other.outcome is not Outcome.COULD_NOT_TELL:
            _print(other, told, result.weighting)
            print()
    _print(gate, text, result.weighting)
    for path, content in (
        (junit, gate_junit(gate, result, text)),
        (markdown, "\n".join(map(gate_markdown, gates, texts))),
    ):
        prepare_file(path)
        write_atomically(path, content)
    _tell_github(gate, text)
    return int(gate.outcome)


def _hold(result: Result, options: argparse.Namespace) -> tuple[list[Gate], list[str]]:
    """Returns the gate, and its verdict in a line; other published rows' come after it."""
    if options.baseline == PUBLISHED:
        baselines = published_baselines(result)
    else:
        baselines = (read_baseline(Path(options.baseline)),)
    gates: list[Gate] = []
    texts: list[str] = []
    for baseline in baselines:
        gates.append(
            gate_result(
                result, baseline, max_drop=options.max_drop, alpha=options.alpha, per=options.per
            )
        )
        text = sentence(gates[-1], result, baseline.source)
        texts.append(f"also published, but further away and not used: {text}" if texts else text)
    return gates, texts


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", nargs="?", type=Path, metavar="DIR", help="the folder of a result; or --result"
    )
    parser.add_argument("--result", type=Path, metavar="DIR")
    parser.add_argument(
        "--baseline",
        required=True,
        metavar="FILE|published",
        help="a file that `rmeval baseline` wrote, or the nearest of the model's published rows",
    )
    add_gate_options(parser)
    parser.add_argument("--junit", type=Path, metavar="FILE", help="default: DIR/check.xml")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="default: DIR/check.md")


def _print(gate: Gate, text: str, weighting: str) -> None:
    if gate.outcome is Outcome.COULD_NOT_TELL:
        print(f"rmeval: {text}", file=sys.stderr)
        return
    print(gate_table(gate), end="\n\n")
    if gate.weighting != weighting:
        print(f"under {gate.weighting}, the baseline's weighting, not the result's {weighting}")
    print(text)


def _tell_github(gate: Gate, text: str) -> None:
    """Adds to the job's page and annotates, where this runs in a GitHub workflow."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        print_commands(gate_annotations(gate, text))
    page = os.environ.get("GITHUB_STEP_SUMMARY")
    if page:
        try:
            with Path(page).open("a", encoding="utf-8") as stream:
                stream.write(gate_markdown(gate, text))
        except OSError as error:
            raise OutputFailure(
                f"cannot write GITHUB_STEP_SUMMARY, {page} ({error.strerror})"
            ) from error
