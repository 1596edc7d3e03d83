"""RewardBench v1 (`allenai/reward-bench`, split `filtered`), arXiv 2403.13787.

A row is one user turn with a chosen and a rejected response. Columns: prompt, chosen, rejected,
subset, id, and the names of the models that wrote the responses, which are not used.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from rmeval.benchmarks.benchmark import Benchmark
from rmeval.benchmarks.rows import Row, data_files, read_rows
from rmeval.errors import BadData, BadOption, nearest_name
from rmeval.hub import fetch_snapshot
from rmeval.metrics.rewardbench import ROWS, WEIGHTINGS, rewardbench_metrics
from rmeval.types import Message, Preference

REPOSITORY = "allenai/reward-bench"
SPLIT = "filtered"
COLUMNS = ("prompt", "chosen", "rejected", "subset", "id")


def load_rewardbench(data: Path | None, revision: str | None) -> Benchmark:
    """Loads RewardBench v1 from `data`, or from the Hub where that is None."""
    source, commit = str(data), None
    if data is not None and revision is not None:
        raise BadOption(f"--data-revision applies to the Hub; {data} is on this machine")
    if data is None:
        folder = fetch_snapshot(
            REPOSITORY, "dataset", revision, [f"data/{SPLIT}-*"], "pass --data FOLDER_OR_FILE"
        )
        data, source, commit = folder, REPOSITORY, folder.name
    preferences = read_preferences(data_files(data, SPLIT))
    return Benchmark(
        name="rewardbench",
        preferences=preferences,
        source=source,
        revision=commit,
        aggregate=rewardbench_metrics,
        weightings=tuple(WEIGHTINGS),
        partial=_what_is_missing(preferences, ROWS),
    )


def read_preferences(files: Iterable[Path]) -> tuple[Preference, ...]:
    """Reads rows in RewardBench's layout; the order is theirs.

    Raises BadData for a missing column, an empty or unknown value, or a repeated id.
    """
    preferences: list[Preference] = []
    places: dict[str, str] = {}
    for row in read_rows(files, COLUMNS):
        preference = _to_preference(row)
        if preference.id in places:
            raise BadData(
                f"{row.place}: id {preference.id} is also that of {places[preference.id]}"
            )
        places[preference.id] = row.place
        preferences.append(preference)
    return tuple(preferences)


def _to_preference(row: Row) -> Preference:
    subset = row.text("subset")
    if subset not in ROWS:
        nearest = nearest_name(subset, ROWS)
        hint = f"; did you mean {nearest!r}?" if nearest else ""
        raise BadData(f"{row.place}: RewardBench has no subset {subset!r}{hint}")
    return Preference(
        id=row.text("id"),
        subset=subset,
        prompt=(Message("user", row.text("prompt")),),
        responses=(row.text("chosen"), row.text("rejected")),
    )


def _what_is_missing(
    preferences: tuple[Preference, ...], expected: Mapping[str, int]
) -> str | None:
    counts = dict.fromkeys(expected, 0)
    for preference in preferences:
        counts[preference.subset] += 1
    wrong = [subset for subset, rows in expected.items() if counts[subset] != rows]
    if not wrong:
        return None
    first = f"{wrong[0]} has {counts[wrong[0]]} of {expected[wrong[0]]}"
    more = f" and {len(wrong) - 1} more subsets differ" if len(wrong) > 1 else ""
    return f"{len(preferences)} rows instead of {sum(expected.values())}: {first}{more}"
