"""What is no whole checkpoint: adapters, shards of training states, quantised weights.

Each is refused in one line that says what it is and what makes a whole checkpoint of it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rmeval.errors import BadCheckpoint
from rmeval.models.checkpoints.json_files import read_object

ADAPTER = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model*.[sb]*"  # .safetensors, .bin
UNPROVEN = (  # settings of PEFT's LoraConfig that make of LoRA something else
    "alora_invocation_tokens",
    "arrow_config",
    "ensure_weight_tying",
    "kasa_config",
    "layer_replication",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_qalora",
    "velora_config",
)
BASE_UNCHANGED = ("gaussian", "eva", "orthogonal")  # ways to begin; pissa, olora, … move the base
QUANTISED = ("quantization_config", "compression_config")
OF_TRAINING = {  # what a trainer left, and what makes weights of it
    "DeepSpeed": (
        ("global_step*", "zero_pp_rank_*", "*/zero_pp_rank_*"),
        "python zero_to_fp32.py {folder} OUTPUT --safe_serialization",
    ),
    "verl": (
        ("model_world_size_*_rank_*.pt",),
        "python -m verl.model_merger merge --backend fsdp --local_dir {folder} --target_dir OUTPUT",
    ),
    "FSDP": (
        ("pytorch_model_fsdp*", "*.distcp", "*/*.distcp"),
        "accelerate merge-weights {where} OUTPUT",
    ),
}


def refuse_adapter(folder: Path, reason: str | None = None) -> None:
    """Raises BadCheckpoint where a folder holds an adapter that cannot be applied.

    `reason` is why none can be; without one LoRA is merged, in the forms that are proven.
    """
    files = adapter_files(folder)
    about = read_object(folder / ADAPTER) if ADAPTER in files else {}
    reason = reason or (_why_not_merged(files, about) if files else None)
    if not files or reason is None:
        return
    method = str(about.get("peft_type", "PEFT")).replace("LORA", "LoRA")
    a = "an" if method[0] in "AIO" else "a"
    base = about.get("base_model_name_or_path") or "a base model that it does not name"
    raise BadCheckpoint(
        f"{folder} holds {a} {method} adapter of {base} ({', '.join(files)}): {reason}; merge it "
        "into its base (peft: merge_and_unload, then save_pretrained) and pass the merged folder"
    )


def adapter_files(folder: Path) -> list[str]:
    """Returns the names of the files that make a folder one of an adapter."""
    weights = sorted(file.name for file in folder.glob(ADAPTER_WEIGHTS))
    return [*([ADAPTER] if (folder / ADAPTER).is_file() else []), *weights]


def _why_not_merged(files: list[str], about: Mapping[str, Any]) -> str | None:
    """Returns why an adapter is none that can be merged as its base streams, or None."""
    if ADAPTER not in files:
        return f"without {ADAPTER} nothing says what it changes, and by how much"
    if len(files) > 2:
        return f"{len(files) - 1} files of weights, and nothing says which one counts"
    if about.get("peft_type") != "LORA":
        return "only LoRA adapters are merged here"
    used = [name for name in UNPROVEN if about.get(name)]
    if used:
        return f"{used[0]} in {ADAPTER} is not supported"
    start = about.get("init_lora_weights", True)
    if isinstance(start, str) and start not in BASE_UNCHANGED:
        return f"init_lora_weights {start!r} in {ADAPTER} changes the base's weights, too"
    return None


def refuse_folder_of_a_run(folder: Path) -> None:
    """Raises BadCheckpoint where models or adapters lie in a folder's folders, and none in it."""
    for kind, marked in (("adapters", ADAPTER), ("checkpoints", "config.json")):
        found = sorted({file.parent.name for file in folder.glob(f"*/{marked}")}, key=_by_number)
        if found:
            raise BadCheckpoint(
                f"{folder}: no model, but {kind} in its folders ({', '.join(found[:4])}"
                f"{', …' if found[4:] else ''}); pass one of these"
            )


def _by_number(name: str) -> tuple[str, int]:
    """Orders checkpoint-500 before checkpoint-1000."""
    stem = name.rstrip("0123456789")
    return stem, int(name.removeprefix(stem) or 0)


def refuse_shards_of_training(folder: Path) -> None:
    """Raises BadCheckpoint where a folder holds a trainer's shards in place of weights."""
    for trainer, (patterns, command) in OF_TRAINING.items():
        found = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
        if found:
            where = next((path for path in found if path.is_dir()), folder)
            if found[0].parent != folder:
                where = found[0].parent
            told = command.format(folder=folder, where=where)
            raise BadCheckpoint(
                f"{folder}: {found[0].relative_to(folder)} is of {trainer}'s training state, "
                f"not weights in one piece; consolidate them ({told}), and pass that folder with "
                "config.json and the tokenizer"
            )


def refuse_gguf(folder: Path) -> None:
    """Raises BadCheckpoint where a folder holds llama.cpp's files in place of weights."""
    if found := sorted(file.name for file in folder.glob("*.gguf")):
        raise BadCheckpoint(
            f"{folder}: {found[0]} is of llama.cpp, mostly quantised, which moves "
            "rewards; pass the checkpoint in 16 bits that it was made from"
        )


def refuse_quantised(folder: Path, config: Mapping[str, Any]) -> None:
    """Raises BadCheckpoint where config.json says that the weights are quantised."""
    parts = [config, *(part for part in config.values() if isinstance(part, dict))]
    found = next((part[key] for key in QUANTISED for part in parts if part.get(key)), None)
    if found is None:
        return
    settings = found if isinstance(found, dict) else {}
    in_bits = any(settings.get(f"load_in_{bits}bit") for bits in (4, 8))
    method = settings.get("quant_method") or ("bitsandbytes" if in_bits else "unnamed")
    raise BadCheckpoint(
        f"{folder / 'config.json'}: the weights are quantised ({method}), which changes rewards; "
        "pass the checkpoint in 16 bits, or dequantise it (transformers: model.dequantize(), then "
        "save_pretrained)"
    )
