"""What stands in training data, as tables and as a document."""

from typing import TYPE_CHECKING, Any

from rmeval.errors import one_line
from rmeval.reports.labels import shown_metric
from rmeval.reports.table_pages import tables_html, text_table
from rmeval.reports.tables import format_rows, format_with_notes

if TYPE_CHECKING:
    from rmeval.verbs.overlap import Overlap

WORD = (
    "a word is lowercase, between white space, without punctuation (GPT-3, arXiv 2005.14165, "
    "appendix C); each character of Chinese or Japanese is one"
)
Rows = list[dict[str, Any]]


def overlap_rows(found: "Overlap") -> Rows:
    """Returns how many rows each kind touches, and where: a line a subset, and one for all."""
    parts = {"prompt": "prompt", "response": "responses"}
    rows: Rows = []
    for subset, size in [*found.sizes.items(), ("all", sum(found.sizes.values()))]:
        here = [row for row in found.rows if subset in (row.subset, "all")]
        row: dict[str, Any] = {"subset": subset, "rows": size}
        for kind in found.kinds:
            for name, part in parts.items():
                shares = (getattr(one, part).get(kind, 0.0) for one in here)
                row[f"{name} {kind}"] = sum(share >= (found.least or 1e-12) for share in shares)
            row[f"touched {kind}"] = sum(one.touched(kind, found.least) for one in here)
        rows.append(row)
    return rows


def format_overlap(found: "Overlap", form: str) -> str:
    """Returns tables of the overlap, and of the Scores without it, in one of tables.FORMATS."""
    if form == "csv":
        return format_rows(overlap_rows(found), form)
    share = f"at least {100 * found.least:g} % of a text" if found.least else "any part of a text"
    where = one_line(", ".join(found.train)) or "rows in memory"
    title = f"{one_line(found.benchmark)} in {found.train_rows:,} training rows of {where}"
    tokens = (
        [] if all("tokens" not in kind for kind in found.kinds) else ["tokens: the tokenizer's"]
    )
    notes = [
        f"touched: {share}, of the prompt or of a response, stands in a training row",
        WORD,
        *tokens,
    ]
    blocks: list[tuple[str, tuple[Rows, list[str]]]] = [(title, (overlap_rows(found), notes))]
    if found.without:
        blocks.append(("without the touched rows", (_scores(found), [])))
    if form == "html":
        return tables_html("Overlap", [text_table(name, name, *block) for name, block in blocks])
    return "\n\n".join(format_with_notes(*block, form, name) for name, block in blocks)


def overlap_document(found: "Overlap") -> dict[str, Any]:
    """Returns all of it for JSON: counts, every touched row, and Scores as fractions."""
    return {
        "benchmark": found.benchmark,
        "train": list(found.train),
        "train_rows": found.train_rows,
        "kinds": list(found.kinds),
        "least": found.least,
        "word": WORD,
        "subsets": overlap_rows(found),
        "rows": [row._asdict() for row in found.rows],
        "without": [
            {
                "model": one.result.shown_name,
                "kind": one.kind,
                "rows": one.rows,
                "metrics": dict(one.metrics.values),
                "intervals": {n: i._asdict() for n, i in one.metrics.intervals.items()},
                "all_rows": dict(one.result.metrics.values),
            }
            for one in found.without
        ],
    }


def _scores(found: "Overlap") -> Rows:
    """Returns the Score of each result, with all rows and without those of each kind."""
    return [
        {
            "model": one_line(one.result.shown_name),
            "without": one.kind,
            "rows left": one.rows,
            "Score": shown_metric(one.metrics, "overall"),
            "of all rows": shown_metric(one.result.metrics, "overall"),
        }
        for one in found.without
    ]
