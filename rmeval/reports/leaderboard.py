"""A ranking as people read it: a table, its footnotes, and what its columns mean."""

from collections.abc import Mapping, Sequence
from string import ascii_lowercase
from typing import Any

from rmeval.reports.latex import PLAIN, Layout
from rmeval.reports.tables import format_rows, format_with_notes
from rmeval.results.standings import Row

GROUPS = (
    "group: rows of one number are statistically tied with the best of them (5 % level; a paired "
    "test over the same rows where there is one, otherwise the intervals)"
)
ESTIMATED = (
    "of a published row the verdicts are not known: its interval is estimated, as if every row of "
    "a section were won with the probability that the section gives"
)


def format_ranking(rows: Sequence[Row], form: str, title: str = "", layout: Layout = PLAIN) -> str:
    """Returns a ranking as text in one of tables.FORMATS, without a final newline.

    Where people read it, notes stand below the table, under marks beside the models' names.
    Raises UnknownName for a column of the layout that is not there.
    """
    if form in ("json", "csv"):
        told = not layout.columns
        shown = layout.arrange(rows, ["notes"] if told else [])
        if form == "csv" and told:
            shown = [{**row, "notes": "; ".join(row["notes"])} for row in shown]
        return format_rows(shown, form)
    return format_with_notes(*arranged(rows, layout), form, title, layout)


def arranged(rows: Sequence[Row], layout: Layout) -> tuple[list[Row], list[str]]:
    """Returns a ranking's rows with marks in place of their notes, and the lines below them.

    Raises UnknownName for a column of the layout that is not there.
    """
    told = not layout.columns or "model" in layout.columns
    shown = layout.arrange(rows, ["notes"] if told else [])
    marked, notes = with_footnotes(shown) if told else (shown, [])
    legend = legend_of(rows) if any(row.get("group") for row in shown) else []
    return marked, [*notes, *legend]


def legend_of(rows: Sequence[Row]) -> list[str]:
    """Returns what the columns of a ranking mean, where its reader has to be told."""
    legend = [GROUPS] if any(row["group"] for row in rows) else []
    if legend and any(row["origin"].startswith("published") for row in rows):
        legend.append(ESTIMATED)
    return legend


def with_footnotes(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Row], list[str]]:
    """Returns rows with marks in place of their notes, and the notes as lines."""
    notes = list(dict.fromkeys(note for row in rows for note in row["notes"]))
    marked = []
    for row in rows:
        marks = "".join(f" [{footnote_mark(notes.index(note))}]" for note in row["notes"])
        kept = {key: value for key, value in row.items() if key != "notes"}
        marked.append({**kept, "model": row["model"] + marks})
    return marked, [f"[{footnote_mark(i)}] {note}" for i, note in enumerate(notes)]


def footnote_mark(index: int) -> str:
    """Returns the mark of a footnote: a to z, then aa, ab, …"""
    head, last = divmod(index, len(ascii_lowercase))
    return (footnote_mark(head - 1) if head else "") + ascii_lowercase[last]
