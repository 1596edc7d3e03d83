"""What is asked: one file per benchmark, which says where its rows are and how they add up."""

from pathlib import Path

from rmeval.benchmarks.benchmark import Benchmark, Definition
from rmeval.metrics.pairs import PAIRS
from rmeval.metrics.scheme import Scheme
from rmeval.registry import Entry, Registry

OWN = "pairs"  # the definition of data of the user's own

BENCHMARKS = Registry(
    "benchmark",
    [
        Entry(
            "rewardbench",
            "rmeval.benchmarks.rewardbench:REWARDBENCH_V1",
            "RewardBench v1: Chat, Chat Hard, Safety, Reasoning",
        ),
        Entry(
            "prior-sets",
            "rmeval.benchmarks.prior_sets:PRIOR_SETS_V1",
            "the four test sets older than RewardBench v1 that join its Score",
        ),
        Entry(
            "rewardbench-2",
            "rmeval.benchmarks.rewardbench2:REWARDBENCH_2",
            "RewardBench 2: best of four in five subsets, and Ties",
        ),
        Entry(
            "rm-bench",
            "rmeval.benchmarks.rm_bench:RM_BENCH",
            "RM-Bench: substance against style, hard, normal and easy",
        ),
        Entry(
            "judgebench",
            "rmeval.benchmarks.judgebench:JUDGEBENCH",
            "JudgeBench: right against wrong answers of gpt-4o and claude-3.5",
        ),
        Entry(
            "rmb-pairwise",
            "rmeval.benchmarks.rmb:RMB_PAIRWISE",
            "RMB, pairs: helpfulness and harmlessness in 49 scenarios",
        ),
        Entry(
            "rmb-bon",
            "rmeval.benchmarks.rmb:RMB_BON",
            "RMB, best of N: helpfulness and harmlessness in 49 scenarios",
        ),
        Entry(
            "m-rewardbench",
            "rmeval.benchmarks.multilingual:M_REWARDBENCH",
            "M-RewardBench: RewardBench v1 in 23 languages",
        ),
        Entry(
            "demo",
            "rmeval.benchmarks.demo:DEMO",
            "hand-written pairs in RewardBench's 23 subsets; ships with rmeval",
        ),
    ],
)


def load_benchmark(
    name: str, data: str | Path | None = None, *, revision: str | None = None
) -> Benchmark:
    """Loads a benchmark's rows into memory.

    Args:
        name: a registered benchmark, or its data set's name; see `rmeval list benchmarks`.
        data: a local folder or file in the layout of the published data set; without it the
            rows come from the Hub.
        revision: the data set's branch, tag or commit on the Hub.

    Raises:
        UnknownName: no benchmark of this name.
        BadData: rows that are unreadable, incomplete or ambiguous, with file and row.
        Unreachable: the Hub cannot be reached and the rows are not in its cache.
    """
    return define_benchmark(published_name(name)).load(
        Path(data) if data is not None else None, revision
    )


def define_benchmark(name: str) -> Definition:
    """Returns what is known of a benchmark, without its rows. Raises UnknownName."""
    definition: Definition = BENCHMARKS.load(name)
    return definition


def published_name(name: str) -> str:
    """Returns the registered benchmark of a data set's name on the Hub; any other as it is.

    A benchmark's own name, and that of its data set, may be in another case or end in a slash.
    Of a data set that serves several benchmarks the name says nothing: it stays as it is.
    """
    plain = name.rstrip("/").lower()
    if plain in {entry.name for entry in BENCHMARKS}:
        return plain
    if plain.count("/") != 1:
        return name
    known = [define_benchmark(entry.name) for entry in BENCHMARKS]
    found = [one.name for one in known if one.repository and one.repository.lower() == plain]
    return found[0] if len(found) == 1 else name


def scheme_of(definition: str) -> Scheme:
    """Returns the arithmetic that a result names, as its `definition`. Raises UnknownName."""
    return PAIRS if definition == OWN else define_benchmark(definition).scheme


__all__ = [
    "BENCHMARKS",
    "Benchmark",
    "Definition",
    "define_benchmark",
    "load_benchmark",
    "published_name",
    "scheme_of",
]
