"""Histories of one benchmark as curves with their intervals."""

from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from rmeval.errors import BadOption, one_line
from rmeval.metrics.names import Metric
from rmeval.reports.drawing import BLACK, COLUMN, PAGE, PAPER, STROKES, Stroke, short_label
from rmeval.reports.history import ends_of, percent_of, sections_of
from rmeval.results.history import Checkpoint, History
from rmeval.results.regression import Outcome

ACROSS = (3, 4)  # panels of sections beside each other, whichever leaves fewer places empty
HOUR = 1 / 24  # in days, matplotlib's unit
MOST_SECTIONS = 9  # panels beside the Score's
PLACES = FuncFormatter(lambda value, _: f"{value:,.0f}")


def draw_histories(histories: Sequence[History]) -> Figure:
    """Returns histories on one benchmark as curves: the Score's above those of the sections.

    Bands are 95 % intervals; a cross is a checkpoint that regressed. Raises BadOption for
    histories of several benchmarks, of which some have dates in the place of steps, or of more
    runs than can be told apart.
    """
    _require_one_figure(histories)
    sections = list(dict.fromkeys(name for h in histories for name in sections_of(h)))
    names = [Metric.overall(), *sections[:MOST_SECTIONS]]
    with rc_context(PAPER):
        figure, panels = _panels(len(names))
        for axes, name in zip(panels, names, strict=True):
            for history, stroke in zip(histories, STROKES, strict=False):
                _draw_curve(axes, history, name, stroke)
            axes.set_title(one_line(name.column), fontsize=8)
            _name_steps(axes, histories[0].order)
        panels[0].set_ylabel("percent")
        figure.legend(handles=_legend(histories), loc="outside upper left", ncols=2)
    return figure


def _require_one_figure(histories: Sequence[History]) -> None:
    benchmarks = sorted({history.benchmark for history in histories})
    if len(benchmarks) > 1:
        raise BadOption(f"one figure is of one benchmark, not of {', '.join(benchmarks)}")
    if len({history.order for history in histories}) > 1:
        raise BadOption(
            "some of these runs have steps in their names and some have not: pass the folders of "
            "one kind"
        )
    if len(histories) > len(STROKES):
        raise BadOption(f"{len(histories)} runs; one figure shows {len(STROKES)} at most")


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """Returns a figure with a panel for the Score, and smaller ones for sections below it."""
    if count == 1:
        figure = Figure(figsize=(COLUMN, 2.3))
        return figure, [figure.add_subplot()]
    across = min(ACROSS, key=lambda columns: -(count - 1) % columns)
    below = -(-(count - 1) // across)
    figure = Figure(figsize=(PAGE, 2.3 + 1.6 * below))
    grid = figure.add_gridspec(1 + below, across, height_ratios=[1.5] + [1.0] * below)
    panels = [figure.add_subplot(grid[0, :])]
    for number in range(count - 1):
        row, column = divmod(number, across)
        panels.append(figure.add_subplot(grid[1 + row, column], sharex=panels[0]))
    return figure, panels


def _draw_curve(axes: Axes, history: History, name: Metric, stroke: Stroke) -> None:
    found = [(c, percent_of(c, name)) for c in history.checkpoints]
    places = np.array([_place(history, c) for c, _ in found])
    values = np.array([np.nan if value is None else value for _, value in found])
    ends = [ends_of(c, name) for c, _ in found]
    lows, highs = np.array(
        [[np.nan if end is None else end for end in pair] for pair in ends], dtype=float
    ).T
    axes.fill_between(places, lows, highs, color=stroke.colour, alpha=0.18, linewidth=0)
    axes.plot(places, values, color=stroke.colour, marker=stroke.marker, linestyle=stroke.dashes)
    worse = [_regressed(c, name) for c, _ in found]
    if any(worse):
        axes.plot(places[worse], values[worse], "x", color=BLACK, markersize=8, clip_on=False)


def _regressed(checkpoint: Checkpoint, name: str) -> bool:
    held = checkpoint.gate.held if checkpoint.gate else ()
    return any(item.regressed for item in held if item.metric == name)


def _place(history: History, checkpoint: Checkpoint) -> float:
    if history.order == "step":
        return float(checkpoint.step or 0)
    return float(date2num(checkpoint.date))


def _name_steps(axes: Axes, order: str) -> None:
    if order == "step":
        axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
        axes.xaxis.set_major_formatter(PLACES)
        axes.set_xlabel("step")
    else:
        low, high = axes.dataLim.intervalx
        if high - low < HOUR:  # within which no ticks are dates
            axes.set_xlim(low - HOUR, high + HOUR)
        locator = AutoDateLocator(minticks=2, maxticks=5)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _legend(histories: Sequence[History]) -> list[Line2D]:
    lines = [
        Line2D(
            [], [], color=s.colour, marker=s.marker, linestyle=s.dashes, label=short_label(h.run)
        )
        for h, s in zip(histories, STROKES, strict=False)
    ]
    gates = [c.gate for history in histories for c in history.checkpoints if c.gate]
    if any(gate.outcome is Outcome.REGRESSED for gate in gates):
        cross = Line2D([], [], color=BLACK, marker="x", linestyle="none", markersize=6)
        cross.set_label("regressed (rmeval check)")
        lines.append(cross)
    return lines
