"""Tables for papers: LaTeX with booktabs, whatever the cells hold.

Rows may stand in blocks under headings, and the best figure of each column in bold. The ends of an
interval become one small column.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from tabulate import LATEX_ESCAPE_RULES

from rmeval.errors import UnknownName, one_line

Rows = Sequence[Mapping[str, Any]]

ENDS = ("low", "high")
INTERVAL = r"\scriptsize 95\,\% interval"
FIGURE = re.compile(r"(-?\d+\.\d+)?((?: ?\[[a-z]+\])*)")  # or none; with marks of footnotes
ESCAPES = {  # beside those that are no text: `\\` takes [ and * behind it for its own
    **LATEX_ESCAPE_RULES,
    **{"[": "{[}", "]": "{]}", "*": "{*}", "|": r"\textbar{}", '"': "''", "`": r"\`{}"},
}
NEEDS = r"% needs \usepackage{booktabs}"
LUA = "% holds letters that pdfLaTeX does not have: LuaLaTeX, and a font that has them"


class Layout(NamedTuple):
    """How rows stand in a table: which columns, in blocks by which, the best of each in bold."""

    columns: tuple[str, ...] = ()
    by: str | None = None
    bold: bool = False

    def arrange(self, rows: Rows, kept: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Returns rows with these columns, and those of one value of `by` together.

        Columns of `kept` stay, and that of `by`. Raises UnknownName for one that is not there.
        """
        known = list(dict.fromkeys(name for row in rows for name in row if name not in kept))
        named = [*self.columns, *filter(None, [self.by])]
        for name in named if rows else ():
            if name not in known:
                raise UnknownName("column", name, known)
        if (by := self.by) is not None:
            order = list(dict.fromkeys(row.get(by) for row in rows))
            rows = sorted(rows, key=lambda row: order.index(row.get(by)))
        shown = dict.fromkeys([*named, *kept]) if self.columns else dict.fromkeys([*known, *kept])
        return [{name: row[name] for name in shown if name in row} for row in rows]


PLAIN = Layout()


def latex_text(text: str) -> str:
    """Returns text that LaTeX sets as it is: no command, no ligature, no argument of `\\\\`."""
    escaped = "".join(ESCAPES.get(character, character) for character in text)
    return re.sub(r"-(?=-)", "-{}", escaped)


class Column(NamedTuple):
    """A column as LaTeX has it: heading, "l" or "r", and a cell for each row."""

    heading: str
    side: str
    cells: list[str]


def latex_table(rows: Rows, cell: Callable[[Any], str], layout: Layout = PLAIN) -> str:
    """Returns a table of rows that `layout` arranged; `cell` says what a value is as text."""
    if not rows:
        return ""
    columns = list(_columns(rows, cell, layout))
    lines = [r"\toprule", " & ".join(column.heading for column in columns) + r" \\"]
    by = [row[layout.by] if layout.by else None for row in rows]
    for value, block in groupby(range(len(rows)), key=by.__getitem__):
        lines.append(r"\midrule")
        if layout.by:
            heading = latex_text(_heading(layout.by, value))
            lines.append(rf"\multicolumn{{{len(columns)}}}{{@{{}}l}}{{\textit{{{heading}}}}} \\")
        lines += [" & ".join(column.cells[row] for column in columns) + r" \\" for row in block]
    body = "\n".join([*lines, r"\bottomrule"])
    sides = "".join(column.side for column in columns)
    begin = rf"\begin{{tabular}}{{@{{}}{sides}@{{}}}}"
    return "\n".join([NEEDS, *([] if body.isascii() else [LUA]), begin, body, r"\end{tabular}"])


def _columns(rows: Rows, cell: Callable[[Any], str], layout: Layout) -> Iterator[Column]:
    merged = all(end in rows[0] for end in ENDS)
    for name in rows[0]:
        if merged and name == ENDS[0]:
            yield Column(INTERVAL, "l", [_interval(row) for row in rows])
        elif name != layout.by and not (merged and name == ENDS[1]):
            texts = [cell(row[name]) for row in rows]
            best = _best(texts) if layout.bold else None
            side = "r" if _is_number(rows, name) else "l"
            yield Column(latex_text(one_line(name)), side, [_cell(text, best) for text in texts])


def _heading(by: str, value: Any) -> str:
    if value in (None, ""):
        return f"no {by}"
    return f"{by} {value}" if isinstance(value, int | float) else one_line(str(value))


def _is_number(rows: Rows, name: str) -> bool:
    values = [row[name] for row in rows if row[name] is not None]
    return all(isinstance(value, int | float) or FIGURE.fullmatch(str(value)) for value in values)


def _best(texts: Sequence[str]) -> float | None:
    """Returns the largest figure of a column as it is printed, or None of a column of others."""
    figures = [FIGURE.fullmatch(text) for text in texts]
    found = [float(figure[1]) for figure in figures if figure and figure[1]]
    return max(found, default=None) if all(figures) else None


def _cell(text: str, best: float | None) -> str:
    figure = FIGURE.fullmatch(text)
    if figure and figure[1] and float(figure[1]) == best:
        return rf"\textbf{{{figure[1]}}}" + latex_text(figure[2])
    return latex_text(text)


def _interval(row: Mapping[str, Any]) -> str:
    low, high = (row[end] for end in ENDS)
    return "" if low is None or high is None else rf"\scriptsize {{[}}{low:.1f}, {high:.1f}{{]}}"
