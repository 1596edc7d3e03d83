"""Show results of one model over time: a table of its checkpoints, curves, the gate's verdicts."""

import argparse
import sys
from pathlib import Path

from rmeval.commands.shared.gate_options import add_gate_options
from rmeval.commands.shared.options import one_of
from rmeval.errors import BadOption, UnknownName
from rmeval.files import prepare_file, write_atomically
from rmeval.records import Result
from rmeval.reports.history import format_histories
from rmeval.reports.tables import FORMATS, SUFFIXES, format_rows
from rmeval.results.baselines import Baseline, read_baseline
from rmeval.results.files import find_results, read_result
from rmeval.results.history import FIRST, PREVIOUS, History, find_histories

FIGURES = (".pdf", ".svg", ".png")


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; the tables go to stdout or a file, the curves to a file."""
    _add_options(parser)
    options = parser.parse_args(arguments)
    results = _results(options)
    histories = find_histories(
        results,
        _baseline(options.baseline),
        max_drop=options.max_drop,
        alpha=options.alpha,
        per=options.per,
    )
    if options.figure is not None:
        _write_figure(histories, options.figure)
    alone = len(results) - sum(len(history.checkpoints) for history in histories)
    if alone:
        print(
            f"without another of its model and benchmark: {alone} of the results", file=sys.stderr
        )
    _write_table(histories, options)
    return 0


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folders",
        nargs="*",
        type=Path,
        default=[Path("results")],
        metavar="DIR",
        help="folders with results; default: results",
    )
    parser.add_argument("--benchmark", metavar="NAME", help="only this one")
    parser.add_argument(
        "--baseline",
        default=PREVIOUS,
        metavar="previous|first|FILE",
        help="what each is held to: the one before it (the default), the first, or a file that "
        "`rmeval baseline` wrote",
    )
    add_gate_options(parser)
    parser.add_argument(
        "--format",
        type=one_of("format", FORMATS),
        metavar="|".join(FORMATS),
        help="default: by the suffix of --output, or table",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="for the table")
    parser.add_argument(
        "--figure",
        type=_figure,
        metavar="FILE",
        help="draw the curves of one benchmark; the suffix says as what: pdf, svg, png",
    )


def _figure(value: str) -> Path:
    """An argument type: a file that a figure can be written to."""
    path = Path(value)
    if path.suffix.lower() not in FIGURES:
        raise argparse.ArgumentTypeError(f"{value} does not end in {', '.join(FIGURES)}")
    return path


def _results(options: argparse.Namespace) -> list[Result]:
    """Returns the results of the benchmark, or of all. Raises BadData, UnknownName."""
    found = list(find_results(options.folders))
    names = sorted({str(document["benchmark"]) for _, document in found})
    if options.benchmark is not None and options.benchmark not in names:
        raise UnknownName("benchmark among these results", options.benchmark, names)
    wanted = (options.benchmark,) if options.benchmark else names
    return [read_result(path) for path, document in found if document["benchmark"] in wanted]


def _baseline(value: str) -> Baseline | str:
    return value if value in (PREVIOUS, FIRST) else read_baseline(Path(value))


def _write_table(histories: list[History], options: argparse.Namespace) -> None:
    form = options.format or SUFFIXES.get(options.output and options.output.suffix.lower(), "table")
    if histories:
        text = format_histories(histories, form) + "\n"
    else:
        text = format_rows([], "json") + "\n" if form == "json" else ""
        print("no model has two results on one benchmark", file=sys.stderr)
    if options.output is None:
        print(text, end="")
    else:
        prepare_file(options.output)
        write_atomically(options.output, text)


def _write_figure(histories: list[History], path: Path) -> None:
    from rmeval.reports.figures import save_figure
    from rmeval.reports.history_curves import draw_histories

    if not histories:
        raise BadOption("no model has two results on one benchmark: nothing to draw")
    figure = draw_histories(histories)
    prepare_file(path)
    save_figure(figure, path)
