"""Two results beside each other, for people and as a document."""

from collections.abc import Mapping, Sequence
from shlex import quote
from typing import Any

from rmeval.benchmarks.arithmetic import ARITHMETIC
from rmeval.errors import one_line
from rmeval.metrics.paired import ALPHA, Difference
from rmeval.records import Result
from rmeval.reports.labels import metric_label
from rmeval.reports.tables import format_rows
from rmeval.results.comparison import Comparison, verdict

Rows = Sequence[Mapping[str, Any]]


def describe_comparison(comparison: Comparison, most_different: Rows) -> str:
    """Returns the verdict, the differences, what made them, and the rows most different."""
    a, b = comparison.a, comparison.b
    table = [_row(item, comparison) for item in comparison.differences]
    lines = [
        f"A  {one_line(a.shown_name)}  {one_line(str(a.folder))}",
        f"B  {one_line(b.shown_name)}  {one_line(str(b.folder))}",
        f"{one_line(a.benchmark)}, {len(a.scored)} rows, {comparison.weighting} weighting, percent",
        "",
        verdict(comparison),
        "",
        format_rows(table, "table"),
        "",
        f"interval: {comparison.differences[0].interval.method}",
        "p: McNemar, exact where rows weigh alike, else with the metric's weights (~); Holm over "
        f"the sections, and over the subsets; real: Holm's p is below {ALPHA}",
        "",
        *_causes(comparison),
        "",
        *_rows_apart(most_different, _name_to_show(a)),
    ]
    return "\n".join(lines)


def comparison_document(comparison: Comparison, most_different: Rows) -> dict[str, Any]:
    """Returns all of a comparison as values for JSON; numbers are fractions."""
    return {
        "a": str(comparison.a.folder),
        "b": str(comparison.b.folder),
        "benchmark": comparison.a.benchmark,
        "weighting": comparison.weighting,
        "verdict": verdict(comparison),
        "differences": {
            item.metric: {
                "a": item.a,
                "b": item.b,
                "difference": item.value,
                "interval": item.interval._asdict(),
                "only_a": item.only_a,
                "only_b": item.only_b,
                "p": item.p,
                "p_holm": comparison.adjusted[item.metric],
                "real": comparison.is_real(item),
                "test": item.method,
            }
            for item in comparison.differences
        },
        "made_differently": [
            {"what": what, "a": in_a, "b": in_b} for what, in_a, in_b in comparison.causes
        ],
        "most_different": list(most_different),
    }


def _row(item: Difference, comparison: Comparison) -> dict[str, str]:
    low, high = 100 * item.interval.low, 100 * item.interval.high
    return {
        "metric": metric_label(item.metric),
        "A": f"{100 * item.a:.1f}",
        "B": f"{100 * item.b:.1f}",
        "B - A": f"{100 * item.value:+.1f}",
        "95 % interval": f"{low:+.1f} to {high:+.1f}",
        "only A": str(item.only_a),
        "only B": str(item.only_b),
        "p": f"{item.p:.2g}" + ("" if item.method.startswith("exact") else " ~"),
        "Holm": f"{comparison.adjusted[item.metric]:.2g}",
        "real": "yes" if comparison.is_real(item) else "no",
    }


def _causes(comparison: Comparison) -> list[str]:
    if not comparison.causes:
        return ["Both numbers were made in the same way."]
    rows = [{"made differently": what, "A": a, "B": b} for what, a, b in comparison.causes]
    return [format_rows(rows, "table")]


def _name_to_show(result: Result) -> str:
    """Returns what `rmeval show` knows a result's rows by: of one's own, where they are."""
    own = result.definition in ARITHMETIC
    return quote(one_line(result.provenance["data"]["source"] if own else result.benchmark))


def _rows_apart(rows: Rows, benchmark: str) -> list[str]:
    if not rows:
        return ["No row's margin differs."]
    return [
        f"the {len(rows)} rows most different (margins by each model's own spread):",
        "",
        format_rows([_shown(row) for row in rows], "table"),
        f"rmeval show {benchmark} ID prints one",
    ]


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: f"{v:+.3f}" if isinstance(v, float) else v for key, v in row.items()}
