"""One forward pass: token sequences in, rewards out, by the packed or by the padded path.

Both give the state of each sequence's scored token (`rmeval.engine.plan.scored_place`) to the head
in float32. The padded path is the reference; the packed one computes every shared prefix once, and
must equal it.

A head gives one number for a sequence, or more: the reward, then those that it is made of. They
come as one flat list, a sequence's after the other's, of N x (1 + K) numbers.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from rmeval.engine import attention
from rmeval.engine.device import bring, home, one_name_for_full, without_cudnn_attention
from rmeval.engine.plan import LAST, Pool, Tokens, lay_out, scored_place
from rmeval.errors import BadCheckpoint


class RewardNetwork(Protocol):
    """What the engine asks of a network; see `rmeval.models.network.Network`."""

    backbone: nn.Module
    head: nn.Module | None
    may_pad: bool
    pool: Pool

    @property
    def config(self) -> Any:
        """The backbone's transformers configuration."""

    @property
    def vocab_size(self) -> int:
        """How many token ids there are."""


class Numbers:
    """A pass's numbers, which a GPU may still be at: what is launched meanwhile delays nothing."""

    def __init__(self, numbers: Tensor) -> None:
        self._numbers = numbers.to("cpu", non_blocking=True)
        self._copied: torch.cuda.Event | None = None
        if numbers.is_cuda:
            self._copied = torch.cuda.Event()
            self._copied.record(torch.cuda.current_stream(numbers.device))

    @one_name_for_full()
    def read(self) -> list[float]:
        """Returns them when they are there."""
        if self._copied is not None:
            self._copied.synchronize()
        values: list[float] = self._numbers.tolist()
        return values


def forward_padded(network: RewardNetwork, sequences: Sequence[Tokens]) -> list[float]:
    """Returns the numbers of each sequence, its reward first, as float32 at least."""
    return start_padded(network, sequences).read()


@one_name_for_full()
@torch.inference_mode()
def start_padded(network: RewardNetwork, sequences: Sequence[Tokens]) -> Numbers:
    """Launches what `forward_padded` returns."""
    if network.head is not None:
        return _reward(network.head, pool_padded(network, sequences, network.pool))
    ids, lasts = _pad(network, sequences)
    ends = bring(lasts, ids.device)
    mask = (torch.arange(ids.shape[1], device=ids.device) <= ends[:, None]).long()  # (N, L)
    with without_cudnn_attention():
        logits = network.backbone(input_ids=ids, attention_mask=mask).logits  # (N, 1)
    if logits.numel() != len(sequences):
        raise BadCheckpoint(
            f"the model gives {tuple(logits.shape)} numbers for {len(sequences)} sequences, "
            "not one for each"
        )
    return Numbers(logits.reshape(len(sequences)))


@one_name_for_full()
@torch.inference_mode()
def start_packed(network: RewardNetwork, sequences: Sequence[Tokens]) -> Numbers:
    """Launches the numbers of each sequence of a pack: distinct, in lexicographic order."""
    assert network.head is not None
    pack = attention.Pack(lay_out(sequences, network.pool))
    return _reward(network.head, pool_packed(network, pack))


@one_name_for_full()
@without_cudnn_attention()
def pool_padded(network: RewardNetwork, sequences: Sequence[Tokens], pool: Pool = LAST) -> Tensor:
    """Returns the state of each scored token, (N, H).

    Padding stands to the right, where a causal network cannot see it, and positions stay as they
    are alone; so neither a mask nor a pad id is needed, and a token of the text that happens to
    be the pad id is a token like any other.
    """
    ids, ends = _pad(network, sequences)
    hidden = network.backbone(input_ids=ids, use_cache=False).last_hidden_state  # (N, L, H)
    scored = torch.tensor([scored_place(sequence, pool) for sequence in sequences])
    starts = torch.arange(len(sequences)) * hidden.shape[1]
    return pick_states(network, hidden.flatten(0, 1), starts + scored, starts + ends)


@one_name_for_full()
@without_cudnn_attention()
def pool_packed(network: RewardNetwork, pack: attention.Pack) -> Tensor:
    """Returns the state of each scored token, (N, H), with every unique token computed once."""
    device = home(network.backbone)
    layout = pack.layout
    config, before = network.config, network.config._attn_implementation
    config._attn_implementation = attention.NAME
    try:
        with attention.attending(pack):
            hidden = network.backbone(
                input_ids=bring(torch.from_numpy(layout.ids), device)[None],  # (1, T)
                position_ids=bring(torch.from_numpy(layout.positions), device)[None],
                use_cache=False,
            ).last_hidden_state[0]  # (T, H)
    finally:
        config._attn_implementation = before
    scored, ends = torch.from_numpy(layout.scored), torch.from_numpy(layout.ends)
    return pick_states(network, hidden, scored, ends)


def pick_states(network: RewardNetwork, hidden: Tensor, scored: Tensor, ends: Tensor) -> Tensor:
    """Returns the states of scored tokens, (N, H), of those of all, (T, H); `ends` are the last.

    Of a backbone whose states tell something of the whole sequence, `whole` says which columns do:
    they are the last token's.
    """
    states = hidden[bring(scored, hidden.device)]
    whole = getattr(network.backbone, "whole", None)
    if whole is not None:
        states[:, whole] = hidden[bring(ends, hidden.device)][:, whole]
    return states


def _pad(network: RewardNetwork, sequences: Sequence[Tokens]) -> tuple[Tensor, Tensor]:
    """Returns ids (N, L), zeros to the right, and on the host each last token's position (N,)."""
    ends = torch.tensor([len(sequence) - 1 for sequence in sequences])
    ids = torch.zeros(len(sequences), int(ends.max()) + 1, dtype=torch.long)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.from_numpy(sequence)
    return bring(ids, home(network.backbone)), ends


def _reward(head: nn.Module, pooled: Tensor) -> Numbers:
    """Applies the head to (N, H) states, in float32 at least, and copies the result once."""
    precise = torch.promote_types(pooled.dtype, torch.float32)
    return Numbers(head(pooled.to(precise)).reshape(len(pooled), -1).flatten())
