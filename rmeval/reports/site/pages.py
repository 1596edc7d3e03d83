"""The pages of a site, by their paths below its root."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

from rmeval.reports.documents import render_page
from rmeval.reports.leaderboard import ESTIMATED, GROUPS, footnote_mark
from rmeval.reports.site.collecting import Ranking, Site
from rmeval.reports.site.schema import ModelDocument, RowRecord
from rmeval.reports.site.verdicts import pack_verdicts
from rmeval.results.comparison import flattened

FILTERS = ("origin", "type", "family", "size", "licence")  # fields with a list to choose from
SIZES = ((3, "up to 3B"), (10, "3B to 10B"), (40, "10B to 40B"), (float("inf"), "above 40B"))


@dataclass(frozen=True)
class Axis:
    """A scale in percent on which intervals are drawn, `width` wide."""

    low: float
    high: float
    width: int = 200

    def place(self, value: float) -> float:
        """Returns where a value is on it, from 0 to `width`, to a tenth."""
        inside = min(max(value, self.low), self.high)
        return round(self.width * (inside - self.low) / (self.high - self.low), 1)

    @property
    def ticks(self) -> list[float]:
        """The tens or twenties on it."""
        step = 10 if self.high - self.low <= 50 else 20
        return [value for value in range(int(self.low), int(self.high) + 1) if value % step == 0]

    @property
    def labels(self) -> list[tuple[float, str]]:
        """The ticks, each with the end of its text that stands there."""
        last = len(self.ticks) - 1
        ends = {0: "start", last: "end"}
        return [(tick, ends.get(place, "middle")) for place, tick in enumerate(self.ticks)]

    @classmethod
    def over(cls, rows: Sequence[RowRecord]) -> "Axis":
        """Returns the tens that hold all Scores and intervals."""
        ends = [row[key] for row in rows for key in ("score", "low", "high")]
        known = [value for value in ends if value is not None] or [0.0, 100.0]
        low, high = 10 * floor(min(known) / 10), 10 * ceil(max(known) / 10)
        return cls(low, max(high, low + 10))


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
    rows = document["rows"]
    notes = list(dict.fromkeys(note for row in rows for note in row["notes"]))
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
        axis=Axis.over(rows),
        filters=_choices(rows),
        size_class=size_class,
        marks={note: footnote_mark(number) for number, note in enumerate(notes)},
        legend=[GROUPS, *([ESTIMATED] if any(row["estimated"] for row in rows) else [])],
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
