"""Write a report that opens in any browser: scores, pictures, every row with its texts."""

import argparse
import sys
from pathlib import Path

from rmeval.benchmarks import BENCHMARKS, Benchmark, load_benchmark, scheme_of
from rmeval.benchmarks.own import load_own
from rmeval.errors import RmevalError, first_line
from rmeval.files import prepare_file, write_atomically
from rmeval.reports.page_rows import Texts
from rmeval.reports.pages import render_report
from rmeval.results import read_result
from rmeval.types import Result


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; the texts are read again from where the run found them."""
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="folders of results on the same rows"
    )
    parser.add_argument("--output", type=Path, default=Path("report.html"), metavar="FILE.html")
    parser.add_argument("--data", type=Path, metavar="PATH", help="the rows, if they have moved")
    options = parser.parse_args(arguments)
    results = [read_result(folder) for folder in options.folders]
    prepare_file(options.output)
    texts = find_texts(results[0], options.data)
    page = render_report(results, scheme_of(results[0].definition), texts)
    write_atomically(options.output, page)
    if texts.missing:
        print(f"without texts: {texts.missing}; pass --data", file=sys.stderr)
    print(f"{options.output}: {len(page.encode()) / 1e6:.1f} MB")
    return 0


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
    if result.definition not in BENCHMARKS:
        how = about["reading"]
        return load_own(
            str(data or source),
            columns=how.get("columns"),
            split=how.get("split"),
            revision=None if data else revision,
        )
    local = data or (Path(source) if revision is None and result.definition != "demo" else None)
    return load_benchmark(result.definition, local, revision=None if local else revision)
