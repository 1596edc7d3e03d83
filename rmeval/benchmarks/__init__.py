"""What is asked: one file per benchmark, which says where its rows are and how they add up."""

from pathlib import Path

from rmeval.benchmarks.benchmark import Benchmark
from rmeval.registry import Entry, Registry

BENCHMARKS = Registry(
    "benchmark",
    [
        Entry(
            "rewardbench",
            "rmeval.benchmarks.rewardbench:load_rewardbench",
            "RewardBench v1: 2,985 pairs in Chat, Chat Hard, Safety, Reasoning",
        ),
        Entry(
            "demo",
            "rmeval.benchmarks.demo:load_demo",
            "138 hand-written pairs in RewardBench's 23 subsets; ships with rmeval",
        ),
    ],
)


def load_benchmark(
    name: str, data: str | Path | None = None, *, revision: str | None = None
) -> Benchmark:
    """Loads a benchmark's rows into memory.

    Args:
        name: a registered benchmark, see `rmeval list`.
        data: a local folder or file (parquet, jsonl, csv) in the layout of the Hub's data set;
            without it the rows come from the Hub.
        revision: the data set's branch, tag or commit on the Hub.

    Raises:
        UnknownName: no benchmark of this name.
        BadData: rows that are unreadable, incomplete or ambiguous, with file and row.
        Unreachable: the Hub cannot be reached and the rows are not in its cache.
    """
    load = BENCHMARKS.load(name)
    benchmark: Benchmark = load(Path(data) if data is not None else None, revision)
    return benchmark


__all__ = ["BENCHMARKS", "Benchmark", "load_benchmark"]
