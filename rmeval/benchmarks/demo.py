"""The demonstration benchmark: hand-written pairs in RewardBench's layout and subsets.

It shows the whole way at once, on any machine. Its numbers say nothing about a model.
"""

from functools import partial
from importlib.resources import as_file, files
from pathlib import Path

from rmeval.benchmarks.benchmark import Benchmark
from rmeval.benchmarks.rewardbench import read_preferences
from rmeval.errors import BadOption
from rmeval.metrics.rewardbench import ROWS, WEIGHTINGS, rewardbench_metrics

ROWS_PER_SUBSET = 6


def load_demo(data: Path | None, revision: str | None) -> Benchmark:
    """Loads the rows that ship with the package; they have one place and one revision."""
    if data is not None or revision is not None:
        raise BadOption(
            "the demo benchmark ships with rmeval: --data and --data-revision do not apply"
        )
    with as_file(files("rmeval") / "data" / "demo" / "benchmark.jsonl") as path:
        preferences = read_preferences([path])
    return Benchmark(
        name="demo",
        preferences=preferences,
        source="shipped with rmeval",
        revision=None,
        aggregate=partial(rewardbench_metrics, expected_rows=dict.fromkeys(ROWS, ROWS_PER_SUBSET)),
        weightings=tuple(WEIGHTINGS),
    )
