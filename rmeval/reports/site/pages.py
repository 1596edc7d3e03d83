"""The pages of a site, by their paths below its root."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rmeval.reports.boards import READING, Axis, marks_of
from rmeval.reports.documents import render_page
from rmeval.reports.leaderboard import ESTIMATED, GROUPS
from rmeval.reports.site.collecting import Ranking, Site
from rmeval.reports.site.schema import ModelDocument, RowRecord
from rmeval.reports.site.verdicts import pack_verdicts
from rmeval.results.comparison import flattened

FILTERS = ("origin", "type", "family", "size", "licence")  # fields with a list to choose from
SIZES = ((3, "up to 3B"), (10, "3B to 10B"), (40, "10B to 40B"), (float("inf"), "above 40B"))


def site_pages(site: Site) -> Iterator[tuple[str, str]]:
    """Yields the path and the text of every page but the reports."""
    links = [(r.document["benchmark"], r.document["page"]) for r in site.rankings]
    yield "index.html", _overview(site, links)
    for ranking in site.rankings:
        yield ranking.document["page"], _benchmark(site, ranking, links)
    for model in site.models:
        yield model["page"], _model(site, model, links)


def _overview(site: Site, links: Sequence[tuple[str, str]]) -> str:
    return render_page(
        "site_overview.html.j2",
        ["tables.js"],
        title=site.title,
        site=site,
        root="",
        links=links,
        here="index.html",
        filters=_choices(site.across),
        size_class=size_class,
    )


def _benchmark(site: Site, ranking: Ranking, links: Sequence[tuple[str, str]]) -> str:
    document = ranking.document
    rows, marks = document["rows"], marks_of(document["rows"])
    shown = [{**row, "marks": [(note, marks[note]) for note in row["notes"]]} for row in rows]
    results = {row["key"]: result for row, result in ranking.measured()}
    return render_page(
        "site_benchmark.html.j2",
        ["tables.js", "paired.js", "compare.js"],
        title=document["benchmark"],
        site=site,
        root="../",
        links=links,
        here=document["page"],
        document=document,
        rows=shown,
        axis=Axis.over(rows),
        filters=_choices(rows),
        size_class=size_class,
        marks=marks,
        legend=[READING, GROUPS, *([ESTIMATED] if any(row["estimated"] for row in rows) else [])],
        verdicts=pack_verdicts(results),
    )


def _model(site: Site, model: ModelDocument, links: Sequence[tuple[str, str]]) -> str:
    results = iter(model["results"])
    made = [(row, next(results)) for row in model["rows"] if row["origin"] == "measured"]
    places = {r.document["benchmark"]: r.document for r in site.rankings}
    return render_page(
        "site_model.html.j2",
        ["tables.js"],
        title=model["model"],
        site=site,
        root="../",
        links=links,
        here=model["page"],
        model=model,
        axis=Axis.over(model["rows"]),
        places=places,
        made=[(row, result, _provenance(result["provenance"])) for row, result in made],
        histories=_histories(model),
    )


def _provenance(made: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(key, str(value)) for key, value in flattened(made).items()]


def _histories(model: ModelDocument) -> list[tuple[str, list[RowRecord]]]:
    """Returns the measured Scores of each benchmark that has several, the oldest first."""
    found: dict[str, list[RowRecord]] = {}
    for row in model["rows"]:
        if row["origin"] == "measured" and row["score"] is not None:
            found.setdefault(row["benchmark"], []).append(row)
    return [(name, rows[::-1]) for name, rows in found.items() if len(rows) > 1]


def _choices(rows: Sequence[Any]) -> dict[str, list[str]]:
    """Returns what each filter can be set to, where there is a choice."""
    found = {}
    for name in FILTERS:
        values = {size_class(row["size"]) if name == "size" else row[name] for row in rows}
        known = sorted(value for value in values if value)
        if name == "size":
            known = [label for _, label in SIZES if label in values]
        if len(known) > 1 or (known and len(values) > 1):
            found[name] = known
    return found


def size_class(size: float | None) -> str:
    """Returns which of SIZES a model is in, or nothing where its size is not known."""
    return "" if size is None else next(label for most, label in SIZES if size <= most)
