"""Writes tests/golden_text/llama3-real.jsonl: real conversations, Llama 3's tokenizer, QRM's class.

    python scripts/golden/real.py --shared ../shared/data

The tokenizer, the weights (`golden-families/qrm`) and the texts are not the project's to give away,
so a row names its conversation, and holds the number of its tokens, a hash of them, and the score.
"""

import argparse
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from folders import OUT
from networks import rewardbench
from safetensors.torch import load_file
from transformers import LlamaConfig, PreTrainedTokenizerFast

FILES = {"hh_rlhf_harmless": 60, "rm_bench": 15, "judgebench": 10, "gsm8k_pairs": 15}
LONGEST = 900  # tokens; so that the test is quick
EVERY = 13  # of a file's rows, to have them from all of it


def conversations(shared: Path) -> Iterator[tuple[str, int, list[dict[str, str]]]]:
    """Yields (file, row, messages) from all of each file."""
    for name in FILES:
        lines = (shared / "benchmarks" / f"{name}.jsonl").read_text(encoding="utf-8").split("\n")
        for index in range(0, len(lines) - 1, EVERY):
            row = json.loads(lines[index])
            yield name, index, [*row["prompt"], {"role": "assistant", "content": row["chosen"][0]}]


def fingerprint(ids: list[int]) -> str:
    return sha256(np.array(ids, "<u4").tobytes()).hexdigest()[:32]


def load_tokenizer(shared: Path) -> Any:
    folder = shared / "tokenizers" / "llama3"
    said = json.loads((folder / "tokenizer_config.json").read_text())
    return PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        chat_template=(folder / "chat_template.jinja").read_text(),
        **{name: said[name] for name in ("bos_token", "eos_token", "pad_token")},
    )


def load_qrm(shared: Path) -> Any:
    folder = shared / "golden-families" / "qrm"
    fields = json.loads((folder / "config.json").read_text())
    config = LlamaConfig(**{k: v for k, v in fields.items() if k != "model_type"})
    config._attn_implementation = "eager"
    model = rewardbench("models/qrm").LlamaForRewardModelWithGating31(config).eval().float()
    weights = load_file(folder / "model.safetensors")
    model.load_state_dict({key: value.float() for key, value in weights.items()}, strict=True)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shared", type=Path, required=True)
    shared = parser.parse_args().shared
    torch.set_num_threads(1)
    tokenizer, model = load_tokenizer(shared), load_qrm(shared)
    rows, wanted = [], dict(FILES)
    for name, index, messages in conversations(shared):
        ids = tokenizer.apply_chat_template(messages, tokenize=True) if wanted[name] else []
        if not 0 < len(ids) <= LONGEST:
            continue
        wanted[name] -= 1
        tensor = torch.tensor([ids])
        with torch.no_grad():
            score = float(model(tensor, attention_mask=torch.ones_like(tensor)).score[0])
        made = {"file": name, "row": index, "tokens": len(ids), "sha256": fingerprint(ids)}
        rows.append({**made, "score": score})
    (OUT / "llama3-real.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(len(rows), "rows")


if __name__ == "__main__":
    main()
