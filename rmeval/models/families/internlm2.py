"""InternLM2-Reward (arXiv 2403.17297): Llama with fused projections, and a `<|reward|>` token.

The repositories' own code runs only up to transformers 4.57: under 5 its rotary buffer stays
uninitialised and its tokenizer gives other ids, both silently. So the weights go into
transformers' Llama here, which is the same network, and no remote code is run.
"""

import re

import torch
from torch import nn
from transformers import LlamaConfig

from rmeval.errors import BadCheckpoint
from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.checkpoints.other_kinds import has_polar_config, is_polar
from rmeval.models.families.heads import linear_head
from rmeval.models.family import Family, Placed

LAYER_NAMES = {  # wqkv is apart
    "attention.wo": "self_attn.o_proj",
    "feed_forward.w1": "mlp.gate_proj",
    "feed_forward.w3": "mlp.up_proj",
    "feed_forward.w2": "mlp.down_proj",
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
LLAMA_NAMES = {
    "model.tok_embeddings": "backbone.embed_tokens",
    "model.layers": "backbone.layers",
    "model.norm": "backbone.norm",
    "v_head": "head",
    **LAYER_NAMES,
}
OURS = re.compile(r"(?<![a-z_])(" + "|".join(map(re.escape, LLAMA_NAMES)) + r")(?=\.)")


class InternLM2(Family):
    """InternLM2-Reward 1.8B, 7B, 20B and whatever shares their layout."""

    name = "internlm2"
    needs = ("model.tok_embeddings.weight", "v_head.weight")

    @staticmethod
    def claims(checkpoint: Checkpoint) -> bool:
        return checkpoint.architecture == "InternLM2ForRewardModel" and not is_polar(checkpoint)

    @classmethod
    def compatible(cls, checkpoint: Checkpoint) -> bool:
        named = checkpoint.architecture == "InternLM2ForRewardModel"
        return named and not has_polar_config(checkpoint)

    def read_config(self) -> LlamaConfig:
        config = self.checkpoint.config
        rope = {"rope_type": "default", **(config.get("rope_scaling") or {})}
        rope["rope_type"] = rope.pop("type", rope["rope_type"])
        return LlamaConfig(
            vocab_size=self._required("vocab_size"),
            hidden_size=self._required("hidden_size"),
            intermediate_size=self._required("intermediate_size"),
            num_hidden_layers=self._required("num_hidden_layers"),
            num_attention_heads=self._required("num_attention_heads"),
            num_key_value_heads=self._kv_heads(),
            max_position_embeddings=config.get("max_position_embeddings", 2048),
            rms_norm_eps=config.get("rms_norm_eps", 1e-6),
            rope_parameters={**rope, "rope_theta": float(config.get("rope_theta", 10000))},
            attention_bias=config.get("bias", True),
            hidden_act=config.get("hidden_act", "silu"),
            pad_token_id=None,  # ids are padded by position; a pad id may stand in the text
        )

    def head(self) -> nn.Module:
        return linear_head(self.checkpoint, "v_head.weight", bias=False)

    def place(self, key: str, tensor: torch.Tensor) -> Placed:
        if ".attention.wqkv." not in key:
            return [(OURS.sub(lambda match: LLAMA_NAMES[match[0]], key), tensor)]
        kv_heads, heads = self._kv_heads(), self._required("num_attention_heads")
        queries = heads // kv_heads  # query heads of each key-value head
        head_dim = self._required("hidden_size") // heads
        wanted = kv_heads * (queries + 2) * head_dim
        if heads % kv_heads or tensor.shape[0] != wanted:
            raise BadCheckpoint(
                f"{self.checkpoint.folder}: {key} has {tensor.shape[0]} rows where config.json's "
                f"{heads} heads and {kv_heads} key-value heads ask for {wanted}"
            )
        # (kv, queries + 2, head_dim, H), or without H for a bias: q, …, q, k, v of each group
        groups = tensor.reshape(kv_heads, queries + 2, head_dim, *tensor.shape[1:])
        parts = {"q": groups[:, :queries].flatten(0, 1), "k": groups[:, -2], "v": groups[:, -1]}
        layer, kind = key.removeprefix("model.").split(".attention.wqkv.")
        return [
            (f"backbone.{layer}.self_attn.{name}_proj.{kind}", part.flatten(0, 1))
            for name, part in parts.items()
        ]

    def pad_token_id(self) -> int | None:
        pad: int | None = self.checkpoint.config.get("pad_token_id")
        return pad

    def end_token(self) -> int:
        return self._required("reward_token_id")

    def _kv_heads(self) -> int:
        kv_heads = self.checkpoint.config.get("num_key_value_heads")
        return int(kv_heads or self._required("num_attention_heads"))

    def _required(self, key: str) -> int:
        value = self.checkpoint.config.get(key)
        if not isinstance(value, int):
            raise BadCheckpoint(f"{self.checkpoint.folder}/config.json: {key} is missing")
        return value
