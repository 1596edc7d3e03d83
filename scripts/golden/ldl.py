"""Writes a tiny LDL-Reward as its authors' class saves itself, and the scores that the class gives.

usage: python scripts/golden/ldl.py FOLDER        (the environment is that of README.md)
"""

import json
import random
import sys
from pathlib import Path

import torch
import transformers as hf
from networks import rewardbench

SIZES = {"vocab_size": 96, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4}
MORE = {"query_pre_attn_scalar": 4, "sliding_window": 8, "max_position_embeddings": 128}
OBJECTIVES, BINS, INNER, SCORED = 4, 10, 12, 32


@torch.inference_mode()
def main(folder: Path) -> None:
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    ldl = rewardbench("models/ldlreward")
    config = hf.Gemma2Config(**SIZES, **HEADS, **MORE, attn_implementation="eager")
    model = ldl.LDLRewardModel27B(config).eval()
    # 4096 wide in the published model
    model.regression_layer = ldl.MultiOutputNN(16, OBJECTIVES * BINS, hidden_dims=[INNER, INNER])
    model.gating_layer = ldl.GatingNN(16, OBJECTIVES, hidden_dim=INNER)
    for weight in model.parameters():
        weight.add_(0.3 * torch.randn_like(weight))
    model.eval().save_pretrained(str(folder))
    rows = []
    for ids in _texts():
        output = model(input_ids=torch.tensor([ids]), return_dict=True)
        means = output.rewards[0] @ torch.linspace(0, 1, BINS)
        rows.append({"input_ids": ids, "score": float(output.score), "objectives": means.tolist()})
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    (folder / "cases.jsonl").write_text(text)


def _texts() -> list[list[int]]:
    """Returns ids, some with the pad token, 0, in the middle or at the end."""
    draw = random.Random(0)
    texts = [[draw.randrange(1, 96) for _ in range(draw.randint(4, 40))] for _ in range(SCORED)]
    return [*texts[:-3], [*texts[-3], 0, 5, 6], [*texts[-2], 0], [*texts[-1][:2], 0, *texts[-1]]]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
