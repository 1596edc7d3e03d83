"""Results and published rows in one ranking, with a remark on all that is not like the others."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import hypot, sqrt
from operator import itemgetter
from typing import Any, NamedTuple

from rmeval.benchmarks import BENCHMARKS, scheme_of, shipped_recipes
from rmeval.benchmarks.rewardbench import PRIOR, PRIOR_ROWS
from rmeval.duels import UNKNOWN
from rmeval.errors import BadData, UnknownName
from rmeval.known import NOT_STATED, Published, published_rows
from rmeval.metrics.intervals import Z
from rmeval.metrics.names import OVERALL, Metric
from rmeval.metrics.paired import real_differences
from rmeval.metrics.pairs import PAIRS
from rmeval.metrics.scheme import Scheme
from rmeval.metrics.summary import describe_scores
from rmeval.records import Metrics, Result
from rmeval.results.baselines import fingerprint_items
from rmeval.results.comparison import require_same_rows, rows_in_order_of
from rmeval.results.schema import kind_of

Row = dict[str, Any]

DAY = len("2026-01-02")  # of an ISO 8601 time
UNREAD = 0.05  # of the answers, above which a ranking says so
COLUMNS = (("section", False), ("overall", True))  # levels of the metrics that are columns


@dataclass(frozen=True)
class Standing:
    """A row to be ranked; numbers are percent. `ends` are those of a 95 % interval.

    `result` is None for a published row, whose `ends` are an estimate. `score` is None where there
    is none to rank by. `remarks` say in words what is not like the others; `source` says where a
    row was published. `date` is when it was run or published, as far as that is known.
    """

    model: str
    type: str
    weighting: str
    score: float | None
    ends: tuple[float, float] | None
    sections: dict[str, float]
    origin: str
    remarks: tuple[str, ...]
    result: Result | None = None
    source: str = ""
    date: str = ""


class Ranked(NamedTuple):
    """A row in its place; rows of one `group` are statistically tied with the best of them."""

    rank: int | None
    group: int | None
    entry: Standing


def rank_rows(
    results: Sequence[Result],
    published: Sequence[Published],
    *,
    weighting: str | None = None,
    sort: str | None = None,
) -> list[Row]:
    """Returns the table of one benchmark, best first, or by another column.

    Rows of one `group` are statistically tied with its best one. A weighting asked for is applied
    to all that was measured here. What differs from most rows (weighting, dtype, the rows
    themselves) or is partial says so in `notes`. Raises UnknownName for a weighting or a column
    that is not there.
    """
    return _sorted(_rows(rank_entries(results, published, weighting)), sort)


def rank_entries(
    results: Sequence[Result], published: Sequence[Published], weighting: str | None = None
) -> list[Ranked]:
    """Returns what was measured and published on one benchmark, best first; see `rank_rows`."""
    entries = find_entries(results, published, weighting)
    entries.sort(key=lambda entry: (entry.score is None, -(entry.score or 0.0)))
    scores = [entry.score for entry in entries if entry.score is not None]
    groups = _groups(entries, _scheme(results, published))
    return [
        Ranked(
            None if entry.score is None else 1 + sum(s > entry.score for s in scores), group, entry
        )
        for entry, group in zip(entries, groups, strict=True)
    ]


def find_entries(
    results: Sequence[Result], published: Sequence[Published], weighting: str | None = None
) -> list[Standing]:
    """Returns what was measured on one benchmark, then what was published, with their remarks."""
    scheme = _scheme(results, published)
    weighting = weighting and scheme.check_weighting(weighting)
    entries = [_measured(result, scheme, weighting) for result in results]
    counts = Counter(row.model.casefold() for row in published)
    for row in published:
        entry = _published(row, scheme)
        if counts[row.model.casefold()] > 1:
            entry = replace(entry, remarks=(*entry.remarks, f"from {row.cited}"))
        entries.append(entry)
    return _remark(entries, weighting)


def _scheme(results: Sequence[Result], published: Sequence[Published]) -> Scheme:
    """Returns a benchmark's arithmetic; of one that others alone publish, none is known."""
    name = results[0].definition if results else published[0].benchmark
    known = name in BENCHMARKS or name in shipped_recipes()
    if not results and not known and name in {r.benchmark for r in published_rows()}:
        return PAIRS
    return scheme_of(name)


def _measured(result: Result, scheme: Scheme, weighting: str | None) -> Standing:
    metrics, remarks = result.metrics, []
    if weighting is not None and weighting != result.weighting:
        metrics = describe_scores(scheme, result.scored, weighting)
    score = None if result.partial else metrics.values.get(OVERALL)
    interval = metrics.intervals.get(OVERALL)
    if result.partial:
        remarks = [f"partial: {result.partial}"]
    elif score is None:
        remarks = ["no Score: it needs every section whole"]
    remarks += unread_note(metrics.counts)
    data = result.provenance["data"]
    where = str(data["revision"])[:8] if data["revision"] else data["source"].rsplit("/", 1)[-1]
    return Standing(
        model=result.shown_name,
        type=kind_of(result.provenance),
        weighting=weighting or result.weighting,
        score=None if score is None else 100 * score,
        ends=(100 * interval.low, 100 * interval.high) if score is not None and interval else None,
        sections={n: 100 * v for n, v in _columns(metrics).items()},
        origin=", ".join(filter(None, ["measured", _dtype(result), where])),
        remarks=tuple(remarks),
        result=result,
        date=result.provenance["started"][:DAY],
    )


def unread_note(counts: Mapping[str, int]) -> list[str]:
    """Returns a warning where a good part of the answers could not be read, or all of them."""
    notes = []
    for kind, worth in (("verdicts", "half a win each"), ("ratings", "their rows' mean each")):
        made, unread = counts.get(kind, 0), counts.get(f"{kind}_unparsed", 0)
        if made and unread == made:
            notes.append(f"none of the {made:,} {kind} could be parsed: the Score says nothing")
        elif unread > UNREAD * made:
            share = 100 * unread / made
            notes.append(f"{share:.0f} % of the {made:,} {kind} could not be parsed ({worth})")
    return notes


def _columns(metrics: Metrics) -> dict[str, float]:
    """Returns the sections and parts of the Score, or the subsets of what has neither."""
    values = metrics.values
    outer = [name for name in map(Metric, values) if name.level in COLUMNS]
    subsets = [Metric.subset(name) for name in metrics.rows]
    names = outer or [name for name in subsets if name in values]
    return {name.rest: values[name] for name in names}


def _published(row: Published, scheme: Scheme) -> Standing:
    if row.weighting not in (*scheme.weightings, NOT_STATED):
        where = f", in the published row of {row.model}"
        raise UnknownName("weighting", row.weighting, scheme.weightings, where)
    half = _binomial_half(row, scheme)
    return Standing(
        model=row.model,
        type=row.type,
        weighting=row.weighting,
        score=row.overall,
        ends=None if half is None else (row.overall - half, row.overall + half),
        sections=row.sections,
        origin=f"published {row.date}".rstrip(),
        remarks=tuple(
            filter(None, [row.note, f"the Score is of {row.of} alone" if row.of else ""])
        ),
        source=row.cited,
        date=row.date,
    )


def _binomial_half(row: Published, scheme: Scheme) -> float | None:
    """Returns half a 95 % interval of a published Score, as if each section's rows were coins.

    The section's accuracy stands for that of each of its subsets, which are not known. None
    where a section is not published, or the benchmark's Score is no mean of sections of subsets.
    """
    if row.weighting == NOT_STATED:
        return None
    prior: Any = PRIOR_ROWS if PRIOR in row.sections else {}
    parts = {part.name: part.weights for part in scheme.parts(prior, row.weighting)}
    rows, weights, variance = {**(scheme.rows or {}), **prior}, parts.get(OVERALL, {}), 0.0
    for section, weight in weights.items():
        share = row.sections.get(Metric(section).rest)
        leaves = {Metric(leaf).rest: w for leaf, w in parts.get(section, {}).items()}
        if share is None or not leaves or not leaves.keys() <= rows.keys():
            return None
        spread = sum(w * w / rows[subset] for subset, w in leaves.items())
        spread *= share * (100 - share) / sum(leaves.values()) ** 2
        variance += (weight / sum(weights.values())) ** 2 * spread
    return Z * sqrt(variance) if weights else None


def _remark(entries: Sequence[Standing], weighting: str | None) -> list[Standing]:
    """Returns the entries with a remark where weighting, dtype or rows are not those of most."""
    usual = weighting or _most(entry.weighting for entry in entries)
    whole = [entry.result for entry in entries if entry.result and not entry.result.partial]
    usual_dtype = _most(filter(None, map(_dtype, whole)))
    rows = {id(result): fingerprint_items(result) for result in whole}
    usual_rows = _most(rows.values())
    remarked = []
    for entry in entries:
        remarks, result = list(entry.remarks), entry.result
        if entry.weighting != usual:
            own = entry.weighting
            own = f"weighting {own}" if own == NOT_STATED else f"{own} weighting"
            remarks.append(f"{own}; the others {usual}")
        if result and usual_dtype and _dtype(result) not in (None, usual_dtype):
            remarks.append(f"computed in {_dtype(result)}; the others in {usual_dtype}")
        if result and rows.get(id(result), usual_rows) != usual_rows:
            remarks.append("other rows, or other texts, than the others'")
        remarked.append(replace(entry, remarks=tuple(remarks)))
    return remarked


def _most(values: Iterable[str]) -> str:
    """Returns the most frequent value, the first of several, or nothing of none."""
    return next((value for value, _ in Counter(values).most_common(1)), "")


def _dtype(result: Result) -> str | None:
    """Returns the dtype that a result was computed in, or None where a server does not say.

    An ensemble's is known where every member's is.
    """
    dtype = str(result.provenance["model"]["dtype"])
    return None if UNKNOWN in dtype else dtype


def _groups(entries: Sequence[Standing], scheme: Scheme) -> list[int | None]:
    """Returns each entry's group; a new one begins where the best of the last is really better.

    An entry of whose noise nothing is known is in none.
    """
    groups: list[int | None] = []
    leader, number = None, 0
    for entry in entries:
        if entry.score is None or entry.ends is None:
            groups.append(None)
            continue
        if leader is None or not _tied(leader, entry, scheme):
            leader, number = entry, number + 1
        groups.append(number)
    return groups


def _tied(a: Standing, b: Standing, scheme: Scheme) -> bool:
    if a.result and b.result and a.weighting == b.weighting and _same_rows(a.result, b.result):
        ordered = rows_in_order_of(a.result, b.result)
        tallies = [scheme.tally(scored, a.weighting) for scored in (a.result.scored, ordered)]
        return not real_differences([(tallies[0], tallies[1])], OVERALL)[0]
    # What each interval leaves between the two (MOVER: Zou and Donner, Stat. in Medicine 27, 2008).
    (low, _), (_, high) = a.ends or (0.0, 0.0), b.ends or (0.0, 0.0)
    upper, lower = a.score or 0.0, b.score or 0.0
    return upper - lower <= hypot(upper - low, high - lower)


def _same_rows(a: Result, b: Result) -> bool:
    try:
        require_same_rows(a, b)
    except BadData:
        return False
    return True


def _rows(ranked: Sequence[Ranked]) -> list[Row]:
    columns = dict.fromkeys(name for row in ranked for name in row.entry.sections)
    measured = any(row.entry.result for row in ranked)
    return [
        {
            "rank": rank,
            "group": group,
            "model": entry.model,
            "type": entry.type,
            "Score": entry.score,
            **(dict(zip(("low", "high"), _ends(entry), strict=True)) if measured else {}),
            **{name: entry.sections.get(name) for name in columns},
            "weighting": entry.weighting,
            "origin": entry.origin,
            "notes": list(entry.remarks),
        }
        for rank, group, entry in ranked
    ]


def _ends(entry: Standing) -> tuple[float | None, float | None]:
    return entry.ends if entry.result and entry.ends else (None, None)


def _sorted(rows: list[Row], column: str | None) -> list[Row]:
    """Returns rows by a column, numbers with decimals from the largest; what has none is last."""
    if column is None:
        return rows
    known = [name for name in rows[0] if name != "notes"]
    if column not in known:
        raise UnknownName("column", column, known)
    present = [row for row in rows if row[column] is not None]
    down = any(isinstance(row[column], float) for row in present)
    ordered = sorted(present, key=itemgetter(column), reverse=down)
    return ordered + [row for row in rows if row[column] is None]
