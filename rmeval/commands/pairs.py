"""Make preference data from ranked responses, in TRL's layout, with a card that says how."""

import argparse
from pathlib import Path

from rmeval.benchmarks.reading.files import json_lines, require_file
from rmeval.commands.shared.lines import read_provenance
from rmeval.commands.shared.options import one_of
from rmeval.errors import BadOption
from rmeval.files import real
from rmeval.preferences import STRATEGIES, PairRule, pairs_of_line
from rmeval.reports.preference_data import (
    FORMATS,
    prepare_data_folder,
    write_preference_data,
    written_files,
)


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb."""
    parser.add_argument("--input", type=Path, required=True, metavar="ranked.jsonl")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--strategy",
        type=one_of("strategy", STRATEGIES),
        default=STRATEGIES[0],
        metavar="|".join(STRATEGIES),
        help="for each prompt: best with worst, best with one of the others, or every two",
    )
    parser.add_argument(
        "--min-margin", type=float, default=0.0, metavar="X", help="rewards differ by X or more"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="for best-random")
    parser.add_argument(
        "--format",
        type=one_of("format", FORMATS),
        default=FORMATS[0],
        metavar="|".join(FORMATS),
    )
    options = parser.parse_args(arguments)
    rule = PairRule(options.strategy, options.min_margin, options.seed)
    require_file(options.input, "; `rmeval rank` makes one")
    provenance = read_provenance(options.input)
    for name in written_files(options.output, options.format):
        if real(name) == real(options.input):
            raise BadOption(f"{name} is --input, and would be replaced; choose another --output")
    path = prepare_data_folder(options.output, options.format)
    found = (pairs_of_line(fields, place, rule) for place, fields in json_lines(options.input))
    count = write_preference_data(found, path, rule, provenance)
    print(f"{count:,} pairs: {path}; README.md beside it says how they were made")
    return 0
