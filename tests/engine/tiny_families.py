"""Tiny random networks of many architectures, with weights so large that a wrong token shows."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import torch
import transformers as hf
from checkpoints import internlm2_config, internlm2_tensors, write_checkpoint

import rmeval
from rmeval.engine.forward import forward_padded, start_packed
from rmeval.models.network import Network

VOCABULARY = 96
WINDOW = 8
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 256,
    "pad_token_id": None,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GROUPED = {**SIZES, "num_key_value_heads": 2}
SLIDING = {"layer_types": ["sliding_attention"] * 2, "sliding_window": WINDOW}
ALTERNATING = {
    "num_hidden_layers": 3,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    "sliding_window": WINDOW,
}
GEMMA = {**GROUPED, **ALTERNATING, "head_dim": 8, "query_pre_attn_scalar": 8}
GPT2 = {
    "vocab_size": VOCABULARY,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 256,
    **{"bos_token_id": 1, "eos_token_id": 2},
}
PACKED = {
    "llama": lambda: hf.LlamaModel(hf.LlamaConfig(**GROUPED)),
    "mistral": lambda: hf.MistralModel(hf.MistralConfig(**GROUPED, sliding_window=WINDOW)),
    "qwen2": lambda: hf.Qwen2Model(hf.Qwen2Config(**GROUPED, use_sliding_window=True, **SLIDING)),
    "qwen3": lambda: hf.Qwen3Model(hf.Qwen3Config(**GROUPED, head_dim=8)),
    "gemma2": lambda: hf.Gemma2Model(
        hf.Gemma2Config(**GEMMA, attn_logit_softcapping=5.0, attn_implementation="eager")
    ),
    "gemma3": lambda: hf.Gemma3TextModel(hf.Gemma3TextConfig(**GEMMA)),
    "phi3": lambda: hf.Phi3Model(hf.Phi3Config(**GROUPED)),
    "olmo2": lambda: hf.Olmo2Model(hf.Olmo2Config(**GROUPED)),
    "gpt-neox": lambda: hf.GPTNeoXModel(hf.GPTNeoXConfig(**SIZES)),
    "gpt2": lambda: hf.GPT2Model(hf.GPT2Config(**GPT2, pad_token_id=None)),
}
WINDOWED = ("mistral", "qwen2", "gemma2", "gemma3")


def with_large_weights(backbone, dtype=torch.float32, seed=0):
    """Returns the network of a backbone whose matrices are drawn anew, with a head on 32 states."""
    random = torch.Generator().manual_seed(seed)
    head = torch.nn.Linear(32, 1)
    network = Network(backbone.to(dtype), head.to(torch.promote_types(dtype, torch.float32)))
    for parameter in network.parameters():
        drawn = 0.3 * torch.randn(parameter.shape, generator=random)
        parameter.data.copy_(drawn if parameter.ndim > 1 else parameter.data + drawn)
    return network.eval().requires_grad_(False)


@cache
def tiny(name, dtype=torch.float32):
    """Returns the network of a family; equal weights in every dtype, up to rounding."""
    if name == "internlm2":
        folder = Path(tempfile.mkdtemp(prefix="rmeval-tests-"))
        config = internlm2_config(vocab_size=VOCABULARY, reward_token_id=95)
        write_checkpoint(folder, config, internlm2_tensors(config))
        precision = str(dtype).removeprefix("torch.")
        return rmeval.load_model(str(folder), dtype=precision, device="cpu").network
    torch.manual_seed(0)
    return with_large_weights(PACKED[name](), dtype)


def tokens(sequence):
    return np.asarray(sequence, np.int32)


def alone(network, sequences):
    """The reference: the padded path, one sequence in each forward pass, so without padding."""
    return [forward_padded(network, [tokens(sequence)])[0] for sequence in sequences]


def in_one_pack(network, sequences):
    """The rewards of distinct sequences computed together, in the order of the input."""
    order = sorted(range(len(sequences)), key=lambda index: list(sequences[index]))
    rewards = start_packed(network, [tokens(sequences[index]) for index in order]).read()
    return [rewards[order.index(index)] for index in range(len(sequences))]


def family_tree(seed=0, longest=2 * WINDOW + 7):
    """Sequences that share much and little: branches, a prefix, one token, and nothing shared."""
    draw = np.random.default_rng(seed)
    trunk = draw.integers(0, VOCABULARY, longest).tolist()

    def branch(shared, own):
        return trunk[:shared] + draw.integers(0, VOCABULARY, own).tolist()

    shared = [branch(5, 3), branch(5, 20), branch(12, 1), branch(19, 4), branch(longest, 2)]
    return [trunk, trunk[:9], trunk[:1], *shared, branch(0, 1), branch(0, 30), branch(0, 6)]
