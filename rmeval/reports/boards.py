"""Leaderboards as HTML: a page of its own, or a part of somebody's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

from rmeval.errors import one_line
from rmeval.reports.across import NOTHING, marked_rows
from rmeval.reports.latex import PLAIN, Layout
from rmeval.reports.leaderboard import arranged, footnote_mark, legend_of
from rmeval.reports.table_pages import tables_html, text_table
from rmeval.results.standings import Row

FACTS = ("rank", "group", "model", "type", "Score", "low", "high", "weighting", "origin", "notes")
WIDTH = 200  # of an axis, in pixels
READING = (
    "a line on a bar: Score and 95 % interval, measured here; on a hollow bar: published by "
    "others; rows of one shade, between two lines, are of one group"
)


@dataclass(frozen=True)
class Axis:
    """A scale in percent on which intervals are drawn, `width` wide."""

    low: int
    high: int
    width: int = WIDTH

    @classmethod
    def over(cls, rows: Sequence[Mapping[str, Any]]) -> "Axis":
        """Returns the tens that hold every `score`, `low` and `high`."""
        known = [row[key] for row in rows for key in ("score", "low", "high")]
        known = [value for value in known if value is not None] or [0.0, 100.0]
        low, high = 10 * floor(min(known) / 10), 10 * ceil(max(known) / 10)
        return cls(low, max(high, low + 10))

    def place(self, value: float) -> float:
        """Returns where a value is on it, from 0 to `width`, to a tenth."""
        return round(self.width * (value - self.low) / (self.high - self.low), 1)

    @property
    def ticks(self) -> list[int]:
        """The tens on it, or the twenties."""
        step = 10 if self.high - self.low <= 50 else 20
        return [value for value in range(self.low, self.high + 1) if value % step == 0]

    @property
    def labels(self) -> list[tuple[int, str]]:
        """The ticks, each with the end of its text that stands there."""
        ends = {self.low: "start", self.high: "end"}
        return [(tick, ends.get(tick, "middle")) for tick in self.ticks]


def rankings_html(
    tables: Mapping[str, Sequence[Row]], *, layout: Layout = PLAIN, fragment: bool = False
) -> str:
    """Returns rankings by their benchmark, of `rank_rows`, as a page or a part of one.

    With columns of the reader's choice, or blocks, they are tables of text, without pictures.
    Raises UnknownName for a column of the layout that is not there.
    """
    titles = {name: name if len(tables) > 1 or fragment else "" for name in tables}
    if layout == PLAIN:
        parts = [_ranking(rows, titles[name]) for name, rows in tables.items()]
    else:
        parts = [
            text_table(titles[name], f"Ranking on {one_line(name)}", *arranged(rows, layout))
            for name, rows in tables.items()
        ]
    title = one_line(next(iter(tables))) if len(tables) == 1 else "Leaderboard"
    return tables_html(title, parts, fragment=fragment)


def across_html(rows: Sequence[Row], *, layout: Layout = PLAIN, fragment: bool = False) -> str:
    """Returns the table of models by benchmarks, of `across_rows`, as a page or a part of one.

    Raises UnknownName for a column of the layout that is not there.
    """
    marked, below = marked_rows(layout.arrange(rows, ["notes", "sources"]))
    title = "Models by benchmarks"
    part = text_table("", f"{title}, Scores in percent", marked, [*below, NOTHING])
    return tables_html(title, [part], fragment=fragment)


def _ranking(rows: Sequence[Row], title: str) -> dict[str, Any]:
    marks = marks_of(rows)
    shown = [
        {
            **{key: _shown(row.get(key)) for key in FACTS},
            "score": row["Score"],
            "made": _shown(row["origin"]),
            "estimated": row["origin"].startswith("published"),
            "sections": {k: v for k, v in row.items() if k not in FACTS and v is not None},
            "marks": [(note, marks[note]) for note in row["notes"]],
        }
        for row in rows
    ]
    return {
        "title": one_line(title),
        "rows": shown,
        "sections": [key for key in (rows[0] if rows else ()) if key not in FACTS],
        "axis": Axis.over(shown) if any(row["low"] is not None for row in shown) else None,
        "marks": marks,
        "legend": legend_of(rows),
    }


def _shown(value: Any) -> Any:
    """Returns a text without what no reader could see in it, and any other value as it is."""
    return one_line(value) if isinstance(value, str) else value


def marks_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Returns the mark of each note that rows have."""
    notes = dict.fromkeys(note for row in rows for note in row["notes"])
    return {note: footnote_mark(number) for number, note in enumerate(notes)}
