"""The texts behind a result, read again from where its run found them."""

from pathlib import Path

from rmeval.benchmarks import BENCHMARKS, Benchmark, load_benchmark
from rmeval.benchmarks.own import load_own
from rmeval.benchmarks.recipes import recipe_from
from rmeval.errors import RmevalError, first_line
from rmeval.records import Result
from rmeval.reports.page_rows import Texts


def find_texts(result: Result, data: Path | None) -> Texts:
    """Returns the rows that were scored, read again, or why they cannot be."""
    try:
        benchmark = _load_again(result, data)
    except RmevalError as error:
        if data is not None:
            raise
        return Texts({}, first_line(error))
    return Texts({item.id: item for item in benchmark.preferences})


def _load_again(result: Result, data: Path | None) -> Benchmark:
    about = result.provenance["data"]
    source, revision = about["source"], about["revision"]
    how = about["reading"]
    if recipe := how.get("recipe"):
        content = {key: value for key, value in recipe.items() if key != "name"}
        local = data or (Path(source) if revision is None else None)
        made = recipe_from(content, str(recipe.get("name")), f"the recipe in {result.folder}")
        return made.load(local, None if local else revision)
    if result.definition not in BENCHMARKS:
        return load_own(
            str(data or source),
            columns=how.get("columns"),
            split=how.get("split"),
            revision=None if data else revision,
        )
    local = data or (Path(source) if revision is None and result.definition != "demo" else None)
    return load_benchmark(result.definition, local, revision=None if local else revision)
