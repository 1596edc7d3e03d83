"""A file of JSON lines through a model, line by line: any size, interrupted or not, in order."""

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from rmeval.benchmarks.reading.files import (
    Placed,
    Source,
    is_readable,
    json_lines,
    read_file,
    require_file,
)
from rmeval.commands.shared.options import (
    add_checks_option,
    add_engine_options,
    add_model_options,
    add_quiet_option,
    load_rewarding_from,
)
from rmeval.commands.shared.progress import show_progress
from rmeval.engine.store import drop_store
from rmeval.errors import (
    BadConversation,
    BadData,
    BadOption,
    BadReward,
    OutputFailure,
    first_line,
    one_line,
)
from rmeval.evaluation import STORE, open_store, scoring_provenance, store_settings
from rmeval.files import is_special, only_owner, prepared, reading, real, write_atomically, writing
from rmeval.records import Conversation, OnProgress, Progress, Score, reference_of
from rmeval.scorer import RewardScorer

if TYPE_CHECKING:
    from rmeval.engine.store import ScoreStore

LINES = "lines.jsonl"
WINDOW = 8192  # conversations in memory at once; within them shared work is found and sorted

Fields = dict[str, Any]
ToConversations = Callable[[Fields, str], list[Conversation]]
"""Returns the conversations of a line's fields; its place is for the message of an error."""
AddScores = Callable[[Fields, Sequence[Score]], Fields]
"""Returns the fields that come out."""
Finish = Callable[[Path, Path], object]
"""Makes the output of the file of all lines with their scores."""


class Verb(NamedTuple):
    """What a verb reads of a line, what it adds, and how the file of all makes its output."""

    to_conversations: ToConversations
    add_scores: AddScores
    finish: Finish = Path.replace


class Line(NamedTuple):
    """A line of the input: its place, its fields as they are, and the conversations in them."""

    place: str
    fields: Fields
    conversations: list[Conversation]


def add_scoring_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of who scores, and of how that is shown."""
    add_model_options(parser, default=None)
    add_engine_options(parser)
    add_checks_option(parser)
    add_quiet_option(parser)


def add_line_options(parser: argparse.ArgumentParser, came: str, goes: str) -> None:
    """Adds the options of who scores, and the files."""
    add_scoring_options(parser)
    parser.add_argument("--input", type=Path, required=True, metavar=came)
    parser.add_argument("--output", type=Path, required=True, metavar=goes)


def score_lines(
    options: argparse.Namespace,
    to_conversations: ToConversations,
    add_scores: AddScores,
    finish: Finish = Path.replace,
) -> None:
    """Scores every line of --input into --output, and writes beside it what made the scores.

    Order and unknown fields are kept; the output appears when it is whole. Every line is checked
    before the model is loaded. What an interrupted run scored is in `<output>.unfinished`, in a
    file of its own setting, and is not scored again. Raises BadData, BadReward or OutputFailure,
    also where another process is writing the same output.
    """
    require_one_process()
    require_file_name("--output", options.output)
    verb = Verb(to_conversations, add_scores, finish)
    conversations, without_reference = survey(options.input, verb)
    with work_folder(options.output) as kept:
        model = load_rewarding_from(options, without_reference=without_reference)
        with show_progress(quiet=options.quiet) as on_progress:
            progress = Windows(on_progress, conversations)
            truncated = score_file(model, verb, options.input, options.output, kept, progress)
    cut = f"; {truncated} were cut to {model.max_length} tokens" if truncated else ""
    print(f"{conversations} conversations scored{cut}: {options.output}", file=sys.stderr)


def survey(path: Path, verb: Verb) -> tuple[int, str | None]:
    """Reads a file; returns its conversations' number, and the first line without a reference."""
    conversations, without_reference = 0, None
    for line in _read(path, verb.to_conversations):
        conversations += len(line.conversations)
        if not all(map(reference_of, line.conversations)):
            without_reference = without_reference or line.place
    return conversations, without_reference


def score_file(
    model: RewardScorer,
    verb: Verb,
    came: Path,
    goes: Path,
    kept: Path,
    progress: "Windows",
) -> int:
    """Scores a file into another, by way of a folder from `work_folder`; returns how many were cut.

    What made the scores is written last, and only then goes what was kept.
    """
    provenance, scored = scoring_provenance(model), kept / LINES
    with _kept_store(kept, provenance) as store:
        truncated = 0
        with scored.open("w", encoding="utf-8", newline="\n") as out:
            for window in _windows(_read(came, verb.to_conversations)):
                made = list(_score(model, window, store, progress))
                truncated += sum(score.truncated for scores in made for score in scores)
                pairs = zip(window, made, strict=True)
                _write(out, [verb.add_scores(line.fields, scores) for line, scores in pairs])
    with writing(goes):
        provenance_path(goes).unlink(missing_ok=True)  # never beside others' scores
        verb.finish(scored, real(goes))
    _write_provenance(goes, {**provenance, "input_sha256": sha256_of(came)})
    drop_store(kept / STORE, store_settings(provenance))
    return truncated


def unfinished(output: Path) -> Path:
    """Returns where stands what is kept of an output that is not whole; a link stays one."""
    output = real(output)
    return output.with_name(f"{output.name}.unfinished")


@contextmanager
def work_folder(output: Path) -> Iterator[Path]:
    """Yields `<output>.unfinished`, this process's alone; it goes where nothing is kept in it."""
    folder = unfinished(output)
    with prepared(folder):
        try:
            with only_owner(folder / "lock", real(output)):
                try:
                    yield folder
                finally:
                    (folder / LINES).unlink(missing_ok=True)  # made again of what is kept
        finally:
            for path in (folder / STORE, folder):
                with suppress(OSError):  # it has what another setting's interrupted run kept
                    path.rmdir()


@contextmanager
def _kept_store(folder: Path, provenance: Mapping[str, Any]) -> Iterator["ScoreStore"]:
    """Opens the store of a setting; an empty one is gone after the block."""
    store = open_store(folder, provenance)
    try:
        yield store
    finally:
        empty = not len(store)
        store.close()
        if empty:
            drop_store(folder / STORE, store_settings(provenance))


def _write(out: TextIO, lines: Sequence[Fields]) -> None:
    with writing(Path(out.name)):
        out.writelines(json.dumps(fields, ensure_ascii=False) + "\n" for fields in lines)
        out.flush()


def require_one_process() -> None:
    """Raises BadOption under a launcher of several processes."""
    from rmeval.engine.workers import count_processes

    if count_processes() > 1:
        raise BadOption(
            "this verb runs in one process; give each a part of the input, or a --shard of it"
        )


def require_file_name(option: str, path: Path) -> None:
    """Raises OutputFailure where a file is to go and a folder, a device or a pipe is."""
    if path.is_dir():
        raise OutputFailure(f"{path} is a folder; {option} names a file")
    if is_special(path):
        raise OutputFailure(f"{path} is a device or a pipe; {option} names a file")


def provenance_path(path: Path) -> Path:
    """Returns where stands what made the scores of a file of lines."""
    return path.with_name(f"{path.name}.provenance.json")


def read_provenance(path: Path) -> dict[str, Any] | None:
    """Returns what made the scores of a file of lines, or None where nobody wrote it down.

    Nobody did for lines that were changed since. Raises BadData for a damaged record.
    """
    beside = provenance_path(path)
    if not beside.is_file():
        return None
    try:
        with reading(beside):
            found: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8"))
        same = found["lines_sha256"] == sha256_of(path)
        known = {**found["model"], **found["versions"]}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadData(f"{beside}: not written by rmeval; delete it, or rank again") from error
    missing = {"name", "revision", "fingerprint", "dtype", "rmeval"} - known.keys()
    if missing:
        raise BadData(f"{beside}: has no {', '.join(sorted(missing))}; delete it, or rank again")
    return found if same else None


def _write_provenance(path: Path, provenance: dict[str, Any]) -> None:
    document = {**provenance, "lines_sha256": sha256_of(path)}
    text = json.dumps(document, indent=2, ensure_ascii=False)
    write_atomically(provenance_path(path), text + "\n")


def sha256_of(path: Path) -> str:
    """Returns the sha256 sum of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_lines(path: Path) -> Iterator[Placed]:
    """Yields the fields of every line with its place, of JSON Lines or of another file of rows.

    Raises BadData for no file, no lines, and for a value that no line of the output can hold.
    """
    require_file(path)
    known, empty = is_readable(path.name), True
    for place, fields in read_file(Source(path, path.name)) if known else json_lines(path):
        empty = False
        for name, value in fields.items() if known else ():
            try:
                json.dumps(value)
            except TypeError as error:
                reason = one_line(first_line(error))
                raise BadData(f"{place}: {one_line(name)[:80]!r} is not JSON ({reason})") from error
        yield place, fields
    if empty:
        raise BadData(f"{path}: no lines")


def _read(path: Path, to_conversations: ToConversations) -> Iterator[Line]:
    for place, fields in read_lines(path):
        yield Line(place, fields, to_conversations(fields, place))


def _windows(lines: Iterator[Line]) -> Iterator[list[Line]]:
    window: list[Line] = []
    size = 0
    for line in lines:
        window.append(line)
        size += len(line.conversations)
        if size >= WINDOW:
            yield window
            window, size = [], 0
    if window:
        yield window


def _score(
    model: RewardScorer,
    window: Sequence[Line],
    store: "ScoreStore",
    progress: "Windows",
) -> Iterator[list[Score]]:
    """Yields the scores of each line of a window."""
    conversations = [conversation for line in window for conversation in line.conversations]
    places = [line.place for line in window for _ in line.conversations]
    try:
        scores = model.score_conversations(
            conversations, store=store, on_progress=progress.over(len(conversations))
        )
    except (BadReward, BadConversation) as error:
        raise error.at(places[error.index]) from error
    remaining = iter(scores)
    for line in window:
        yield [next(remaining) for _ in line.conversations]


class Windows:
    """Progress over all windows: what is left is estimated from the window at hand."""

    def __init__(self, report: OnProgress, conversations: int) -> None:
        self._report = report
        self._left = conversations
        self._computed = self._in_all = self._kept = 0

    def over(self, conversations: int) -> OnProgress:
        """Returns the progress function for the next window, of so many conversations."""
        computed, in_all, kept = self._computed, self._in_all, self._kept
        share = self._left / conversations

        def report(now: Progress) -> None:
            self._computed = computed + now.computed
            self._in_all = in_all + now.in_all
            self._kept = kept + now.kept
            to_compute = computed + round(now.to_compute * share)
            everything = in_all + round(now.in_all * share)
            self._report(
                Progress(self._computed, to_compute, everything, self._kept, now.device_bytes)
            )

        self._left -= conversations
        return report
