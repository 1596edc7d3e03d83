"""Writes tiny adapters with PEFT, and the scores that PEFT gives them, unmerged and merged.

Needs peft: 0.21.2 made tests/golden_adapters, with transformers 5.24.0 and torch 2.13.0 on a CPU.
`texts.json` has token ids, an adapter's `scores.json` for each the reward of PEFT's own inference
in float32: of a classifier its logit, of a value head that of the last token's state, of a language
model the sum of the log probabilities of the tokens from `prompt_tokens` on.

usage: python scripts/golden/adapters.py FOLDER
"""

import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file

SIZES = {"vocab_size": 96, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128}
GPT2 = {"vocab_size": 96, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 128}
BERT = {k: v for k, v in {**SIZES, **HEADS}.items() if k != "num_key_value_heads"}
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
PROMPT, TEXTS = 5, 6
TOLERANCE = 2e-5  # of merged to unmerged, PEFT to PEFT

BASES: dict[str, Any] = {
    "llama-lm": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**SIZES, **HEADS, bos_token_id=0)),
    "llama-tied": lambda: hf.LlamaForCausalLM(
        hf.LlamaConfig(**SIZES, **HEADS, tie_word_embeddings=True)
    ),
    "llama-body": lambda: hf.LlamaModel(hf.LlamaConfig(**SIZES, **HEADS)),
    "llama-cls": lambda: hf.LlamaForSequenceClassification(
        hf.LlamaConfig(**SIZES, **HEADS, num_labels=1, pad_token_id=0)
    ),
    "qwen2-lm": lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**SIZES, **HEADS)),
    "gpt2-lm": lambda: hf.GPT2LMHeadModel(hf.GPT2Config(**GPT2)),
    "modernbert-mlm": lambda: hf.ModernBertForMaskedLM(
        hf.ModernBertConfig(**BERT, pad_token_id=0, global_attn_every_n_layers=2)
    ),
    "bert-cls": lambda: hf.BertForSequenceClassification(hf.BertConfig(**BERT, num_labels=1)),
}
SEQ, LM = {"task_type": "SEQ_CLS"}, {"task_type": "CAUSAL_LM"}
ADAPTERS: dict[str, tuple[str, str, dict[str, Any]]] = {  # base, kind, settings
    "classifier": ("llama-cls", "score", {**SEQ, "target_modules": ["q_proj", "v_proj"]}),
    "fresh-head": ("llama-lm", "score", {**SEQ, "target_modules": ALL, "lora_alpha": 16}),
    "of-body": ("llama-body", "score", {**SEQ, "target_modules": ["q_proj"]}),
    "rslora": ("qwen2-lm", "score", {**SEQ, "target_modules": ALL, "use_rslora": True}),
    "patterns": (
        "llama-lm",
        "score",
        {
            **SEQ,
            "target_modules": ["q_proj", "down_proj"],
            "rank_pattern": {"down_proj": 2, r"layers\.1\.self_attn\.q_proj": 3},
            "alpha_pattern": {"q_proj": 20, "layers.0.mlp.down_proj": 3},
        },
    ),
    "biases": ("qwen2-lm", "score", {**SEQ, "target_modules": ["q_proj"], "bias": "all"}),
    "lora-bias": ("qwen2-lm", "score", {**SEQ, "target_modules": ["q_proj"], "lora_bias": True}),
    "dora": ("llama-cls", "score", {**SEQ, "target_modules": ALL, "use_dora": True}),
    "gpt2": ("gpt2-lm", "score", {**SEQ, "target_modules": ["c_attn", "c_proj", "c_fc"]}),
    "gpt2-dora": ("gpt2-lm", "score", {**SEQ, "target_modules": ["c_attn"], "use_dora": True}),
    "bert": ("bert-cls", "score", {**SEQ, "target_modules": ["query", "value"]}),
    "modernbert": ("modernbert-mlm", "score", {**SEQ, "target_modules": ["Wqkv", "dense"]}),
    "embedding": (
        "llama-lm",
        "score",
        {**SEQ, "target_modules": ["embed_tokens", "q_proj"]},
    ),
    "value-head": ("llama-lm", "value", {**LM, "target_modules": ["q_proj", "v_proj"]}),
    "policy": ("llama-lm", "lm", {**LM, "target_modules": ALL}),
    "policy-trained": (
        "llama-lm",
        "lm",
        {**LM, "target_modules": ["v_proj"], "modules_to_save": ["lm_head", "embed_tokens"]},
    ),
    "policy-logits": ("llama-lm", "lm", {**LM, "target_modules": ["v_proj", "lm_head"]}),
    "policy-tied": ("llama-tied", "lm", {**LM, "target_modules": ["v_proj"]}),
    "policy-untied": (
        "llama-tied",
        "lm",
        {**LM, "target_modules": ["v_proj"], "modules_to_save": ["lm_head"]},
    ),
}


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    texts = _texts()
    folder.mkdir(exist_ok=True)
    told = {"prompt_tokens": PROMPT, "input_ids": texts}
    (folder / "texts.json").write_text(f"{json.dumps(told)}\n")
    for name, make in BASES.items():
        torch.manual_seed(len(name))
        model = make()
        _stir(model, 0.08)
        (model.half() if name.endswith("-lm") else model).save_pretrained(folder / "bases" / name)
    for name, (base, kind, settings) in ADAPTERS.items():
        shutil.rmtree(folder / name, ignore_errors=True)
        _write(folder, name, base, kind, settings, texts)


def _write(
    folder: Path, name: str, base: str, kind: str, settings: dict[str, Any], texts: list[list[int]]
) -> None:
    torch.manual_seed(sum(map(ord, name)))
    where = folder / "bases" / base
    peft = get_peft_model(_load(where, kind), LoraConfig(r=4, **{"lora_alpha": 8, **settings}))
    for key, weight in peft.named_parameters():
        if weight.requires_grad:
            _stir_one(key, weight)
    peft.save_pretrained(folder / name)
    (folder / name / "README.md").unlink()
    about = folder / name / "adapter_config.json"
    said = json.loads(about.read_text())
    about.write_text(json.dumps({**said, "base_model_name_or_path": f"bases/{base}"}, indent=1))
    head = None
    if kind == "value":
        head = {"v_head.summary.weight": torch.randn(1, 16), "v_head.summary.bias": torch.randn(1)}
        save_file(head, folder / name / "value_head.safetensors")
    read = PeftModel.from_pretrained(_load(where, kind), folder / name).eval()
    scores = [_score(read, kind, ids, head) for ids in texts]
    merged = read.merge_and_unload()
    again = [_score(merged, kind, ids, head) for ids in texts]
    assert max(abs(a - b) for a, b in zip(scores, again, strict=True)) < TOLERANCE, name
    told = {"base": base, "kind": kind, "scores": scores}
    (folder / name / "scores.json").write_text(f"{json.dumps(told)}\n")


def _load(where: Path, kind: str) -> Any:
    kinds = {"score": hf.AutoModelForSequenceClassification}
    more = {"num_labels": 1} if kind == "score" else {}
    return kinds.get(kind, hf.AutoModelForCausalLM).from_pretrained(
        where, dtype=torch.float32, **more
    )


@torch.inference_mode()
def _score(model: Any, kind: str, ids: list[int], head: dict[str, torch.Tensor] | None) -> float:
    row = torch.tensor([ids])
    if kind == "score":
        return float(model(input_ids=row, attention_mask=torch.ones_like(row)).logits)
    output = model(input_ids=row, output_hidden_states=True)
    if head is not None:
        state = output.hidden_states[-1][0, -1]
        return float(state @ head["v_head.summary.weight"][0] + head["v_head.summary.bias"])
    found = output.logits[0].double().log_softmax(-1)
    return float(found[range(PROMPT - 1, len(ids) - 1), ids[PROMPT:]].sum())


def _stir(model: torch.nn.Module, much: float) -> None:
    """Makes of fresh weights some that move scores."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(much * torch.randn_like(weight))


def _stir_one(key: str, weight: torch.Tensor) -> None:
    with torch.no_grad():
        weight.add_((0.5 if "score" in key else 0.1) * torch.randn_like(weight))


def _texts() -> list[list[int]]:
    draw = random.Random(0)
    return [[draw.randrange(1, 96) for _ in range(draw.randint(8, 24))] for _ in range(TEXTS)]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
