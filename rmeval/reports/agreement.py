"""How far judges agree, for people, as a document, and as a figure."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rmeval.errors import one_line
from rmeval.judging.agreement import Agreement, OwnAgreement
from rmeval.metrics.agreement import Figure
from rmeval.reports.tables import format_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


def describe_agreement(found: Agreement) -> str:
    """Returns each two results' agreement, that of all, and what each shows of itself."""
    names = [letter_of(place) for place in range(len(found.results))]
    first = found.results[0]
    lines = [
        *(
            f"{name}  {one_line(result.shown_name)}  {one_line(str(result.folder))}"
            for name, result in zip(names, found.results, strict=True)
        ),
        f"{one_line(first.benchmark)}, {max(len(r.scored) for r in found.results):,} rows",
        "",
    ]
    if found.pairs:
        table = [
            {
                "": f"{names[pair.a]} and {names[pair.b]}",
                "rows": pair.rows,
                "same best response, %": _percent(pair.same),
                "kappa": _plain(pair.kappa),
            }
            for pair in found.pairs
        ]
        lines += [format_rows(table, "table"), ""]
        lines += [f"Krippendorff's alpha of all, nominal: {_plain(found.alpha)}"]
    own = [_own_row(name, one) for name, one in zip(names, found.own, strict=True)]
    if any(row["shown first, %"] or row["samples alike, %"] for row in own):
        lines += ["", format_rows(own, "table")]
    return "\n".join([*lines, "", *_notes()])


def agreement_line(found: Agreement) -> str:
    """Returns in a line how far two results agree, beside what `rmeval compare` says of them."""
    (pair,) = found.pairs
    return (
        f"agreement: the same best response in {_percent(pair.same)} % of {pair.rows:,} rows, "
        f"kappa {_plain(pair.kappa)}; `rmeval agreement` says more"
    )


def agreement_document(found: Agreement) -> dict[str, Any]:
    """Returns all of an agreement as values for JSON."""
    return {
        "results": [str(result.folder) for result in found.results],
        "benchmark": found.results[0].benchmark,
        "pairs": [
            {
                "a": str(found.results[pair.a].folder),
                "b": str(found.results[pair.b].folder),
                "rows": pair.rows,
                "same": _values(pair.same),
                "kappa": _values(pair.kappa),
            }
            for pair in found.pairs
        ],
        "alpha": _values(found.alpha),
        "judges": [
            {
                "result": str(result.folder),
                "first": _values(one.first),
                "first_even": one.even,
                "samples": _values(one.samples),
            }
            for result, one in zip(found.results, found.own, strict=True)
        ],
    }


def draw_agreement(found: Agreement) -> "Drawing":
    """Returns kappa of each two as a matrix, with the numbers in it."""
    import numpy as np
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Drawing

    from rmeval.reports.drawing import STYLE

    size = len(found.results)
    table = np.full((size, size), np.nan)
    for pair in found.pairs:
        if pair.kappa is not None:
            table[pair.a, pair.b] = table[pair.b, pair.a] = pair.kappa.value
    names = [one_line(result.shown_name)[:40] for result in found.results]
    with rc_context(STYLE):
        drawing = Drawing(figsize=(2.5 + 0.9 * size, 1.5 + 0.7 * size))
        axes = drawing.subplots()
        axes.imshow(table, vmin=-1, vmax=1, cmap="PuOr")
        for row, column in np.argwhere(np.isfinite(table)):
            value = table[row, column]
            colour = "white" if abs(value) > 0.6 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)
        axes.set_xticks(range(size), names, rotation=30, ha="right")
        axes.set_yticks(range(size), names)
        axes.set_title("Cohen's kappa: the same best response, beyond chance")
    return drawing


def letter_of(place: int) -> str:
    """Returns what a result is called in a table: A to Z, then by number."""
    return chr(ord("A") + place) if place < 26 else f"#{place + 1}"


def _own_row(name: str, one: OwnAgreement) -> dict[str, Any]:
    return {
        "": name,
        "shown first, %": _percent(one.first) if one.first else "",
        "even, %": f"{100 * one.even:.1f}" if one.even is not None else "",
        "samples alike, %": _percent(one.samples) if one.samples else "",
    }


def _notes() -> Iterator[str]:
    yield (
        "kappa and alpha: 1 is full agreement on which response is best, 0 what chance would give "
        "two that prefer each response as often; a tie is a label of its own"
    )
    yield "in brackets: 95 % intervals, by leaving out one unit (row or cluster) after the other"


def _percent(figure: Figure) -> str:
    if figure.interval is None:
        return f"{100 * figure.value:.1f}"
    low, high = max(0.0, figure.interval.low), min(1.0, figure.interval.high)
    return f"{100 * figure.value:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _plain(figure: Figure | None) -> str:
    if figure is None:
        return "not defined"
    if figure.interval is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} ({figure.interval.low:.3f} to {figure.interval.high:.3f})"


def _values(figure: Figure | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    interval = None if figure.interval is None else figure.interval._asdict()
    return {"value": figure.value, "interval": interval}
