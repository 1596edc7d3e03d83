"""The same as the pages, for programs: JSON files of which `schema.py` says the fields."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rmeval import __version__
from rmeval.reports.site.collecting import Site
from rmeval.reports.site.schema import SCHEMA, BenchmarkEntry, SiteDocument


def site_data(site: Site) -> Iterator[tuple[str, str]]:
    """Yields the path and the text of every file of data."""
    yield "data/index.json", _json(_index(site))
    for document in (*(ranking.document for ranking in site.rankings), *site.models):
        yield data_of(document["page"]), _json(document)


def data_of(page: str) -> str:
    """Returns where the data of a page is."""
    return f"data/{page.removesuffix('.html')}.json"


def _index(site: Site) -> SiteDocument:
    return {
        "schema": SCHEMA,
        "title": site.title,
        "made_by": f"rmeval {__version__}",
        "updated": site.updated,
        "benchmarks": [_benchmark(ranking.document) for ranking in site.rankings],
        "models": list(site.across),
    }


def _benchmark(document: Mapping[str, Any]) -> BenchmarkEntry:
    origins = [row["origin"] for row in document["rows"]]
    return {
        "name": document["benchmark"],
        "page": document["page"],
        "data": data_of(document["page"]),
        "measured": origins.count("measured"),
        "published": origins.count("published"),
    }


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
