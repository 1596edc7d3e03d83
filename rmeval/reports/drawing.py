"""How a figure looks, and how it gets into a page.

Colours are Okabe and Ito's, which colour-blind readers can tell apart. No pyplot: figures are
plain objects, without a global state or a screen.
"""

import io
import re
from typing import Any, NamedTuple
from warnings import catch_warnings, filterwarnings

from matplotlib import rc_context
from matplotlib.figure import Figure

from rmeval.errors import one_line
from rmeval.metrics.names import Metric
from rmeval.records import Result

BLUE, SKY, VERMILLION = "#0072B2", "#56B4E9", "#D55E00"
ORANGE, GREEN, PURPLE, BLACK = "#E69F00", "#009E73", "#CC79A7", "#000000"
GREY = "#7F7F7F"  # readable on white and on near-black
MANY_SUBSETS = 80  # of more, those that tell most are drawn
STYLE: dict[str, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a subset may be called $x$
    "figure.constrained_layout.use": True,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "legend.frameon": False,
}
COLUMN, PAGE = 3.25, 6.75  # inches: one column of a two-column paper, and both
PAPER: dict[str, Any] = {
    **STYLE,
    "font.size": 8,
    "font.family": ["STIXGeneral", "DejaVu Sans"],  # Times' shapes; the second for what it lacks
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 8,
}


class Stroke(NamedTuple):
    """How one of several things is drawn: told apart in grey too, by its marker and dashes."""

    colour: str
    marker: str
    dashes: str


STROKES = (
    Stroke(BLUE, "o", "-"),
    Stroke(VERMILLION, "s", "--"),
    Stroke(GREEN, "^", "-."),
    Stroke(PURPLE, "D", ":"),
    Stroke(ORANGE, "v", "-"),
    Stroke(SKY, "P", "--"),
    Stroke(BLACK, "X", "-."),
)


def figure_svg(figure: Figure, name: str) -> str:
    """Returns a figure as an SVG element, to stand in a page of any colours.

    Black becomes the page's own text colour; `name` keeps the ids of several figures apart.
    """
    stream = io.StringIO()
    with rc_context({**STYLE, "svg.hashsalt": name}), catch_warnings():
        # The text stays text: it is the reader's fonts that count.
        filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    svg = stream.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # every figure has the same ones
    svg = re.sub(r"(fill|stroke): #000000\b", r"\1: currentColor", svg)
    # A text without a colour of its own is black.
    return re.sub(r'<text style="', '<text style="fill: currentColor; ', svg)


def leaves_of(result: Result) -> list[Metric]:
    """Returns the metrics that stand for subsets, or parts of them, in the benchmark's order."""
    return [name for name in map(Metric, result.metrics.values) if name.kind == "subset"]


def shown_leaf(name: Metric) -> str:
    """Returns what a subset is called beside an axis."""
    return one_line(name.rest)[:60]


def short_label(label: str, letters: int = 40) -> str:
    """Returns a label of so many letters at most; names of checkpoints differ at their end."""
    label = one_line(label)
    if len(label) <= letters:
        return label
    return f"{label[: letters // 2 - 1]}…{label[-(letters // 2) :]}"
