"""From results and published rows to what a site shows: rankings, models, and all across."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rmeval.benchmarks import BENCHMARKS, define_benchmark, repository_of, shipped_recipes
from rmeval.errors import one_line
from rmeval.known import Published
from rmeval.records import Result
from rmeval.reports.across import MEAN, OWN, across_rows
from rmeval.reports.rankings import by_benchmark
from rmeval.reports.site.models import Facts, facts_of
from rmeval.reports.site.names import file_names
from rmeval.reports.site.schema import (
    SCHEMA,
    BenchmarkDocument,
    ModelDocument,
    ModelEntry,
    ResultRecord,
    RowRecord,
)
from rmeval.results.scores import scores_digest
from rmeval.results.standings import Ranked, rank_entries


@dataclass(frozen=True)
class Ranking:
    """A benchmark's page: its document, and the entry behind each of its rows."""

    document: BenchmarkDocument
    ranked: Sequence[Ranked]

    def measured(self) -> list[tuple[RowRecord, Result]]:
        """Returns the rows that were measured, with their results."""
        pairs = zip(self.document["rows"], self.ranked, strict=True)
        return [(row, found.entry.result) for row, found in pairs if found.entry.result]


@dataclass(frozen=True)
class Site:
    """All that a site shows, in the order in which it does."""

    title: str
    rankings: Sequence[Ranking]
    models: Sequence[ModelDocument]
    across: Sequence[ModelEntry]

    def measured(self) -> list[tuple[RowRecord, Result]]:
        """Returns every measured row with its result, by benchmark."""
        return [pair for ranking in self.rankings for pair in ranking.measured()]

    @property
    def updated(self) -> str | None:
        """When the newest result was begun."""
        return max((result.provenance["started"] for _, result in self.measured()), default=None)


class Models:
    """What models are called, what is told of them, and their files; a name's case is no other."""

    def __init__(self, names: Sequence[str], told: Mapping[str, Facts]) -> None:
        self._spelt: dict[str, str] = {}
        for name in names:
            self._spelt.setdefault(name.casefold(), name)
        self._facts = {key: facts_of(name, told) for key, name in self._spelt.items()}
        self._files = file_names(self._spelt.values())

    def called(self, name: str) -> str:
        """Returns a model's name for people, on one line."""
        return one_line(self.facts(name).name or self._spelt[name.casefold()])

    def facts(self, name: str) -> Facts:
        """Returns what is told of a model."""
        return self._facts[name.casefold()]

    def file(self, name: str) -> str:
        """Returns the name of its files, without an ending."""
        return self._files[self._spelt[name.casefold()]]


def collect(
    results: Sequence[Result],
    published: Sequence[Published],
    *,
    title: str,
    told: Mapping[str, Facts],
    reports: bool,
) -> Site:
    """Returns what a site of these results and rows shows; `told` are facts by model.

    With `reports` every measured row has the place of its report. Raises UnknownName.
    """
    tables = {name: rank_entries(*rows) for name, rows in by_benchmark(results, published).items()}
    models = Models([row.entry.model for found in tables.values() for row in found], told)
    files = file_names(tables)
    rankings = [
        Ranking(_benchmark(name, files[name], _records(name, files[name], found, models, reports)),
                found)
        for name, found in tables.items()
    ]  # fmt: skip
    return Site(title, rankings, _documents(rankings, models), _across(tables, rankings, models))


def _records(
    benchmark: str, file: str, ranked: Sequence[Ranked], models: Models, reports: bool
) -> list[RowRecord]:
    """Returns the rows of a ranking; a model's second result has a report of its own."""
    found: list[RowRecord] = []
    taken: Counter[str] = Counter()
    for row in ranked:
        record, name = _record(benchmark, row, models), models.file(row.entry.model)
        key = _key(record)
        taken.update([key])
        record["key"] = f"{key}{f'-{taken[key]}' if taken[key] > 1 else ''}"
        if reports and row.entry.result:
            taken.update([name])
            number = f"-{taken[name]}" if taken[name] > 1 else ""
            record["report"] = f"reports/{name}/{file}{number}.html"
        found.append(record)
    return found


def _key(row: RowRecord) -> str:
    """Returns what a row is known by, wherever it stands in which ranking."""
    told = [row["page"], row["origin"], row["made"], row["source"], row["scores_sha256"]]
    return hashlib.sha256(repr(told).encode()).hexdigest()[:12]


def _record(benchmark: str, row: Ranked, models: Models) -> RowRecord:
    entry, result = row.entry, row.entry.result
    facts, (low, high) = models.facts(entry.model), entry.ends or (None, None)
    return {
        "key": "",
        "benchmark": benchmark,
        "model": models.called(entry.model),
        "page": f"models/{models.file(entry.model)}.html",
        "report": None,
        "origin": "published" if result is None else "measured",
        "made": one_line(entry.origin),
        "source": one_line(entry.source) or None,
        "date": one_line(entry.date) or None,
        "rank": row.rank,
        "group": row.group,
        "score": entry.score,
        "low": low,
        "high": high,
        "estimated": result is None and low is not None,
        "sections": {one_line(name): value for name, value in entry.sections.items()},
        "weighting": one_line(entry.weighting),
        "rows": None if result is None else len(result.scored),
        "type": facts.type or one_line(entry.type) or None,
        "family": one_line(result.provenance["model"]["family"]) if result else facts.family,
        "size": facts.size,
        "licence": facts.licence,
        "notes": [one_line(note) for note in entry.remarks],
        "scores_sha256": None if result is None else scores_digest(result.scored),
    }


def _benchmark(name: str, file: str, rows: list[RowRecord]) -> BenchmarkDocument:
    known = define_benchmark(name) if name in BENCHMARKS else shipped_recipes().get(name)
    return {
        "schema": SCHEMA,
        "benchmark": one_line(name),
        "page": f"benchmarks/{file}.html",
        "meaning": known.meaning if known else None,
        "licence": known.licence if known else None,
        "data_set": repository_of(name),
        "sections": list(dict.fromkeys(section for row in rows for section in row["sections"])),
        "rows": rows,
    }


def _documents(rankings: Sequence[Ranking], models: Models) -> list[ModelDocument]:
    """Returns a document for each model, by name; its newest figures first."""
    found: dict[str, list[tuple[RowRecord, Ranked]]] = {}
    for ranking in rankings:
        pairs = list(zip(ranking.document["rows"], ranking.ranked, strict=True))
        for row, entry in sorted(pairs, key=lambda pair: pair[0]["date"] or "", reverse=True):
            found.setdefault(entry.entry.model.casefold(), []).append((row, entry))
    return [_document(key, found[key], models) for key in sorted(found)]


def _document(key: str, rows: Sequence[tuple[RowRecord, Ranked]], models: Models) -> ModelDocument:
    return {
        "schema": SCHEMA,
        "model": models.called(key),
        "page": f"models/{models.file(key)}.html",
        "url": models.facts(key).url,
        "rows": [row for row, _ in rows],
        "results": [
            _made(row["benchmark"], ranked.entry.result) for row, ranked in rows
            if ranked.entry.result
        ],
    }  # fmt: skip


def _made(benchmark: str, result: Result) -> ResultRecord:
    made = result.provenance
    return {
        "benchmark": benchmark,
        "started": made["started"],
        "checks": made.get("checks"),
        "warnings": list(made.get("warnings", ())),
        "provenance": dict(made),
    }


def _across(
    tables: Mapping[str, Sequence[Ranked]], rankings: Sequence[Ranking], models: Models
) -> list[ModelEntry]:
    columns = {name: f"{name} (benchmark)" if name in OWN else name for name in tables}
    newest: dict[tuple[str, str], RowRecord] = {}
    for row in (row for ranking in rankings for row in ranking.document["rows"]):
        key = row["page"], row["origin"]
        if key not in newest or (row["date"] or "") > (newest[key]["date"] or ""):
            newest[key] = row
    found: list[ModelEntry] = []
    for line in across_rows({name: [row.entry for row in table] for name, table in tables.items()}):
        row = newest[f"models/{models.file(line['model'])}.html", line["origin"]]
        found.append(
            {
                "model": row["model"],
                "page": row["page"],
                "data": f"data/{row['page'].removesuffix('html')}json",
                "origin": row["origin"],
                "type": row["type"],
                "family": row["family"],
                "size": row["size"],
                "licence": row["licence"],
                "date": row["date"],
                "scores": {one_line(name): line[column] for name, column in columns.items()},
                "mean": line.get(MEAN),
            }
        )
    return found
