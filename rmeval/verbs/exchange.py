"""Results in a repository that several people share."""

from pathlib import Path

from rmeval.hub import require_repository
from rmeval.results import exchange
from rmeval.results.exchange import Item, Push
from rmeval.verbs.results import read_results


def push(
    *folders: str | Path,
    repository: str,
    direct: bool = False,
    replace: bool = False,
    dry_run: bool = False,
) -> Push:
    """Proposes the whole results below the folders to a results repository; returns what went.

    Args:
        repository: "org/name" of a data set on the Hub, which must be there.
        direct: commits to the main branch, instead of a pull request.
        replace: puts these scores in the place of others of the same model, settings and rows.
        dry_run: uploads nothing.

    Raises Unreachable where the Hub refuses or cannot be reached, BadData for a damaged result.
    """
    whole = [result for result in read_results(*folders) if not result.partial]
    plan = exchange.plan_push(whole, require_repository(repository), replace=replace)
    if plan.files and not dry_run:
        exchange.push(plan, direct=direct)
    return plan


def pull(
    repository: str,
    output: str | Path = "results",
    *,
    benchmark: str | None = None,
    revision: str | None = None,
) -> list[Item]:
    """Brings a repository's results below `output`, and returns what became of each.

    Nothing that is there is written over. Each result's hashes are held to its files, and every
    number is made again of the scores. Raises Unreachable where the Hub refuses or cannot be
    reached, BadData for a repository without results, OutputFailure.
    """
    return exchange.pull(
        require_repository(repository), Path(output), benchmark=benchmark, revision=revision
    )
