"""Results as data frames and data sets, and as notebooks show them."""

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmeval.benchmarks import scheme_of
from rmeval.errors import UnknownName, one_line
from rmeval.metrics.accuracy import margin, win_credit
from rmeval.metrics.names import OVERALL
from rmeval.records import Result, ScoredPreference
from rmeval.reports.labels import shown_metric
from rmeval.reports.metric_tables import MetricTables
from rmeval.reports.tables import format_rows
from rmeval.results.files import find_results, read_result

if TYPE_CHECKING:
    import datasets
    import pandas as pd

PER = ("preference", "response")
Row = dict[str, Any]


def frame_of(result: Result, per: str) -> "pd.DataFrame":
    """Returns what `Result.to_frame` promises."""
    import pandas as pd

    if per not in PER:
        raise UnknownName("row of a frame", per, PER)
    section_of = MetricTables(result, scheme_of(result.definition)).section_of
    objectives = result.provenance["model"].get("objectives", [])
    rows: list[Row] = []
    for item in result.scored:
        head = {"id": item.id, "subset": item.subset, "section": section_of(item.subset)}
        tail = {"margin": margin(item), "won": win_credit(item), "weight": item.weight}
        if per == "preference":
            rows.append({**head, **_together(item), **tail})
        else:
            rows += [{**head, **one, **tail} for one in _apart(item, objectives)]
    return pd.DataFrame(rows)


def _together(item: ScoredPreference) -> Row:
    told = [list(score.objectives) for score in item.scores]
    return {
        "chosen": item.num_chosen,
        "rewards": [score.value for score in item.scores],
        "tokens": [score.tokens for score in item.scores],
        "truncated": any(score.truncated for score in item.scores),
        **({"objectives": told} if any(told) else {}),
    }


def _apart(item: ScoredPreference, objectives: list[str]) -> Iterator[Row]:
    for place, score in enumerate(item.scores):
        yield {
            "response": place,
            "chosen": place < item.num_chosen,
            "reward": score.value,
            "tokens": score.tokens,
            "truncated": score.truncated,
            **dict(zip(objectives, score.objectives, strict=False)),
        }


def dataset_of(result: Result, per: str) -> "datasets.Dataset":
    """Returns what `Result.to_dataset` promises."""
    import datasets

    return datasets.Dataset.from_pandas(frame_of(result, per), preserve_index=False)


def results_frame(*folders: str | Path) -> "pd.DataFrame":
    """Returns a row for every result below the folders: what it is of, its metrics, what made it.

    Metrics have their names in `result.metrics.values`, and are fractions; `low` and `high` are the
    ends of the Score's interval. What a result has not is NaN. Raises BadData for a damaged one.
    """
    import pandas as pd

    found = [read_result(path) for path, _ in find_results(map(Path, folders))]
    return pd.DataFrame([_summary(result) for result in found])


def _summary(result: Result) -> Row:
    made, interval = result.provenance, result.metrics.intervals.get(OVERALL)
    return {
        "benchmark": result.benchmark,
        "model": result.shown_name,
        "weighting": result.weighting,
        "partial": result.partial,
        **result.metrics.values,
        "low": interval and interval.low,
        "high": interval and interval.high,
        "rows": len(result.scored),
        "family": made["model"]["family"],
        "dtype": made["model"]["dtype"],
        "revision": made["model"].get("revision"),
        "engine": made["engine"]["path"],
        "device": made["engine"]["device"],
        "started": made["started"],
        "seconds": made["seconds"],
        "folder": str(result.folder),
    }


def described(result: Result) -> str:
    """Returns a result in one line."""
    score = (
        f"Score {shown_metric(result.metrics, 'overall')}"
        if result.overall is not None
        else "no Score"
    )
    partial = ", partial" if result.partial else ""
    about = f"{result.shown_name} on {result.benchmark}: {score}, {len(result.scored):,} rows"
    return one_line(about + partial)


def html_of(result: Result) -> str:
    """Returns a result as the table of its sections, or of its subsets where it has none."""
    tables = MetricTables(result, scheme_of(result.definition))
    rows = tables.sections()
    shown = rows if len(rows) > 1 else [*tables.subsets(), *rows]
    columns = dict.fromkeys(key for row in shown for key in row)
    filled = [{key: row.get(key) for key in columns} for row in shown]
    return f"<p>{escape(described(result))}</p>{format_rows(filled, 'html')}"
