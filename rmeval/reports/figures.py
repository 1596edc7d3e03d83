"""The pictures of a result. The same figures stand in the report and in papers."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, isnan
from pathlib import Path
from typing import Any
from warnings import catch_warnings, filterwarnings, warn_explicit

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatter, LogLocator, NullFormatter

from rmeval.metrics.accuracy import margin
from rmeval.metrics.calibration import Pairs, all_pairs
from rmeval.metrics.intervals import wilson_interval
from rmeval.metrics.scheme import Floats, Scheme
from rmeval.records import Result
from rmeval.reports.drawing import (
    BLUE,
    GREY,
    MANY_SUBSETS,
    SKY,
    STYLE,
    VERMILLION,
    leaves_of,
    shown_leaf,
)
from rmeval.reports.labels import score_word

LENGTH_BINS = 9
logger = logging.getLogger("rmeval")
UNDATED = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}  # the same bytes every time
MARGIN_BINS = 40
# Without cividis's dark end, which a dark page swallows.
ON_ANY_PAGE = ListedColormap(colormaps["cividis"](np.linspace(0.38, 1.0, 256)))
PLAIN = FuncFormatter(lambda value, _: f"{value:,.0f}")


@dataclass(frozen=True)
class Picture:
    """A figure with what it shows, in words, for those who cannot see it."""

    name: str
    title: str
    caption: str
    draw: Callable[[Result, Scheme], Figure]

    def figure(self, result: Result, scheme: Scheme) -> Figure:
        """Draws the picture in the common style."""
        with rc_context(STYLE):
            return self.draw(result, scheme)


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a figure for a paper; the ending says as what: png, svg or pdf.

    Says where its fonts lack letters.
    """
    with rc_context({**STYLE, "svg.hashsalt": path.stem}), catch_warnings(record=True) as caught:
        filterwarnings("always")
        figure.savefig(path, dpi=200, metadata=UNDATED.get(path.suffix))
    others = [warning for warning in caught if "missing from font" not in str(warning.message)]
    for warning in others:
        warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    if len(others) < len(caught) and path.suffix != ".svg":
        logger.warning("%s: its fonts lack letters of a name; in svg they stay text", path)


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height))
    return figure, figure.add_subplot()


def _draw_subsets(result: Result, scheme: Scheme) -> Figure:
    metrics, names = result.metrics, leaves_of(result)
    if len(names) > MANY_SUBSETS:
        names = sorted(names, key=metrics.values.__getitem__)[:MANY_SUBSETS]
    figure, axes = _axes(7.0, 1.0 + 0.22 * len(names))
    places = np.arange(len(names))[::-1]
    values = np.array([metrics.values[name] for name in names]) * 100
    ends = np.array([metrics.intervals[name][:2] for name in names]) * 100
    axes.barh(places, values, color=SKY, height=0.7, label="accuracy, 95 % interval")
    axes.errorbar(
        values,
        places,
        xerr=np.abs(ends.T - values),
        fmt="none",
        ecolor=BLUE,
        elinewidth=1.4,
        capsize=2,
    )
    baselines = metrics.statistics["baselines"]
    for kind, label, style in (("coin", "chance", "|"), ("longer", "longer wins", "d")):
        found = [(100 * baselines[kind][n], p) for n, p in zip(names, places, strict=True)
                 if n in baselines[kind]]  # fmt: skip
        if found:
            x, y = zip(*found, strict=True)
            colour = "black" if kind == "coin" else VERMILLION
            axes.plot(x, y, style, color=colour, markersize=7, label=label, clip_on=False)
    axes.set_yticks(places, [shown_leaf(name) for name in names])
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xlim(0, 100)
    axes.set_xlabel("accuracy in percent")
    figure.legend(loc="outside upper left", ncols=3)
    return figure


def _draw_margins(result: Result, scheme: Scheme) -> Figure:
    found = (margin(item) for item in result.scored)
    margins = np.array([value for value in found if not isnan(value)] or [0.0])
    figure, axes = _axes(5.0, 3.4)
    parts = [
        ("lost", margins[margins < 0], VERMILLION, "///"),
        ("tied", margins[margins == 0], GREY, "..."),
        ("won", margins[margins > 0], BLUE, ""),
    ]
    edges = _edges_with_zero(margins)
    drawn = [part for part in parts if len(part[1])]
    axes.hist(
        [values for _, values, _, _ in drawn], edges, stacked=True,
        color=[colour for _, _, colour, _ in drawn], hatch=[hatch for *_, hatch in drawn],
        label=[f"{name}: {len(values):,}" for name, values, _, _ in drawn],
    )  # fmt: skip
    axes.axvline(0, color=GREY, linewidth=1)
    axes.set_xlabel(f"margin: chosen minus rejected {score_word(result)}")
    axes.set_ylabel("rows")
    axes.legend()
    return figure


def _edges_with_zero(margins: Floats) -> list[float]:
    """Returns about MARGIN_BINS equal bins, of which none has margins of both signs."""
    low, high = min(0.0, float(margins.min())), max(0.0, float(margins.max()))
    width = (high - low) / MARGIN_BINS or 1.0
    first, last = floor(low / width), ceil(high / width)
    return [width * number for number in range(first, max(last, first + 1) + 1)]


def _draw_rewards(result: Result, scheme: Scheme) -> Figure:
    figure, axes = _axes(5.0, 3.4)
    chosen = [s.value for item in result.scored for s in item.scores[: item.num_chosen]]
    rejected = [s.value for item in result.scored for s in item.scores[item.num_chosen :]]
    edges = np.histogram_bin_edges([*chosen, *rejected], 50).tolist()
    axes.hist(chosen, edges, histtype="step", linewidth=1.6, color=BLUE, label="chosen")
    axes.hist(
        rejected, edges, histtype="step", linewidth=1.6, linestyle="--", color=VERMILLION,
        label="rejected",
    )  # fmt: skip
    axes.set_xlabel(score_word(result))
    axes.set_ylabel("responses")
    axes.legend()
    return figure


def _draw_reliability(result: Result, scheme: Scheme) -> Figure:
    calibration = result.metrics.statistics["calibration"]
    bins = calibration["bins"]
    figure, axes = _axes(5.0, 3.4)
    axes.plot([50, 100], [50, 100], "--", color=GREY, label="calibrated")
    error = "not defined" if calibration["ece"] is None else f"{100 * calibration['ece']:.1f}"
    axes.plot(
        [100 * b["confidence"] for b in bins], [100 * b["accuracy"] for b in bins], "o-",
        color=BLUE, clip_on=False, label=f"this model; calibration error {error}",
    )  # fmt: skip
    for b in bins:
        axes.plot(100 * b["confidence"], 100 * b["accuracy"], "o", color=BLUE,
                  markersize=3 + 18 * np.sqrt(b["share"]), alpha=0.3, clip_on=False)  # fmt: skip
    axes.set_xlim(49, 101)
    axes.set_xlabel("confidence in percent")
    axes.set_ylabel("right in percent")
    axes.legend()
    return figure


def _draw_reward_by_length(result: Result, scheme: Scheme) -> Figure:
    scores = [score for item in result.scored for score in item.scores]
    figure, axes = _axes(5.0, 3.4)
    tokens = np.array([max(score.tokens, 1) for score in scores])
    values = np.array([score.value for score in scores])
    drawn = axes.hexbin(
        tokens, values, gridsize=45, xscale="log", bins="log", cmap=ON_ANY_PAGE, mincnt=1,
        linewidths=0.1, rasterized=True, clip_on=False,
    )  # fmt: skip
    bar = figure.colorbar(drawn, label="responses", format=PLAIN)
    bar.ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.4)))  # without mathtext
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(PLAIN)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("tokens of the conversation")
    axes.set_ylabel(score_word(result))
    return figure


def _draw_accuracy_by_length(result: Result, scheme: Scheme) -> Figure:
    figure, axes = _axes(5.0, 3.4)
    middles, shares, lows, highs = _accuracy_by_length(all_pairs(result.scored))
    axes.errorbar(
        middles,
        shares,
        yerr=np.abs([shares - lows, highs - shares]),
        fmt="o-",
        color=BLUE,
        capsize=2,
        clip_on=False,
    )
    axes.axvline(0, color=GREY, linewidth=1)
    axes.axhline(50, color=GREY, linewidth=1, linestyle=":")
    axes.set_xscale("symlog", linthresh=10)
    axes.xaxis.set_major_formatter(PLAIN)
    axes.set_ylim(0, 102)
    axes.set_xlabel("tokens by which the chosen response is longer")
    axes.set_ylabel("pairs won, percent")
    return figure


def _accuracy_by_length(pairs: Pairs) -> tuple[Any, Any, Any, Any]:
    """Returns median difference, accuracy and its interval, in percent, of each bin.

    Bins have about as many pairs each; pairs of one difference are never in two.
    """
    edges = np.unique(np.quantile(pairs.lengths, np.linspace(0, 1, LENGTH_BINS + 1)))
    places = np.searchsorted(edges, pairs.lengths, side="right") - 1
    bins = np.minimum(places, max(len(edges) - 2, 0))
    rows = []
    for number in np.unique(bins):
        inside = bins == number
        won, size = float(pairs.credits[inside].sum()), int(inside.sum())
        low, high = wilson_interval(won, size)
        rows.append((np.median(pairs.lengths[inside]), 100 * won / size, 100 * low, 100 * high))
    return tuple(np.array(rows).T)


PICTURES: Sequence[Picture] = (
    Picture(
        "subsets",
        "Accuracy by subset",
        "A bar per subset with its 95 % interval, what chance would get, and what the rule that "
        "the longer response wins would get.",
        _draw_subsets,
    ),
    Picture(
        "margins",
        "Margins",
        "How many rows have which margin. The notes of each model say what a tie counts.",
        _draw_margins,
    ),
    Picture(
        "rewards",
        "Rewards of chosen and rejected responses",
        "How many responses have which reward. Lines that lie on each other: the model cannot "
        "tell the two kinds apart without their prompt.",
        _draw_rewards,
    ),
    Picture(
        "reliability",
        "Reliability of the margins",
        "How probable the preferred response is to the model (of rewards σ(|margin|), as "
        "Bradley-Terry has it), against the share that was right. Below the dashed line the model "
        "is too sure, above it too careful. The larger a point, the more pairs.",
        _draw_reliability,
    ),
    Picture(
        "reward-length",
        "Reward and length",
        "Rewards against the length of the conversation, prompt and response, as the model read "
        "it.",
        _draw_reward_by_length,
    ),
    Picture(
        "accuracy-length",
        "Accuracy and difference in length",
        "Pairs won, by how much longer the chosen response is, in bins of about as many pairs "
        "each. A line that rises is a model that likes length; one that falls likes brevity.",
        _draw_accuracy_by_length,
    ),
)
