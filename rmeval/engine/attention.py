"""Attention over a pack: each sequence's new tokens look along its whole path, and nowhere else.

transformers' models call the attention function that their configuration names. This module
registers one, which knows the pack at hand from `attending`; no mask is ever built over a pack.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

from rmeval.engine.device import bring
from rmeval.engine.plan import Members, PackLayout, plan_attention

NAME = "rmeval_packed"
HARMLESS = {"position_ids", "cache_position", "use_cache", "output_attentions"}
# What FlashAttention takes: heads of so many numbers at most, a multiple of these (it pads none of
# unequal lengths), on Ampere and later.
HEAD_DIM_OF_FLASH, HEAD_STEP_OF_FLASH, CAPABILITY_OF_FLASH = 256, 8, (8, 0)
PAIRS_AT_ONCE = 1 << 21  # pairs of query and key for which the plain path builds a mask at a time
# Of those, how many sequences may share: on a GPU a call costs more than what padding adds.
PAIRS_TOGETHER = {"cpu": 0, "cuda": PAIRS_AT_ONCE}


class Together(NamedTuple):
    """Sequences of a pack whose attention is computed at once, padded to the right.

    Of one alone nothing is padded, and what lies in a row is a slice, which copies nothing.
    """

    new: Tensor | slice  # (N x new,) where their new tokens are
    path: Tensor | slice  # (N x L,) where all of their tokens are
    positions: Tensor  # (N, new) of the new tokens in their sequences
    real: Tensor | slice  # (R,) which of the N x new are no padding, and
    real_at: Tensor | slice  # (R,) where these are


class Pack:
    """A layout with its index tensors on every device that asks, and a record of what was asked."""

    def __init__(self, layout: PackLayout) -> None:
        self.layout = layout
        self._ends = np.cumsum(layout.lengths)  # of each path among the paths
        self.calls = 0
        self.unknown: set[str] = set()
        self.windows_masked: set[int] = set()  # what masks were asked for, and
        self.windows_given: set[int] = set()  # what the attention function was told
        self._indices: dict[torch.device, tuple[Tensor, Tensor, Tensor]] = {}
        self._together: dict[torch.device, list[Together]] = {}

    def indices(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Returns paths (K,), and the cumulative lengths of queries and of keys, (N + 1,)."""
        if device not in self._indices:
            counts = (self.layout.new_lengths, self.layout.lengths)
            queries, keys = (
                bring(torch.tensor([0, *accumulate(count)], dtype=torch.int32), device)
                for count in counts
            )
            paths = bring(torch.from_numpy(self.layout.paths), device)
            self._indices[device] = paths, queries, keys
        return self._indices[device]

    def together(self, device: torch.device) -> list[Together]:
        """Returns the pack's sequences as the plain path computes them."""
        if device not in self._together:
            groups = plan_attention(self.layout, PAIRS_TOGETHER[device.type])
            self._together[device] = [
                self._pad(group, device) if len(group) > 1 else self._alone(group[0], device)
                for group in groups
            ]
        return self._together[device]

    def _alone(self, index: int, device: torch.device) -> Together:
        """A sequence's new tokens lie in a row, and its path does where it shares none of it."""
        layout = self.layout
        length, own = layout.lengths[index], layout.new_lengths[index]
        last = int(layout.ends[index]) + 1
        new: slice = slice(last - own, last)
        end = self._ends[index]
        path = bring(torch.from_numpy(layout.paths[end - length : end]), device)
        positions = torch.arange(length - own, length, device=device)[None]
        return Together(new, new if own == length else path, positions, slice(None), new)

    def _pad(self, group: Members, device: torch.device) -> Together:
        """A padded query is one that sees something; nobody reads it. No query sees padded keys."""
        layout = self.layout
        news, lengths = ([of[i] for i in group] for of in (layout.new_lengths, layout.lengths))
        path = np.zeros((len(group), max(lengths)), np.int64)
        new = np.zeros((len(group), max(news)), np.int64)
        for row, i in enumerate(group):
            path[row, : lengths[row]] = layout.paths[self._ends[i] - lengths[row] : self._ends[i]]
            new[row, : news[row]] = path[row, lengths[row] - news[row] : lengths[row]]
        real = np.flatnonzero(np.arange(max(news)) < np.array(news)[:, None])
        made = (new.flatten(), path.flatten(), layout.positions[new], real, new.flatten()[real])
        return Together(*(bring(torch.from_numpy(indices), device) for indices in made))


_pack: ContextVar[Pack] = ContextVar("pack")


@contextmanager
def attending(pack: Pack) -> Iterator[None]:
    """Makes `packed_attention` compute this pack."""
    token = _pack.set(pack)
    try:
        yield
    finally:
        _pack.reset(token)


def packed_attention(
    module: torch.nn.Module,
    query: Tensor,  # (1, Hq, T, D)
    key: Tensor,  # (1, Hkv, T, D)
    value: Tensor,  # (1, Hkv, T, D)
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    is_causal: bool | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Returns (1, T, Hq, D). What a model asks for beyond this is recorded, for the gate."""
    pack = _pack.get()
    pack.calls += 1
    pack.unknown |= {name for name, asked in others.items() if asked is not None} - HARMLESS
    if attention_mask is not None or dropout or is_causal is False:
        pack.unknown.add("attention_mask, dropout or is_causal=False")
    pack.windows_given |= {sliding_window} if sliding_window else set()
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    q, k, v = (states[0].transpose(0, 1) for states in (query, key, value))  # (T, heads, D)
    if why_not_fused(query.device, query.dtype, query.shape[-1], softcap) is None:
        return _fused(pack, q, k, v, scale, sliding_window)[None], None
    return _plain(pack, q, k, v, scale, sliding_window, softcap)[None], None


def why_not_fused(
    device: torch.device, dtype: torch.dtype, head_dim: int, softcap: float | None
) -> str | None:
    """Returns why a pack's attention is not one call of FlashAttention, or None if it is."""
    if device.type != "cuda":
        return "FlashAttention runs on GPUs"
    if dtype not in (torch.float16, torch.bfloat16):
        return f"FlashAttention takes half precision, not {str(dtype).removeprefix('torch.')}"
    if softcap is not None:
        return "torch's FlashAttention has no soft cap"
    if head_dim % HEAD_STEP_OF_FLASH or head_dim > HEAD_DIM_OF_FLASH:
        return f"FlashAttention takes no heads of {head_dim} numbers"
    if not torch.backends.cuda.is_flash_attention_available():
        return f"torch {torch.__version__} is built without FlashAttention"
    if torch.cuda.get_device_capability(device) < CAPABILITY_OF_FLASH:
        return f"FlashAttention does not run on {torch.cuda.get_device_name(device)}"
    return None


def _fused(pack: Pack, q: Tensor, k: Tensor, v: Tensor, scale: float, window: int | None) -> Tensor:
    """All sequences in one call of FlashAttention; its causal mask is aligned bottom-right.

    The operator is called, not `torch.nn.attention.varlen.varlen_attn` above it: these arguments
    are the same in torch 2.10 to 2.14, that function's are others in each.
    """
    paths, query_starts, key_starts = pack.indices(q.device)
    out: Tensor = torch.ops.aten._flash_attention_forward(
        q.contiguous(),
        k[paths],  # (K, Hkv, D)
        v[paths],
        query_starts,
        key_starts,
        max(pack.layout.new_lengths),
        max(pack.layout.lengths),
        0.0,  # dropout
        not window,  # causal
        False,
        scale=scale,
        window_size_left=window - 1 if window else -1,
        window_size_right=0,
    )[0]
    return out


def _plain(
    pack: Pack,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    scale: float,
    window: int | None,
    softcap: float | None,
) -> Tensor:
    """A few sequences after the others, exact on any device and in any precision."""
    out = torch.empty_like(q)
    for some in pack.together(q.device):
        queries, keys, values = (  # (N, heads, tokens, D)
            states[at].reshape(len(some.positions), -1, *states.shape[1:]).transpose(1, 2)
            for states, at in ((q, some.new), (k, some.path), (v, some.path))
        )
        found = _attend(
            queries, keys, values, some.positions, scale, window, softcap
        )  # (N, Hq, new, D)
        out[some.real_at] = found.transpose(1, 2).flatten(0, 1)[some.real]
    return out


def _attend(
    q: Tensor,  # (N, Hq, new, D)
    k: Tensor,  # (N, Hkv, L, D)
    v: Tensor,
    positions: Tensor,  # (N, new) how far into its sequence each query stands
    scale: float,
    window: int | None,
    softcap: float | None,
) -> Tensor:
    """Returns (N, Hq, new, D): each query looks back from where it stands."""
    new, length = q.shape[2], k.shape[2]
    if q.is_cuda or softcap is not None:  # no kernel there shares keys and takes a mask
        k, v = (states.repeat_interleave(q.shape[1] // k.shape[1], 1) for states in (k, v))
    grouped = q.shape[1] != k.shape[1]
    if softcap is None and len(q) == 1 and new == length and not (window and length > window):
        return functional.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=scale, enable_gqa=grouped
        )
    parts = []
    step = max(1, PAIRS_AT_ONCE // (len(q) * length))
    for rows, at in zip(torch.split(q, step, 2), torch.split(positions, step, 1), strict=True):
        back = at[:, None, :, None] - torch.arange(length, device=q.device)  # (N, 1, rows, L)
        visible = (back >= 0) & (back < window) if window else back >= 0
        if softcap is not None:
            parts.append(_attend_capped(rows, k, v, scale, visible, softcap))
            continue
        parts.append(
            functional.scaled_dot_product_attention(
                rows, k, v, attn_mask=visible, scale=scale, enable_gqa=grouped
            )
        )
    return parts[0] if len(parts) == 1 else torch.cat(parts, 2)


def _attend_capped(
    q: Tensor, k: Tensor, v: Tensor, scale: float, visible: Tensor, softcap: float
) -> Tensor:
    """Attention with a soft cap on its logits (Gemma-2), in the steps of transformers' eager."""
    logits = softcap * torch.tanh(q @ k.transpose(2, 3) * scale / softcap)
    logits = logits.masked_fill(~visible, -torch.inf)
    precise = torch.promote_types(q.dtype, torch.float32)
    return torch.softmax(logits, -1, dtype=precise).to(q.dtype) @ v


def _no_mask(*args: Any, local_size: int | None = None, **kwargs: Any) -> None:
    """Stands in for transformers' masks, and remembers the windows they would have."""
    pack = _pack.get()
    pack.windows_masked |= {local_size} if local_size else set()


AttentionInterface.register(NAME, packed_attention)
AttentionMaskInterface.register(NAME, _no_mask)
