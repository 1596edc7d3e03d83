"""Count the rows of a benchmark that are in training data, and score it without them."""

import argparse
import json
from pathlib import Path

from rmeval.commands.shared.benchmark_options import add_benchmark_options, load_benchmarks_from
from rmeval.commands.shared.options import add_quiet_option, number_up_to, one_of
from rmeval.commands.shared.progress import show_step
from rmeval.errors import BadOption
from rmeval.files import prepare_file, write_atomically
from rmeval.reports.overlap import format_overlap, overlap_document
from rmeval.reports.tables import FORMATS
from rmeval.verbs.overlap import overlap


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; no model is needed."""
    _add_options(parser)
    options = parser.parse_args(arguments)
    if options.output is not None:
        prepare_file(options.output)
    benchmarks = load_benchmarks_from(options, "rewardbench")
    if len(benchmarks) > 1:
        raise BadOption("one benchmark at a time: pass one name")
    with show_step(f"reading {', '.join(map(str, options.train))}", quiet=options.quiet):
        found = overlap(
            options.train,
            benchmarks[0],
            results=options.result,
            tokenizer=options.tokenizer,
            least=options.least,
        )
    if options.format == "json":
        text = json.dumps(overlap_document(found), indent=2, ensure_ascii=False)
    else:
        text = format_overlap(found, options.format)
    if options.output is None:
        print(text)
    else:
        write_atomically(options.output, text + "\n")
    return 0


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--train",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="training data: files (jsonl, json, csv, parquet, arrow, also .gz) or folders of them",
    )
    add_benchmark_options(parser)
    parser.add_argument(
        "--result",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="a result of the benchmark: its Score without the rows that are touched",
    )
    parser.add_argument(
        "--tokenizer",
        type=Path,
        metavar="FILE_OR_FOLDER",
        help="a tokenizer.json: runs of 13 are then of its tokens, not of words",
    )
    parser.add_argument(
        "--least",
        type=number_up_to(1),
        default=0.0,
        metavar="SHARE",
        help="the share of a text from which it counts as touched; 0 (the default) is any part",
    )
    parser.add_argument(
        "--format", type=one_of("format", FORMATS), default="table", metavar="|".join(FORMATS)
    )
    parser.add_argument("--output", type=Path, metavar="FILE")
    add_quiet_option(parser)
