"""Score preference pairs and keep those that a model agrees with; the others can go apart."""

import argparse
import json
import re
import sys
from array import array
from collections.abc import Sequence
from contextlib import ExitStack
from math import inf
from pathlib import Path

import numpy as np

from rmeval.benchmarks.columns import find_columns, parse_columns
from rmeval.benchmarks.files import json_lines
from rmeval.benchmarks.layouts import Layout, recognise
from rmeval.benchmarks.rows import Row
from rmeval.commands.lines import Fields, add_line_options, require_file_name, score_lines
from rmeval.errors import BadData, BadOption
from rmeval.files import prepare_folder, real, replacing
from rmeval.preferences import MARGIN
from rmeval.types import Conversation, Score

NUMBER = r"[0-9.]+(?:[eE][+-]?[0-9]+)?"
KEEP = re.compile(rf"agree|margin>=(?P<margin>-?{NUMBER})|top=(?P<top>{NUMBER})%")


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb. Lines keep their fields, and get two scores and their margin."""
    add_line_options(parser, "pairs.jsonl", "kept.jsonl")
    parser.add_argument(
        "--keep",
        type=_Rule,
        default=_Rule("agree"),
        metavar="agree|margin>=X|top=P%",
        help="chosen has the higher reward (the default); or a least margin, in quotes; or the P "
        "percent of largest margins, with those that equal the last of them",
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
    pairs = _Pairs(parse_columns(options.columns) if options.columns else {})

    def finish(scored: Path, output: Path) -> None:
        least = options.keep.least(pairs.margins)
        kept = _split(scored, least, output, options.others)
        print(f"{kept:,} of {len(pairs.margins):,} pairs kept", file=sys.stderr)

    score_lines(options, pairs.conversations, pairs.add_margin, finish)
    return 0


class _Rule:
    """Which margins are kept; `text` as --keep has it. Raises BadOption for anything else."""

    def __init__(self, text: str) -> None:
        found = KEEP.fullmatch(text)
        try:
            self._margin, self._top = (
                None if found is None or found[name] is None else float(found[name])
                for name in ("margin", "top")
            )
        except ValueError:
            found = None
        if found is None or not 0 < (100 if self._top is None else self._top) <= 100:
            raise BadOption(f"--keep {text}: pass agree, 'margin>=X' (in quotes) or top=P%")

    def least(self, margins: Sequence[float]) -> float:
        """Returns the smallest margin that is kept."""
        if self._margin is not None:
            return self._margin
        if self._top is not None:
            count = max(1, round(len(margins) * self._top / 100))
            return float(np.partition(margins, len(margins) - count)[len(margins) - count])
        return float(np.nextafter(0, inf))  # agreement is a margin above 0


class _Pairs:
    """Lines of one layout, which the first one decides, and the margins that they get."""

    def __init__(self, asked: dict[str, str]) -> None:
        self._asked = asked
        self._layout: Layout | None = None
        self.margins = array("d")

    def conversations(self, fields: Fields, place: str) -> list[Conversation]:
        """Returns the chosen and the rejected conversation of a line. Raises BadData."""
        row = Row(fields, place)
        columns = find_columns(list(fields), self._asked, place)
        if self._layout is None:
            self._layout = recognise(row, columns, list(fields))
        preference = self._layout.preference(row, columns, 1, "")
        if preference is None:
            raise BadData(f"{place}: chosen and rejected differ in more than one last reply")
        if len(preference.responses) != 2:
            raise BadData(f"{place}: filter takes one chosen and one rejected response")
        return preference.conversations()

    def add_margin(self, fields: Fields, scores: Sequence[Score]) -> Fields:
        """Returns a line with its scores and margin."""
        chosen, rejected = (score.value for score in scores)
        self.margins.append(chosen - rejected)
        added = {"score_chosen": chosen, "score_rejected": rejected, MARGIN: chosen - rejected}
        return {**fields, **added}


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
