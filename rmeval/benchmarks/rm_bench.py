"""RM-Bench (`THU-KEG/RM-Bench`), arXiv 2410.16184.

A row is one user turn with three chosen and three rejected responses, in the same three styles.
Columns: id, prompt, chosen, rejected. The domain is the file's name (`chat_filtered.json`), or in
files of all domains (`total_dataset.json`) the column `domain`.
"""

from collections.abc import Iterator
from pathlib import Path

from rmeval.benchmarks.benchmark import Definition
from rmeval.benchmarks.reading.files import is_readable
from rmeval.benchmarks.reading.rows import Row, data_files, read_rows, require_unique_ids
from rmeval.errors import BadData
from rmeval.metrics.rm_bench import RM_BENCH as SCHEME
from rmeval.metrics.rm_bench import ROWS, STYLES
from rmeval.records import Preference

TOTAL = "total_dataset"
COLUMNS = ("id", "prompt", "chosen", "rejected")
DOMAINS = ("domain", "subset")


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
            for row in read_rows([file], COLUMNS, DOMAINS):
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
    rows=sum(ROWS.values()),
    licence="ODC-By",
    meaning="mean of chat, math, code and safety, each of hard, normal and easy",
    repository="THU-KEG/RM-Bench",
    patterns=("*.json*", "*.parquet"),
)
