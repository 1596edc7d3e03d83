"""Writes a site: its pages, its data, its feed, and a report for each result."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rmeval.benchmarks import scheme_of
from rmeval.errors import BadData
from rmeval.known import Published
from rmeval.records import Result
from rmeval.reports.page_rows import Texts
from rmeval.reports.site.api import site_data
from rmeval.reports.site.collecting import collect
from rmeval.reports.site.feed import feed_text
from rmeval.reports.site.folder import new_site, require_site
from rmeval.reports.site.models import Facts
from rmeval.reports.site.pages import site_pages
from rmeval.reports.texts import find_texts

OnReport = Callable[[int, int], None]
"""Called before each report: how many are written, and how many there will be."""


def write_site(
    folder: Path,
    results: Sequence[Result],
    published: Sequence[Published] = (),
    *,
    title: str = "Reward models",
    facts: Mapping[str, Facts] | None = None,
    reports: bool = True,
    on_report: OnReport = lambda written, total: None,
) -> list[str]:
    """Writes a site into a folder, whole or not at all; returns what the reports are without.

    Raises BadData for nothing to show, OutputFailure for a folder that holds anything else.
    """
    if not results and not published:
        raise BadData("a site needs results or published rows")
    require_site(folder)
    site = collect(results, published, title=title, told=facts or {}, reports=reports)
    with new_site(folder) as made:
        for path, text in site_pages(site):
            made.write(path, text)
        for path, text in site_data(site):
            made.write(path, text)
        made.write("feed.xml", feed_text(site))
        missing = _Texts()
        wanted = [(row["report"], result) for row, result in site.measured() if row["report"]]
        for number, (path, result) in enumerate(wanted):
            on_report(number, len(wanted))
            made.write(str(path), _report(result, missing.of(result)))
    return missing.lacking


def _report(result: Result, texts: Texts) -> str:
    from rmeval.reports.pages import render_report  # matplotlib takes its time

    return render_report([result], scheme_of(result.definition), texts)


class _Texts:
    """The rows behind results, read once for all that are of the same ones."""

    def __init__(self) -> None:
        self._key, self._texts = "", Texts({})
        self.lacking: list[str] = []

    def of(self, result: Result) -> Texts:
        """Returns the texts of a result, or why they cannot be had."""
        data = result.provenance["data"]
        told = [result.definition, data["source"], data["revision"], data["reading"]]
        key = json.dumps(told, sort_keys=True)
        if key != self._key:
            self._key, self._texts = key, find_texts(result, None)
            if self._texts.missing and self._texts.missing not in self.lacking:
                self.lacking.append(self._texts.missing)
        return self._texts
