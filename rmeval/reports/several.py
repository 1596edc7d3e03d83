"""Several models on the same rows: where they differ, and which differences are real."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from math import floor
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from rmeval.errors import one_line
from rmeval.judging.agreement import find_agreement
from rmeval.metrics.accuracy import margin
from rmeval.metrics.names import OVERALL, Metric
from rmeval.metrics.paired import ALPHA, real_differences
from rmeval.metrics.scheme import Floats, Scheme
from rmeval.metrics.summary import describe_scores
from rmeval.records import Result
from rmeval.reports.agreement import draw_agreement, shown_figure
from rmeval.reports.best_of_n import draw_answers
from rmeval.reports.drawing import MANY_SUBSETS, STYLE, leaves_of, short_label, shown_leaf
from rmeval.reports.figures import PICTURES
from rmeval.reports.forest import MOST_MODELS, draw_panels
from rmeval.reports.labels import is_judged, shown_metric
from rmeval.results.comparison import in_spreads, require_same_rows, rows_in_order_of

CURVES = 6  # models whose curves are drawn in one figure
MODELS_PAIRED = 20  # models of which every two are tested
ROWS_DISPUTED = 20  # rows that are listed
CELLS_WITH_NUMBERS = 1_500  # of a matrix, beyond which its colours must do without numbers


def comparable(results: Sequence[Result], scheme: Scheme) -> list[Result]:
    """Returns the results under one weighting: theirs, or the default where they differ.

    Raises BadData for results over different rows.
    """
    for other in results[1:]:
        require_same_rows(results[0], other)
    if len({result.weighting for result in results}) == 1:
        return list(results)
    weighting = scheme.check_weighting(None)
    return [
        replace(r, weighting=weighting, metrics=describe_scores(scheme, r.scored, weighting))
        for r in results
    ]


def label_results(results: Sequence[Result]) -> list[str]:
    """Returns what each result is called; those of one model by their folders."""
    models = [result.shown_name for result in results]
    return [
        one_line(m if models.count(m) == 1 or r.folder is None else f"{m} ({r.folder})")
        for m, r in zip(models, results, strict=True)
    ]


def several_tables(
    results: Sequence[Result], scheme: Scheme, names: Sequence[str]
) -> list[dict[str, Any]]:
    """Returns the Scores side by side, and the rows on which the models disagree most."""
    known = [Metric(name) for name in results[0].metrics.values]
    shown = [n for n in known if n.kind == "overall" or n.level == ("section", False)]
    columns = {name: name.column for name in shown or [OVERALL]}
    scores = [
        {"model": names[index]}
        | {head: shown_metric(results[index].metrics, n) for n, head in columns.items()}
        for index in _best_first(results)
    ]
    tables = [{"caption": "Scores, best first", "rows": scores}]
    disputed = _disputed(results)
    if disputed:
        tables.append({"caption": "Rows on which the models disagree most", "rows": disputed})
    return tables


def _disputed(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Returns the rows whose winners and losers among the models are most evenly matched.

    Of these, those whose margins lie furthest apart, each in units of its model's spread.
    """
    margins = np.nan_to_num(_margins(results))  # (models, rows); without two sides nobody disagrees
    won = (margins > 0).sum(axis=0)
    split = np.minimum(won, len(results) - won)
    apart = np.ptp(in_spreads(margins), axis=0)
    order = [i for i in np.lexsort((-apart, -split))[:ROWS_DISPUTED].tolist() if split[i] > 0]
    return [
        {
            "id": results[0].scored[index].id,
            "subset": results[0].scored[index].subset,
            "won by": f"{won[index]} of {len(results)}",
        }
        for index in order
    ]


def _margins(results: Sequence[Result]) -> Floats:
    """Returns (models, rows) margins, in the order of the first result's rows."""
    ordered = (rows_in_order_of(results[0], result) for result in results)
    return np.array([[margin(item) for item in rows] for rows in ordered])


class Drawn(NamedTuple):
    """A figure with its name, its title, and in words what it shows."""

    name: str
    title: str
    caption: str
    figure: Figure
    wide: bool


def draw_figures(results: Sequence[Result], scheme: Scheme, names: Sequence[str]) -> list[Drawn]:
    """Returns the figures of one result, or those that compare several on the same rows."""
    subsets = len(leaves_of(results[0]))
    limit = f" Of {subsets} subsets, the {MANY_SUBSETS} {{}}." if subsets > MANY_SUBSETS else ""
    curves = _answer_curves(results, names)
    if len(results) == 1:
        lowest = {"subsets": limit.format("of the lowest accuracy")}
        return curves + [
            Drawn(
                p.name,
                p.title,
                p.caption + lowest.get(p.name, ""),
                p.figure(results[0], scheme),
                p.name in lowest,
            )
            for p in PICTURES
        ]
    heatmap = _heatmap(results, names, limit)
    agreement = _agreement(results, names)
    if any(result.overall is None for result in results):
        return [*curves, heatmap, *agreement]
    best = _best_first(results)[:MODELS_PAIRED]
    few = (
        f" Only the best {MODELS_PAIRED} of {len(results)} models."
        if len(results) > MODELS_PAIRED
        else ""
    )
    matrix = Drawn(
        "significance",
        "Which Scores really differ",
        "Points by which the model of the row is ahead of that of the column. Coloured and bold "
        f"where a paired test finds it real (p < {ALPHA}, Holm over all pairs).{few}",
        draw_significance([results[i] for i in best], scheme, [names[i] for i in best]),
        True,
    )
    return [*curves, _intervals(results, names), heatmap, matrix, *agreement]


def _intervals(results: Sequence[Result], names: Sequence[str]) -> Drawn:
    """Returns the Score and the sections of every model with their intervals, best first."""
    best, metrics = _best_first(results)[:MOST_MODELS], _whole(results)
    few = f" Only the best {len(best)} of {len(results)} models." if results[len(best) :] else ""
    caption = (
        "Percent with 95 % intervals, the model of the best Score first. Every panel has its own "
        "scale. Models whose intervals overlap may still differ: they answered the same rows, "
        f"which the paired test uses.{few}"
    )
    figure = draw_panels([results[i] for i in best], [names[i] for i in best], metrics)
    return Drawn("intervals", "Scores and sections with their intervals", caption, figure, True)


def _whole(results: Sequence[Result]) -> list[Metric]:
    """Returns the Score and the sections, as far as every result has them."""
    return [
        name
        for name in map(Metric, results[0].metrics.values)
        if name.level in (("overall", False), ("section", False))
        and all(name in result.metrics.values for result in results)
    ]


def _agreement(results: Sequence[Result], names: Sequence[str]) -> list[Drawn]:
    """Returns how far results agree, where one of them is a judge's."""
    if not any(map(is_judged, results)):
        return []
    some = _best_first(results)[:MODELS_PAIRED]
    found = find_agreement([results[index] for index in some])
    caption = (
        "Cohen's kappa of each two: how often they prefer the same response, beyond chance (1: "
        f"always). Krippendorff's alpha of all: {shown_figure(found.alpha)}."
    )
    figure = draw_agreement(found, [names[index] for index in some])
    return [Drawn("agreement", "How far judges agree", caption, figure, False)]


def _heatmap(results: Sequence[Result], names: Sequence[str], limit: str) -> Drawn:
    return Drawn(
        "heatmap",
        "Accuracy by subset and model",
        "Percent of each subset that each model gets right."
        + limit.format("on which the models differ most"),
        draw_heatmap(results, names),
        True,
    )


def _answer_curves(results: Sequence[Result], names: Sequence[str]) -> list[Drawn]:
    """Returns how often the best of n answers is right, where the rows are right and wrong ones."""
    if any("answers" not in result.metrics.statistics for result in results):
        return []
    best = _best_first(results)[:CURVES]
    few = f" Only the best {CURVES} of {len(results)} models." if len(results) > CURVES else ""
    return [
        Drawn(
            "best-of-n",
            "The best of n answers is right",
            "How often the answer of the highest reward among n is right, over all subsets of n, "
            "with its 95 % interval over prompts. The ceiling is pass@n, the share of subsets that "
            f"hold a right answer.{few}",
            draw_answers(
                [results[i].metrics.statistics["answers"] for i in best], [names[i] for i in best]
            ),
            False,
        )
    ]


def _best_first(results: Sequence[Result]) -> list[int]:
    return sorted(range(len(results)), key=lambda i: -(results[i].overall or 0.0))


def draw_heatmap(results: Sequence[Result], names: Sequence[str]) -> Figure:
    """Returns Score, sections and subsets as rows and the models as columns, in percent."""
    order, leaves = _best_first(results), leaves_of(results[0])
    above = _whole(results)
    values, whole = (
        np.array([[100 * results[i].metrics.values[name] for i in order] for name in names_of])
        for names_of in (leaves, above)
    )
    if len(leaves) > MANY_SUBSETS:
        widest = np.argsort(-np.ptp(values, axis=1), kind="stable")[:MANY_SUBSETS]
        leaves, values = [leaves[i] for i in widest], values[widest]
    values = np.vstack([whole.reshape(-1, len(order)), values])
    cells = [[f"{v:.0f}" for v in row] for row in values]
    heads = ["Score" if name == OVERALL else f"{name.rest}, section" for name in above]
    labels = ([*heads, *map(shown_leaf, leaves)], [names[i] for i in order])
    lowest = min(10 * floor(values.min() / 10), 90)
    return _matrix(values, labels, cells, "cividis", (lowest, 100))


def draw_significance(results: Sequence[Result], scheme: Scheme, names: Sequence[str]) -> Figure:
    """Returns the differences of the Scores of every two models, in points."""
    differences, real = significance(results, scheme)
    most = max(float(np.abs(differences).max()), 1e-9)
    rounded = np.round(differences, 1) + 0.0  # no -0.0
    cells = [[f"{value:+.1f}" for value in row] for row in rounded]
    for index in range(len(names)):
        cells[index][index] = ""
    return _matrix(differences * real, (names, names), cells, "PuOr", (-most, most), real)


def significance(results: Sequence[Result], scheme: Scheme) -> tuple[Floats, Floats]:
    """Returns (models, models) differences of the Scores in points, row minus column, and
    whether each is real, by Holm over all pairs."""
    weighting = results[0].weighting
    tallies = [scheme.tally(rows_in_order_of(results[0], r), weighting) for r in results]
    pairs = list(combinations(range(len(results)), 2))
    scores = np.array([100 * (result.overall or 0.0) for result in results])
    real = np.zeros((len(results), len(results)))
    found = real_differences([(tallies[a], tallies[b]) for a, b in pairs], OVERALL)
    for (a, b), is_real in zip(pairs, found, strict=True):
        real[a, b] = real[b, a] = float(is_real)
    return scores[:, None] - scores[None, :], real


def _matrix(
    values: Floats,
    labels: tuple[Sequence[str], Sequence[str]],
    cells: Sequence[Sequence[str]],
    colours: str,
    ends: tuple[float, float],
    bold: Floats | None = None,
) -> Figure:
    """Returns coloured cells under `labels` of rows and columns; `cells` is what stands in them."""
    rows, columns = ([short_label(label) for label in side] for side in labels)
    numbered = values.size <= CELLS_WITH_NUMBERS
    wide = 0.42 if numbered else 0.22
    with rc_context(STYLE):
        height = 0.6 + 0.24 * len(rows) + 0.075 * max(map(len, columns))
        width = 1.0 + wide * len(columns) + 0.075 * max(map(len, rows))
        figure = Figure(figsize=(max(4.0, width), height))
        axes = figure.add_subplot()
        axes.spines[:].set_visible(False)
        drawn = axes.imshow(values, aspect="auto", cmap=colours, vmin=ends[0], vmax=ends[1])
        axes.set_xticks(range(len(columns)), columns, rotation=90)
        axes.set_yticks(range(len(rows)), rows)
        axes.tick_params(length=0, labeltop=True, labelbottom=False)
        if not numbered:
            figure.colorbar(drawn, label="percent", shrink=0.5)
            return figure
        for (i, j), colour in zip(
            np.ndindex(*values.shape), drawn.to_rgba(values).reshape(-1, 4), strict=True
        ):
            light = colour[:3] @ (0.299, 0.587, 0.114) > 0.5
            heavy = bold is not None and bold[i, j] > 0
            axes.text(
                j, i, cells[i][j], ha="center", va="center", fontsize=7, in_layout=False,
                color="#010101" if light else "white", weight="bold" if heavy else "normal",
            )  # fmt: skip
        return figure
