"""Attention over a pack: each sequence's new tokens look along its whole path, and nowhere else.

transformers' models call the attention function that their configuration names. This module
registers one, which knows the pack at hand from `attending`; no mask is ever built over a pack.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

from rmeval.engine.plan import Layout

NAME = "rmeval_packed"
HARMLESS = {"position_ids", "cache_position", "use_cache", "output_attentions"}
HEAD_DIM_OF_FLASH = 256  # the fused kernel takes no larger heads
ROWS_AT_ONCE = 1024  # queries for which the plain path builds a mask at a time


class Pack:
    """A layout with its index tensors on every device that asks, and a record of what was asked."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.calls = 0
        self.unknown: set[str] = set()
        self.windows_masked: set[int] = set()  # what masks were asked for, and
        self.windows_given: set[int] = set()  # what the attention function was told
        self._indices: dict[torch.device, tuple[Tensor, Tensor, Tensor]] = {}

    def indices(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Returns paths (K,), and the cumulative lengths of queries and of keys, (N + 1,)."""
        if device not in self._indices:
            counts = (self.layout.new_lengths, self.layout.lengths)
            queries, keys = (
                torch.tensor([0, *accumulate(count)], dtype=torch.int32, device=device)
                for count in counts
            )
            self._indices[device] = torch.from_numpy(self.layout.paths).to(device), queries, keys
        return self._indices[device]


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
    paths, _, _ = pack.indices(query.device)
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    q, k, v = (states[0].transpose(0, 1) for states in (query, key, value))  # (T, heads, D)
    k, v = k[paths], v[paths]  # (K, Hkv, D)
    if has_fused_kernel(query.device, query.dtype, query.shape[-1], softcap):
        return _fused(pack, q, k, v, scale, sliding_window)[None], None
    return _one_by_one(pack, q, k, v, scale, sliding_window, softcap)[None], None


def has_fused_kernel(
    device: torch.device, dtype: torch.dtype, head_dim: int, softcap: float | None
) -> bool:
    """Whether one variable-length kernel can do it all: on a GPU, in half precision, no cap."""
    half = dtype in (torch.float16, torch.bfloat16)
    return device.type == "cuda" and half and softcap is None and head_dim <= HEAD_DIM_OF_FLASH


def _fused(pack: Pack, q: Tensor, k: Tensor, v: Tensor, scale: float, window: int | None) -> Tensor:
    """All sequences in one call of FlashAttention; its causal mask is aligned bottom-right."""
    from torch.nn.attention.varlen import varlen_attn

    _, query_starts, key_starts = pack.indices(q.device)
    out = varlen_attn(
        q.contiguous(),
        k,
        v,
        query_starts,
        key_starts,
        max(pack.layout.new_lengths),
        max(pack.layout.lengths),
        scale=scale,
        window_size=(window - 1 if window else -1, 0),
        enable_gqa=q.shape[1] != k.shape[1],
        num_splits=1,  # one sequence's result must not depend on its neighbours
    )
    assert isinstance(out, Tensor)
    return out


def _one_by_one(
    pack: Pack,
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    scale: float,
    window: int | None,
    softcap: float | None,
) -> Tensor:
    """One sequence after the other, exact on any device and in any precision."""
    layout = pack.layout
    parts = []
    for q, k, v in zip(
        torch.split(queries, layout.new_lengths),
        torch.split(keys, layout.lengths),
        torch.split(values, layout.lengths),
        strict=True,
    ):
        q, k, v = (states.transpose(0, 1) for states in (q, k, v))  # (heads, tokens, D)
        parts.append(_attend(q, k, v, scale, window, softcap).transpose(0, 1))
    return torch.cat(parts)


def _attend(
    q: Tensor, k: Tensor, v: Tensor, scale: float, window: int | None, softcap: float | None
) -> Tensor:
    """Returns one sequence's attention, (Hq, new, D): the last `new` of its L tokens look back."""
    new, length = q.shape[1], k.shape[1]
    grouped = q.shape[0] != k.shape[0]
    if softcap is None and new == length and not (window and length > window):
        return functional.scaled_dot_product_attention(
            q[None], k[None], v[None], is_causal=True, scale=scale, enable_gqa=grouped
        )[0]
    parts = []
    for first in range(0, new, ROWS_AT_ONCE):
        rows = q[:, first : first + ROWS_AT_ONCE]
        at = torch.arange(length - new + first, length - new + first + rows.shape[1])[:, None]
        back = (at - torch.arange(length)).to(q.device)  # (rows, L) how far back each key lies
        visible = (back >= 0) & (back < window) if window else back >= 0
        if softcap is not None:
            parts.append(_attend_capped(rows, k, v, scale, visible, softcap))
            continue
        parts.append(
            functional.scaled_dot_product_attention(
                rows[None], k[None], v[None], attn_mask=visible, scale=scale, enable_gqa=grouped
            )[0]
        )
    return torch.cat(parts, 1)


def _attend_capped(
    q: Tensor, k: Tensor, v: Tensor, scale: float, visible: Tensor, softcap: float
) -> Tensor:
    """Attention with a soft cap on its logits (Gemma-2), in the steps of transformers' eager."""
    groups = q.shape[0] // k.shape[0]
    k, v = k.repeat_interleave(groups, 0), v.repeat_interleave(groups, 0)
    logits = softcap * torch.tanh(q @ k.transpose(1, 2) * scale / softcap)
    logits = logits.masked_fill(~visible, -torch.inf)
    precise = torch.promote_types(q.dtype, torch.float32)
    return torch.softmax(logits, -1, dtype=precise).to(q.dtype) @ v


def _no_mask(*args: Any, local_size: int | None = None, **kwargs: Any) -> None:
    """Stands in for transformers' masks, and remembers the windows they would have."""
    pack = _pack.get()
    pack.windows_masked |= {local_size} if local_size else set()


AttentionInterface.register(NAME, packed_attention)
AttentionMaskInterface.register(NAME, _no_mask)
