"""An engine, asked over HTTP: rewards of token ids, texts or messages, after as many tries as help.

    client = EngineClient("http://node0:8000", "vllm")
    answers = await client.ask([[1, 2, 3], [1, 4]], activation=False)
    answers.rewards      one float for each sequence, in their order
    answers.tokens       the tokens that the engine counted, all together; None: it counts none
    answers.rows         all numbers of each: the reward, then objectives, if there are any
    await client.ask_text(["…"]), await client.ask_messages([[{"role": …, "content": …}]])
    facts = await client.facts()
    facts.engine, facts.version, facts.model, facts.root, facts.max_model_len, facts.dtype
    client.protocol.takes, client.mode    what it can be asked, and how it is
    await client.close()

`activation` False asks for raw rewards, None for what the engine gives unasked, True for the
engine's activation. With a `head`, (states) -> rows, an engine that serves a backbone is asked for
states, and the head makes rewards of them. Whatever goes wrong is a ServerFailure of one line:
RequestRefused (400, 422) comes again for the same request, Unserved is a 404.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from rmeval.engines.connection import SECONDS, Connection, Passing, TooMuch, Unserved
from rmeval.engines.openrlhf import OpenRLHF
from rmeval.engines.ours import Ours
from rmeval.engines.protocol import HIDDEN, IDS, MESSAGES, TEXTS, Facts, Mode, Protocol
from rmeval.engines.sglang import SGLang
from rmeval.engines.tei import Tei
from rmeval.engines.vllm import Vllm
from rmeval.errors import BadOption, ServerFailure, UnknownName
from rmeval.llm.endpoint import RequestRefused
from rmeval.records import SERVED

PROTOCOLS: Mapping[str, type[Protocol]] = {
    kind.name: kind for kind in (Vllm, SGLang, Tei, Ours, OpenRLHF)
}
assert tuple(PROTOCOLS) == SERVED
TRIES = 9  # in a row, with growing pauses: about three minutes
PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds
WELL = 16  # answers in a row, after which an engine that was full is asked for more at once
Head = Callable[[list[list[float]]], list[list[float]]]
"""Makes rows of numbers, the reward first, of the states of scored tokens."""


class Answers(NamedTuple):
    """What an engine said: the numbers of each input, and the tokens that it counted in all."""

    rows: list[list[float]]
    tokens: int | None

    @property
    def rewards(self) -> list[float]:
        """The reward of each input, in their order."""
        return [row[0] for row in self.rows]


class OtherEngine(ServerFailure):
    """An engine that is not the one any more that was asked first."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Inputs that travel with every request, and what they were worth when the engine was met.

    What comes with other rewards than these was computed by another model, and is not taken.
    """

    inputs: tuple[Any, ...]
    rows: tuple[tuple[float, ...], ...]
    tolerance: float

    def holds(self, rows: Sequence[Sequence[float]]) -> bool:
        """Whether the same inputs are worth the same."""
        pairs = zip(rows, self.rows, strict=True)
        return all(abs(now[0] - before[0]) <= self.tolerance for now, before in pairs)


class EngineClient:
    """One engine at one address; to be used and closed in one event loop.

    `most` sequences go into a request, fewer while the engine is full. A `guard`, once it is set,
    is asked with every request. `pause` is that after the first failure, in seconds.
    """

    def __init__(
        self,
        url: str,
        engine: str,
        *,
        head: Head | None = None,
        seconds: float = SECONDS,
        pause: float = PAUSE,
        key_over_http: bool = False,
    ) -> None:
        """Asks nothing yet. Raises BadOption or UnknownName."""
        if engine not in PROTOCOLS:
            raise UnknownName("engine", engine, PROTOCOLS)
        self.protocol = PROTOCOLS[engine]()
        self._connection = Connection(url, seconds=seconds, key_over_http=key_over_http)
        self.url = self._connection.url
        self._head, self._pause = head, pause
        self._facts: Facts | None = None
        self.mode: Mode | None = None
        self.guard: Guard | None = None
        self.most, self._well = self.protocol.most, 0

    def remember(self, facts: Facts, mode: Mode, guard: Guard) -> None:
        """Takes what another client has found out of the same engine."""
        self._facts, self.mode, self.guard = facts, mode, guard

    async def facts(self) -> Facts:
        """Returns what the engine said of itself when it was asked first."""
        if self._facts is None:
            self._facts = await self._facts_now()
        return self._facts

    async def require_same(self) -> None:
        """Raises OtherEngine where the engine says other things of itself than before."""
        before, now = await self.facts(), await self._facts_now()
        for name, was, told in zip(Facts._fields, before, now, strict=True):
            if was != told:
                raise OtherEngine(
                    f"{self.url}: {name} was {was}, and is {told}: the engine was started anew; "
                    "what it answered before is kept: start it as it was, and run again"
                )

    async def ask(
        self, sequences: Sequence[Sequence[int]], *, activation: bool | None = False
    ) -> Answers:
        """Returns the rewards of token ids, taken as they are."""
        return await self._ask(IDS, sequences, activation)

    async def ask_text(self, texts: Sequence[str], *, activation: bool | None = False) -> Answers:
        """Returns the rewards of rendered texts, as the engine tokenises them."""
        return await self._ask(TEXTS, texts, activation)

    async def ask_messages(
        self, conversations: Sequence[Any], *, activation: bool | None = False
    ) -> Answers:
        """Returns the rewards of lists of messages, as the engine renders them."""
        found = [await self._ask(MESSAGES, [talk], activation) for talk in conversations]
        return _together(found)

    async def close(self) -> None:
        """Closes the connections."""
        await self._connection.close()

    async def _ask(self, kind: str, inputs: Sequence[Any], activation: bool | None) -> Answers:
        if kind not in self.protocol.takes:
            raise BadOption(f"{self.protocol.name} takes no {kind}")
        waiting, found = list(inputs), [Answers([], 0)]
        while waiting:
            found.append(await self._ask_some(kind, waiting, activation))
            del waiting[: len(found[-1].rows)]
        return _together(found)

    async def _ask_some(
        self, kind: str, waiting: Sequence[Any], activation: bool | None
    ) -> Answers:
        """Returns the answers to the first of what waits: as many as the engine has room for."""
        for attempt in range(TRIES):
            guards = len(self.guard.inputs) if self.guard and activation is False else 0
            part = waiting[: max(1, self.most - guards)]
            try:
                answers = await self._ask_guarded(kind, part, activation)
            except Passing as error:
                last = error
                self._make_room(len(part), error)
                await self._rest(error, attempt)
                continue
            self._count_success()
            return answers
        raise ServerFailure(f"{last}; asked {TRIES} times")

    async def _rest(self, error: Passing, attempt: int) -> None:
        """Leaves the engine alone for a while; one that was away may be another since."""
        if not (isinstance(error, TooMuch) and error.always):
            pause = min(self._pause * 2**attempt, LONGEST_PAUSE)
            await asyncio.sleep(max(error.seconds, pause))
        if error.broken and self.guard is not None:
            with suppress(Passing):  # not there yet: the next try will see
                await self.require_same()

    def _make_room(self, sequences: int, error: Passing) -> None:
        """Makes requests smaller for a full engine. Raises ServerFailure where that cannot be."""
        if not isinstance(error, TooMuch):
            return
        if error.always and sequences == 1 and self.most == 1:
            raise ServerFailure(f"{error}; one sequence alone is too large for it")
        self.most, self._well = max(1, self.most // 2), 0

    def _count_success(self) -> None:
        self._well += 1
        if self._well >= WELL:
            self.most, self._well = min(2 * self.most, self.protocol.most), 0

    async def _ask_guarded(
        self, kind: str, part: Sequence[Any], activation: bool | None
    ) -> Answers:
        """Returns the answers to one request, which hold if those to the guard's inputs do.

        An engine that is full has no room for them in the same request: they follow it.
        """
        guard = self.guard if activation is False else None
        if guard is None:
            return await self._ask_once(kind, part, activation)
        inputs = list(guard.inputs)
        if len(inputs) + len(part) <= self.most:
            both = await self._ask_once(kind, [*inputs, *part], activation)
            self._require_same_rewards(guard, both.rows[: len(inputs)])
            return Answers(both.rows[len(inputs) :], both.tokens)
        answers = await self._ask_once(kind, part, activation)
        after = [await self._ask_once(kind, [one], activation) for one in inputs]
        self._require_same_rewards(guard, [row for one in after for row in one.rows])
        return answers

    def _require_same_rewards(self, guard: Guard, rows: Sequence[Sequence[float]]) -> None:
        if not guard.holds(rows):
            was, told = guard.rows[0][0], rows[0][0]
            raise OtherEngine(
                f"{self.url}: what was worth {was:.6g} when it was asked first is worth "
                f"{told:.6g} now: another checkpoint answers; what came before is kept: start the "
                "engine as it was, and run again"
            )

    async def _ask_once(self, kind: str, part: Sequence[Any], activation: bool | None) -> Answers:
        """Returns the answers to one request, in the mode that the engine serves."""
        facts = await self.facts()
        if self.mode is not None:
            return await self._ask_as(self.mode, kind, part, facts, activation)
        modes = [m for m in self.protocol.modes if m.gives != HIDDEN or self._head is not None]
        told = ""
        for mode in modes:
            try:
                answers = await self._ask_as(mode, kind, part, facts, activation)
            except (Unserved, RequestRefused) as error:
                if isinstance(error, RequestRefused) and not self.protocol.is_of_mode(str(error)):
                    raise
                told = told or str(error)
                continue
            self.mode = mode
            return answers
        flags = " or ".join(f"`{mode.flag}`" for mode in modes if mode.flag)
        raise Unserved(f"{told}; start it with {flags}" if flags else told)

    async def _ask_as(
        self, mode: Mode, kind: str, part: Sequence[Any], facts: Facts, activation: bool | None
    ) -> Answers:
        asked = self.protocol.ask(kind, part, mode, facts, activation)
        body = await self._connection.post(asked.path, asked.body)
        try:
            read = self.protocol.read(body, len(part), mode)
            rows = read.rows
            if mode.gives == HIDDEN and self._head is not None:
                rows = self._head(rows)
        except ServerFailure as error:
            raise ServerFailure(self._connection.failure(f"{asked.path}: {error}")) from None
        sent = sum(map(len, part)) if kind == IDS else None
        if self.guard is not None and None not in (sent, read.tokens) and sent != read.tokens:
            raise ServerFailure(
                self._connection.failure(f"counts {read.tokens} tokens where {sent} were sent")
            )
        return Answers(rows, read.tokens)

    async def _facts_now(self) -> Facts:
        try:
            return await self.protocol.facts(self._connection.get)
        except Passing:
            raise
        except ServerFailure as error:
            said = str(error).removeprefix(f"{self.url}: ")
            raise ServerFailure(self._connection.failure(said)) from None


def _together(found: Sequence[Answers]) -> Answers:
    """Returns several answers as one; its tokens are counted where all of them are."""
    counts = [answers.tokens for answers in found]
    known = [number for number in counts if number is not None]
    tokens = sum(known) if len(known) == len(counts) else None
    return Answers([row for answers in found for row in answers.rows], tokens)
