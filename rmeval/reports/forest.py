"""A leaderboard as a forest of intervals, for a paper; and one of each metric, for a report."""

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rmeval.errors import BadData
from rmeval.metrics.names import Metric
from rmeval.records import Result
from rmeval.reports.drawing import BLUE, COLUMN, GREY, PAPER, STYLE, short_label
from rmeval.reports.labels import metric_label
from rmeval.results.standings import Ranked, Standing

MOST_MODELS = 50  # that fit on a page
ROW = 0.155  # inches
SHADE = "#EEEEEE"
PANELS = 3  # metrics beside each other
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
        _name_rows(axes, [short_label(name, LETTERS[narrow]) for name in names])
        has_ends = any(entry.ends for entry, _ in rows)
        axes.set_xlabel("Score in percent" + (", 95 % interval" if has_ends else ""))
        figure.legend(handles=origin_handles(entry for entry, _ in rows), **LEGEND)
    return figure


def draw_panels(
    results: Sequence[Result], names: Sequence[str], metrics: Sequence[Metric]
) -> Figure:
    """Returns a panel for each metric, each with a row for each model in the order given.

    Every panel has its own scale, in percent.
    """
    high = ceil(len(metrics) / PANELS)
    with rc_context(STYLE):
        figure = Figure(figsize=(9.0, high * (0.7 + 0.22 * len(results))))
        grid = figure.subplots(high, min(PANELS, len(metrics)), sharey=True, squeeze=False)
        for axes in grid.flat[len(metrics) :]:
            axes.set_visible(False)
        for axes, metric in zip(grid.flat, metrics, strict=False):
            for place, result in enumerate(results):
                ends = result.metrics.intervals.get(metric)
                shown = None if ends is None else (100 * ends.low, 100 * ends.high)
                score = 100 * result.metrics.values[metric]
                _draw_interval(axes, place, score, shown, f"{score:.1f}")
            axes.set_title(short_label(metric_label(metric)), fontsize=9)
            _name_rows(axes, [short_label(name) for name in names])
    return figure


def _name_rows(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _names(entries: Sequence[Standing], narrow: bool) -> list[str]:
    """Returns the models' names, where there is little room without who made them.

    Unless two models are then called the same.
    """
    names = [entry.model for entry in entries]
    bare = [name.rsplit("/", 1)[-1] for name in names]
    return bare if narrow and len(set(bare)) == len(set(names)) else names


def _draw_row(axes: Axes, place: int, entry: Standing, narrow: bool) -> None:
    score = entry.score or 0.0
    told = f"{score:.1f}"
    if entry.ends and entry.result and not narrow:
        low, high = entry.ends
        told += f" [{low:.1f}, {high:.1f}]"
    _draw_interval(axes, place, score, entry.ends, told, measured=entry.result is not None)


def _draw_interval(
    axes: Axes,
    place: int,
    score: float,
    ends: tuple[float, float] | None,
    told: str,
    *,
    measured: bool = True,
) -> None:
    """Draws a row: its point, its interval from end to end, and beside them what is told."""
    colour, face = (BLUE, BLUE) if measured else (GREY, "white")
    if ends:
        axes.plot(ends, [place, place], color=colour, linewidth=1.2, solid_capstyle="butt")
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
