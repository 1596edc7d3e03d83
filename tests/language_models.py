"""Tiny policies and references, and DPO rewards worked from their whole logits in float64."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

import rmeval

VOCABULARY = 96
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
}
HEADS_OF_8 = {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 8}  # Gemma's


def write_language_model(
    folder: Path, seed: int, model_type: str = "llama", **changes: Any
) -> Path:
    """Saves random weights, so large that a wrong token shows."""
    torch.manual_seed(seed)
    config = AutoConfig.for_model(model_type, **{**SIZES, **changes})
    model = AutoModelForCausalLM.from_config(config)
    for parameter in model.parameters():
        drawn = 0.3 * torch.randn(parameter.shape)
        parameter.data.copy_(drawn if parameter.ndim > 1 else parameter.data + drawn)
    model.save_pretrained(folder)
    return folder


def write_pair(folder: Path, model_type: str = "llama", **changes: Any) -> tuple[Path, Path]:
    """Saves a policy and its reference."""
    policy = write_language_model(folder / "policy", 1, model_type, **changes)
    return policy, write_language_model(folder / "reference", 2, model_type, **changes)


def load(policy: Path, reference: Path | str = "none", **options: Any) -> rmeval.RewardModel:
    return rmeval.load_model(
        policy, reference=reference, **{"dtype": "float32", "device": "cpu", **options}
    )


@cache
def _whole(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float64, attn_implementation="eager"
    )


def log_probability(folder: Path, prompt: list[int], response: list[int]) -> float:
    """The sum over a response's tokens, from the logits of all tokens in float64."""
    with torch.inference_mode():
        logits = _whole(folder)(torch.tensor([[*prompt, *response]]), use_cache=False).logits[0]
    shares = logits.double().log_softmax(-1)[len(prompt) - 1 :]
    return float(sum(shares[place, token] for place, token in enumerate(response)))
