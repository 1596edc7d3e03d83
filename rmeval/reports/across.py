"""Models by benchmarks in one table: what was measured, and what others published."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from rmeval.errors import UnknownName
from rmeval.reports.latex import PLAIN, Layout
from rmeval.reports.leaderboard import footnote_mark
from rmeval.reports.tables import format_rows, format_with_notes
from rmeval.results.standings import Standing

Row = dict[str, Any]
MEAN = "mean"
OWN = ("model", "origin", MEAN, "notes", "sources")  # columns that no benchmark may take
NOTHING = (
    "an empty cell: not measured, not published, or partial; mean: where a row has every benchmark"
)


@dataclass
class Line:
    """What was measured, or published, of one model: an entry for some of the benchmarks."""

    model: str
    origin: str
    cells: dict[str, Standing] = field(default_factory=dict)

    def scores(self) -> list[float]:
        """Returns the Scores that it has, in percent."""
        return [cell.score for cell in self.cells.values() if cell.score is not None]


def across_rows(entries: Mapping[str, Sequence[Standing]], sort: str | None = None) -> list[Row]:
    """Returns a row for each model, and a second one where a benchmark has two figures of it.

    Rows of one model stand together: measured, then published, the larger sources first. Models
    with the most benchmarks come first, then those with the highest mean; or by one benchmark.
    `notes` and `sources` say of which benchmark they are. Raises UnknownName for a column.
    """
    entries = {f"{n} (benchmark)" if n in OWN else n: found for n, found in entries.items()}
    names = list(entries)
    if sort not in (None, *names):
        raise UnknownName("column", str(sort), names)
    models: dict[str, list[Line]] = {}
    for name, entry in in_order(entries):
        _place(models.setdefault(entry.model.casefold(), []), name, entry)
    ordered = sorted(models.values(), key=lambda lines: _rank(lines, sort), reverse=True)
    return [_row(line, names) for lines in ordered for line in lines]


def format_across(rows: Sequence[Row], form: str, layout: Layout = PLAIN) -> str:
    """Returns the table as text in one of tables.FORMATS, without a final newline.

    Where people read it, notes and sources stand below it, under marks in the cells and origins.
    Raises UnknownName for a column of the layout that is not there.
    """
    rows = layout.arrange(rows, ["notes", "sources"])
    if form == "json":
        return format_rows(rows, form)
    if form == "csv":
        joined = ("notes", "sources")
        flat = [{**row, **{name: _told(row[name]) for name in joined}} for row in rows]
        return format_rows(flat, form)
    marked, below = marked_rows(rows)
    return format_with_notes(marked, [*below, NOTHING], form, layout=layout)


def marked_rows(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """Returns rows with marks in place of their notes and sources, and these as lines."""
    notes = list(
        dict.fromkeys(note for row in rows for told in row["notes"].values() for note in told)
    )
    sources = list(dict.fromkeys(source for row in rows for source in row["sources"].values()))
    marked = [_marked(row, notes, sources) for row in rows]
    below = [f"[{footnote_mark(i)}] {note}" for i, note in enumerate(notes)]
    below += [f"({number}) {source}" for number, source in enumerate(sources, 1)]
    return marked, below


def in_order(entries: Mapping[str, Sequence[Standing]]) -> Iterator[tuple[str, Standing]]:
    """Yields benchmarks and entries: measured ones, then published, the larger sources first."""
    pairs = [(name, entry) for name, several in entries.items() for entry in several]
    sizes = Counter(entry.source for _, entry in pairs)
    yield from sorted(pairs, key=lambda pair: (pair[1].result is None, -sizes[pair[1].source]))


def _place(lines: list[Line], name: str, entry: Standing) -> None:
    """Puts an entry in the first line of its origin that has room for it."""
    origin = "published" if entry.result is None else "measured"
    free = (line for line in lines if line.origin == origin and name not in line.cells)
    line = next(free, None)
    if line is None:
        line = Line(entry.model, origin)
        lines.append(line)
    line.cells[name] = entry


def _rank(lines: Sequence[Line], sort: str | None) -> tuple[float, float]:
    best = max(lines, key=lambda line: len(line.scores()))
    if sort is None:
        scores = best.scores()
        return len(scores), fmean(scores) if scores else 0.0
    found = [line.cells[sort].score for line in lines if sort in line.cells]
    known = [score for score in found if score is not None]
    return (1.0, max(known)) if known else (0.0, 0.0)


def _row(line: Line, names: Sequence[str]) -> Row:
    cells = {name: line.cells[name] for name in names if name in line.cells}
    scores = {name: cells[name].score if name in cells else None for name in names}
    known = [score for score in scores.values() if score is not None]
    whole = {MEAN: fmean(known) if len(known) == len(names) else None} if len(names) > 1 else {}
    return {
        "model": line.model,
        "origin": line.origin,
        **scores,
        **whole,
        "notes": {name: list(cell.remarks) for name, cell in cells.items() if cell.remarks},
        "sources": {name: cell.source or cell.origin for name, cell in cells.items()},
    }


def _marked(row: Row, notes: Sequence[str], sources: Sequence[str]) -> Row:
    """Returns a row with marks beside the figures and the origin in place of notes and sources."""
    shown = {key: value for key, value in row.items() if key not in ("notes", "sources")}
    for name, value in shown.items():
        if isinstance(value, float) or value is None:
            marks = [f"[{footnote_mark(notes.index(n))}]" for n in row["notes"].get(name, ())]
            figure = [] if value is None else [f"{value:.1f}"]
            shown[name] = " ".join([*figure, *marks])
    if "origin" not in shown:
        return shown
    numbers = sorted({1 + sources.index(source) for source in row["sources"].values()})
    return {**shown, "origin": f"{row['origin']} ({', '.join(map(str, numbers))})"}


def _told(named: Mapping[str, Any]) -> str:
    """Returns notes or sources in one cell."""
    return "; ".join(
        f"{name}: {', '.join(told) if isinstance(told, list) else told}"
        for name, told in named.items()
    )
