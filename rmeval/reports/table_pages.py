"""Tables of text as HTML: a page of its own, or a part of somebody's."""

from collections.abc import Mapping, Sequence
from typing import Any

from rmeval.errors import one_line
from rmeval.reports.documents import render_fragment, render_page

TEXTS = ("model", "type", "weighting", "origin", "date", "verdict", "subset", "without")
"""Columns that are no numbers."""


def text_table(
    title: str, caption: str, rows: Sequence[Mapping[str, Any]], below: Sequence[str] = ()
) -> dict[str, Any]:
    """Returns a part of a page: a table under its title, and the lines below it.

    Its columns are those of all rows; None is an empty cell, and fractions have one decimal.
    """
    heads = list(dict.fromkeys(head for row in rows for head in row))
    table = {
        "caption": one_line(caption),
        "heads": heads,
        "numbers": [head for head in heads if head not in TEXTS],
        "rows": [{head: _cell(row.get(head)) for head in heads} for row in rows],
        "long": False,
        "sorts": True,
    }
    return {"title": one_line(title), "table": table, "marks": {}, "legend": below}


def tables_html(title: str, parts: Sequence[Mapping[str, Any]], *, fragment: bool = False) -> str:
    """Returns parts, of `text_table` or rankings, as a page of this title or without document."""
    if fragment:
        return render_fragment("leaderboard_tables.html.j2", parts=parts, title=title)
    return render_page("leaderboard.html.j2", ["tables.js"], parts=parts, title=title)


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.1f}"
    return "" if value is None else value
