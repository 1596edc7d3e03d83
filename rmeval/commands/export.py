"""Export a result for a model card, the Hub or a paper. Uploads only with --push."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rmeval.commands.shared.options import one_of
from rmeval.errors import BadOption
from rmeval.files import write_atomically
from rmeval.hub import open_pull_request, require_repository
from rmeval.records import Result
from rmeval.reports.leaderboard import format_ranking
from rmeval.reports.model_card import eval_results_path, eval_results_yaml, merge_into_readme
from rmeval.results.files import read_result
from rmeval.results.standings import rank_rows

FORMATS = ("model-index", "eval-results", "latex", "csv")


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; without --readme or --output the text goes to stdout."""
    _add_options(parser)
    options = parser.parse_args(arguments)
    _require_consistent(options)
    results = [read_result(folder) for folder in options.folders]
    text = _render(results, options)
    target = options.output or options.readme
    if target is None:
        print(text, end="")
    else:
        write_atomically(target, text)
        print(f"wrote {target}")
    if options.push is not None:
        in_readme = options.format == "model-index"
        path = "README.md" if in_readme else eval_results_path(results[0])
        address = open_pull_request(options.push, path, text, "Add evaluation results")
        print(f"opened {address}")
    return 0


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="folders of results")
    parser.add_argument(
        "--format", type=one_of("format", FORMATS), required=True, metavar="|".join(FORMATS)
    )
    parser.add_argument(
        "--readme",
        type=Path,
        metavar="FILE",
        help="merge into this model card, in place or into --output",
    )
    parser.add_argument("--output", type=Path, metavar="FILE")
    parser.add_argument(
        "--push",
        type=require_repository,
        metavar="ORG/NAME",
        help="open a pull request with it on the Hub",
    )


def _require_consistent(options: argparse.Namespace) -> None:
    if options.readme and options.format != "model-index":
        raise BadOption("--readme goes with --format model-index")
    if options.push and options.format not in ("model-index", "eval-results"):
        raise BadOption("--push goes with --format model-index or eval-results")
    if options.push and options.format == "model-index" and not options.readme:
        raise BadOption(
            "--push of a model-index needs --readme with the repository's README.md: "
            "without it, the rest of the card would be lost"
        )


def _render(results: Sequence[Result], options: argparse.Namespace) -> str:
    if options.format == "model-index":
        return _merge(results, options.readme)
    if options.format == "eval-results":
        if len(results) > 1:
            raise BadOption("one file holds one benchmark's results: pass one folder")
        return eval_results_yaml(results[0])
    if len({(result.benchmark, result.definition) for result in results}) > 1:
        raise BadOption("a table covers one benchmark: pass folders of one")
    return format_ranking(rank_rows(results, []), options.format) + "\n"


def _merge(results: Sequence[Result], readme: Path | None) -> str:
    if readme is None:
        return merge_into_readme("", results)
    try:
        with readme.open(encoding="utf-8", newline="") as stream:  # its own ends of lines
            text = stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise BadOption(f"cannot read --readme {readme}") from error
    return merge_into_readme(text, results)
