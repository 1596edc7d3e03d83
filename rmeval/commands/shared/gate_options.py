"""What a gate allows, and what it holds: the options of every verb that has one."""

import argparse

from rmeval.commands.shared.options import number_up_to, one_of
from rmeval.results.regression import LEVELS


def add_gate_options(parser: argparse.ArgumentParser) -> None:
    """Adds --max-drop, --alpha and --per."""
    parser.add_argument(
        "--max-drop",
        type=number_up_to(100),
        default=0.5,
        metavar="POINTS",
        help="the loss that is allowed, in percentage points; default: 0.5",
    )
    parser.add_argument(
        "--alpha",
        type=number_up_to(1),
        default=0.05,
        metavar="P",
        help="how unlikely a difference must be if nothing changed, up or down: for the Score, for "
        "all sections together, for all subsets together; default: 0.05",
    )
    parser.add_argument(
        "--per",
        type=one_of("level", LEVELS),
        default="section",
        metavar="|".join(LEVELS),
        help="what is checked: the Score alone, the sections too (the default), or the subsets too",
    )
