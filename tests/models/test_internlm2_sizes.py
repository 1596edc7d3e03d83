"""InternLM2 of other sizes, against a plain float64 forward that shares no code with rmeval."""

import math

import pytest
import torch
from checkpoints import (
    edit_config,
    golden_cases,
    internlm2_config,
    internlm2_tensors,
    load_golden,
    read_tensors,
    write_checkpoint,
)
from conftest import GOLDEN
from torch.nn.functional import linear, silu

import rmeval

SEQUENCES = [[1, 5, 9, 63], [7], [2, 2, 0, 63, 11, 63], list(range(63)) * 3, [4, 4, 4]]
VARIANTS = {
    "as published": {},
    "as many key-value heads as heads": {"num_key_value_heads": 4},
    "one key-value head for all": {"num_key_value_heads": 1},
    "one layer": {"num_hidden_layers": 1},
    "eight heads, two key-value heads": {"num_attention_heads": 8},
    "biases": {"bias": True},
    "another rotary base and epsilon": {"rope_theta": 10000, "rms_norm_eps": 0.1},
    "wider than deep": {"hidden_size": 96, "num_attention_heads": 6, "intermediate_size": 20},
    "positions stretched by four": {"rope_scaling": {"type": "linear", "factor": 4.0}},
}


def norm(x, weight, epsilon):
    return x / (x.pow(2).mean(-1, keepdim=True) + epsilon).sqrt() * weight


def rotate(x, theta, stretch):
    """(heads, T, d): each half-pair (i, i + d/2) turned by position / theta^(2i/d)."""
    half = x.shape[-1] // 2
    speeds = theta ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.arange(x.shape[1], dtype=torch.float64)[:, None] / stretch * speeds
    a, b = x[..., :half], x[..., half:]
    return torch.cat((a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()), -1)


def attention(x, at, weights, config):
    heads, kv = config["num_attention_heads"], config["num_key_value_heads"]
    tokens, group = len(x), heads // kv
    fused = linear(x, weights[f"{at}.wqkv.weight"], weights.get(f"{at}.wqkv.bias"))
    # per key-value head: its queries, then its key, then its value
    fused = fused.view(tokens, kv, group + 2, -1).permute(1, 2, 0, 3)
    stretch = (config["rope_scaling"] or {"factor": 1.0})["factor"]
    mixed = []
    for head in range(heads):
        own = fused[head // group]
        query = rotate(own[head % group][None], config["rope_theta"], stretch)[0]
        key = rotate(own[group][None], config["rope_theta"], stretch)[0]
        logits = query @ key.T / math.sqrt(query.shape[-1])
        hidden_future = torch.ones_like(logits).triu(1).bool()
        mixed.append(logits.masked_fill(hidden_future, -math.inf).softmax(-1) @ own[group + 1])
    return linear(torch.cat(mixed, -1), weights[f"{at}.wo.weight"], weights.get(f"{at}.wo.bias"))


def reference(config, tensors, sequence):
    weights = {key: tensor.double() for key, tensor in tensors.items()}
    epsilon = config["rms_norm_eps"]
    x = weights["model.tok_embeddings.weight"][torch.tensor(sequence)]
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}"
        normed = norm(x, weights[f"{at}.attention_norm.weight"], epsilon)
        x = x + attention(normed, f"{at}.attention", weights, config)
        normed = norm(x, weights[f"{at}.ffn_norm.weight"], epsilon)
        gate = silu(linear(normed, weights[f"{at}.feed_forward.w1.weight"]))
        up = linear(normed, weights[f"{at}.feed_forward.w3.weight"])
        x = x + linear(gate * up, weights[f"{at}.feed_forward.w2.weight"])
    last = norm(x[-1], weights["model.norm.weight"], epsilon)
    return float(weights["v_head.weight"][0] @ last)


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_scores_are_those_of_a_plain_forward(tmp_path, changes):
    config = internlm2_config(**changes)
    tensors = internlm2_tensors(config)
    expected = [reference(config, tensors, sequence) for sequence in SEQUENCES]
    assert max(expected) - min(expected) > 1  # scores that tell sequences apart
    folder = str(write_checkpoint(tmp_path / "model", config, tensors))
    for dtype in ("float32", "float64"):
        scores = rmeval.load_model(folder, dtype=dtype, device="cpu").score_tokens(SEQUENCES)
        assert scores == pytest.approx(expected, abs=5e-5, rel=0)


def test_fields_left_out_of_the_config_take_internlm2s_own_defaults(tmp_path):
    """Its configuration class says: biases, as many key-value heads as heads, theta 10000."""
    config = internlm2_config(bias=True, num_key_value_heads=4, rope_theta=10000)
    config["rms_norm_eps"] = 1e-6
    tensors = internlm2_tensors(config)
    folder = write_checkpoint(tmp_path / "model", config, tensors)
    defaults = ("bias", "num_key_value_heads", "rope_theta", "rms_norm_eps", "hidden_act")
    edit_config(folder, remove=(*defaults, "rope_scaling"))
    scores = rmeval.load_model(str(folder), dtype="float32", device="cpu").score_tokens(SEQUENCES)
    expected = [reference(config, tensors, sequence) for sequence in SEQUENCES]
    assert scores == pytest.approx(expected, abs=5e-5, rel=0)


def test_the_plain_forward_itself_agrees_with_the_authors():
    config = internlm2_config(num_hidden_layers=3, intermediate_size=80, vocab_size=512)
    tensors = read_tensors(GOLDEN / "internlm2")
    ids, scores = golden_cases(GOLDEN / "internlm2")
    plain = [reference(config, tensors, sequence) for sequence in ids[:8]]
    assert plain == pytest.approx(scores[:8], abs=5e-5, rel=0)


def test_float64_is_no_further_from_exact_than_float32():
    config = internlm2_config(num_hidden_layers=3, intermediate_size=80, vocab_size=512)
    tensors = read_tensors(GOLDEN / "internlm2")
    ids = golden_cases(GOLDEN / "internlm2")[0][:24]
    exact = [reference(config, tensors, sequence) for sequence in ids]
    errors = {}
    for dtype in ("float32", "float64"):
        scores = load_golden("internlm2", dtype).score_tokens(ids)
        errors[dtype] = sum(abs(a - b) for a, b in zip(scores, exact, strict=True))
    assert errors["float64"] < errors["float32"]
