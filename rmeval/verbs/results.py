"""Verbs on results: each takes results, or the folders that they are in."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rmeval.benchmarks import Benchmark, scheme_of
from rmeval.errors import UnknownName
from rmeval.files import prepare_file, write_atomically
from rmeval.judging.agreement import Agreement, find_agreement
from rmeval.known import Published, published_rows, published_tables, without_repeats
from rmeval.records import Result
from rmeval.reports.page_rows import Texts
from rmeval.reports.pages import render_report
from rmeval.reports.rankings import rank_each
from rmeval.reports.site.models import read_facts
from rmeval.reports.site.writing import write_site
from rmeval.reports.texts import find_texts
from rmeval.results.baselines import (
    PUBLISHED,
    Baseline,
    published_baselines,
    read_baseline,
    write_baseline,
)
from rmeval.results.comparison import Comparison, compare_results
from rmeval.results.ensemble import Mixture, combine_results, place_result
from rmeval.results.files import find_results, write_result
from rmeval.results.files import read_result as read_one
from rmeval.results.history import FIRST, PREVIOUS, History, find_histories
from rmeval.results.regression import LEVELS, Gate, gate_result

if TYPE_CHECKING:
    import pandas as pd

ResultLike = Result | str | Path
"""A result, or the folder that it is kept in."""


def read_result(folder: str | Path) -> Result:
    """Returns a result with its scores. Raises BadData where there is none, or it is damaged."""
    return read_one(Path(folder))


def read_results(*folders: str | Path) -> list[Result]:
    """Returns every result below the folders, by path. Raises BadData for a damaged one."""
    return [read_one(path) for path, _ in find_results(map(Path, folders))]


def compare(a: ResultLike, b: ResultLike, *, weighting: str | None = None) -> Comparison:
    """Returns how `b` differs from `a` over the same rows, and what of it is more than noise.

    Without a weighting it is that of both, or the benchmark's default where they differ. Raises
    BadData for results over different rows.
    """
    return compare_results(result_of(a), result_of(b), weighting)


def agreement(*results: ResultLike) -> Agreement:
    """Returns how far results over the same rows agree, and each with itself.

    Raises BadData for results of other benchmarks, or that share no row.
    """
    return find_agreement([result_of(result) for result in results])


def ensemble(
    *results: ResultLike,
    weights: Sequence[float] | None = None,
    normalise: str = "minmax",
    bounds: Sequence[tuple[float, float]] | None = None,
    name: str | None = None,
    weighting: str | None = None,
    output: str | Path | None = None,
) -> Result:
    """Returns results over the same rows as one of a model of its own: weighted sums of scores.

    Args:
        weights: a weight for each result; None gives each 1/N.
        normalise: what makes scores comparable, "minmax", "zscore", "rank" or "none".
        bounds: with "minmax", fixed minima and maxima, one pair for each result.
        name: what the ensemble is called; None names it after its members and weights.
        output: where to keep it, as `evaluate` does; None keeps nothing.

    Raises BadOption for weights or bounds that do not go with the results, BadData for results
    over different rows, OutputFailure where a model's own result stands.
    """
    members = [result_of(result) for result in results]
    shares = tuple(weights) if weights is not None else (1 / len(members),) * len(members)
    mixture = Mixture(shares, normalise, name, None if bounds is None else tuple(bounds))
    combined = combine_results(members, mixture, weighting)
    if output is None:
        return combined
    placed = place_result(combined, Path(output))
    assert placed.folder is not None
    write_result(placed.folder, placed)
    return placed


def check(
    result: ResultLike,
    baseline: Baseline | str | Path,
    *,
    max_drop: float = 0.5,
    alpha: float = 0.05,
    per: str = "section",
) -> Gate:
    """Returns whether a result is worse than its baseline; `outcome` is 0 where it passed.

    Args:
        baseline: what `baseline` returned or wrote, or "published" for the authors' row.
        max_drop: the loss that is allowed, in percentage points.
        alpha: how unlikely a difference must be if nothing changed, in either direction.
        per: "overall" checks the Score, "section" the sections too, "subset" all.

    Raises BadData for a damaged result or baseline, BadOption where nothing is published.
    """
    if per not in LEVELS:
        raise UnknownName("level", per, LEVELS)
    found = result_of(result)
    if isinstance(baseline, Baseline):
        held = baseline
    elif baseline == PUBLISHED:
        held = published_baselines(found)[0]
    else:
        held = read_baseline(Path(baseline))
    return gate_result(found, held, max_drop=max_drop, alpha=alpha, per=per)


def baseline(result: ResultLike, output: str | Path) -> Baseline:
    """Writes what a later result is compared with, small enough to commit, and returns it.

    Raises OutputFailure.
    """
    path = Path(output)
    prepare_file(path)
    write_baseline(path, result_of(result))
    return read_baseline(path)


def history(
    *results: ResultLike,
    baseline: Baseline | str | Path = PREVIOUS,
    max_drop: float = 0.5,
    alpha: float = 0.05,
    per: str = "section",
) -> list[History]:
    """Returns the results of each model over time, on each benchmark, where there are two or more.

    Results are one model's where their names differ in the step alone, and stand in the order of
    their steps, otherwise in that of their dates. `rmeval.reports.history` has the table of one.

    Args:
        results: results, or folders with results in or below them.
        baseline: what each is held to: "previous", "first", or what `baseline` returned or wrote.
        max_drop, alpha, per: as in `check`.

    Raises BadData for a damaged result or baseline.
    """
    if per not in LEVELS:
        raise UnknownName("level", per, LEVELS)
    found = [result for item in results for result in _results(item)]
    if not isinstance(baseline, Baseline) and baseline not in (PREVIOUS, FIRST):
        baseline = read_baseline(Path(baseline))
    held = baseline if isinstance(baseline, Baseline) else str(baseline)
    return find_histories(found, held, max_drop=max_drop, alpha=alpha, per=per)


def leaderboard(
    results: Iterable[ResultLike] = (),
    *,
    published: bool | Sequence[str] = False,
    benchmark: str | None = None,
    weighting: str | None = None,
    sort: str | None = None,
) -> "pd.DataFrame":
    """Returns the ranking of results, and of published rows, as a frame; numbers are percent.

    Args:
        results: results, or folders with results in or below them.
        published: True for every shipped table, or the names of some, such as "grm".
        benchmark: only this one; by default all, one after another.
        weighting: applied to everything that was measured here.
        sort: the column to sort by, instead of Score.

    Rows of one `group` are statistically tied with its best. What differs from the others is said
    in `notes`. Raises UnknownName.
    """
    import pandas as pd

    found = [result for item in results for result in _results(item)]
    tables = rank_each(found, without_repeats(_published(published)), benchmark, weighting, sort)
    rows = [{"benchmark": name, **row} for name, table in tables.items() for row in table]
    return pd.DataFrame([{**row, "notes": "; ".join(row["notes"])} for row in rows])


def report(
    results: ResultLike | Sequence[ResultLike],
    output: str | Path = "report.html",
    *,
    data: Benchmark | str | Path | None = None,
) -> Path:
    """Writes a report on one result, or several over the same rows, and returns where it is.

    `data` are the rows, or where they are, if they are not where the run found them. Raises BadData
    for results over different rows, OutputFailure.
    """
    several = [results] if isinstance(results, Result | str | Path) else results
    found = [result_of(item) for item in several]
    path = Path(output)
    prepare_file(path)
    if isinstance(data, Benchmark):
        texts = Texts({item.id: item for item in data.preferences})
    else:
        texts = find_texts(found[0], None if data is None else Path(data))
    write_atomically(path, render_report(found, scheme_of(found[0].definition), texts))
    return path


def site(
    results: Iterable[ResultLike] = (),
    output: str | Path = "public",
    *,
    published: bool | Sequence[str] = False,
    title: str = "Reward models",
    models: str | Path | None = None,
    reports: bool = True,
) -> Path:
    """Writes the leaderboard as a site, and returns its folder, which is whole or as it was.

    Args:
        results: results, or folders with results in or below them.
        output: a folder that is not there, empty, or an earlier site and nothing else.
        published: True for every shipped table, or the names of some, such as "grm".
        title: what it is called.
        models: a TOML file of facts about models, see docs/site.md.
        reports: whether each result has its report, which holds the benchmark's texts.

    Raises BadData for nothing to show, OutputFailure, BadOption, UnknownName.
    """
    found = [result for item in results for result in _results(item)]
    facts = read_facts(Path(models)) if models is not None else None
    rows = without_repeats(_published(published))
    write_site(Path(output), found, rows, title=title, facts=facts, reports=reports)
    return Path(output)


def result_of(item: ResultLike) -> Result:
    """Returns a result, read where it is kept. Raises BadData."""
    return item if isinstance(item, Result) else read_result(item)


def _results(item: ResultLike) -> list[Result]:
    return [item] if isinstance(item, Result) else read_results(item)


def _published(which: bool | Sequence[str]) -> Sequence[Published]:
    if isinstance(which, bool):
        return published_rows() if which else ()
    tables = published_tables()
    for name in which:
        if name not in tables:
            raise UnknownName("card", name, tables)
    return [row for name in which for row in tables[name]]
