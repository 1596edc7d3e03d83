"""The one loop: distinct sequences, planned over the whole run, each scored once."""

import hashlib
import math
from array import array
from collections.abc import Sequence

import torch

from rmeval.engine.forward import RewardNetwork, forward_padded
from rmeval.engine.plan import plan_batches
from rmeval.engine.store import ScoreStore
from rmeval.errors import BadOption, BadReward
from rmeval.types import Progress


def score_sequences(
    network: RewardNetwork,
    sequences: Sequence[Sequence[int]],
    *,
    batch_tokens: int,
    store: ScoreStore | None = None,
    on_progress: Progress | None = None,
) -> list[float]:
    """Returns one reward per sequence, in the order of the input, whatever the batching.

    Equal sequences are computed once. With a store, a batch that it holds is not computed, and
    every other one is durable before the next begins; the plan is made over the whole run, so
    a run that was interrupted ends with the same bytes as one that was not.

    Raises BadReward for a NaN or infinite reward, and BadOption when memory runs out.
    """
    first_index: dict[bytes, int] = {}
    keys = [array("q", sequence).tobytes() for sequence in sequences]
    for index, key in enumerate(keys):
        first_index.setdefault(key, index)
    distinct = list(first_index.values())
    lengths = [len(sequences[index]) for index in distinct]
    rewards: dict[bytes, float] = {}
    total, done = sum(lengths), 0
    for batch in plan_batches(lengths, batch_tokens, may_pad=network.may_pad):
        members = [distinct[position] for position in batch]
        values = _score_batch(network, [sequences[i] for i in members], store)
        for index, value in zip(members, values, strict=True):
            if not math.isfinite(value):
                raise BadReward(index, value)
            rewards[keys[index]] = value
        done += sum(len(sequences[index]) for index in members)
        if on_progress is not None:
            on_progress(done, total)
    return [rewards[key] for key in keys]


def _score_batch(
    network: RewardNetwork, batch: Sequence[Sequence[int]], store: ScoreStore | None
) -> list[float]:
    digest = _digest(batch)
    stored = store.get(digest) if store is not None else None
    if stored is not None:
        return stored
    try:
        values = forward_padded(network, batch)
    except torch.OutOfMemoryError as error:
        tokens = len(batch) * max(map(len, batch))
        raise BadOption(
            f"out of memory on a batch of {tokens} tokens: pass a smaller --batch-tokens"
        ) from error
    if store is not None and all(map(math.isfinite, values)):
        store.put(digest, values)
    return values


def _digest(batch: Sequence[Sequence[int]]) -> bytes:
    """Returns a name for exactly these sequences in this order: the contents of a batch."""
    sha = hashlib.sha256()
    for sequence in batch:
        sha.update(array("q", [len(sequence), *sequence]).tobytes())
    return sha.digest()
