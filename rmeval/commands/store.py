"""Show what interrupted runs have kept, and delete what is no longer needed."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmeval.duels import SERVER
from rmeval.errors import BadOption
from rmeval.evaluation import store_settings
from rmeval.reports.tables import format_rows
from rmeval.results.files import read_result_document, results_of

if TYPE_CHECKING:
    from rmeval.engine.store import StoreFile


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb. A store is needed only until its run has a result."""
    from rmeval.engine.store import store_files

    parser.add_argument("folder", nargs="?", type=Path, default=Path("results"), metavar="DIR")
    parser.add_argument(
        "--prune", action="store_true", help="delete the stores of runs that have a result"
    )
    options = parser.parse_args(arguments)
    if not options.folder.is_dir():
        raise BadOption(f"{options.folder}: no such folder")
    rows = []
    for file in store_files(options.folder):
        finished = _is_finished(file)
        size = file.path.stat().st_size
        if options.prune and finished:
            file.path.unlink()
        rows.append(
            {
                "store": str(file.path.relative_to(options.folder)),
                "rewards": _rewards(file),
                "KiB": size // 1024,
                **_made_by(file.settings),
                "run": ("finished, deleted" if options.prune else "finished")
                if finished
                else "unfinished",
            }
        )
    print(format_rows(rows, "table") if rows else f"no stores in {options.folder}")
    return 0


def _rewards(file: "StoreFile") -> int:
    """Returns how many rewards are kept; of a judge, how many answers, each a group."""
    return file.groups if "prompt" in _part(file.settings, "model") else file.rewards


def _made_by(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns what tells stores apart; what a server answered depends on nothing here."""
    engine, versions = _part(settings, "engine"), _part(settings, "versions")
    return {
        "dtype": _part(settings, "model").get("dtype"),
        "path": engine.get("path", SERVER),
        "batch tokens": engine.get("batch_tokens"),
        "torch": versions.get("torch"),
    }


def _part(settings: dict[str, Any], key: str) -> dict[str, Any]:
    """Returns a part of a file's settings, or nothing for what is none."""
    part = settings.get(key)
    return part if isinstance(part, dict) else {}


def _is_finished(file: "StoreFile") -> bool:
    """Whether a result of the store's runs was made with its settings, and after its last score."""
    last = file.path.stat().st_mtime
    return any(
        store_settings(read_result_document(result)["provenance"]) == file.settings
        for result in results_of(file.path.parents[1])
        if result.stat().st_mtime >= last
    )
