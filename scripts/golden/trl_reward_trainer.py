"""Trains a tiny reward model with TRL's RewardTrainer, and writes what TRL itself measures of it.

The tokenizer has no pad token, and the chat template, as Llama-3's, ends every turn in the end
token; so the trainer makes that the pad token, and the class reads the token before it.
Needs trl: 1.16.0 made tests/golden_trained/trl, with transformers 5.24.0 and torch 2.13.0 on a CPU.

usage: python scripts/golden/trl_reward_trainer.py FOLDER
"""

import json
import random
import sys
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from trl import RewardConfig, RewardTrainer

SPECIALS = ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content | trim }}<|eot_id|>{% endfor %}"
)
GOOD, BAD, EITHER = ["yes", "sum", "clear"], ["no", "dunno"], ["well", "it", "so"]
SIZES = {"vocab_size": 260, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256}
TRAINED, HELD = 256, 64


def main(folder: Path) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    rows = _rows()
    config = hf.LlamaConfig(**SIZES, **HEADS, num_labels=1, bos_token_id=0, eos_token_id=1)
    trainer = RewardTrainer(
        model=hf.LlamaForSequenceClassification(config),
        args=RewardConfig(
            output_dir=str(folder),
            max_steps=16,
            learning_rate=3e-3,
            max_length=256,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to=[],
            save_strategy="no",
        ),
        train_dataset=Dataset.from_list(rows[:TRAINED]),
        eval_dataset=Dataset.from_list(rows[TRAINED:]),
        processing_class=_tokenizer(),
    )
    trainer.train()
    metrics = trainer.evaluate()
    trainer.save_model(str(folder))
    held = [_as_texts(number, row) for number, row in enumerate(rows[TRAINED:])]
    (folder / "pairs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in held))
    told = {name: metrics[f"eval_{name}"] for name in WANTED}
    (folder / "metrics.json").write_text(f"{json.dumps(told, indent=1)}\n")


WANTED = ("accuracy", "margin", "loss", "min_reward", "mean_reward", "max_reward")


def _as_texts(number: int, row: dict[str, Any]) -> dict[str, str]:
    """Returns a pair as `rmeval run --data` reads it."""
    answers = {name: talk[-1]["content"] for name, talk in row.items()}
    return {"id": str(number), "prompt": row["chosen"][0]["content"], **answers}


def _tokenizer() -> Any:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*SPECIALS, *letters])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIALS)
    fast = hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=SPECIALS[0], eos_token=SPECIALS[1]
    )
    fast.chat_template = TEMPLATE
    return fast


def _rows() -> list[dict[str, Any]]:
    draw = random.Random(0)

    def words(pool: list[str]) -> str:
        return " ".join(draw.choice(pool) for _ in range(draw.randint(3, 9)))

    rows = []
    for _ in range(TRAINED + HELD):
        asked = f"What is {draw.randint(2, 99)} and {draw.randint(2, 99)}?"
        pools = (("chosen", GOOD), ("rejected", BAD))
        prompt = {"role": "user", "content": asked}
        rows.append(
            {
                name: [prompt, {"role": "assistant", "content": words([*pool, *EITHER, *EITHER])}]
                for name, pool in pools
            }
        )
    return rows


if __name__ == "__main__":
    main(Path(sys.argv[1]))
