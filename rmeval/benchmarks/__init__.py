"""What is asked: one file per benchmark, which says where its rows are and how they add up."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from rmeval.benchmarks.arithmetic import ARITHMETIC, OWN
from rmeval.benchmarks.benchmark import Benchmark, Definition
from rmeval.benchmarks.reading.files import is_readable
from rmeval.errors import BadOption, BadPlugin
from rmeval.hub import local_path
from rmeval.metrics.scheme import Scheme
from rmeval.registry import Entry, Registry

if TYPE_CHECKING:
    import datasets
    import pandas as pd

    from rmeval.benchmarks.recipes import Recipe

    Rows: TypeAlias = (
        Iterable[Mapping[str, Any]]
        | pd.DataFrame
        | datasets.Dataset
        | datasets.IterableDataset
        | datasets.DatasetDict
    )

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
            "ppe-correctness",
            "rmeval.benchmarks.ppe:PPE_CORRECTNESS",
            "PPE Correctness: 32 responses each, right and wrong, in five sets",
        ),
        Entry(
            "demo",
            "rmeval.benchmarks.demo:DEMO",
            "hand-written pairs in RewardBench's 23 subsets; ships with rmeval",
        ),
    ],
    group="rmeval.benchmarks",
)


def load_benchmark(
    name: "str | Path | Rows",
    data: str | Path | None = None,
    *,
    revision: str | None = None,
    columns: Mapping[str, str] | None = None,
    split: str | None = None,
) -> Benchmark:
    """Loads a benchmark's rows into memory.

    Args:
        name: a benchmark, or its data set's name, see `rmeval list benchmarks`; a recipe of your
            own, a .toml file (docs/benchmarks.md); or preferences of your own: a file, a folder,
            ORGANISATION/NAME on the Hub, a list of mappings, a pandas.DataFrame, or a Dataset or
            DatasetDict of `datasets`.
        data: a local folder or file in the layout of the published data set; without it the
            rows come from the Hub.
        revision: the data set's branch, tag or commit on the Hub.
        columns: for data of your own, which of its columns holds each of our fields.
        split: for data of your own, which one where there are several.

    Raises:
        UnknownName: no benchmark of this name.
        BadData: rows that are unreadable, incomplete or ambiguous, with file and row.
        Unreachable: the Hub cannot be reached and the rows are not in its cache.
    """
    if not isinstance(name, str | Path):
        from rmeval.benchmarks.held import load_held

        _require_unsaid(data=data, revision=revision)
        return load_held(name, columns=columns, split=split)
    recipe = find_recipe(str(name))
    if recipe is not None:
        _require_unsaid(columns=columns, split=split)
        return recipe.load(Path(data) if data is not None else None, revision)
    source = str(name) if local_path(str(name)) else published_name(str(name))
    if source in BENCHMARKS or not may_be_own(source):
        _require_unsaid(columns=columns, split=split)
        return define_benchmark(source).load(Path(data) if data is not None else None, revision)
    from rmeval.benchmarks.own import load_own

    _require_unsaid(data=data)
    return load_own(source, columns=columns, split=split, revision=revision)


def may_be_own(name: str) -> bool:
    """Whether a name may be that of a user's own data: a path, or a data set on the Hub."""
    path = Path(name)
    return path.exists() or is_readable(path.name) or name.count("/") == 1


def _require_unsaid(**options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise BadOption(f"{name} does not apply to this kind of data; leave it out")


def define_benchmark(name: str) -> Definition:
    """Returns what is known of a benchmark, without its rows.

    Raises UnknownName, and BadPlugin for another package's that is no definition of this name.
    """
    definition, entry = BENCHMARKS.load(name), BENCHMARKS.find(name)
    if not isinstance(definition, Definition):
        raise BadPlugin(f"the benchmark {name!r}: {entry.origin} is no Definition; mend it")
    if definition.name != name:
        raise BadPlugin(
            f"the benchmark {entry.origin} calls itself {definition.name!r} and is registered as "
            f"{name!r}; make both the same"
        )
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


def find_recipe(name: str) -> "Recipe | None":
    """Returns the recipe of a shipped name, or of a .toml file, or None; see `recipes.py`."""
    from rmeval.benchmarks import recipes

    return recipes.find_recipe(name)


def shipped_recipes() -> "Mapping[str, Recipe]":
    """Returns the recipes of benchmarks that ship, by name."""
    from rmeval.benchmarks import recipes

    return recipes.shipped_recipes()


def scheme_of(definition: str) -> Scheme:
    """Returns the arithmetic that a result names, as its `definition`. Raises UnknownName."""
    if definition in ARITHMETIC:
        return ARITHMETIC[definition]
    if definition in BENCHMARKS or definition not in shipped_recipes():
        return define_benchmark(definition).scheme
    return shipped_recipes()[definition].scheme


def remark_on(definition: str) -> str:
    """Returns the remark under every result of a benchmark, or ""."""
    return define_benchmark(definition).remark if definition in BENCHMARKS else ""


def repository_of(definition: str) -> str | None:
    """Returns the data set on the Hub that a result's `definition` is of, or None."""
    if definition in BENCHMARKS:
        return define_benchmark(definition).repository
    recipe = shipped_recipes().get(definition)
    return None if recipe is None else recipe.repository


__all__ = [
    "BENCHMARKS",
    "OWN",
    "Benchmark",
    "Definition",
    "define_benchmark",
    "find_recipe",
    "load_benchmark",
    "may_be_own",
    "published_name",
    "remark_on",
    "repository_of",
    "scheme_of",
    "shipped_recipes",
]
