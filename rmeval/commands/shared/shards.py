"""Many files of lines through one model, each into a file of its own; some here, some elsewhere.

What is made of a file depends on that file alone, so its bytes are the same whatever the shards.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Any, NamedTuple

from rmeval.benchmarks.reading.files import is_readable
from rmeval.commands.shared.lines import (
    Verb,
    Windows,
    add_scoring_options,
    provenance_path,
    read_provenance,
    require_one_process,
    score_file,
    score_lines,
    sha256_of,
    survey,
    unfinished,
    work_folder,
)
from rmeval.commands.shared.options import load_rewarding_from
from rmeval.commands.shared.progress import show_progress
from rmeval.engine.store import drop_store
from rmeval.errors import BadData, BadOption, OutputFailure
from rmeval.evaluation import STORE, scoring_provenance, store_settings
from rmeval.results.files import unnamed
from rmeval.scorer import RewardScorer

LINES = ".jsonl"
MOST = 1_000_000  # shards


@dataclass(frozen=True)
class Shard:
    """A part of the files: those at `index`, `index` + `count`, … in order of their paths."""

    index: int
    count: int


class Pair(NamedTuple):
    """A file, and where its scores go."""

    came: Path
    goes: Path


def shard(value: str) -> Shard:
    """An argument type: I/N, with I from 0 to N - 1."""
    index, _, count = value.partition("/")
    numbers = [int(part) if part.isascii() and part.isdecimal() else -1 for part in (index, count)]
    if not 0 <= numbers[0] < numbers[1] <= MOST:
        raise argparse.ArgumentTypeError(
            f"{value!r} is not a shard: write 0/8, 1/8 and so on to 7/8"
        )
    return Shard(*numbers)


def add_shard_options(parser: argparse.ArgumentParser, came: str, goes: str) -> None:
    """Adds the options of who scores, the files that are read and written, and --shard."""
    add_scoring_options(parser)
    parser.add_argument(
        "--input",
        type=Path,
        nargs="+",
        required=True,
        metavar=came,
        help="a file; or several, a folder, or a pattern in quotes, and --output is a folder then, "
        "with a file of scores for each",
    )
    parser.add_argument("--output", type=Path, required=True, metavar=goes)
    parser.add_argument(
        "--shard",
        type=shard,
        metavar="I/N",
        help="only part I, from 0, of N equal parts of the files: for N jobs that know nothing of "
        "each other",
    )


def score_shard(options: argparse.Namespace, verb: Verb) -> None:
    """Scores one file into another, or each of this shard's files into one in a folder.

    A file that is whole is left as it is: the same command again goes on. Raises BadData,
    BadReward, and OutputFailure for an output that is there and was made otherwise.
    """
    first: Path = options.input[0]
    single = len(options.input) == 1 and not first.is_dir() and not _is_pattern(first)
    if single and options.shard is None:
        options.input = first
        score_lines(options, *verb)
        return
    if options.shard is None:
        require_one_process()
    part = options.shard or Shard(0, 1)
    pairs = _pairs(options.input, options.output)[part.index :: part.count]
    said = f"shard {part.index}/{part.count}" if options.shard else "all files"
    if not pairs:
        print(f"{said}: none of the files is of it", file=sys.stderr)
        return
    _score_pairs(options, verb, pairs, said)


def _score_pairs(options: argparse.Namespace, verb: Verb, pairs: Sequence[Pair], said: str) -> None:
    there = [pair for pair in pairs if _is_made(pair)]
    left = [pair for pair in pairs if pair not in there]
    found = [survey(pair.came, verb) for pair in left]
    lacking = next((place for _, place in found if place), None)
    model = load_rewarding_from(options, without_reference=lacking)
    for pair in there:
        _require_same_settings(pair, model)
    conversations = sum(count for count, _ in found)
    with show_progress(quiet=options.quiet) as on_progress:
        progress, truncated = Windows(on_progress, conversations), 0
        for pair in left:
            with work_folder(pair.goes) as kept:
                if not _is_made(pair):  # by another, since
                    truncated += score_file(model, verb, *pair, kept, progress)
    cut = f", {truncated} of them cut to {model.max_length} tokens" if truncated else ""
    kept_files = f", {len(there)} were there" if there else ""
    print(
        f"{said}: {len(left)} files of {conversations} conversations scored{cut}{kept_files}: "
        f"{options.output}",
        file=sys.stderr,
    )


def _is_pattern(path: Path) -> bool:
    return has_magic(str(path)) and not path.exists()


def _pairs(asked: Sequence[Path], output: Path) -> list[Pair]:
    """Returns every file that was named, in order of their paths, with where its scores go."""
    if output.exists() and not output.is_dir():
        raise OutputFailure(f"{output} is a file; of several files, --output names a folder")
    files = sorted({file for path in asked for file in _files(path)})
    goes: dict[Path, Path] = {}
    for file in files:
        made = output / (file.name if file.suffix == LINES else f"{file.name}{LINES}")
        if made in goes:
            raise BadOption(f"{goes[made]} and {file} would both go into {made}; rename one")
        if any(made.resolve() == other.resolve() for other in files):
            raise BadOption(f"{made} is --input, and would be replaced; choose another --output")
        goes[made] = file
    return [Pair(file, made) for made, file in goes.items()]


def _files(path: Path) -> list[Path]:
    """Returns the files of a folder, of a pattern, or the one of this name. Raises BadData."""
    if path.is_dir():
        found = [file for file in path.iterdir() if file.is_file() and is_readable(file.name)]
    elif _is_pattern(path):
        found = [file for name in glob(str(path), recursive=True) if (file := Path(name)).is_file()]
    else:
        return [path]
    if not found:
        raise BadData(f"{path}: no files of lines there")
    return found


def _is_made(pair: Pair) -> bool:
    """Whether the scores of a file are there, whole. Raises OutputFailure for those of another."""
    if not pair.goes.exists():
        return False
    record = read_provenance(pair.goes)
    if record is None and any((unfinished(pair.goes) / STORE).glob("*.sqlite")):
        return False  # interrupted before its record was written
    if record is None or record.get("input_sha256") != sha256_of(pair.came):
        raise OutputFailure(
            f"{pair.goes} is there, and not of this {pair.came}; choose another --output, or move "
            "it away"
        )
    return True


def _require_same_settings(pair: Pair, model: RewardScorer) -> None:
    """Raises OutputFailure for scores of other settings; what was kept for these ones goes."""
    record, settings = read_provenance(pair.goes), scoring_provenance(model)
    if record is None or _identity(record) != _identity(settings):
        raise OutputFailure(
            f"{pair.goes} was made with another model or other options, which "
            f"{provenance_path(pair.goes).name} names; choose another --output"
        )
    if unfinished(pair.goes).exists():  # killed when all was done but this
        with work_folder(pair.goes) as kept:
            drop_store(kept / STORE, store_settings(settings))


def _identity(provenance: dict[str, Any]) -> dict[str, Any]:
    """Returns what scores depend on by more than rounding."""
    return {"path": provenance["engine"]["path"], **unnamed(provenance["model"])}
