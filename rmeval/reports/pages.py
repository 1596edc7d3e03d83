"""The report: one file that opens anywhere, with no network, and runs no text of the data's."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from rmeval.errors import BadData, one_line
from rmeval.metrics.scheme import Scheme
from rmeval.records import Result
from rmeval.reports.answers import answer_rows
from rmeval.reports.changes import Change, change_rows
from rmeval.reports.disguises import CAPTION, NOTE, disguise_rows
from rmeval.reports.documents import render_page
from rmeval.reports.drawing import figure_svg
from rmeval.reports.first_screen import first_screen
from rmeval.reports.metric_tables import MetricTables
from rmeval.reports.page_rows import Texts, pack_rows
from rmeval.reports.several import comparable, draw_figures, label_results, several_tables
from rmeval.reports.summary import notes_of
from rmeval.reports.weaknesses import Example

TOLD_APART = ("findings", "ensemble.members")  # lists of things, which a cell would not show
ROWS_WITHOUT_SCROLLING = 40  # rows, beyond which a table scrolls within the page
Table = dict[str, Any]


def render_report(results: Sequence[Result], scheme: Scheme, texts: Texts) -> str:
    """Returns the report of one or several results on the same rows, as HTML.

    Raises BadData for results over different rows.
    """
    if not results:
        raise BadData("a report needs a result")
    asked, results = results, comparable(results, scheme)
    names = label_results(results)
    screen = first_screen(results, scheme, names, texts)
    shown, more = ", ".join(names[:3]), f" and {len(names) - 3} more" if names[3:] else ""
    return render_page(
        "report.html.j2",
        ["report.js"],
        title=f"{shown}{more} on {one_line(results[0].benchmark)}",
        screen=screen,
        notes=_notes(asked, results, scheme),
        score_tables=[
            *_change_tables(screen.changes),
            *_score_tables(results, scheme, names),
            *_disguise_tables(results, names),
        ],
        figures=_figures(results, scheme, names),
        models=names,
        rows=pack_rows(results, scheme, texts, screen.rows),
        ensembles=_ensembles(asked, names),
        made_tables=_provenance_tables(asked, names),
    )


def _notes(asked: Sequence[Result], results: Sequence[Result], scheme: Scheme) -> list[str]:
    first = results[0]
    if len(results) == 1:
        return [
            one_line(note) for note in notes_of(first, scheme.tally(first.scored, first.weighting))
        ]
    notes = []
    if first.partial:
        notes.append(f"PARTIAL: {one_line(first.partial)}. No table ranks it.")
    if any(result.weighting != first.weighting for result in asked):
        notes.append(
            f"They were run under several weightings; every number here is under {first.weighting}."
        )
    return notes


def _score_tables(results: Sequence[Result], scheme: Scheme, names: Sequence[str]) -> list[Table]:
    if len(results) > 1:
        scores, *disputed = several_tables(results, scheme, names)
        for table in disputed:
            table["rows"] = [{**r, "id": _link(r["id"], row=r["id"])} for r in table["rows"]]
        return [_table(**table, texts=("model", "id", "subset")) for table in (scores, *disputed)]
    tables = MetricTables(results[0], scheme)
    found = [_table("Sections", tables.sections(), ("section",))]
    if answers := results[0].metrics.statistics.get("answers"):
        found.append(_table("The best of n answers", answer_rows(answers), ("n",)))
    subsets = [
        {**row, "subset": _link(row["subset"], subset=row["subset"], state="lost")}
        for row in tables.subsets()
    ]
    caption = "Subsets; each links to the rows that it lost"
    return [*found, _table(caption, subsets, ("section", "subset"))] if subsets[1:] else found


def _table(caption: str, rows: Sequence[Mapping[str, Any]], texts: Collection[str] = ()) -> Table:
    """Returns what the page's template makes a table of; columns that are no `texts` are numbers.

    Without `texts` all are texts.
    """
    heads = dict.fromkeys(head for row in rows for head in row)
    numbers = [head for head in heads if texts and head not in texts]
    scrolls = len(rows) > ROWS_WITHOUT_SCROLLING
    return {"caption": caption, "heads": heads, "numbers": numbers, "rows": rows, "long": scrolls}


def _change_tables(changes: Sequence[Change]) -> list[Table]:
    """Returns what the later of two results lost and won, with a row of each."""
    rows = [
        {k: _link(v.id, row=v.id) if isinstance(v, Example) else v for k, v in row.items()}
        for row in change_rows(changes)
    ]
    caption = "What B lost and won against A, its predecessor; the surest losses first"
    return [_table(caption, rows, ("metric", "lost", "won"))] if rows else []


def _disguise_tables(results: Sequence[Result], names: Sequence[str]) -> list[Table]:
    rows = disguise_rows(results, names if len(results) > 1 else ())
    return [_table(f"{CAPTION}; {NOTE}", rows)] if rows else []


def _link(text: str, **view: str) -> Markup:
    """Returns a link to a view of the rows, as the page's script writes it."""
    return Markup('<a href="#{}">{}</a>').format(urlencode(view), one_line(text))


def _figures(
    results: Sequence[Result], scheme: Scheme, names: Sequence[str]
) -> list[dict[str, Any]]:
    return [
        {
            "name": drawn.name,
            "title": drawn.title,
            "caption": drawn.caption,
            "svg": Markup(figure_svg(drawn.figure, drawn.name)),
            "wide": drawn.wide,
        }
        for drawn in draw_figures(results, scheme, names)
    ]


def _provenance_tables(results: Sequence[Result], names: Sequence[str]) -> list[Table]:
    """Returns what made each result; of several, what is the same, and what differs, apart."""
    flat = [
        _flatten({"weighting": r.weighting, "partial": r.partial, **r.provenance}) for r in results
    ]
    keys = list(dict.fromkeys(k for values in flat for k in values if k not in TOLD_APART))
    same = [key for key in keys if len({values.get(key) for values in flat}) == 1]
    found: list[Table] = []
    if len(same) < len(keys):
        differing = [key for key in keys if key not in same]
        rows = [
            {"model": name, **{key: values.get(key, "absent") for key in differing}}
            for name, values in zip(names, flat, strict=True)
        ]
        found.append(_table("Different between the models", rows))
    caption = "The same for all" if len(results) > 1 else names[0]
    return [*found, _table(caption, [{"what": k, "value": flat[0][k]} for k in same])]


def _ensembles(results: Sequence[Result], names: Sequence[str]) -> list[Mapping[str, Any]]:
    """Returns the members of each result that is an ensemble, as the page folds them."""
    return [
        {"name": name, "members": [*map(_member, result.provenance["ensemble"]["members"])]}
        for result, name in zip(results, names, strict=True)
        if "ensemble" in result.provenance
    ]


def _member(member: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns a member's name, what it counts, and in a table all that is known of it."""
    name, apart = one_line(member["model"]["name"]), ("weight", "bounds")
    told = f"weight {member['weight']:.4g}"
    if bounds := member.get("bounds"):
        low, high = bounds
        told += f", scores from {low:.4g} to {high:.4g} scaled to 0 and 1"
    rest = _flatten({key: value for key, value in member.items() if key not in apart})
    table = _table(name, [{"what": what, "value": value} for what, value in rest.items()])
    return {"name": name, "result": member.get("result"), "told": told, "table": table}


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = "none" if value is None else str(value)
    return flat
