"""Which preference pairs are kept, by the margins that a model gives them."""

import re
from array import array
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

import numpy as np

from rmeval.benchmarks.reading.columns import find_columns
from rmeval.benchmarks.reading.layouts import Layout, recognise
from rmeval.benchmarks.reading.rows import Row
from rmeval.errors import BadData, BadOption
from rmeval.preferences import MARGIN
from rmeval.records import Conversation, Score

NUMBER = r"[0-9.]+(?:[eE][+-]?[0-9]+)?"
KEEP = re.compile(rf"agree|margin>=(?P<margin>-?{NUMBER})|top=(?P<top>{NUMBER})%")


class KeepRule:
    """Which margins are kept: `text` is the `keep` of `filter`. Raises BadOption for another."""

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
            raise BadOption(f"`keep={text!r}`: pass agree, 'margin>=X' (in quotes) or top=P%")

    def least(self, margins: Sequence[float]) -> float:
        """Returns the smallest margin that is kept."""
        if self._margin is not None:
            return self._margin
        if self._top is not None:
            count = max(1, round(len(margins) * self._top / 100))
            return float(np.partition(margins, len(margins) - count)[len(margins) - count])
        return float(np.nextafter(0, inf))  # agreement is a margin above 0


class PairReader:
    """Lines of one layout, which the first one decides, and the margins that they get."""

    def __init__(self, asked: Mapping[str, str]) -> None:
        self._asked = asked
        self._layout: Layout | None = None
        self.margins = array("d")

    def conversations(self, fields: Mapping[str, Any], place: str) -> list[Conversation]:
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

    def add_margin(self, fields: Mapping[str, Any], scores: Sequence[Score]) -> dict[str, Any]:
        """Returns a line with its scores and margin."""
        chosen, rejected = (score.value for score in scores)
        self.margins.append(chosen - rejected)
        added = {"score_chosen": chosen, "score_rejected": rejected, MARGIN: chosen - rejected}
        return {**fields, **added}
