"""RewardBench v1 (`allenai/reward-bench`, split `filtered`), arXiv 2403.13787.

A row is one user turn with a chosen and a rejected response. Columns: prompt, chosen, rejected,
subset, id, and the names of the models that wrote the responses, which are not used.
"""

from pathlib import Path

from rmeval.benchmarks.benchmark import Definition
from rmeval.benchmarks.clusters import by_problem
from rmeval.benchmarks.reading.rows import Row, data_files, read_rows, require_unique_ids
from rmeval.metrics.rewardbench import REWARDBENCH, ROWS
from rmeval.records import Message, Preference

SPLIT = "filtered"
COLUMNS = ("prompt", "chosen", "rejected", "subset", "id")


def read_rewardbench(path: Path) -> tuple[Preference, ...]:
    """Reads rows in RewardBench's layout; the order is theirs.

    Raises BadData for a missing column, an empty or unknown value, or a repeated id.
    """
    rows = read_rows(data_files(path, SPLIT), COLUMNS)
    return require_unique_ids((row.place, to_preference(row)) for row in rows)


def to_preference(row: Row) -> Preference:
    """Returns a row of RewardBench's columns. Raises BadData."""
    return Preference(
        id=row.text("id"),
        subset=row.one_of("subset", ROWS),
        prompt=(Message("user", row.text("prompt")),),
        responses=(row.text("chosen"), row.text("rejected")),
    )


REWARDBENCH_V1 = Definition(
    name="rewardbench",
    read=read_rewardbench,
    scheme=REWARDBENCH,
    rows=sum(ROWS.values()),
    licence="ODC-By",
    meaning="mean accuracy of Chat, Chat Hard, Safety and Reasoning",
    repository="allenai/reward-bench",
    patterns=(f"data/{SPLIT}-*",),
    clusters=by_problem,
)
