"""Tiny random checkpoints in the layout of each family, and its authors' class to score with.

The classes are transformers' own, and those that RewardBench keeps (`pip install --no-deps
rewardbench==0.1.4`), each loaded by file: the package itself needs much more than its classes do.
"""

import importlib.util
import json
import sys
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers as hf
from safetensors.torch import save_file
from torch import nn
from transformers.models.llama import modeling_llama

VOCABULARY = 640  # of every model: at least as many as its tokenizer has
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 2048,
}
DECODER = {**SIZES, "num_key_value_heads": 2, "tie_word_embeddings": False}
ONE_LABEL: dict[str, Any] = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
STEP = 64  # weights are multiples of 1/64, so that git packs them well


class Network(NamedTuple):
    """config.json's fields, how to build the class from it, and how to read its score."""

    config: dict[str, Any]
    build: Callable[[dict[str, Any]], nn.Module]
    read: Callable[[Any, torch.Tensor], float]


def rewardbench(name: str) -> ModuleType:
    """Returns one module of RewardBench, by file. Two names it imports are gone from 4.57.6."""
    for gone in ("LLAMA_INPUTS_DOCSTRING", "_CONFIG_FOR_DOC"):
        if not hasattr(modeling_llama, gone):
            setattr(modeling_llama, gone, "")
    path = distribution("rewardbench").locate_file(f"rewardbench/{name}.py")
    spec = importlib.util.spec_from_file_location(f"of_rewardbench.{name}", str(path))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _llama(fields: dict[str, Any]) -> Any:
    return hf.LlamaConfig(**{k: v for k, v in fields.items() if k != "model_type"})


def _logits(model: nn.Module, ids: torch.Tensor) -> float:
    return float(model(ids, attention_mask=torch.ones_like(ids)).logits[0][0])


def _last(model: nn.Module, ids: torch.Tensor) -> float:
    """Reads what returns one tensor, or a tuple whose last is the reward."""
    output = model(input_ids=ids, attention_mask=torch.ones_like(ids))
    return float(output.flatten()[-1] if isinstance(output, torch.Tensor) else output[-1])


def _masked(model: nn.Module, ids: torch.Tensor) -> float:
    """RewardBench's pipeline: BOS twice, of which the first may not be looked at."""
    twice = torch.cat([ids[:, :1], ids], 1)
    mask = torch.ones_like(twice)
    mask[0, 0] = 0
    return float(model(twice, attention_mask=mask).logits[0][0])


def _own(module: str, name: str) -> Callable[[dict[str, Any]], nn.Module]:
    return lambda fields: getattr(rewardbench(f"models/{module}"), name)(_llama(fields))


class Urm(hf.LlamaPreTrainedModel):  # type: ignore[misc]  # transformers is not typed here
    """URM's head as SGLang's llama_reward.py describes it: even rows are means."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = hf.LlamaModel(config)
        self.score = nn.Linear(config.hidden_size, 10, bias=False)
        layers = [nn.Linear(config.hidden_size, 8), nn.SELU(), nn.Linear(8, 5)]
        self.weights = nn.ModuleDict({"fc": nn.Sequential(*layers)})

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Returns the reward of one sequence."""
        state = self.model(input_ids, attention_mask=attention_mask).last_hidden_state[:, -1]
        reward: torch.Tensor = (self.score(state)[:, ::2] * self.weights["fc"](state)).sum(-1)
        return reward


class Eurus(hf.MistralPreTrainedModel):  # type: ignore[misc]
    """Eurus-RM: UltraRM's head on Mistral (openbmb/Eurus-RM-7b, modeling_eurus_rm.py)."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = hf.MistralModel(config)
        self.regression_head = nn.Linear(config.hidden_size, 1, bias=False)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Returns the reward of one sequence."""
        states = self.model(input_ids, attention_mask=attention_mask).last_hidden_state
        reward: torch.Tensor = self.regression_head(states[:, -1])
        return reward


def _grm(model: nn.Module, ids: torch.Tensor) -> float:
    return float(model(input_ids=ids, attention_mask=torch.ones_like(ids)).flatten()[0])


def _fields(architecture: str, model_type: str = "llama", **more: Any) -> dict[str, Any]:
    return {"architectures": [architecture], "model_type": model_type, **DECODER, **more}


NETWORKS = {
    "classifier": Network(
        _fields("LlamaForSequenceClassification", **ONE_LABEL),
        lambda fields: hf.LlamaForSequenceClassification(_llama(fields)),
        _logits,
    ),
    "rewardbench": Network(
        _fields("LlamaForSequenceClassification", **ONE_LABEL),
        lambda fields: hf.LlamaForSequenceClassification(_llama(fields)),
        _masked,
    ),
    "gemma2": Network(
        _fields(
            "Gemma2ForSequenceClassification",
            "gemma2",
            **ONE_LABEL,
            head_dim=4,
            query_pre_attn_scalar=4,
            attn_logit_softcapping=50.0,
            final_logit_softcapping=30.0,
            sliding_window=16,
            hidden_activation="gelu_pytorch_tanh",
        ),
        lambda f: hf.Gemma2ForSequenceClassification(
            hf.Gemma2Config(**{**f, "attn_implementation": "eager"})
        ),
        _logits,
    ),
    "causal": Network(
        _fields("LlamaForCausalLM"),
        lambda fields: hf.LlamaForCausalLM(_llama(fields)),
        lambda model, ids: float(
            model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=1,
                do_sample=False,
                return_dict_in_generate=True,
                output_scores=True,
            ).scores[0][0][0]
        ),
    ),
    "grm": Network(
        _fields(
            "LlamaForCausalLM", vhead_layer_type="mlp", vhead_num_neurons=24, vhead_num_layers=1
        ),
        lambda f: rewardbench("models/grm").GRewardModel(_llama(f)),
        _grm,
    ),
    "inform": Network(
        _fields("INFORMForSequenceClassification", **ONE_LABEL),
        _own("inform", "INFORMForSequenceClassification"),
        _logits,
    ),
    "urm": Network(
        _fields("LlamaForSequenceClassificationWithNormal_Weights"), lambda f: Urm(_llama(f)), _last
    ),
    "ultrarm": Network(
        _fields("LlamaRewardModel"), _own("openbmb", "LlamaRewardModel"), _last
    ),
    "eurus": Network(
        _fields("EurusRewardModel", "mistral", sliding_window=None),
        lambda f: Eurus(hf.MistralConfig(**f)),
        _last,
    ),
    "beaver": Network(
        _fields("LlamaForScore", score_type="reward", score_dim=1, bias=False, do_normalize=False,
                normalizer_type=None, momentum=None),
        _own("beaver", "LlamaForScore"),
        lambda model, ids: float(
            model(ids, attention_mask=torch.ones_like(ids)).end_scores.flatten()[0]
        ),
    ),
    "starling": Network(
        _fields("LlamaForSequenceClassification"),
        _own("starling", "LlamaForSequenceClassification"),
        lambda model, ids: float(model(ids, attention_mask=torch.ones_like(ids))["scores"][0]),
    ),
    "bert": Network(
        {"architectures": ["BertForSequenceClassification"], "model_type": "bert", **SIZES,
         **ONE_LABEL, "max_position_embeddings": 512, "type_vocab_size": 2},
        lambda f: hf.BertForSequenceClassification(hf.BertConfig(**f)),
        _logits,
    ),
    "deberta": Network(
        {"architectures": ["DebertaV2ForSequenceClassification"], "model_type": "deberta-v2",
         **SIZES, **ONE_LABEL, "max_position_embeddings": 512, "type_vocab_size": 0,
         "relative_attention": True, "position_buckets": 16, "max_relative_positions": -1,
         "norm_rel_ebd": "layer_norm", "share_att_key": True, "pos_att_type": ["p2c", "c2p"],
         "position_biased_input": False, "pooler_hidden_size": 16, "pooler_dropout": 0,
         "pooler_hidden_act": "gelu"},
        lambda f: hf.DebertaV2ForSequenceClassification(hf.DebertaV2Config(**f)),
        _logits,
    ),
    "pairrm": Network(
        {"architectures": ["DebertaV2PairRM"], "model_type": "deberta-v2", **SIZES,
         "max_position_embeddings": 512, "type_vocab_size": 0, "relative_attention": True,
         "position_buckets": 16, "max_relative_positions": -1, "norm_rel_ebd": "layer_norm",
         "share_att_key": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False,
         "n_tasks": 1, "drop_out": 0.05, "sep_token_id": 2, "source_prefix_id": 281,
         "cand1_prefix_id": 282, "cand2_prefix_id": 283, "cand_prefix_id": 284},
        lambda f: rewardbench("models/pairrm").DebertaV2PairRM(hf.DebertaV2Config(**f)),
        lambda model, ids: float(
            model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
        ),
    ),
}  # fmt: skip


def write(kind: str, folder: Path, *, seed: int = 1, **changes: Any) -> nn.Module:
    """Writes config.json and model.safetensors, and returns the class that holds these weights."""
    network = NETWORKS[kind]
    fields = {**network.config, **changes}
    model = network.build(dict(fields)).eval().float()
    generator = np.random.Generator(np.random.PCG64(seed))
    held = model.state_dict()
    for name in sorted(held):
        tensor = held[name]
        if not tensor.is_floating_point() or name.startswith("normalizer."):
            continue
        drawn = generator.standard_normal(tuple(tensor.shape))
        if tensor.ndim == 1:
            norm = name.endswith("weight") and "gemma" not in fields["model_type"]
            drawn = norm + 0.25 * drawn
        elif "embed" not in name:
            drawn = drawn * 1.5 / tensor.shape[-1] ** 0.5
        tensor.copy_(torch.from_numpy(np.round(drawn * STEP) / STEP))
    model.load_state_dict(held)
    fields["torch_dtype"] = "float32"
    (folder / "config.json").write_text(json.dumps(fields, indent=1) + "\n")
    kept = {k: v.contiguous() for k, v in held.items() if not k.endswith("position_ids")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    return model


def score(kind: str, model: nn.Module, ids: list[int]) -> float:
    """Returns the reward of one sequence, alone, in float32."""
    with torch.no_grad():
        return NETWORKS[kind].read(model, torch.tensor([ids]))
