"""What `rmeval run` prints: sections, subsets, and what a reader should know beside them."""

from collections.abc import Iterator, Mapping
from typing import Any

from rmeval.known import Published
from rmeval.metrics.rewardbench import SECTIONS
from rmeval.reports.tables import format_rows
from rmeval.types import Result

DEMO_NOTE = "The demo benchmark shows how rmeval works; its numbers say nothing about a model."


def summarise(result: Result) -> str:
    """Returns the tables and notes of a result, as text for a terminal."""
    lines = [
        f"{result.model} on {result.benchmark} ({result.weighting} weighting), accuracy in percent",
        "",
        format_rows(list(_section_rows(result)), "table"),
        "",
        format_rows(list(_subset_rows(result)), "table"),
        "",
        *_notes(result),
    ]
    return "\n".join(lines)


def compare_with_published(published: Published, measured: Mapping[str, float], name: str) -> str:
    """Returns the authors' row beside the measured one, in percent, under the same weighting."""
    columns = ["overall", *SECTIONS]
    stated = {"overall": published.overall, **published.sections}
    found = {column: 100 * measured[column] for column in columns}
    rows: list[dict[str, Any]] = [
        {"": "published", **{column: float(stated[column]) for column in columns}},
        {"": "measured", **found},
        {"": "difference", **{column: found[column] - stated[column] for column in columns}},
    ]
    return f"{name}'s authors, {published.weighting} weighting:\n\n{format_rows(rows, 'table')}"


def _section_rows(result: Result) -> Iterator[dict[str, Any]]:
    values, rows = result.metrics.values, result.metrics.rows
    for name, subsets in SECTIONS.items():
        pairs = sum(rows.get(subset, 0) for subset in subsets)
        yield _row(
            name, values.get(f"section/{name}"), pairs, name in result.metrics.partial_sections
        )
    yield _row("Score", values.get("overall"), sum(rows.values()), False)


def _row(name: str, value: float | None, pairs: int, partial: bool) -> dict[str, Any]:
    shown = "not available" if value is None else f"{100 * value:.1f}"
    return {"section": name, "accuracy": shown + (" (partial)" if partial else ""), "pairs": pairs}


def _subset_rows(result: Result) -> Iterator[dict[str, Any]]:
    for section, subsets in SECTIONS.items():
        for subset in subsets:
            value = result.metrics.values.get(f"subset/{subset}")
            if value is not None:
                rows = result.metrics.rows[subset]
                yield {
                    "section": section,
                    "subset": subset,
                    "accuracy": 100 * value,
                    "won": f"{round(value * rows)}/{rows}",
                }


def _notes(result: Result) -> Iterator[str]:
    counts, data = result.metrics.counts, result.provenance["data"]
    if result.benchmark == "demo":
        yield DEMO_NOTE
    if result.partial:
        yield f"PARTIAL: {result.partial}. No table ranks it."
    elif result.overall is None:
        yield "No Score: it needs every section whole."
    yield (
        f"ties (counted as losses): {counts['ties']}; truncated: {counts['truncated']} of "
        f"{counts['responses']} responses; empty responses: {data['empty_responses']}; "
        f"identical responses in {data['identical_responses']} pairs"
    )
    model, engine = result.provenance["model"], result.provenance["engine"]
    reason = f" ({engine['reason']})" if engine["reason"] else ""
    yield (
        f"{model['family']} adapter, {model['dtype']}, {engine['path']} engine{reason}, "
        f"{engine['device']}, {result.provenance['seconds']:.1f} s"
    )
