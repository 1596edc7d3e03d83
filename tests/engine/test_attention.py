"""Attention over a pack, against a softmax written out in float64."""

import math

import numpy as np
import pytest
import torch
from tiny_families import alone, family_tree, in_one_pack, tiny, tokens
from torch.utils._python_dispatch import TorchDispatchMode

from rmeval.engine import attention
from rmeval.engine.attention import Pack, attending, packed_attention, why_not_fused
from rmeval.engine.plan import lay_out, plan_attention

# new tokens and lengths: 12 of 12, 1 of 4, 7 of 12, 9 of 10, 1 of 1
SEQUENCES = ([1] * 12, [1, 1, 1, 2], [1, 1, 1, 2, 3, *[4] * 7], [1, *[5] * 9], [6])
CUDA = torch.device("cuda")
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def pack_of(sequences=SEQUENCES):
    return Pack(lay_out([tokens(sequence) for sequence in sequences]))


def random_states(pack, heads, kv_heads, head_dim=8, dtype=torch.float64, seed=0):
    """Queries, keys and values as a model gives them: (1, heads, T, D)."""
    random = torch.Generator().manual_seed(seed)
    total = len(pack.layout.ids)
    return [
        torch.randn(1, count, total, head_dim, generator=random, dtype=torch.float64).to(dtype)
        for count in (heads, kv_heads, kv_heads)
    ]


def attend(pack, states, **options):
    with attending(pack):
        return packed_attention(torch.nn.Identity(), *states, None, **options)[0]


def softmax_written_out(sequences, states, scale, window=None, softcap=None):
    """(1, T, heads, D), token by token: where it lies, what it sees, and the mean of that."""
    layout = lay_out([tokens(sequence) for sequence in sequences])
    query, key, value = (state[0].double() for state in states)
    out = torch.full((1, query.shape[1], query.shape[0], query.shape[2]), math.nan).double()
    starts = np.cumsum([0, *layout.lengths])
    for start, length, new in zip(starts, layout.lengths, layout.new_lengths, strict=False):
        path = layout.paths[start : start + length].tolist()
        for at in range(length - new, length):
            seen = path[max(0, at + 1 - window) : at + 1] if window else path[: at + 1]
            for head in range(len(query)):
                group = head // (len(query) // len(key))
                logits = key[group, seen] @ query[head, path[at]] * scale
                logits = softcap * torch.tanh(logits / softcap) if softcap else logits
                weights = torch.exp(logits - logits.max())
                out[0, path[at], head] = weights / weights.sum() @ value[group, seen]
    return out


@pytest.mark.parametrize("softcap", [None, 0.7])
@pytest.mark.parametrize("window", [None, 1, 3, 12, 100])
@pytest.mark.parametrize(("heads", "kv_heads"), [(2, 2), (4, 2), (3, 1)])
@pytest.mark.parametrize(("at_once", "together"), [(24, 0), (10**6, 0), (10**6, 90), (24, 10**6)])
def test_attention_is_the_softmax_along_each_path(
    monkeypatch, at_once, together, heads, kv_heads, window, softcap
):
    monkeypatch.setattr(attention, "PAIRS_AT_ONCE", at_once)
    monkeypatch.setitem(attention.PAIRS_TOGETHER, "cpu", together)
    pack = pack_of()
    states = random_states(pack, heads, kv_heads)
    expected = softmax_written_out(SEQUENCES, states, 0.3, window, softcap)
    actual = attend(pack, states, scaling=0.3, sliding_window=window, softcap=softcap)
    assert torch.allclose(actual, expected, rtol=0, atol=1e-12)


def test_without_a_scale_it_is_one_over_the_root_of_the_head_size():
    pack = pack_of()
    states = random_states(pack, 2, 2, head_dim=16)
    expected = softmax_written_out(SEQUENCES, states, 0.25)
    assert torch.allclose(attend(pack, states), expected, rtol=0, atol=1e-12)


def test_a_single_new_token_after_a_long_prefix_sees_all_of_it():
    # keys all equal, so the new token's output is the mean of the values along its path
    sequences = ([7] * 6, [7] * 5 + [8])
    pack = pack_of(sequences)
    value = torch.arange(7.0, dtype=torch.float64).reshape(1, 1, 7, 1)
    states = [torch.zeros(1, 1, 7, 1).double(), torch.zeros(1, 1, 7, 1).double(), value]
    out = attend(pack, states)[0, :, 0, 0]
    # 0; (0 + 1) / 2; …; (0 + … + 5) / 6; and (0 + … + 4 + 6) / 6
    assert out.tolist() == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5, 16 / 6])
    windowed = attend(pack, states, sliding_window=2)[0, :, 0, 0]
    assert windowed.tolist() == pytest.approx([0, 0.5, 1.5, 2.5, 3.5, 4.5, (4 + 6) / 2])


def test_what_a_model_asks_for_beyond_it_is_recorded():
    pack = pack_of()
    states = random_states(pack, 2, 2)
    attend(pack, states, sliding_window=5, position_ids=None, s_aux=None, is_causal=True)
    assert (pack.calls, pack.unknown, pack.windows_given) == (1, set(), {5})
    attend(pack, states, s_aux=torch.ones(2))
    attend(pack, states, is_causal=False)
    assert pack.calls == 3
    assert len(pack.unknown) == 2
    assert "s_aux" in pack.unknown


def test_outside_a_pack_there_is_nothing_to_attend_to():
    with pytest.raises(LookupError):
        packed_attention(torch.nn.Identity(), *random_states(pack_of(), 2, 2), None)


@pytest.fixture
def ampere(monkeypatch):
    """A GPU that has FlashAttention, as far as anybody asks."""
    monkeypatch.setattr(torch.backends.cuda, "is_flash_attention_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")


@pytest.mark.parametrize("head_dim", [8, 64, 80, 96, 128, 256])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_fused_kernel_takes_half_precision_on_a_gpu(ampere, dtype, head_dim):
    assert why_not_fused(CUDA, dtype, head_dim, None) is None


@pytest.mark.parametrize(
    ("device", "dtype", "head_dim", "softcap", "reason"),
    [
        (torch.device("cpu"), torch.bfloat16, 128, None, "runs on GPUs"),
        (CUDA, torch.float32, 128, None, "half precision, not float32"),
        (CUDA, torch.bfloat16, 128, 50.0, "no soft cap"),
        (CUDA, torch.bfloat16, 257, None, "no heads of 257 numbers"),
        (CUDA, torch.bfloat16, 264, None, "no heads of 264 numbers"),
        (CUDA, torch.bfloat16, 4, None, "no heads of 4 numbers"),
        (CUDA, torch.bfloat16, 12, None, "no heads of 12 numbers"),
    ],
)
def test_what_the_fused_kernel_does_not_take(ampere, device, dtype, head_dim, softcap, reason):
    assert reason in why_not_fused(device, dtype, head_dim, softcap)


def test_a_torch_or_a_card_without_the_kernel_is_named(ampere, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert "does not run on Tesla T4" in why_not_fused(CUDA, torch.float16, 64, None)
    monkeypatch.setattr(torch.backends.cuda, "is_flash_attention_available", lambda: False)
    assert torch.__version__ in why_not_fused(CUDA, torch.float16, 64, None)


def test_a_pack_of_many_is_computed_in_few_calls_on_a_gpu():
    """A call of the plain path is a dozen kernels; on a CPU each sequence has one, unpadded."""
    draw = np.random.default_rng(0)
    lengths = draw.integers(2, 200, 90).tolist()
    layout = pack_of([[place, *[1] * length] for place, length in enumerate(lengths)]).layout
    assert len(plan_attention(layout, attention.PAIRS_TOGETHER["cpu"])) == 90
    groups = plan_attention(layout, attention.PAIRS_TOGETHER["cuda"])
    assert len(groups) < 15
    assert sorted(place for group in groups for place in group) == list(range(90))
    pairs = sum(
        new * length for new, length in zip(layout.new_lengths, layout.lengths, strict=True)
    )
    padded = sum(len(g) * max(layout.lengths[i] for i in g) ** 2 for g in groups)
    assert padded < 2 * pairs


class MadeOnHost(TorchDispatchMode):
    """Counts what is computed on the host, where "meta" stands for the GPU."""

    def __init__(self):
        super().__init__()
        self.found = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        made = function(*arguments, **(options or {}))
        self.found += isinstance(made, torch.Tensor) and made.device.type == "cpu"
        return made


@pytest.mark.parametrize("softcap", [None, 2.0])
@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("together", [0, 10**6])
def test_a_layer_makes_nothing_on_the_host_but_the_first_of_a_pack(
    monkeypatch, together, window, softcap
):
    """Masks that were made there and copied cost more than a pack saves: Gemma-2, and float32."""
    monkeypatch.setitem(attention.PAIRS_TOGETHER, "meta", together)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)  # there is no GPU
    pack = pack_of()
    states = [state.to("meta") for state in random_states(pack, 4, 2, 16)]
    counts = []
    for _ in range(3):
        with MadeOnHost() as host:
            attend(pack, states, scaling=0.5, sliding_window=window, softcap=softcap)
        counts.append(host.found)
    assert counts[0] > 0
    assert counts[1:] == [0, 0]


@gpu
@pytest.mark.gpu
@pytest.mark.parametrize("window", [None, 1, 3, 100])
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2)])
def test_the_fused_kernel_is_the_softmax_along_each_path(heads, kv_heads, window):
    pack = pack_of()
    states = random_states(pack, heads, kv_heads, head_dim=64, dtype=torch.bfloat16)
    expected = softmax_written_out(SEQUENCES, states, 0.125, window)
    on_cpu = attend(pack_of(), states, scaling=0.125, sliding_window=window)
    on_gpu = attend(
        pack, [state.cuda() for state in states], scaling=0.125, sliding_window=window
    ).cpu()
    for actual in (on_cpu, on_gpu):  # bfloat16 has 8 bits: values of up to 4 are rounded by 0.01
        assert torch.allclose(actual.double(), expected, rtol=0, atol=0.03)


@gpu
@pytest.mark.gpu
@pytest.mark.parametrize("family", ["llama", "mistral", "gemma2"])
def test_a_pack_on_a_gpu_in_bfloat16_agrees_with_float32(family):
    """As near as the padded path in bfloat16, one sequence at a time, and a little more."""
    import copy

    sequences = family_tree()
    expected = np.array(alone(tiny(family), sequences))
    network = copy.deepcopy(tiny(family, torch.bfloat16)).cuda()
    packed = np.array(in_one_pack(network, sequences))
    plain = np.array(alone(network, sequences))
    assert np.abs(packed - expected).max() <= 1.5 * np.abs(plain - expected).max() + 0.02
