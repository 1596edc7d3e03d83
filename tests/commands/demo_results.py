"""Results on the demonstration's rows, made by hand, for the verbs that read them."""

from pathlib import Path
from typing import Any

from rmeval.benchmarks import scheme_of
from rmeval.benchmarks.demo import ROWS_PER_SUBSET
from rmeval.benchmarks.rewardbench import ROWS
from rmeval.files import prepare_folder
from rmeval.metrics.summary import describe_scores
from rmeval.records import Result, Score, ScoredPreference
from rmeval.results.files import write_result

ZERO = Score(0.0, 8, False)
PROVENANCE: dict[str, Any] = {
    "model": {"name": "m", "fingerprint": "f", "family": "fake", "dtype": "float32"},
    "engine": {"path": "plain", "reason": None, "device": "cpu"},
    "data": {
        "source": "s",
        "revision": "r",
        "empty_responses": 0,
        "identical_responses": 0,
        "reading": {},
    },
    "versions": {"rmeval": "0.9"},
    "started": "2026-01-02T03:04:05+00:00",
    "seconds": 1.0,
}


def keep(folder: Path, won: dict[str, int] | None = None, **changes: Any) -> Path:
    """A result on the demo with all rows won in each subset, but for those in `won`."""
    rows = [
        ScoredPreference(
            f"{subset}/{number}",
            subset,
            1,
            (
                Score(1.0 if number < (won or {}).get(subset, ROWS_PER_SUBSET) else -1.0, 9, False),
                ZERO,
            ),
            f"text {number}",
        )
        for subset in ROWS
        for number in range(ROWS_PER_SUBSET)
    ]
    named = {"benchmark": "demo", "definition": "demo", "model": "org/m", "partial": None}
    made = {"scored": tuple(rows), "weighting": "rewardbench-v1", "provenance": PROVENANCE}
    values = {**named, **made, **changes}
    metrics = describe_scores(
        scheme_of(values["definition"]), values["scored"], values["weighting"]
    )
    write_result(prepare_folder(folder), Result(**{"metrics": metrics, **values}))
    return folder
