"""Tables for the terminal, and for files: text, Markdown, CSV, JSON, LaTeX, HTML."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tabulate import tabulate

from rmeval.errors import one_line
from rmeval.reports.latex import PLAIN, Layout, latex_table, latex_text

FORMULA = re.compile(r"\s*[=+\-@]|[\t\r]")  # what a spreadsheet may run
Rows = Sequence[Mapping[str, Any]]


def format_rows(rows: Rows, form: str, layout: Layout = PLAIN) -> str:
    """Returns rows of one shape as text in one of FORMATS, without a final newline.

    Numbers are shown as they are given; None is an empty cell, and null in JSON. Text is escaped
    for the format, whatever it holds. Blocks and bold figures of a layout are LaTeX's alone.
    """
    return latex_table(rows, _cell, layout) if form == "latex" else FORMATS[form](rows)


def format_with_notes(
    rows: Rows, notes: Sequence[str], form: str, title: str = "", layout: Layout = PLAIN
) -> str:
    """Returns a table between its title and its notes: "table", "markdown" or "latex".

    HTML of several tables is a page: see `table_pages`.
    """
    escaped, template = LINES.get(form, (str, "{}"))
    above, below = (
        [template.format(escaped(one_line(line))) for line in lines]
        for lines in ([title] if title else [], notes)
    )
    gap = [""] if notes and form in ("table", "markdown") else []
    return "\n".join([*above, format_rows(rows, form, layout), *gap, *below]).rstrip("\n")


def _table(rows: Rows) -> str:
    return _tabulate(rows, "simple")


def _markdown(rows: Rows) -> str:
    return _tabulate(rows, "pipe", _markdown_text)


def _latex(rows: Rows) -> str:
    return latex_table(rows, _cell)


def _html(rows: Rows) -> str:
    return _tabulate(rows, "html")


def _tabulate(rows: Rows, style: str, escaped: Callable[[str], str] = str) -> str:
    names = list(rows[0]) if rows else []
    cells = [[escaped(_cell(value)) for value in row.values()] for row in rows]
    numbers = [all(isinstance(row[name], int | float | None) for row in rows) for name in names]
    align = ["right" if number else "left" for number in numbers]
    headers = [escaped(one_line(name)) for name in names]
    return tabulate(cells, headers, tablefmt=style, disable_numparse=True, colalign=align)


def _csv(rows: Rows) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_csv_cell, rows[0] if rows else []))
    writer.writerows(map(_csv_cell, row.values()) for row in rows)
    return text.getvalue().rstrip("\n")


def _csv_cell(value: Any) -> Any:
    """Returns a text that a spreadsheet takes for a formula behind an apostrophe."""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def _json(rows: Rows) -> str:
    return json.dumps(list(rows), indent=2, ensure_ascii=False)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.1f}" if isinstance(value, float) else one_line(str(value))


def _markdown_text(text: str) -> str:
    """Returns text that Markdown shows as it is: no end of a cell, HTML, emphasis, link."""
    return re.sub(r"([\\|<&*`\[\]])", r"\\\1", text)


LINES: dict[str, tuple[Callable[[str], str], str]] = {
    "markdown": (_markdown_text, "{}\n"),
    "latex": (latex_text, "\\par {}"),
}

FORMATS: dict[str, Callable[[Rows], str]] = {
    "table": _table,
    "markdown": _markdown,
    "csv": _csv,
    "json": _json,
    "latex": _latex,
    "html": _html,
}

SUFFIXES = {
    ".csv": "csv",
    ".html": "html",
    ".json": "json",
    ".md": "markdown",
    ".tex": "latex",
}
"""The format that a file's suffix stands for."""
