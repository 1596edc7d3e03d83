"""RM-Bench (`THU-KEG/RM-Bench`), arXiv 2410.16184 and its code: does style outweigh substance?

A row is one user turn with three chosen and three rejected responses, in the same three styles.
Columns: id, prompt, chosen, rejected. The domain is the file's name (`chat_filtered.json`), or in
files of all domains (`total_dataset.json`) the column `domain`.

The styles go from concise to long and decorated. M[i][j] = 1 when chosen i has a higher reward
than rejected j. Hard is the mean of M where the chosen one is plainer (i < j), normal where the
styles are the same, easy where it is the more decorated. A domain is the mean of the three, the
Score the mean of the four domains; safety pools the rows that should be refused with those that
should be answered.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from rmeval.benchmarks.benchmark import Definition
from rmeval.benchmarks.reading.files import is_readable
from rmeval.benchmarks.reading.rows import Row, data_files, read_rows, require_unique_ids
from rmeval.errors import BadData
from rmeval.metrics.names import OVERALL, Metric
from rmeval.metrics.scheme import Leaf, Part, Scheme, Strata, by_subset
from rmeval.records import Preference, ScoredPreference

STYLES = 3
LEVELS = ("hard", "normal", "easy")
ROWS = {"chat": 129, "math": 529, "code": 228, "safety-refuse": 284, "safety-response": 157}
DOMAINS = {
    "chat": ("chat",),
    "math": ("math",),
    "code": ("code",),
    "safety": ("safety-refuse", "safety-response"),
}


def style_credits(item: ScoredPreference) -> tuple[float, float, float]:
    """Returns what a row counts towards hard, normal and easy: the share of its three cells."""
    if item.num_chosen != STYLES or len(item.scores) != 2 * STYLES:
        raise BadData(f"row {item.id!r}: RM-Bench has 3 chosen and 3 rejected responses")
    values = np.array([score.value for score in item.scores])
    wins = 1.0 * (values[:STYLES, None] > values[None, STYLES:])  # (chosen, rejected)
    if item.comparisons is not None:
        wins += 0.5 * (values[:STYLES, None] == values[None, STYLES:])
    hard, normal, easy = np.triu(wins, 1).sum(), np.trace(wins), np.tril(wins, -1).sum()
    return float(hard / STYLES), float(normal / STYLES), float(easy / STYLES)


def _credit(item: ScoredPreference, level: int) -> float:
    return style_credits(item)[level]


def _chance(item: ScoredPreference) -> float:
    return 0.5


def _parts(strata: Strata, weighting: str) -> list[Part]:
    section, subset = Metric.section, Metric.subset
    parts = [
        Part(section(domain, level), {subset(s, level): ROWS[s] for s in subsets})
        for domain, subsets in DOMAINS.items()
        for level in LEVELS
    ]
    parts += [
        Part(section(domain), {section(domain, level): 1.0 for level in LEVELS})
        for domain in DOMAINS
    ]
    parts += [
        Part(Metric.overall(level), {section(domain, level): 1.0 for domain in DOMAINS}, True)
        for level in LEVELS
    ]
    return [*parts, Part(OVERALL, {section(domain): 1.0 for domain in DOMAINS}, True)]


_leaves = (
    Leaf(partial(_credit, level=place), chance=_chance, part=name)
    for place, name in enumerate(LEVELS)
)
SCHEME = Scheme(by_subset(*_leaves), _parts, ("mean",), ROWS)


TOTAL = "total_dataset"
COLUMNS = ("id", "prompt", "chosen", "rejected")
DOMAIN_COLUMNS = ("domain", "subset")


def read_rm_bench(path: Path) -> tuple[Preference, ...]:
    """Reads rows in RM-Bench's layout; a folder may have them in `data/`, as the publisher's has.

    Raises BadData for a missing column, an empty or unknown value, another number of responses
    than 3 and 3, or a repeated id.
    """
    return require_unique_ids(
        (row.place, to_preference(row, domain)) for row, domain in _domain_rows(path)
    )


def to_preference(row: Row, domain: str) -> Preference:
    """Returns a row of RM-Bench's columns; ids are unique only within a domain. Raises BadData."""
    chosen, rejected = row.texts("chosen"), row.texts("rejected")
    if len(chosen) != STYLES or len(rejected) != STYLES:
        found = f"{len(chosen)} chosen and {len(rejected)} rejected responses"
        raise BadData(f"{row.place}: {found}; RM-Bench has {STYLES} of each")
    name = row.text("id")
    return Preference(
        id=name if "/" in name else f"{domain}/{name}",  # copies may have the domain in it
        subset=domain,
        prompt=row.prompt("prompt"),
        responses=(*chosen, *rejected),
        num_chosen=STYLES,
    )


def _domain_rows(path: Path) -> Iterator[tuple[Row, str]]:
    for file in _files(path):
        domain = _domain_of(file)
        if domain in ROWS:
            yield from ((row, domain) for row in read_rows([file], COLUMNS))
        else:
            for row in read_rows([file], COLUMNS, DOMAIN_COLUMNS):
                yield row, _domain(row)


def _domain(row: Row) -> str:
    """Returns a row's domain; copies of the data call it `subset`, which is else another thing."""
    if "domain" not in row.values and row.values.get("subset") in ROWS:
        return row.text("subset")
    if "domain" not in row.values:
        raise BadData(f"{row.place}: no column domain; found: {', '.join(row.values)}")
    return row.one_of("domain", ROWS)


def _files(path: Path) -> list[Path]:
    """Returns the file of all domains, else those of single ones, else whatever is there."""
    folders = [path / "data", path]  # the publisher's repository has code beside its data
    inside = [file for folder in folders if folder.is_dir() for file in sorted(folder.iterdir())]
    inside = [file for file in inside if is_readable(file.name)]
    total = [file for file in inside if file.stem == TOTAL]
    return total[:1] or [f for f in inside if _domain_of(f) in ROWS] or data_files(path, TOTAL)


def _domain_of(file: Path) -> str:
    return file.stem.removesuffix("_filtered")


RM_BENCH = Definition(
    name="rm-bench",
    read=read_rm_bench,
    scheme=SCHEME,
    licence="ODC-By",
    meaning="mean of chat, math, code and safety, each of hard, normal and easy",
    repository="THU-KEG/RM-Bench",
    patterns=("*.json*", "*.parquet"),
)
