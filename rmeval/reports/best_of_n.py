"""What best-of-N is worth: a table and a picture, of rewards and of right answers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rmeval.metrics.best_of_n import CurvePoint
from rmeval.reports.drawing import BLUE, GREY, SKY, STYLE, VERMILLION
from rmeval.reports.tables import format_rows

COLOURS = (BLUE, VERMILLION, "#009E73", "#E69F00", "#CC79A7", SKY)  # Okabe and Ito


def format_curve(curve: Sequence[CurvePoint]) -> str:
    """Returns the curve as a table for the terminal."""
    rows = [
        {
            "n": point.n,
            "expected best reward": f"{point.reward:.3f}",
            "95 % interval": "of one prompt, none"
            if point.low is None or point.high is None
            else f"{point.low:.3f} to {point.high:.3f}",
            "KL bound, nats": f"{point.kl_bound:.3f}",
        }
        for point in curve
    ]
    return format_rows(rows, "table")


def draw_best_of_n(curve: Sequence[CurvePoint]) -> Figure:
    """Returns the expected best reward against n, beside the most that the policy moves."""
    with rc_context(STYLE):
        figure = Figure(figsize=(5.0, 3.2))
        axes = figure.add_subplot()
        n = [point.n for point in curve]
        axes.plot(n, [point.reward for point in curve], "o-", color=BLUE, label="expected best")
        low, high = np.array([(point.low, point.high) for point in curve], float).T  # None is NaN
        axes.fill_between(n, low, high, color=SKY, alpha=0.4, label="95 % interval over prompts")
        axes.set_xlabel("n samples")
        axes.set_ylabel("reward")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        bound = axes.twinx()
        bound.plot(n, [point.kl_bound for point in curve], ":", color=VERMILLION, label="KL bound")
        bound.set_ylabel("log n − (n−1)/n, nats")
        bound.spines["right"].set_visible(True)
        figure.legend(loc="outside upper left", ncols=3)
        return figure


def draw_answers(several: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Figure:
    """Returns how often the best of n is right, of several models, below pass@n."""
    with rc_context(STYLE):
        figure = Figure(figsize=(5.0, 3.4))
        axes = figure.add_subplot()
        for place, (answers, name) in enumerate(zip(several, names, strict=True)):
            curve = answers["curve"]
            n = [point["n"] for point in curve]
            colour = COLOURS[place % len(COLOURS)]
            axes.plot(n, [100 * point["accuracy"] for point in curve], "o-", color=colour,
                      markersize=3, label=name)  # fmt: skip
            low, high = ([100 * point[end] for point in curve] for end in ("low", "high"))
            axes.fill_between(n, low, high, color=colour, alpha=0.2, linewidth=0)
        ceiling = [100 * point["ceiling"] for point in curve]
        axes.plot(n, ceiling, "--", color=GREY, label="pass@n")
        if answers["majority"] is not None:
            level = 100 * answers["majority"]["value"]
            axes.axhline(level, color=GREY, linestyle=":", label="most frequent answer")
        axes.set_xlabel("n samples")
        axes.set_ylabel("right, percent")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside upper left", ncols=2)
        return figure
