"""A causal language model with random weights and the demonstration's tokenizer."""

from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

import rmeval


def tiny_generator(folder: Path, **changes: Any) -> Path:
    """Writes the model; `changes` are of its configuration."""
    tokenizer = rmeval.load_model("demo", device="cpu").tokenizer
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 4103}
    marks = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**{**sizes, **heads, **marks, **changes})).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
