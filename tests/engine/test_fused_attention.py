"""The one call of FlashAttention, through the real operator's schema, with a kernel for the CPU.

torch checks the call against the schema that this version of it has, as on a GPU; what computes is
written here, by FlashAttention's rules: causal means aligned bottom-right, a window of (w, 0) is w
keys back and the token itself.
"""

import numpy as np
import pytest
import torch
from checkpoints import golden_cases, load_golden
from conftest import GOLDEN
from test_attention import CUDA, SEQUENCES, attend, pack_of, random_states, softmax_written_out
from tiny_families import PACKED, WINDOW, WINDOWED, alone, family_tree, in_one_pack, tiny

from rmeval.engine import attention
from rmeval.engine.attention import why_not_fused
from rmeval.engine.packable import why_not_packed
from rmeval.engine.scoring import Engine, score_sequences

FAMILIES = [name for name in [*PACKED, "internlm2"] if name != "gemma2"]  # has a soft cap
LAYOUTS = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())


def flash(q, k, v, starts_q, starts_k, max_q, max_k, dropout, causal, debug, *, scale, **options):
    """What the operator does with sequences of unequal lengths; it refuses what the kernel does."""
    left, right = options.pop("window_size_left"), options.pop("window_size_right")
    assert {value for value in options.values() if value is not None} == set()
    assert (dropout, debug, right) == (0.0, False, 0)
    assert causal == (left < 0)
    for starts, total, longest in ((starts_q, q, max_q), (starts_k, k, max_k)):
        assert starts.dtype == torch.int32
        assert starts.is_contiguous()
        assert starts[-1] == len(total)
        assert starts.diff().min() > 0
        assert starts.diff().max() == longest
    assert q.shape[2] % 8 == 0
    assert q.shape[1] % k.shape[1] == 0
    assert all(states.stride(-1) == 1 for states in (q, k, v))
    out = torch.empty_like(q)
    for n in range(len(starts_q) - 1):
        rows, keys = slice(*starts_q[n : n + 2].tolist()), slice(*starts_k[n : n + 2].tolist())
        new, length = rows.stop - rows.start, keys.stop - keys.start
        back = torch.arange(new)[:, None] + (length - new) - torch.arange(length)
        seen = (back >= 0) & ((back <= left) | (left < 0))
        for head in range(q.shape[1]):
            group = head * k.shape[1] // q.shape[1]
            logits = (q[rows, head] @ k[keys, group].T * scale).masked_fill(~seen, -torch.inf)
            out[rows, head] = logits.softmax(-1) @ v[keys, group]
    return out, torch.empty(0), torch.empty(0), torch.empty(0), torch.empty(0)


@pytest.fixture
def calls(monkeypatch):
    """Has the packed path take the operator on a CPU; returns the windows that it was told."""
    told = []

    def kernel(*arguments, **options):
        told.append(options["window_size_left"])
        return flash(*arguments, **options)

    library = torch.library.Library("aten", "IMPL")
    library.impl("_flash_attention_forward", kernel, "CPU")
    monkeypatch.setattr(attention, "why_not_fused", lambda *_: None)
    yield told
    library._destroy()


def close(expected):
    return pytest.approx(expected, abs=1e-9, rel=0)


@pytest.mark.parametrize("window", [None, 1, 3, 12, 100])
@pytest.mark.parametrize(("heads", "kv_heads"), [(2, 2), (4, 2), (3, 1)])
def test_the_call_is_the_softmax_along_each_path(calls, heads, kv_heads, window):
    states = random_states(pack_of(), heads, kv_heads)
    expected = softmax_written_out(SEQUENCES, states, 0.3, window)
    actual = attend(pack_of(), states, scaling=0.3, sliding_window=window)
    assert torch.allclose(actual, expected, rtol=0, atol=1e-12)
    assert calls == [-1 if window is None else window - 1]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_scores_as_alone_in_one_call_a_layer(calls, family):
    network, sequences = tiny(family, torch.float64), family_tree()
    expected = alone(network, sequences)
    calls.clear()  # of its gate
    assert in_one_pack(network, sequences) == close(expected)
    assert len(calls) == network.config.num_hidden_layers
    assert (WINDOW - 1 in calls) == (family in WINDOWED)
    for budget in (1, 45):
        packed = score_sequences(network, sequences, Engine(budget, packed=True))
        assert packed == close(expected)


@pytest.mark.parametrize("family", [name for name in WINDOWED if name in FAMILIES])
@pytest.mark.parametrize("shared", [0, WINDOW, 2 * WINDOW + 3])
def test_windows_over_shared_prefixes(calls, family, shared):
    network, draw = tiny(family, torch.float64), np.random.default_rng(1)
    prefix = draw.integers(0, 96, shared).tolist()
    sequences = [prefix + draw.integers(0, 96, own).tolist() for own in (30, 19, 4, 1)]
    assert in_one_pack(network, sequences) == close(alone(network, sequences))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_golden_checkpoints_score_as_alone_or_are_known_to_have_other_heads(calls, layout):
    network = load_golden(layout, "float64").network
    config = network.config.get_text_config()
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    if head_dim % 8:
        assert "no heads of" in why_not_fused(CUDA, torch.bfloat16, head_dim, None)
        return
    if getattr(config, "attn_logit_softcapping", None):
        pytest.skip("has a soft cap")
    assert why_not_packed(network) is None
    sequences = golden_cases(GOLDEN / layout)[0]
    packed = score_sequences(network, sequences, Engine(300, packed=True))
    assert packed == close(alone(network, sequences))
    assert calls
