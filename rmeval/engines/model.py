"""A reward model whose text side is here and whose network runs elsewhere: a `RewardScorer`."""

import hashlib
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from rmeval.clock import spending
from rmeval.conversations import ConversationLike, to_conversations
from rmeval.duels import SERVER, UNKNOWN
from rmeval.engine.plan import scored_place
from rmeval.engine.scoring import MemoryStore, Store, digest_of
from rmeval.engine.truncation import Encoded
from rmeval.engine.workers import Workers
from rmeval.engines.client import PROTOCOLS, Answers, EngineClient, Head, OtherEngine
from rmeval.engines.connection import SECONDS
from rmeval.engines.handshake import PROBES, Held, Met, meet
from rmeval.engines.protocol import IDS
from rmeval.errors import BadConversation, BadData, BadOption, ServerFailure
from rmeval.llm.address import plain_url
from rmeval.llm.calls import ask_each
from rmeval.llm.endpoint import RequestRefused
from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.doctor.mistakes import RIGHT, Expected
from rmeval.models.loading import head_alone
from rmeval.models.reward_model import RewardModel
from rmeval.records import Conversation, OnProgress, Preference, Progress, Score

CONCURRENCY, REQUEST_TOKENS = 32, 65_536
Row = tuple[float, ...]
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Service:
    """Where an engine is, and how it is asked; a reward depends on none but the `engine`.

    `concurrency` requests at once, of `request_tokens` at most; `seconds` without a byte of an
    answer; `pause` after the first failure. `insist`: whatever the handshake finds.
    """

    url: str
    engine: str
    concurrency: int = CONCURRENCY
    request_tokens: int = REQUEST_TOKENS
    seconds: float = SECONDS
    pause: float = 1.0
    key_over_http: bool = False
    insist: bool = False

    def require_sound(self) -> None:
        """Raises BadOption or UnknownName for what no client takes; asks nothing."""
        self.client()
        for name in ("concurrency", "request_tokens"):
            if getattr(self, name) < 1:
                raise BadOption(f"`{name}={getattr(self, name)}`: at least one is needed")

    def client(self, head: Head | None = None) -> EngineClient:
        """Returns a client for one event loop. Raises BadOption or UnknownName."""
        return EngineClient(
            self.url,
            self.engine,
            head=head,
            seconds=self.seconds,
            pause=self.pause,
            key_over_http=self.key_over_http,
        )


@dataclass(frozen=True, eq=False, repr=False)
class EngineModel:
    """Conversations in, rewards of an engine out; made by `open_engine`.

    `text` is the checkpoint, loaded without weights: its template, tokenizer and cut. What the
    engine counts as its own `dtype` nobody can see, so it is what was said, or what it tells.
    With `against`, the engine is held to a record of the model's own rewards.
    """

    text: RewardModel
    service: Service
    dtype_asked: str | None = None
    against: Expected | None = None
    warnings: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<EngineModel {self.name}: {self.service.engine}, {self.service.url}>"

    @property
    def name(self) -> str:
        """What the model is called, as when it is loaded here."""
        return self.text.name

    @property
    def variant(self) -> str:
        """The engine, which tells these results from those that were computed here."""
        return self.service.engine

    @property
    def kind(self) -> str:
        """What tables call it."""
        return self.text.kind

    @property
    def revision_asked(self) -> str | None:
        """The revision that was asked for."""
        return self.text.revision_asked

    @property
    def max_length(self) -> int:
        """The most tokens of a sequence."""
        return self.text.max_length

    @property
    def tokenizer(self) -> Any:
        """The checkpoint's tokenizer."""
        return self.text.tokenizer

    @property
    def batch_tokens(self) -> int:
        """The tokens that are asked about at once."""
        return self.service.concurrency * self.service.request_tokens

    @cached_property
    def met(self) -> Met:
        """What the handshake found; made when it is first needed. Raises ServerFailure."""
        with spending("checks"):
            inputs, insist = self._inputs(self._probes), self.service.insist
            held_to = None if self.against is None else self._held_to
            met = self._in_a_loop(
                self._client(),
                lambda client: meet(client, inputs, held_to=held_to, insist=insist),
            )
        self.warnings.extend(met.doubts)
        return met

    def provenance(self) -> dict[str, Any]:
        """Returns everything about the model and its engine that its scores depend on."""
        told, facts = self.text.provenance(), self.met.facts
        theirs = facts.fingerprint
        if not self._weights_are_here:
            told["fingerprint"] = _hash_of_name(self.text.family.checkpoint)
        elif theirs is not None and theirs != told["fingerprint"]:
            raise ServerFailure(
                f"{self.service.url}: serves other weights than {self.name}: their fingerprints "
                f"are {theirs[:12]} and {told['fingerprint'][:12]}"
            )
        if not self._gives_objectives:
            told.pop("objectives", None)
        served = {"server": facts.server, "mode": self.met.mode.gives}
        dtype = self.dtype_asked or facts.dtype or UNKNOWN
        return {**told, "dtype": dtype, "engine": served}

    def engine_provenance(self) -> dict[str, Any]:
        """Returns who computes, how it is asked, and how near it came to a reference."""
        met = self.met
        return {
            "path": SERVER,
            "device": plain_url(self.service.url),
            "server": met.facts.server,
            "mode": met.mode.gives,
            "max_model_len": met.facts.max_model_len,
            "parity": None if met.parity is None else met.parity._asdict(),
        }

    def examine(self, preferences: Sequence[Preference]) -> str:
        """Makes the handshake, and says how it went. Raises ServerFailure."""
        doubts = self.met.doubts
        return f"insisted: {'; '.join(doubts)}" if doubts else "passed"

    def score(self, conversations: Sequence[ConversationLike]) -> list[float]:
        """Returns the reward of each conversation; see `RewardModel.score`."""
        return [score.value for score in self.score_conversations(to_conversations(conversations))]

    def fit(self, conversations: Sequence[Conversation]) -> list[Encoded]:
        """Returns conversations as token ids, cut where they must be. Raises BadConversation."""
        return self.text.fit(conversations)

    def fit_texts(self, texts: Sequence[str]) -> list[Encoded]:
        """Returns rendered texts as token ids. Raises BadConversation."""
        return self.text.fit_texts(texts)

    def fit_ids(self, rows: Sequence[Sequence[int]]) -> list[Encoded]:
        """Returns token ids as they are. Raises BadConversation."""
        return self.text.fit_ids(rows)

    def score_conversations(
        self,
        conversations: Sequence[Conversation],
        *,
        store: Store | None = None,
        workers: Workers | None = None,
        on_progress: OnProgress | None = None,
    ) -> list[Score]:
        """Returns reward, length in tokens, truncation and objectives of each conversation.

        Each answer is kept in the store at once, one sequence a group, whatever the requests.
        Raises BadConversation for one that the engine refuses, ServerFailure.
        """
        if workers is not None and workers.count > 1:
            raise BadOption("an engine is asked by one process; start it without a launcher")
        fitted = self.fit(conversations)
        return self.score_fitted(fitted, store=store, on_progress=on_progress)

    def score_fitted(
        self,
        fitted: Sequence[Encoded],
        *,
        store: Store | None = None,
        on_progress: OnProgress | None = None,
    ) -> list[Score]:
        """Returns the scores of what `fit` and its like return, as `score_conversations` does."""
        store = MemoryStore() if store is None else store
        rows = [item.ids for item in fitted]
        digests = [digest_of([np.asarray(row, np.int32)]) for row in rows]
        first = {digest: index for index, digest in reversed(list(enumerate(digests)))}
        if rows:
            self._require_fits(rows)
            self._require_as_kept(store)
        waiting = sorted(
            (i for d, i in first.items() if store.get(d) is None), key=rows.__getitem__
        )
        progress = _Told(rows, [*first.values()], waiting, on_progress)
        for part in self._asked(rows, waiting, store, digests):
            progress.add(sum(len(rows[index]) for index in part))
        found = [store.get(digest) for digest in digests]
        return [
            Score(kept[0], len(item.ids), item.truncated, tuple(kept[1:]))
            for kept, item in zip(found, fitted, strict=True)
            if kept is not None
        ]

    def _asked(
        self,
        rows: Sequence[Sequence[int]],
        waiting: Sequence[int],
        store: Store,
        digests: Sequence[bytes],
    ) -> Iterator[list[int]]:
        """Asks about rows by their places, keeps what comes, and yields of which rows it came."""
        if not waiting:
            return
        client = self._client(known=True)

        def keep(part: list[int], answers: Answers) -> None:
            for index, row in zip(part, answers.rows, strict=True):
                store.put(digests[index], row)

        async def ask(part: list[int]) -> Answers:
            return await self._ask_named(client, rows, part)

        requests = list(self._requests(rows, waiting))
        calls = ask_each(client, requests, ask, self.service.concurrency, keep=keep)
        for part, answers in calls:
            if isinstance(answers, ServerFailure):
                calls.close()
                raise answers
            yield part
        self._in_a_loop(self._client(known=True), EngineClient.require_same)

    async def _ask_named(
        self, client: EngineClient, rows: Sequence[Sequence[int]], part: list[int]
    ) -> Answers:
        """Returns the answers to one request; one that is refused is cut down to the row."""
        try:
            inputs = self._inputs([rows[index] for index in part], part)
            return await (client.ask if self._sends_ids else client.ask_text)(inputs)
        except RequestRefused as error:
            if len(part) == 1:
                raise BadConversation(part[0], f"the engine refuses it: {error}") from None
            half = len(part) // 2
            sides = [await self._ask_named(client, rows, s) for s in (part[:half], part[half:])]
            return Answers([row for side in sides for row in side.rows], None)

    def _requests(
        self, rows: Sequence[Sequence[int]], waiting: Sequence[int]
    ) -> Iterator[list[int]]:
        """Yields which rows share a request: of few tokens, and with room for the guard."""
        met = self.met
        most = PROTOCOLS[self.service.engine].most - len(met.guard.inputs)
        budget = self.service.request_tokens - sum(map(len, met.guard.inputs))
        part: list[int] = []
        size = 0
        for index in waiting:
            if part and (len(part) == most or size + len(rows[index]) > budget):
                yield part
                part, size = [], 0
            part.append(index)
            size += len(rows[index])
        yield part

    def _inputs(
        self, rows: Sequence[Sequence[int]], places: Sequence[int] | None = None
    ) -> list[Any]:
        """Returns sequences as they are sent: to the scored token, or as text."""
        if self._sends_ids:
            return [list(self._to_scored(row)) for row in rows]
        places = range(len(rows)) if places is None else places
        return [self._as_text(row, place) for row, place in zip(rows, places, strict=True)]

    def _to_scored(self, row: Sequence[int]) -> Sequence[int]:
        """Returns a sequence to its scored token, since engines read the last.

        A causal network sees nothing behind it. An encoder pools for itself.
        """
        if self.text.network.head is None:
            return row
        return row[: scored_place(np.asarray(row, np.int32), self.text.network.pool) + 1]

    def _as_text(self, row: Sequence[int], place: int) -> str:
        """Returns the text of which an engine that takes no ids makes these very ids."""
        adds = self.service.engine == "tei"
        around = self.text.specials.of_tokenizer if adds else None
        ids = list(row)
        if around is not None:
            ids = ids[len(around.before) : len(ids) - len(around.after)]
        text: str = self.tokenizer.decode(
            ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        if list(self.tokenizer(text, add_special_tokens=adds)["input_ids"]) != list(row):
            raise BadConversation(
                place,
                f"its tokens cannot be said as text, and {self.service.engine} takes no token ids",
            )
        return text

    def _require_fits(self, rows: Sequence[Sequence[int]]) -> None:
        """Raises BadOption for rows that are longer than the engine takes."""
        most = self.met.facts.max_model_len
        lengths = [len(self._to_scored(row)) for row in rows]
        longer = sum(length > most for length in lengths) if most is not None else 0
        if longer:
            option = PROTOCOLS[self.service.engine].length_option
            raise BadOption(
                f"{longer:,} of {len(rows):,} conversations are longer than the {most:,} tokens "
                f"that the engine takes, the longest {max(lengths):,}: start it with "
                f"{option} {max(lengths)}, or pass `max_length={most}`"
            )

    def _require_as_kept(self, store: Store) -> None:
        """Raises OtherEngine where what is kept was answered by another model than now.

        What travels with every request is kept too, so a run that goes on can tell.
        """
        guard = self.met.guard
        for place, row in zip(self.met.places, guard.rows, strict=True):
            digest = digest_of([np.asarray(self._probes[place], np.int32)])
            kept = store.get(digest)
            if kept is None:
                store.put(digest, list(row))
            elif abs(kept[0] - row[0]) > guard.tolerance:
                raise OtherEngine(
                    f"{self.service.url}: what was worth {kept[0]:.6g} when earlier rows were "
                    f"scored is worth {row[0]:.6g} now: another checkpoint answers; start the "
                    "engine as it was, or choose another `output=`"
                )

    def _held_to(self, longest: int | None) -> Held:
        """Returns the rows of the record that the engine takes. Raises BadData for another's."""
        assert self.against is not None
        ours, theirs = self.text.provenance(), self.against.model
        told = ("template_sha256", *(["fingerprint"] if self._weights_are_here else []))
        for name in told:
            if theirs.get(name) != ours[name]:
                raise BadData(
                    f"`against=`: the record is of {theirs.get('name')}, whose {name} is not that "
                    f"of {self.name}; record it again with `rmeval doctor --record`"
                )
        rows = [row.ids[RIGHT.text] for row in self.against.rows]
        places = [at for at, row in enumerate(rows) if longest is None or len(row) <= longest]
        return Held(self._inputs([rows[at] for at in places], places), self.against.only(places))

    @cached_property
    def _probes(self) -> list[tuple[int, ...]]:
        return [item.ids for item in self.fit(PROBES)]

    @property
    def _weights_are_here(self) -> bool:
        places = self.text.family.checkpoint.places.values()
        return all(file.is_file() for file, _ in places)

    @property
    def _sends_ids(self) -> bool:
        return IDS in PROTOCOLS[self.service.engine].takes

    @property
    def _gives_objectives(self) -> bool:
        return len(self.met.guard.rows[0]) > 1

    @cached_property
    def _head(self) -> Head:
        return head_alone(self.text.family)

    def _client(self, *, known: bool = False) -> EngineClient:
        """Returns a client for one event loop; a `known` engine is not asked again what it is."""
        has_head = self.text.network.head is not None
        client = self.service.client((lambda states: self._head(states)) if has_head else None)
        if known:
            client.remember(self.met.facts, self.met.mode, self.met.guard)
        return client

    def _in_a_loop(
        self, client: EngineClient, do: Callable[[EngineClient], Coroutine[Any, Any, Found]]
    ) -> Found:
        """Returns what a coroutine finds; in a thread, since a loop may be running in this one."""
        from anyio.from_thread import start_blocking_portal

        async def through() -> Found:
            try:
                return await do(client)
            finally:
                await client.close()

        with start_blocking_portal(name="rmeval-engine") as portal:
            return portal.call(through)


def _hash_of_name(checkpoint: Checkpoint) -> str:
    """Returns what names a model on the Hub whose weights are not here: its name and commit."""
    return hashlib.sha256(f"{checkpoint.name}@{checkpoint.revision}".encode()).hexdigest()


class _Told:
    """How far a run is, in tokens of distinct conversations."""

    def __init__(
        self,
        rows: Sequence[Sequence[int]],
        distinct: Sequence[int],
        waiting: Sequence[int],
        on_progress: OnProgress | None,
    ) -> None:
        self._in_all = sum(map(len, rows))
        self._to_compute = sum(len(rows[index]) for index in distinct)
        self._kept = self._to_compute - sum(len(rows[index]) for index in waiting)
        self._done, self._tell = self._kept, on_progress

    def add(self, tokens: int) -> None:
        """Says that so many more tokens are scored."""
        self._done += tokens
        if self._tell is not None:
            self._tell(Progress(self._done, self._to_compute, self._in_all, self._kept))
