"""A history as people read it: a table of its checkpoints with verdicts."""

from collections.abc import Sequence
from typing import Any

from rmeval.errors import BadOption
from rmeval.metrics.names import OVERALL, Metric
from rmeval.reports.gate import WORDS
from rmeval.reports.labels import metric_label
from rmeval.reports.table_pages import tables_html, text_table
from rmeval.reports.tables import format_rows, format_with_notes
from rmeval.results.history import Checkpoint, History, label_of
from rmeval.results.regression import Gate

Row = dict[str, Any]
VERDICT = "verdict: what `rmeval check` says of each, held to {}"


def history_rows(history: History) -> list[Row]:
    """Returns a row for each checkpoint, in order; numbers are percent, `change` is in points."""
    sections = sections_of(history)
    return [
        {
            history.order: label_of(history, checkpoint),
            "Score": None if checkpoint.score is None else 100 * checkpoint.score,
            **dict(zip(("low", "high"), ends_of(checkpoint, OVERALL), strict=True)),
            "change": _change(checkpoint.gate),
            **{name.column: percent_of(checkpoint, name) for name in sections},
            "verdict": verdict(checkpoint.gate),
            "notes": list(checkpoint.remarks),
        }
        for checkpoint in history.checkpoints
    ]


def verdict(gate: Gate | None) -> str:
    """Returns a gate's verdict in words, with what regressed or why it could not tell."""
    if gate is None:
        return ""
    worse = [metric_label(item.metric) for item in gate.held if item.regressed]
    reason = ", ".join(worse) or (gate.remark if not gate.held else "")
    return WORDS[gate.outcome] + (f": {reason}" if reason else "")


def format_histories(histories: Sequence[History], form: str) -> str:
    """Returns histories as text in one of tables.FORMATS, without a final newline.

    CSV and JSON have the run and its benchmark in each row; CSV has one table, so its histories
    must have the same columns. Raises BadOption where they have not.
    """
    named = [
        {"run": history.run, "benchmark": history.benchmark, **row}
        for history in histories
        for row in history_rows(history)
    ]
    if form == "json":
        return format_rows(named, form)
    if form == "csv":
        if len({tuple(row) for row in named}) > 1:
            raise BadOption("one table per csv file: pass the folders of one benchmark's results")
        return format_rows([{**row, "notes": "; ".join(row["notes"])} for row in named], form)
    tables = [_table(history) for history in histories]
    if form == "html":
        parts = [text_table(name, f"Checkpoints of {name}", *table) for name, table in tables]
        return tables_html("History", parts)
    return "\n\n".join(format_with_notes(*table, form, name) for name, table in tables)


def _table(history: History) -> tuple[str, tuple[list[Row], list[str]]]:
    """Returns its title, and its rows as they are shown with the lines below them."""
    rows = history_rows(history)
    notes = [f"{row[history.order]}: {note}" for row in rows for note in row["notes"]]
    shown = [{key: value for key, value in row.items() if key != "notes"} for row in rows]
    title = f"{history.run} on {history.benchmark}, {history.weighting}"
    held = {"previous": "the one before it", "first": "the first one"}
    legend = VERDICT.format(held.get(history.baseline, history.baseline))
    return title, (shown, [*notes, legend])


def sections_of(history: History) -> list[Metric]:
    """Returns the sections that any of its results has."""
    names = dict.fromkeys(
        name for c in history.checkpoints for name in map(Metric, c.metrics.values)
    )
    return [name for name in names if name.level == ("section", False)]


def percent_of(checkpoint: Checkpoint, name: str) -> float | None:
    """Returns a metric of a checkpoint in percent, or None; a partial result has no Score."""
    if name == OVERALL:
        return None if checkpoint.score is None else 100 * checkpoint.score
    value = checkpoint.metrics.values.get(name)
    return None if value is None else 100 * value


def ends_of(checkpoint: Checkpoint, name: str) -> tuple[float | None, float | None]:
    """Returns the ends of its interval, or two None."""
    interval = checkpoint.metrics.intervals.get(name)
    if interval is None or percent_of(checkpoint, name) is None:
        return None, None
    return 100 * interval.low, 100 * interval.high


def _change(gate: Gate | None) -> float | None:
    """Returns by how many points the Score is above what it was held to."""
    held = gate.held if gate else ()
    return next((-100 * item.drop for item in held if item.metric == OVERALL), None)
