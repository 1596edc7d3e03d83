"""Propose results to a results repository on the Hub: a pull request that adds their files."""

import argparse
import sys
from pathlib import Path

from rmeval.errors import one_line
from rmeval.hub import require_repository
from rmeval.results.exchange import Outcome, Push, plan_push, push
from rmeval.results.files import find_results, read_result


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; returns 1 where a result has no place there."""
    _add_options(parser)
    options = parser.parse_args(arguments)
    found = list(find_results(options.folders))
    whole = [path for path, document in found if not document["partial"]]
    if len(whole) < len(found):
        print(f"left out, since they are partial: {len(found) - len(whole)}", file=sys.stderr)
    plan = plan_push(list(map(read_result, whole)), options.results, replace=options.replace)
    _tell(plan, options.direct)
    if plan.files and not options.dry_run:
        address, is_new = push(plan, direct=options.direct)
        print(f"{'made' if is_new else 'the same is already proposed'}: {address}")
    return int(any(item.outcome is Outcome.REFUSED for item in plan.items))


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="folders with results in or below them"
    )
    parser.add_argument(
        "--results",
        type=require_repository,
        required=True,
        metavar="ORG/NAME",
        help="the repository: a data set on the Hub, which must be there",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be uploaded, and upload nothing"
    )
    parser.add_argument(
        "--direct", action="store_true", help="commit to the main branch, without a pull request"
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="put these scores in the place of others of the same model, settings and rows",
    )


def _tell(plan: Push, direct: bool) -> None:
    """Says what becomes of each result, and which files are uploaded."""
    for item in plan.items:
        print(one_line(f"{item.outcome.value}: {item.folder} ({item.reason})"))
    if not plan.files:
        print("nothing to upload")
        return
    for path, content in plan.files.items():
        print(f"{len(content):>12,} bytes  {path}")
    how = "a commit on the main branch" if direct else "a pull request"
    print(f"{len(plan.files)} files as {how} to the data set {plan.repository}")
