"""What is no whole checkpoint: adapters, shards of training states, quantised weights.

Each is refused in one line that says what it is and what makes a whole checkpoint of it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rmeval.errors import BadCheckpoint
from rmeval.models.json_files import read_object

ADAPTER = "adapter_config.json"
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
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


def refuse_adapter(folder: Path) -> None:
    """Raises BadCheckpoint where a folder holds an adapter, alone or beside a whole model."""
    files = [name for name in (ADAPTER, *ADAPTER_WEIGHTS) if (folder / name).is_file()]
    if not files:
        return
    about = read_object(folder / ADAPTER) if ADAPTER in files else {}
    method = str(about.get("peft_type", "PEFT")).replace("LORA", "LoRA")
    base = about.get("base_model_name_or_path") or "a base model that it does not name"
    raise BadCheckpoint(
        f"{folder} holds a {method} adapter of {base} ({', '.join(files)}), which would not be "
        "applied; merge it into its base (peft: merge_and_unload, then save_pretrained) and pass "
        "the merged folder"
    )


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
                f"{folder}: {found[0].relative_to(folder)} is of {trainer}'s training state, no "
                f"weights in one piece; consolidate them ({told}), and pass that folder with "
                "config.json and the tokenizer"
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
        f"{folder / 'config.json'}: the weights are quantised ({method}), which moves rewards; "
        "pass the checkpoint in 16 bits, or dequantise it (transformers: model.dequantize(), then "
        "save_pretrained)"
    )
