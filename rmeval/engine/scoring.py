"""The one loop: distinct sequences, planned over the whole run, each computed once."""

import hashlib
import logging
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rmeval.engine.forward import RewardNetwork, forward_packed, forward_padded
from rmeval.engine.plan import Members, Tokens, plan_batches, plan_packs
from rmeval.engine.store import ScoreStore
from rmeval.errors import BadOption, BadReward
from rmeval.types import Progress

logger = logging.getLogger("rmeval")


@dataclass(frozen=True, slots=True)
class Engine:
    """How forward passes are made: the path, and the tokens that one may hold.

    `packed` computes every shared prefix once; `batch_tokens` then counts unique tokens, and in
    the padded path all tokens, padding included. `reason` says why a model is not packed.
    """

    batch_tokens: int
    packed: bool = False
    reason: str | None = None

    def plan(self, network: RewardNetwork, sequences: Sequence[Tokens]) -> list[Members]:
        """Returns which of the distinct `sequences` share a forward pass."""
        if self.packed:
            return plan_packs(sequences, self.batch_tokens)
        lengths = list(map(len, sequences))
        return plan_batches(lengths, self.batch_tokens, may_pad=network.may_pad)

    def forward(self, network: RewardNetwork, sequences: Sequence[Tokens]) -> list[float]:
        """Returns the rewards of one planned group."""
        return (forward_packed if self.packed else forward_padded)(network, sequences)


def score_sequences(
    network: RewardNetwork,
    sequences: Sequence[Tokens | Sequence[int]],
    engine: Engine,
    *,
    store: ScoreStore | None = None,
    on_progress: Progress | None = None,
) -> list[float]:
    """Returns one reward per sequence, in the order of the input, whatever the batching.

    Equal sequences are computed once. With a store, what it holds is not computed, and every
    group's rewards are durable before the next begins; the plan is made over the whole run, so
    a run that was interrupted ends with the same bytes as one that was not.

    Raises BadReward for a NaN or infinite reward, and BadOption when one sequence alone does not
    fit into memory.
    """
    tokens = [np.asarray(sequence, dtype=np.int32) for sequence in sequences]
    keys = [sequence.tobytes() for sequence in tokens]
    first_index: dict[bytes, int] = {}
    for index, key in enumerate(keys):
        first_index.setdefault(key, index)
    distinct = list(first_index.values())
    total, done = sum(len(tokens[index]) for index in distinct), 0
    rewards: dict[bytes, float] = {}
    for group in engine.plan(network, [tokens[index] for index in distinct]):
        members = [distinct[position] for position in group]
        values = _score_group(network, [tokens[i] for i in members], engine, store)
        for index, value in zip(members, values, strict=True):
            if not math.isfinite(value):
                raise BadReward(index, value)
            rewards[keys[index]] = value
        done += sum(len(tokens[index]) for index in members)
        if on_progress is not None:
            on_progress(done, total)
    return [rewards[key] for key in keys]


def _score_group(
    network: RewardNetwork, group: Sequence[Tokens], engine: Engine, store: ScoreStore | None
) -> list[float]:
    """Returns a group's rewards, from the store or computed; in halves when memory runs out."""
    digest = _digest(group)
    stored = store.get(digest) if store is not None else None
    if stored is not None:
        return stored
    try:
        values = engine.forward(network, group)
    except torch.OutOfMemoryError as error:
        if len(group) == 1:
            raise BadOption(
                f"out of memory on one sequence of {len(group[0])} tokens: pass a smaller "
                "--max-length or --dtype, or use a larger device"
            ) from error
        values = []
    if not values:
        logger.warning("out of memory on %d sequences at once: halving them", len(group))
        half = len(group) // 2
        return [
            value
            for part in (group[:half], group[half:])
            for value in _score_group(network, part, engine, store)
        ]
    if store is not None and all(map(math.isfinite, values)):
        store.put(digest, values)
    return values


def _digest(group: Sequence[Tokens]) -> bytes:
    """Returns a name for exactly these sequences in this order: the contents of a group."""
    sha = hashlib.sha256()
    for sequence in group:
        sha.update(array("q", [len(sequence)]).tobytes())
        sha.update(sequence.tobytes())
    return sha.digest()
