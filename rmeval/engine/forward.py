"""One batch of token sequences through the network: padding to the right, pooling by position."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import nn

Sequences = Sequence[Sequence[int]]


class RewardNetwork(Protocol):
    """What the engine asks of a network; see `rmeval.models.network.Network`."""

    backbone: nn.Module
    head: nn.Module | None
    may_pad: bool


@torch.inference_mode()
def forward_padded(network: RewardNetwork, sequences: Sequences) -> list[float]:
    """Returns the reward of each sequence, as float32 (float64 in a float64 network).

    Padding stands to the right, where a causal network cannot see it, and positions stay as
    they are alone; so neither a mask nor a pad id is needed, and a token of the text that
    happens to be the pad id is a token like any other.
    """
    device = next(network.backbone.parameters()).device
    ends = torch.tensor([len(sequence) - 1 for sequence in sequences], device=device)  # (N,)
    ids = torch.zeros(len(sequences), int(ends.max()) + 1, dtype=torch.long)  # (N, L)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(sequence)
    ids = ids.to(device)
    if network.head is None:
        mask = (torch.arange(ids.shape[1], device=device) <= ends[:, None]).long()  # (N, L)
        rewards = network.backbone(input_ids=ids, attention_mask=mask).logits  # (N, 1)
    else:
        hidden = network.backbone(input_ids=ids, use_cache=False).last_hidden_state  # (N, L, H)
        pooled = hidden[torch.arange(len(sequences), device=hidden.device), ends.to(hidden.device)]
        head_dtype = torch.float64 if pooled.dtype == torch.float64 else torch.float32
        rewards = network.head(pooled.to(head_dtype))  # (N, H) -> (N, 1)
    values: list[float] = rewards.reshape(len(sequences)).tolist()
    return values
