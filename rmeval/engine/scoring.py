"""The one loop: distinct sequences, planned over the whole run, each computed once."""

import hashlib
import logging
import math
import time
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from rmeval.engine.device import cards, most_held
from rmeval.engine.forward import Numbers, RewardNetwork, start_packed, start_padded
from rmeval.engine.plan import (
    Members,
    Tokens,
    common_prefix,
    plan_batches,
    plan_packs,
    unique_tokens,
)
from rmeval.engine.workers import Workers
from rmeval.errors import BadOption, BadReward, OutputFailure
from rmeval.records import OnProgress, Progress

LATEST_SEEN = 180.0  # seconds: NFS hands out what it knew of a folder for up to 60
ASKED_FOR = "asked for"  # the reason for the padded path where the user wants it
logger = logging.getLogger("rmeval")


@dataclass(frozen=True, slots=True)
class Engine:
    """How forward passes are made: the path, and the tokens that one may hold.

    `packed` computes every shared prefix once; `batch_tokens` then counts unique tokens, and in
    the padded path all tokens, padding included. `reason` says why a model is not packed.
    Sequences longer than `boundary` tokens never share a pass with shorter ones: LongRoPE turns
    the angles of a whole pass by its longest sequence. So many `processes` compute each pass
    together, each with its part of the model.
    """

    batch_tokens: int
    packed: bool = False
    reason: str | None = None
    boundary: int | None = None
    processes: int = 1

    def plan(self, sequences: Sequence[Tokens], *, may_pad: bool = True) -> list[Members]:
        """Returns which of the distinct `sequences` share a forward pass."""
        sides: tuple[list[int], list[int]] = ([], [])
        for index, sequence in enumerate(sequences):
            sides[self.boundary is None or len(sequence) <= self.boundary].append(index)
        plan = []
        for side in sides:
            tokens = [sequences[index] for index in side]
            if self.packed:
                groups = plan_packs(tokens, self.batch_tokens)
            else:
                groups = plan_batches(list(map(len, tokens)), self.batch_tokens, may_pad=may_pad)
            plan += [tuple(side[position] for position in group) for group in groups]
        return plan

    def cost(self, group: Sequence[Tokens]) -> int:
        """Returns the tokens that a group puts through the network."""
        return unique_tokens(group) if self.packed else len(group) * max(map(len, group))

    def keys(self, group: Sequence[Tokens]) -> int:
        """Returns the keys that a group gathers along its paths."""
        return sum(map(len, group)) if self.packed else 0

    def pairs(self, group: Sequence[Tokens]) -> int:
        """Returns the pairs of a query with a key that it sees: itself, and all before it."""
        if not self.packed:
            longest = max(map(len, group))
            return len(group) * longest * (longest + 1) // 2
        shared = [0, *map(common_prefix, group, group[1:])]
        ends = zip(shared, map(len, group), strict=True)
        return sum((end * (end + 1) - start * (start + 1)) // 2 for start, end in ends)


Row = tuple[float, ...]  # the numbers of a sequence: its reward, then its objectives


class Store(Protocol):
    """Where the rewards of a group are kept, under a digest of its sequences.

    A flat list: a group of N sequences with 1 + K numbers each has N x (1 + K), in order.
    """

    def get(self, digest: bytes) -> list[float] | None:
        """Returns a group's rewards, or None if they are not there."""

    def put(self, digest: bytes, rewards: list[float]) -> None:
        """Keeps a group's rewards."""

    def refresh(self) -> None:
        """Finds what other processes have kept since."""


class MemoryStore(dict[bytes, list[float]]):
    """Keeps rewards as long as it lives, for scoring without an output folder."""

    def put(self, digest: bytes, rewards: list[float]) -> None:
        """Keeps a group's rewards."""
        self[digest] = rewards

    def refresh(self) -> None:
        """Nobody else writes here."""


def score_sequences(
    network: RewardNetwork,
    sequences: Sequence[Tokens | Sequence[int]],
    engine: Engine,
    *,
    store: Store | None = None,
    workers: Workers | None = None,
    on_progress: OnProgress | None = None,
) -> list[float]:
    """Returns one reward per sequence, in the order of the input; see `score_rows`."""
    rows = score_rows(
        network, sequences, engine, store=store, workers=workers, on_progress=on_progress
    )
    return [row[0] for row in rows]


def score_rows(
    network: RewardNetwork,
    sequences: Sequence[Tokens | Sequence[int]],
    engine: Engine,
    *,
    store: Store | None = None,
    workers: Workers | None = None,
    on_progress: OnProgress | None = None,
) -> list[Row]:
    """Returns reward and objectives per sequence, in the input's order, whatever the batching.

    Equal sequences are computed once. The plan is made over the whole run; what the store holds
    of it is not computed, and every other group is durable before the next begins. So a run that
    was interrupted, or shared by several `workers`, ends with the same bytes as one that was not.

    Raises BadReward for a NaN or infinite number, and BadOption when one sequence alone does not
    fit into memory.
    """
    workers = workers or Workers()
    if engine.processes > 1 and store is not None and not workers.together:
        raise BadOption(
            "a model that several processes hold in parts is evaluated by all of them together: "
            "pass workers=join_workers(together=True)"
        )
    store = MemoryStore() if store is None else store
    tokens = [np.asarray(sequence, dtype=np.int32) for sequence in sequences]
    first = {sequence.tobytes(): index for index, sequence in reversed(list(enumerate(tokens)))}
    distinct = sorted(first.values())  # each in the place where it stands first
    plan = engine.plan([tokens[index] for index in distinct], may_pad=network.may_pad)
    groups = [[distinct[position] for position in members] for members in plan]
    digests = [digest_of([tokens[index] for index in group]) for group in groups]
    todo = _Todo(tokens, groups, digests, store)
    todo.compute(network, engine, workers, on_progress)
    todo.await_all(LATEST_SEEN if workers.count > 1 else 0.0)
    found: dict[bytes, Row] = {}
    for group, digest in zip(groups, digests, strict=True):
        kept = store.get(digest)
        assert kept is not None
        rows = _rows(kept, len(group))
        found |= {tokens[index].tobytes(): row for index, row in zip(group, rows, strict=True)}
    return [found[sequence.tobytes()] for sequence in tokens]


def _rows(numbers: Sequence[float], sequences: int) -> list[Row]:
    """Returns the numbers of each of a group's sequences; how many follows from the length."""
    width = len(numbers) // sequences
    return [tuple(numbers[start : start + width]) for start in range(0, len(numbers), width)]


@dataclass(frozen=True, slots=True)
class _Todo:
    """A planned run: its groups of sequences, by index, and the store that knows what is done."""

    tokens: Sequence[Tokens]
    groups: Sequence[Sequence[int]]
    digests: Sequence[bytes]
    store: Store

    def compute(
        self,
        network: RewardNetwork,
        engine: Engine,
        workers: Workers,
        on_progress: OnProgress | None,
    ) -> None:
        """Computes this process's share of what the store lacks; returns when all are done."""
        costs = [engine.cost([self.tokens[index] for index in group]) for group in self.groups]
        numbered = enumerate(self.digests)
        waiting = [number for number, digest in numbered if self.store.get(digest) is None]
        waiting = workers.broadcast(waiting, hashlib.sha256(b"".join(self.digests)).hexdigest())
        shares = workers.partition([costs[number] for number in waiting])
        mine = [waiting[place] for place in shares]
        passes = _Passes(network, engine)
        groups = self._groups(mine, workers)
        in_all = sum(map(len, self.tokens))
        left, total = sum(costs[number] for number in waiting), sum(costs)
        kept = total - left
        for number, numbers in zip(mine, passes.over(groups), strict=True):
            group = self.groups[number]
            for index, row in zip(group, _rows(numbers, len(group)), strict=True):
                if not all(map(math.isfinite, row)):
                    raise BadReward(index, next(value for value in row if not math.isfinite(value)))
            workers.require_in_touch()
            if workers.keeps:
                self.store.put(self.digests[number], numbers)
            left -= costs[number] * workers.shares  # the others are about as far
            if on_progress is not None:
                held = most_held(network.backbone)
                on_progress(Progress(total - max(left, 0), total, in_all, kept, held))
        workers.barrier()
        self.store.refresh()

    def await_all(self, seconds: float) -> None:
        """Waits for what others have kept: a file system on a network may show it late.

        Raises OutputFailure where it does not come.
        """
        until, pause = time.monotonic() + seconds, 0.1
        while lacking := [digest for digest in self.digests if self.store.get(digest) is None]:
            if time.monotonic() > until:
                raise OutputFailure(
                    f"{len(lacking)} of {len(self.digests)} groups that were scored are not to be "
                    f"seen in the store after {seconds:.0f} seconds; run again, in one process: it "
                    "goes on from what is there"
                )
            time.sleep(pause)
            pause = min(2 * pause, 5.0)
            self.store.refresh()

    def _groups(self, mine: Sequence[int], workers: Workers) -> Iterator[list[Tokens]]:
        """Yields what this process computes, as long as all others are there."""
        for number in mine:
            workers.require_all()
            yield [self.tokens[index] for index in self.groups[number]]


class _Passes:
    """Forward passes that are halved when memory runs out; later groups are halved at once.

    A GPU is given the next pass before the last one's numbers are waited for, and each of several
    that hold a network's layers one of its own: else all but one of them would be idle.
    """

    def __init__(self, network: RewardNetwork, engine: Engine) -> None:
        self._network = network
        self._start = start_packed if engine.packed else start_padded
        self._parts, self._alone = 1, engine.processes == 1

    def over(self, groups: Iterable[Sequence[Tokens]]) -> Iterator[list[float]]:
        """Yields the numbers of each group, in their order."""
        ahead = len(cards(self._network.backbone))
        launched: deque[tuple[Sequence[Tokens], list[Numbers]]] = deque()
        for group in groups:
            launched.append((group, self._launch(group)))
            if len(launched) > ahead:
                yield self._finish(*launched.popleft())
        while launched:
            yield self._finish(*launched.popleft())

    def _launch(self, group: Sequence[Tokens]) -> list[Numbers]:
        while True:
            try:
                return [self._start(self._network, piece) for piece in self._pieces(group)]
            except torch.OutOfMemoryError as error:
                self._halve(group, error)

    def _finish(self, group: Sequence[Tokens], numbers: list[Numbers]) -> list[float]:
        while True:
            try:
                return [value for piece in numbers for value in piece.read()]
            except torch.OutOfMemoryError as error:
                if len(numbers) == len(self._pieces(group)):  # else it is halved since
                    self._halve(group, error)
            numbers = self._launch(group)

    def _pieces(self, group: Sequence[Tokens]) -> list[Sequence[Tokens]]:
        size = -(-len(group) // self._parts)
        return [group[start : start + size] for start in range(0, len(group), size)]

    def _halve(self, group: Sequence[Tokens], error: torch.OutOfMemoryError) -> None:
        """Has later passes hold half as much. Raises BadOption for one that holds one sequence."""
        size = len(self._pieces(group)[0])
        if not self._alone:  # the others would wait for passes that this one does not make
            raise BadOption(
                f"out of memory on {size} sequences at once, in one of several processes: use a "
                "smaller `batch_tokens=`"
            ) from error
        if size == 1:
            raise BadOption(
                f"out of memory on one sequence of up to {max(map(len, group))} tokens: use a "
                "smaller `max_length=` or `dtype=`, or a larger device"
            ) from error
        self._parts *= 2
        torch.cuda.empty_cache()
        logger.warning(
            "out of memory on %d sequences at once: continuing with 1/%d of a batch at a time; "
            "a smaller `batch_tokens=` avoids this",
            size,
            self._parts,
        )


def digest_of(group: Sequence[Tokens]) -> bytes:
    """Returns a name for exactly these sequences in this order: the contents of a group."""
    sha = hashlib.sha256()
    for sequence in group:
        sha.update(array("q", [len(sequence)]).tobytes())
        sha.update(sequence.tobytes())
    return sha.digest()
