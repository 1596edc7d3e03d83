"""Tables for the terminal, and for files: text, Markdown, CSV, JSON."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tabulate import tabulate

from rmeval.errors import one_line

Rows = Sequence[Mapping[str, Any]]


def format_rows(rows: Rows, form: str) -> str:
    """Returns rows of one shape as text in one of FORMATS, without a final newline.

    Numbers are shown as they are given; None is an empty cell, and null in JSON.
    """
    return FORMATS[form](rows)


def _table(rows: Rows) -> str:
    return _tabulate(rows, "simple")


def _markdown(rows: Rows) -> str:
    return _tabulate([{k: _escape(v) for k, v in row.items()} for row in rows], "pipe")


def _tabulate(rows: Rows, style: str) -> str:
    cells = [[_cell(value) for value in row.values()] for row in rows]
    headers = list(rows[0]) if rows else []
    numbers = [
        all(isinstance(row[header], int | float | None) for row in rows) for header in headers
    ]
    align = ["right" if number else "left" for number in numbers]
    return tabulate(cells, headers, tablefmt=style, disable_numparse=True, colalign=align)


def _csv(rows: Rows) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")


def _json(rows: Rows) -> str:
    return json.dumps(list(rows), indent=2, ensure_ascii=False)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.1f}" if isinstance(value, float) else one_line(str(value))


def _escape(value: Any) -> Any:
    return value.replace("|", "\\|") if isinstance(value, str) else value


FORMATS: dict[str, Callable[[Rows], str]] = {
    "table": _table,
    "markdown": _markdown,
    "csv": _csv,
    "json": _json,
}
