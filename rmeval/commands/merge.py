"""Average two checkpoints of one architecture, tensor by tensor, into a new folder."""

import argparse
from pathlib import Path

from rmeval.commands.shared.options import number_up_to


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; what does not match is found before anything is written."""
    parser.add_argument("a", metavar="A", help="a local folder, or a name on the Hub")
    parser.add_argument("b", metavar="B", help="another of the same architecture")
    parser.add_argument(
        "--weight",
        type=number_up_to(1),
        default=0.5,
        metavar="W",
        help="A's share, from 0 to 1; B has the rest",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="empty, or new")
    options = parser.parse_args(arguments)
    from rmeval.verbs.checkpoints import merge

    count = len(merge(options.a, options.b, options.output, weight=options.weight).a.shapes)
    print(
        f"{options.output}: {count} tensors, {options.weight:g} x {options.a} + "
        f"{1 - options.weight:g} x {options.b}"
    )
    return 0
