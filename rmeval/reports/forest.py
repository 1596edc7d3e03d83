"""A leaderboard as a forest of intervals, for a paper."""

from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rmeval.errors import BadData
from rmeval.reports.drawing import BLUE, COLUMN, GREY, PAPER, short_label
from rmeval.results.standings import Ranked, Standing

MOST_MODELS = 50  # that fit on a page
ROW = 0.155  # inches
SHADE = "#EEEEEE"
LEGEND: dict[str, Any] = {"loc": "outside upper left", "ncols": 2}
LETTERS = {True: 32, False: 60}  # of a model's name, in one column of a paper or across both


def draw_forest(ranked: Sequence[Ranked], width: float = COLUMN) -> Figure:
    """Returns a row for each model of a ranking with its Score and 95 % interval, best first.

    Every other group is shaded. A measured row is filled; the interval of a published one is
    estimated. Raises BadData where nothing has a Score.
    """
    rows = [(row.entry, row.group) for row in ranked if row.entry.score is not None][:MOST_MODELS]
    if not rows:
        raise BadData("none of these rows has a Score: nothing to draw")
    with rc_context(PAPER):
        figure = Figure(figsize=(width, 0.75 + ROW * len(rows)))
        axes = figure.add_subplot()
        narrow = width <= COLUMN
        for place, (entry, group) in enumerate(rows):
            if group is not None and group % 2 == 0:
                axes.axhspan(place - 0.5, place + 0.5, color=SHADE, linewidth=0)
            _draw_row(axes, place, entry, narrow)
        names = _names([entry for entry, _ in rows], narrow)
        axes.set_yticks(range(len(rows)), [short_label(name, LETTERS[narrow]) for name in names])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        has_ends = any(entry.ends for entry, _ in rows)
        axes.set_xlabel("Score in percent" + (", 95 % interval" if has_ends else ""))
        figure.legend(handles=origin_handles(entry for entry, _ in rows), **LEGEND)
    return figure


def _names(entries: Sequence[Standing], narrow: bool) -> list[str]:
    """Returns the models' names, where there is little room without who made them.

    Unless two models are then called the same.
    """
    names = [entry.model for entry in entries]
    bare = [name.rsplit("/", 1)[-1] for name in names]
    return bare if narrow and len(set(bare)) == len(set(names)) else names


def _draw_row(axes: Axes, place: int, entry: Standing, narrow: bool) -> None:
    score = entry.score or 0.0
    colour, face = (BLUE, BLUE) if entry.result else (GREY, "white")
    told = f"{score:.1f}"
    if entry.ends:
        low, high = entry.ends
        axes.plot([low, high], [place, place], color=colour, linewidth=1.2, solid_capstyle="butt")
        told += f" [{low:.1f}, {high:.1f}]" if entry.result and not narrow else ""
    axes.plot(score, place, "o", color=colour, markerfacecolor=face, markersize=4)
    beside = axes.get_yaxis_transform()
    axes.text(1.02, place, told, transform=beside, va="center_baseline", fontsize=7)


def origin_handles(entries: Iterable[Standing]) -> list[Line2D]:
    """Returns what a legend says of measured and of published rows, of those that are there."""
    kinds = {
        (entry.result is not None, entry.result is None and bool(entry.ends)) for entry in entries
    }
    handles = []
    for measured in sorted({measured for measured, _ in kinds}, reverse=True):
        line = Line2D([], [], color=BLUE if measured else GREY, marker="o", markersize=4)
        told = ", interval estimated" if (False, True) in kinds else ""
        line.set_label("measured" if measured else f"published{told}")
        line.set_markerfacecolor(BLUE if measured else "white")
        handles.append(line)
    return handles
