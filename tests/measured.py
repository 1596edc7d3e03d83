"""Results on all of RewardBench's rows, made by hand, for what shows them."""

from functools import cache
from pathlib import Path
from typing import Any

from rmeval.benchmarks import scheme_of
from rmeval.benchmarks.rewardbench import ROWS
from rmeval.files import prepare_folder
from rmeval.metrics.summary import describe_scores
from rmeval.records import Metrics, Result, Score, ScoredPreference
from rmeval.results.files import write_result

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REST = {"empty_responses": 0, "identical_responses": 0, "reading": {}}
HUB = {"source": "allenai/reward-bench", "revision": COMMIT, **REST}
LOCAL = {"source": "/data/my-bench", "revision": None, **REST}


@cache
def verdicts(lost: int, *, text: str = "t") -> tuple[ScoredPreference, ...]:
    """All rows; of every subset the first `lost` are lost, or all that there are."""
    return tuple(
        ScoredPreference(
            f"{subset}/{number}",
            subset,
            1,
            (Score(-1.0 if number < lost else 1.0, 9, False), Score(0.0, 8, False)),
            f"{text}{subset}{number}",
        )
        for subset, rows in ROWS.items()
        for number in range(rows)
    )


@cache
def described(lost: int, text: str, definition: str, weighting: str) -> Metrics:
    """The metrics of `verdicts`, which many results share: frozen, and made once."""
    return describe_scores(scheme_of(definition), verdicts(lost, text=text), weighting)


def measured(
    model: str = "org/m",
    lost: int = 3,
    *,
    weighting: str = "rewardbench-v1",
    dtype: str = "bfloat16",
    family: str = "classifier",
    data: dict[str, Any] = HUB,
    text: str = "t",
    **changes: Any,
) -> Result:
    """A whole result, of which `lost` rows of every subset are lost."""
    scored = verdicts(lost, text=text)
    definition = changes.get("definition", "rewardbench")
    scheme = scheme_of(definition)
    weighting = weighting if weighting in scheme.weightings else scheme.weightings[0]
    named = {"benchmark": "rewardbench", "definition": "rewardbench", "model": model}
    provenance = {
        "model": {"name": model, "fingerprint": model, "dtype": dtype, "family": family},
        "engine": {"path": "packed", "reason": None, "device": "cpu"},
        "data": data,
        "started": "2026-01-02T03:04:05+00:00",
        "seconds": 1.0,
        "versions": {"rmeval": "0.9"},
    }
    made = {
        "weighting": weighting,
        "metrics": described(lost, text, definition, weighting),
        "scored": scored,
        "partial": None,
        "provenance": provenance,
        "folder": Path("results/here"),
    }
    return Result(**{**named, **made, **changes})


def keep(folder: Path, result: Result) -> Path:
    """Writes a result below a folder, and returns its own."""
    number = len(list(folder.iterdir())) if folder.exists() else 0
    own = prepare_folder(folder / f"{number:02}")
    write_result(own, result)
    return own
