"""Score preference pairs and keep those that a model agrees with; --others keeps the rest."""

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path

from rmeval.benchmarks.reading.files import json_lines
from rmeval.commands.shared.benchmark_options import parse_columns
from rmeval.commands.shared.lines import add_line_options, require_file_name, score_lines
from rmeval.errors import BadOption
from rmeval.files import prepare_folder, real, replacing
from rmeval.filtering import KeepRule, PairReader
from rmeval.preferences import MARGIN


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb. Lines keep their fields, and get two scores and their margin."""
    add_line_options(parser, "pairs.jsonl", "kept.jsonl")
    parser.add_argument(
        "--keep",
        type=KeepRule,
        default=KeepRule("agree"),
        metavar="agree|margin>=X|top=P%",
        help="chosen has the higher reward (the default); or a minimum margin, in quotes; or the P "
        "percent with the largest margins, including those equal to the last",
    )
    parser.add_argument("--others", type=Path, metavar="FILE", help="where the others go")
    parser.add_argument("--columns", metavar="OURS=THEIRS,…", help="as for `rmeval run`")
    options = parser.parse_args(arguments)
    for path in (options.output, options.others):
        if path is not None and path.resolve() == options.input.resolve():
            raise BadOption(f"{path} is --input too, and pairs would be lost; choose another file")
    if options.others is not None:
        require_file_name("--others", options.others)
        if options.others.resolve() == options.output.resolve():
            raise BadOption(f"--output and --others are both {options.output}")
        prepare_folder(real(options.others).parent)
    pairs = PairReader(parse_columns(options.columns) if options.columns else {})

    def finish(scored: Path, output: Path) -> None:
        least = options.keep.least(pairs.margins)
        kept = _split(scored, least, output, options.others)
        print(f"{kept:,} of {len(pairs.margins):,} pairs kept", file=sys.stderr)

    score_lines(options, pairs.conversations, pairs.add_margin, finish)
    return 0


def _split(scored: Path, least: float, output: Path, others: Path | None) -> int:
    """Writes the lines that are kept, and the others where they are wanted; returns how many."""
    kept = 0
    with ExitStack() as stack:
        streams = {True: stack.enter_context(replacing(output))}
        if others is not None:
            streams[False] = stack.enter_context(replacing(others))
        for _, fields in json_lines(scored):
            side = fields[MARGIN] >= least
            kept += side
            if side in streams:
                streams[side].write(json.dumps(fields, ensure_ascii=False) + "\n")
    return kept
