"""What is right before it is damaged: a checkpoint, rows, results, recipes; tiny, and made once."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

TEMPLATE = "{% for m in messages %}[{{ m.role }}]{{ m.content }}</s>{% endfor %}"
SIZES: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 24,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
ROWS = [
    {
        "id": f"r{number}",
        "subset": "s",
        "prompt": [{"role": "user", "content": f"Why {number}?"}],
        "chosen": [{"role": "assistant", "content": "So."}],
        "rejected": [{"role": "assistant", "content": "No é."}],
    }
    for number in range(3)
]
TALKS = [
    {
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": f"Hi {number}"},
            {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]},
        ],
        "id": number,
    }
    for number in range(2)
]
ANSWERED: list[dict[str, Any]] = [
    {"prompt": "2 + 2?", "responses": ["4", "5"], "correct": [True, False], "answers": ["4", "5"]},
    {
        "prompt": "1 + 1?",
        "responses": ["3", "4", "2"],
        "correct": [0, 0, 1],
        "answers": [3, 4, None],
    },
    {"prompt": "0 + 0?", "responses": ["9"], "correct": [False], "answers": ["9"]},
]
RANKED = [
    {"prompt": "Why?", "responses": ["a", "b", "c"], "scores": [0.5, 0.1, -3.0]},
    {"prompt": [{"role": "user", "content": "How?"}], "responses": ["a", "b"], "scores": [1, 2]},
]


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def write_tokenizer(folder: Path) -> None:
    """Writes a byte-level BPE of 300 tokens as tokenizer.json, with its settings."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = [AddedToken(text, special=True) for text in ("<pad>", "<s>", "</s>")]
    trainer = trainers.BpeTrainer(
        vocab_size=SIZES["vocab_size"],
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["the quick brown fox jumps over the lazy dog " * 9], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": {"__type": "AddedToken", "content": "</s>", "special": True},
        "pad_token": "<pad>",
        "model_max_length": 512,
        "clean_up_tokenization_spaces": False,
        "chat_template": TEMPLATE,
        "added_tokens_decoder": {
            str(i): {"content": token.content, "special": True} for i, token in enumerate(specials)
        },
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "special_tokens_map.json").write_text(json.dumps({"eos_token": "</s>"}))


def write_model(folder: Path, model_type: str = "llama", *, causal: bool = False) -> Path:
    """Writes a classifier with one label, or a language model, of random weights."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(model_type, **SIZES, **({} if causal else {"num_labels": 1}))
    auto = AutoModelForCausalLM if causal else AutoModelForSequenceClassification
    model = auto.from_config(config)
    model.save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def copy(folder: Path, source: Path) -> Path:
    """Copies a world, so that it may be damaged."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    return folder


def make_worlds(root: Path) -> Path:
    """Makes all of them once."""
    from demo_results import keep

    from rmeval.cli import main

    write_model(root / "classifier")
    write_model(root / "policy", causal=True)
    keep(root / "results" / "demo" / "a")
    keep(root / "results" / "demo" / "b", won={"alpacaeval-easy": 3})
    (root / "rows.jsonl").write_text(lines(ROWS))
    (root / "talks.jsonl").write_text(lines(TALKS))
    (root / "ranked.jsonl").write_text(lines(RANKED))
    told = ["baseline", root / "results" / "demo" / "a", "--output", root / "base.json"]
    assert main([str(word) for word in told]) == 0
    return root
