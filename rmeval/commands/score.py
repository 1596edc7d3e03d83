"""Score conversations: {"messages": [{"role", "content"}, …]} a line in, with "score" out."""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rmeval.benchmarks.rows import json_lines
from rmeval.commands.options import add_model_options, load_model_from
from rmeval.commands.progress import show_progress
from rmeval.conversations import to_conversation
from rmeval.errors import BadConversation, BadData, BadOption, BadReward, OutputFailure
from rmeval.evaluation import open_store, scoring_provenance
from rmeval.results import prepare_folder
from rmeval.types import Conversation, OnProgress, Progress, Score

if TYPE_CHECKING:
    from rmeval.engine.store import ScoreStore
    from rmeval.models.reward_model import RewardModel

WINDOW = 8192  # conversations in memory at once; within them shared work is found and sorted


class Line(NamedTuple):
    """A line of the input: its place, its fields as they are, and the conversation in them."""

    place: str
    fields: dict[str, Any]
    conversation: Conversation


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb. Order and unknown fields are kept; the output appears when it is whole."""
    add_model_options(parser, default=None)
    parser.add_argument("--input", type=Path, required=True, metavar="conversations.jsonl")
    parser.add_argument("--output", type=Path, required=True, metavar="scores.jsonl")
    options = parser.parse_args(arguments)
    from rmeval.engine.workers import count_processes

    if count_processes() > 1:
        raise BadOption("score runs in one process; give each its own part of the input")
    if options.output.is_dir():
        raise OutputFailure(f"{options.output} is a folder; --output names a file")
    lines_in_all = sum(1 for _ in _read(options.input))  # every line is checked before the model
    kept = options.output.with_name(f"{options.output.name}.unfinished")
    prepare_folder(kept)
    model = load_model_from(options)
    truncated = 0
    with (
        closing(open_store(kept, scoring_provenance(model))) as store,
        show_progress() as on_progress,
        (kept / "scores.jsonl").open("w", encoding="utf-8") as out,
    ):
        progress = _Windows(on_progress, lines_in_all)
        for window in _windows(_read(options.input)):
            scores = _score(model, window, store, progress.over(len(window)))
            truncated += sum(score.truncated for score in scores)
            for line, score in zip(window, scores, strict=True):
                fields = {**line.fields, "score": score.value}
                out.write(json.dumps(fields, ensure_ascii=False) + "\n")
    (kept / "scores.jsonl").replace(options.output)
    shutil.rmtree(kept)
    cut = f"; {truncated} were cut to {model.max_length} tokens" if truncated else ""
    print(f"{lines_in_all} conversations scored{cut}: {options.output}", file=sys.stderr)
    return 0


def _read(path: Path) -> Iterator[Line]:
    if not path.is_file():
        raise BadData(f"{path}: no such file")
    empty = True
    for place, fields in json_lines(path):
        empty = False
        if "messages" not in fields:
            raise BadData(f"{place}: no field messages; found: {', '.join(fields) or 'none'}")
        yield Line(place, fields, to_conversation(fields["messages"], place))
    if empty:
        raise BadData(f"{path}: no conversations")


def _windows(lines: Iterator[Line]) -> Iterator[list[Line]]:
    while window := list(islice(lines, WINDOW)):
        yield window


def _score(
    model: "RewardModel", window: list[Line], store: "ScoreStore", on_progress: OnProgress
) -> list[Score]:
    try:
        conversations = [line.conversation for line in window]
        return model.score_conversations(conversations, store=store, on_progress=on_progress)
    except (BadReward, BadConversation) as error:
        raise error.at(window[error.index].place) from error


class _Windows:
    """Progress over all windows: what is left is estimated from the window at hand."""

    def __init__(self, report: OnProgress, lines: int) -> None:
        self._report = report
        self._lines_left = lines
        self._computed = self._in_all = self._kept = 0

    def over(self, lines: int) -> OnProgress:
        """Returns the progress function for the next window, of so many lines."""
        computed, in_all, kept = self._computed, self._in_all, self._kept
        share = self._lines_left / lines

        def report(now: Progress) -> None:
            self._computed = computed + now.computed
            self._in_all = in_all + now.in_all
            self._kept = kept + now.kept
            to_compute = computed + round(now.to_compute * share)
            everything = in_all + round(now.in_all * share)
            self._report(
                Progress(self._computed, to_compute, everything, self._kept, now.device_bytes)
            )

        self._lines_left -= lines
        return report
