"""Options that say which rows, and the benchmarks that they describe."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rmeval.benchmarks import (
    BENCHMARKS,
    OWN,
    Benchmark,
    find_recipe,
    load_benchmark,
    may_be_own,
    published_name,
    scheme_of,
    shipped_recipes,
)
from rmeval.benchmarks.own import load_own
from rmeval.benchmarks.reading.columns import check_fields
from rmeval.benchmarks.recipes import recipes_in
from rmeval.errors import BadOption, UnknownName
from rmeval.hub import local_path

OWN_ADVICE = "; or pass a file, or a data set on the Hub as ORG/NAME"


def add_benchmark_options(parser: argparse.ArgumentParser, *, named: bool = True) -> None:
    """Adds what `load_benchmarks_from` reads; `named` also adds --benchmark itself."""
    group = parser.add_argument_group("benchmark")
    names = ", ".join(known_benchmarks())
    if named:
        group.add_argument(
            "--benchmark",
            metavar="NAME,…",
            help=f"{names}; a recipe, FILE.toml, or a folder of them; "
            "a file or Hub data set of preferences; or several, with commas. "
            "rewardbench unless the model is the demo",
        )
    group.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="[NAME=]PATH",
        help="local rows of a published benchmark: its folder, or a file",
    )
    group.add_argument("--data-revision", metavar="R", help="the data set's revision on the Hub")
    group.add_argument(
        "--columns",
        metavar="OURS=THEIRS,…",
        help="for data of your own: prompt=question,chosen=good,rejected=bad",
    )
    group.add_argument("--split", metavar="NAME", help="of a data set of your own on the Hub")


def load_benchmarks_from(
    options: argparse.Namespace, default: str, weighting: str | None = None
) -> list[Benchmark]:
    """Loads the rows that the options describe, before any model is loaded.

    A weighting must be one that each of the benchmarks has.

    Raises BadOption, UnknownName, BadData or Unreachable.
    """
    names = _names(options.benchmark or default)
    data = _data_by_name(options.data, names)
    if options.data_revision and len(names) > 1:
        raise BadOption("--data-revision takes one benchmark; run them one at a time")
    for name in names:
        recipe = find_recipe(name)
        if name not in BENCHMARKS and recipe is None and not may_be_own(name):
            raise UnknownName("benchmark", name, known_benchmarks(), OWN_ADVICE)
        if _has_layout(name) and (options.columns or options.split):
            raise BadOption(f"--columns and --split are for data of your own; {name} needs neither")
        definition = recipe.arithmetic if recipe else name if name in BENCHMARKS else OWN
        scheme_of(definition).check_weighting(weighting)
    loaded = [
        load_benchmark(name, data.get(name), revision=options.data_revision)
        if _has_layout(name)
        else load_own(
            name,
            columns=parse_columns(options.columns) if options.columns else None,
            split=options.split,
            revision=options.data_revision,
        )
        for name in names
    ]
    _require_distinct([benchmark.name for benchmark in loaded])
    return loaded


def parse_columns(text: str) -> dict[str, str]:
    """Returns the columns of `prompt=question,chosen=good`, by our names for them.

    An empty name, as in `id=`, leaves a column unread. Raises BadOption or UnknownName.
    """
    columns: dict[str, str] = {}
    for pair in text.split(","):
        field, equals, column = (part.strip() for part in pair.partition("="))
        if not equals:
            raise BadOption(f"--columns {text}: expected OURS=THEIRS,..., as in prompt=question")
        if field in columns:
            raise BadOption(f"--columns {text}: {field} appears twice")
        columns[field] = column
    check_fields(columns)
    return columns


def known_benchmarks() -> list[str]:
    """Returns the names of the benchmarks that ship, in code or as recipes."""
    return [*(entry.name for entry in BENCHMARKS), *shipped_recipes()]


def _has_layout(name: str) -> bool:
    """Whether a benchmark's layout is known: by code, or by a recipe."""
    return name in BENCHMARKS or find_recipe(name) is not None


def _names(text: str) -> list[str]:
    if found := recipes_in(Path(text)):
        return list(map(str, found))
    names = [text] if Path(text).exists() else [name.strip() for name in text.split(",")]
    if not all(names):
        raise BadOption(f"--benchmark {text!r}: an empty name")
    return [name if local_path(name) else published_name(name) for name in names]


def _data_by_name(values: Sequence[str], names: Sequence[str]) -> dict[str, Path]:
    """Returns --data by benchmark; a path alone is the only benchmark's."""
    data: dict[str, Path] = {}
    for value in values:
        name, equals, path = value.partition("=")
        name = published_name(name)
        if not equals or name not in names:
            if len(names) > 1:
                raise BadOption(
                    f"--data {value}: for which benchmark? Pass NAME=PATH, with one "
                    f"of {', '.join(names)}"
                )
            name, path = names[0], value
        if name in data:
            raise BadOption(f"--data is given twice for {name}")
        if not _has_layout(name):
            raise BadOption(f"--data is for published benchmarks; pass --benchmark {path} alone")
        data[name] = Path(path)
    return data


def _require_distinct(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise BadOption(f"two benchmarks are called {name}; run them one at a time")
