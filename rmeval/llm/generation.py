"""Candidates for prompts, from a model here or from a server; what is drawn is kept at once."""

import hashlib
import json
from collections import abc
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rmeval.errors import BadConversation, BadData, BadOption, OutputFailure, ServerFailure
from rmeval.files import prepare_folder, replacing, write_atomically
from rmeval.llm.calls import ask_each
from rmeval.llm.endpoint import Endpoint, RequestRefused
from rmeval.records import Conversation, Sampling

BATCH = 64  # sequences that a model here draws at once
CANDIDATES, UNFINISHED, SETTINGS = "candidates.jsonl", "candidates.unfinished", "sampling.json"

Drawn = abc.Generator[tuple[int, list[str] | ServerFailure], None, None]
"""Which prompt, and its candidates, or why there are none."""


class Prompt(NamedTuple):
    """A line of prompts: its place, its fields as they are, and the conversation in them."""

    place: str
    fields: dict[str, Any]
    conversation: Conversation


class Missing(NamedTuple):
    """A prompt without candidates, and why; None where a server was not asked any more."""

    place: str
    reason: str | None


class Generator(Protocol):
    """Draws candidates."""

    def settings(self) -> dict[str, Any]:
        """Returns what tells this generator from others."""

    def check(self, prompts: Sequence[Conversation], sampling: Sampling) -> None:
        """Raises BadConversation for a prompt that cannot be served, before one is."""

    def draw(
        self, prompts: Sequence[Conversation], waiting: Collection[int], sampling: Sampling
    ) -> Drawn:
        """Yields candidates of those prompts that are `waiting`, by their places."""


@dataclass(frozen=True)
class ServerGenerator:
    """Candidates from a server, several calls at once."""

    endpoint: Endpoint
    concurrency: int

    def settings(self) -> dict[str, Any]:
        """Returns the model's name and the server's address."""
        return {"generator": self.endpoint.model, "server": self.endpoint.url}

    def check(self, prompts: Sequence[Conversation], sampling: Sampling) -> None:
        """What a server serves, it says itself."""

    def draw(
        self, prompts: Sequence[Conversation], waiting: Collection[int], sampling: Sampling
    ) -> Drawn:
        """Yields candidates as they come, see `ask_each`."""
        yield from ask_each(
            self.endpoint,
            waiting,
            lambda index: self._one(prompts[index], sampling),
            self.concurrency,
        )

    async def _one(self, prompt: Conversation, sampling: Sampling) -> list[str]:
        """Returns the candidates of one prompt.

        Servers that give fewer than they are asked for are asked again; those that refuse to
        give more than one are asked for one at a time.
        """
        texts: list[str] = []
        at_once = sampling.n
        while len(texts) < sampling.n:
            n = min(at_once, sampling.n - len(texts))
            try:
                texts += await self.endpoint.complete(
                    prompt,
                    n=n,
                    temperature=sampling.temperature,
                    top_p=sampling.top_p,
                    max_tokens=sampling.max_new_tokens,
                    seed=sampling.seed + len(texts),
                    **({"extra_body": {"top_k": sampling.top_k}} if sampling.top_k else {}),
                )
            except RequestRefused:
                if n == 1:
                    raise
                at_once = 1
        return texts[: sampling.n]


def draw_candidates(
    folder: Path,
    prompts: Sequence[Prompt],
    generator: Generator,
    sampling: Sampling,
    on_drawn: Callable[[int], None],
) -> list[Missing]:
    """Draws what `folder` lacks; returns the prompts that are still without candidates.

    Each prompt's candidates are kept when they are drawn, so what was interrupted goes on;
    `on_drawn` is then called with how many prompts have theirs.
    Raises BadOption where the folder is of other prompts, another generator or other sampling,
    BadConversation for a prompt that cannot be served, before any is drawn.
    """
    _require_same(prepare_folder(folder), {
        **generator.settings(),
        **sampling._asdict(),
        "prompts_sha256": _digest(prompts),
    })  # fmt: skip
    if (folder / CANDIDATES).exists() and not (folder / UNFINISHED).exists():
        return []
    kept = _Kept(folder / UNFINISHED)
    failed: dict[int, str] = {}
    waiting = [index for index in range(len(prompts)) if index not in kept.places]
    if waiting:
        conversations = [prompt.conversation for prompt in prompts]
        try:
            generator.check(conversations, sampling)
        except BadConversation as error:
            raise error.at(prompts[error.index].place) from error
        with closing(generator.draw(conversations, waiting, sampling)) as found:
            for index, drawn in found:
                if isinstance(drawn, ServerFailure):
                    failed[index] = str(drawn)
                else:
                    kept.add(index, drawn)
                    on_drawn(len(kept.places))
    return [Missing(prompts[i].place, failed.get(i)) for i in waiting if i not in kept.places]


def write_candidates(folder: Path, prompts: Sequence[Prompt]) -> Path:
    """Writes what was drawn as lines for `rmeval rank`, in the order of the prompts.

    Prompts without candidates are left out, and then nothing is forgotten: a later run goes on.
    """
    path, drawn = folder / CANDIDATES, folder / UNFINISHED
    if path.exists() and not drawn.exists():
        return path
    kept = _Kept(drawn)
    with replacing(path) as out:
        for index, responses in kept.in_order():
            line = {**prompts[index].fields, "responses": responses}
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
    if len(kept.places) == len(prompts):
        drawn.unlink()
    return path


class _Kept:
    """Candidates on disk, as they came. Memory holds where each stands: there may be many."""

    def __init__(self, path: Path) -> None:
        """Raises BadData for a damaged file; a line that a kill cut short is cut off."""
        self._path = path
        self.places: dict[int, int] = {}
        end = 0
        path.touch()
        with path.open("rb") as stream:
            for line in stream:
                if line.endswith(b"\n"):
                    self.places[self._parse(line)[0]] = end
                    end += len(line)
        if end < path.stat().st_size:
            with path.open("r+b") as stream:
                stream.truncate(end)

    def add(self, index: int, responses: Sequence[str]) -> None:
        """Keeps a prompt's candidates: they survive a kill from now on. Raises OutputFailure."""
        try:
            with self._path.open("ab") as out:
                place = out.tell()
                out.write(json.dumps([index, responses]).encode() + b"\n")
        except OSError as error:
            raise OutputFailure(f"cannot write {self._path} ({error.strerror})") from error
        self.places[index] = place

    def in_order(self) -> Iterator[tuple[int, list[str]]]:
        """Yields the candidates in the order of their prompts."""
        with self._path.open("rb") as stream:
            for index in sorted(self.places):
                stream.seek(self.places[index])
                yield self._parse(stream.readline())

    def _parse(self, line: bytes) -> tuple[int, list[str]]:
        try:
            index, responses = json.loads(line)
            return int(index), list(responses)
        except (TypeError, ValueError) as error:
            raise BadData(
                f"{self._path}: damaged; delete it, or choose another `output=`"
            ) from error


def _digest(prompts: Sequence[Prompt]) -> str:
    sha = hashlib.sha256()
    for prompt in prompts:
        sha.update(json.dumps([prompt.fields, prompt.conversation]).encode() + b"\n")
    return sha.hexdigest()


def _require_same(folder: Path, settings: dict[str, Any]) -> None:
    """Raises BadOption where what a folder has was drawn otherwise, or is somebody else's."""
    path, kept = folder / SETTINGS, folder / UNFINISHED
    if not (folder / CANDIDATES).exists() and not (kept.exists() and kept.stat().st_size):
        write_atomically(path, json.dumps(settings, indent=2, ensure_ascii=False) + "\n")
        return
    if not path.exists():
        raise BadOption(f"{folder} has candidates but no {SETTINGS}; choose another `output=`")
    try:
        before = dict(json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise BadData(f"{path}: damaged; choose another `output=`") from error
    other = [key for key in {**settings, **before} if before.get(key) != settings.get(key)]
    if other:
        names = ", ".join(key.removesuffix("_sha256") for key in other)
        raise BadOption(f"{folder} was drawn with other {names}; choose another `output=`")
