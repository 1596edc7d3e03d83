"""Tiny checkpoints for tests: random weights in the layouts of the published ones."""

import json
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from conftest import GOLDEN
from safetensors.torch import load_file, save_file

import rmeval

torch.set_num_threads(1)  # networks this small only lose by sharing their work

Tensors = dict[str, torch.Tensor]
TOLERANCE = 5e-5  # what a score may differ from the authors' in float32
TOKENIZER_FILES = ("tokenizer.model", "tokenizer_config.json", "special_tokens_map.json")


@cache
def load_golden(name: str, dtype: str = "float32") -> rmeval.RewardModel:
    return rmeval.load_model(str(GOLDEN / name), dtype=dtype, device="cpu")


def golden_cases(folder: Path) -> tuple[list[list[int]], list[float]]:
    rows = [json.loads(line) for line in (folder / "cases.jsonl").read_text().splitlines()]
    return [row["input_ids"] for row in rows], [row["score"] for row in rows]


def copy_golden(name: str, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("config.json", "model.safetensors"):
        shutil.copy(GOLDEN / name / file, folder / file)
    return folder


def edit_config(folder: Path, remove: tuple[str, ...] = (), **changes: Any) -> None:
    path = folder / "config.json"
    kept = {key: value for key, value in json.loads(path.read_text()).items() if key not in remove}
    path.write_text(json.dumps({**kept, **changes}))


def read_tensors(folder: Path) -> Tensors:
    return load_file(folder / "model.safetensors")


def write_tensors(folder: Path, tensors: Tensors) -> None:
    contiguous = {key: tensor.contiguous() for key, tensor in tensors.items()}
    save_file(contiguous, _weights(folder), metadata={"format": "pt"})


def write_checkpoint(folder: Path, config: Mapping[str, Any], tensors: Tensors) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    write_tensors(folder, tensors)
    return folder


def split_in_two(folder: Path) -> None:
    """Turns the one weight file into two, with an index, as large checkpoints come."""
    tensors = read_tensors(folder)
    _weights(folder).unlink()
    names = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    weight_map = {key: names[index % 2] for index, key in enumerate(tensors)}
    for name in names:
        save_file({k: t for k, t in tensors.items() if weight_map[k] == name}, folder / name)
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def internlm2_config(**changes: Any) -> dict[str, Any]:
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2}
    depth = {"num_hidden_layers": 2, "intermediate_size": 48, "vocab_size": 64}
    return {
        "architectures": ["InternLM2ForRewardModel"],
        "model_type": "internlm2",
        "bias": False,
        "hidden_act": "silu",
        "max_position_embeddings": 256,
        "reward_token_id": 63,
        "rms_norm_eps": 1e-5,
        "rope_scaling": None,
        "rope_theta": 1000000,
        "torch_dtype": "float16",
        **sizes,
        **depth,
        **changes,
    }


def internlm2_tensors(config: Mapping[str, Any], seed: int = 0) -> Tensors:
    """Returns random weights under InternLM2-Reward's own names, of a size that makes scores."""
    random = torch.Generator().manual_seed(seed)
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    heads, kv = config["num_attention_heads"], config["num_key_value_heads"]
    width = (heads + 2 * kv) * (hidden // heads)

    def matrix(rows: int, columns: int) -> torch.Tensor:
        return torch.randn(rows, columns, generator=random) * 1.5 / columns**0.5

    def vector(size: int, mean: float) -> torch.Tensor:
        return mean + 0.3 * torch.randn(size, generator=random)

    tensors = {"model.tok_embeddings.weight": matrix(config["vocab_size"], hidden)}
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}"
        tensors |= {
            f"{at}.attention_norm.weight": vector(hidden, 1),
            f"{at}.attention.wqkv.weight": matrix(width, hidden),
            f"{at}.attention.wo.weight": matrix(hidden, hidden),
            f"{at}.ffn_norm.weight": vector(hidden, 1),
            f"{at}.feed_forward.w1.weight": matrix(inner, hidden),
            f"{at}.feed_forward.w3.weight": matrix(inner, hidden),
            f"{at}.feed_forward.w2.weight": matrix(hidden, inner),
        }
        if config["bias"]:
            tensors |= {
                f"{at}.attention.wqkv.bias": vector(width, 0),
                f"{at}.attention.wo.bias": vector(hidden, 0),
            }
    return {
        **tensors,
        "model.norm.weight": vector(hidden, 1),
        "v_head.weight": matrix(1, hidden) * 3,
    }


def _weights(folder: Path) -> Path:
    return folder / "model.safetensors"
