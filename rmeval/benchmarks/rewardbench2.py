"""RewardBench 2 (`allenai/reward-bench-2`, split `test`), arXiv 2506.01937.

A row is one user turn with lists of chosen and rejected responses: one and three, but in Ties
several of each. Columns: id, prompt, chosen, rejected, subset, and the numbers num_correct,
num_incorrect and total_completions, which are checked where they are there.
"""

from pathlib import Path

from rmeval.benchmarks.benchmark import Definition
from rmeval.benchmarks.reading.rows import Row, data_files, read_rows, require_unique_ids
from rmeval.errors import BadData
from rmeval.metrics.rewardbench2 import REWARDBENCH_2 as SCHEME
from rmeval.metrics.rewardbench2 import ROWS, TIES
from rmeval.records import Message, Preference

SPLIT = "test"
COLUMNS = ("id", "prompt", "chosen", "rejected", "subset")
NUMBERS = ("num_correct", "num_incorrect", "total_completions")


def read_rewardbench2(path: Path) -> tuple[Preference, ...]:
    """Reads rows in RewardBench 2's layout; the order is theirs.

    Raises BadData for a missing column, an empty or unknown value, a number of responses other
    than the one stated, or a repeated id.
    """
    rows = read_rows(data_files(path, SPLIT), COLUMNS, NUMBERS)
    return require_unique_ids((row.place, to_preference(row)) for row in rows)


def to_preference(row: Row) -> Preference:
    """Returns a row of RewardBench 2's columns, correct responses first. Raises BadData."""
    subset = row.one_of("subset", ROWS)
    chosen, rejected = row.texts("chosen"), row.texts("rejected")
    _check_numbers(row, len(chosen), len(rejected))
    if subset != TIES and len(chosen) != 1:
        raise BadData(f"{row.place}: {len(chosen)} chosen responses; {subset} rows have one")
    return Preference(
        id=_name(row, subset),
        subset=subset,
        prompt=(Message("user", row.text("prompt")),),
        responses=(*chosen, *rejected),
        num_chosen=len(chosen),
    )


def _name(row: Row, subset: str) -> str:
    """Returns a row's id: `ref:N` or `tied:N` in Ties, else with the subset, as ids repeat."""
    name = row.text("id")
    if subset != TIES:
        return f"{subset}/{name}"
    kind, _, number = name.partition(":")
    if kind not in ("ref", "tied") or not number:
        raise BadData(f"{row.place}: id {name[:80]!r} of {TIES}; it must be ref:N or tied:N")
    return name


def _check_numbers(row: Row, correct: int, incorrect: int) -> None:
    for column, found in zip(NUMBERS, (correct, incorrect, correct + incorrect), strict=True):
        if column in row.values and row.number(column) != found:
            stated = row.number(column)
            raise BadData(f"{row.place}: {column} is {stated}, but there are {found} responses")


REWARDBENCH_2 = Definition(
    name="rewardbench-2",
    read=read_rewardbench2,
    scheme=SCHEME,
    rows=sum(ROWS.values()),
    licence="ODC-By",
    meaning="mean of six subsets: best of four, and Ties",
    repository="allenai/reward-bench-2",
    patterns=(f"data/{SPLIT}-*",),
)
