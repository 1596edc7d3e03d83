"""Whether one benchmark predicts another: models by their Scores on both, for a paper."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rmeval.metrics.correlation import LEAST, Correlation, correlations
from rmeval.reports.across import in_order
from rmeval.reports.drawing import BLUE, COLUMN, GREY, PAPER, short_label
from rmeval.reports.forest import LEGEND, origin_handles
from rmeval.results.standings import Standing


class Scatter(NamedTuple):
    """Two benchmarks, the models that have a Score on both, and how these correlate."""

    x: str
    y: str
    models: tuple[tuple[Standing, Standing], ...]
    found: tuple[Correlation, ...]


def find_scatters(entries: Mapping[str, Sequence[Standing]]) -> list[Scatter]:
    """Returns every two benchmarks, in their order, with LEAST models in common or more.

    A model counts once: by what was measured here, otherwise by what the largest source says.
    """
    by_model: dict[str, dict[str, Standing]] = {name: {} for name in entries}
    for name, entry in in_order(entries):
        if entry.score is not None:
            by_model[name].setdefault(entry.model.casefold(), entry)
    return [
        _scatter(x, y, tuple((by_model[x][m], by_model[y][m]) for m in common))
        for x, y in combinations(entries, 2)
        if len(common := [m for m in by_model[x] if m in by_model[y]]) >= LEAST
    ]


def _scatter(x: str, y: str, models: tuple[tuple[Standing, Standing], ...]) -> Scatter:
    scores = [[entry.score or 0.0 for entry in side] for side in zip(*models, strict=True)]
    return Scatter(x, y, models, tuple(correlations(*scores)))


def scatter_row(scatter: Scatter) -> dict[str, Any]:
    """Returns a row of the table of correlations."""
    row: dict[str, Any] = {"x": scatter.x, "y": scatter.y, "models": len(scatter.models)}
    told = {found.name: _told(found) for found in scatter.found}
    return row | {name: told.get(name, "") for name in ("Pearson", "Spearman", "Kendall")}


def draw_scatter(scatter: Scatter, width: float = COLUMN) -> Figure:
    """Returns the models as points with their 95 % intervals, and the correlations in words."""
    with rc_context(PAPER):
        figure = Figure(figsize=(width, 0.8 * width if width <= COLUMN else 0.6 * width))
        axes = figure.add_subplot()
        for a, b in scatter.models:
            _draw_model(axes, a, b)
        _draw_line(axes, scatter)
        axes.set_xlabel(short_label(f"{scatter.x}, Score in percent", 60))
        axes.set_ylabel(short_label(f"{scatter.y}, Score in percent", 60))
        told = [f"{found.name} {_told(found)}" for found in scatter.found]
        told.append(f"{len(scatter.models)} models")
        lines = (", ".join(told[i : i + 2]) for i in range(0, len(told), 2))
        axes.set_title("\n".join(lines), fontsize=8, loc="left")
        entries = [_less_known(a, b) for a, b in scatter.models]
        if len({entry.result is None for entry in entries}) > 1:
            figure.legend(handles=origin_handles(entries), **LEGEND)
    return figure


def _draw_model(axes: Axes, a: Standing, b: Standing) -> None:
    x, y = a.score or 0.0, b.score or 0.0
    for ends, along in ((a.ends, True), (b.ends, False)):
        if ends:
            places = (ends, (y, y)) if along else ((x, x), ends)
            axes.plot(*places, color=GREY, linewidth=0.5, alpha=0.6)
    colour, face = (BLUE, BLUE) if _less_known(a, b).result else (GREY, "white")
    axes.plot(x, y, "o", color=colour, markerfacecolor=face, markersize=4)


def _less_known(a: Standing, b: Standing) -> Standing:
    """Returns the published one of two, where one is."""
    return a if a.result is None else b


def _draw_line(axes: Axes, scatter: Scatter) -> None:
    """Draws the line of least squares, where the models do not all have one Score."""
    x, y = (
        np.array([e.score for e in side], dtype=float) for side in zip(*scatter.models, strict=True)
    )
    if np.ptp(x) > 0:
        slope, height = np.polyfit(x, y, 1)
        ends = np.array([x.min(), x.max()])
        axes.plot(ends, slope * ends + height, "--", color=GREY, linewidth=0.8)


def _told(found: Correlation) -> str:
    ends = "" if found.low is None else f" [{found.low:.2f}, {found.high:.2f}]"
    return f"{found.value:.2f}{ends}"
