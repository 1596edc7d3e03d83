"""Tokenizer and checkpoint of the demonstration model, in the file layout of InternLM2-Reward."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import sentencepiece
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerBase

from rmeval.models.families.internlm2 import LAYER_NAMES
from rmeval.models.text.tokenizer_files import load_tokenizer

PIECES = 4096  # sentencepiece's own vocabulary; the special tokens follow it
SPECIALS = ["<|reward|>", "<|plugin|>", "<|interpreter|>", "<|action_end|>", "<|action_start|>",
            "<|im_end|>", "<|im_start|>"]  # fmt: skip
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}{{ '<|reward|>' }}"
)


def train_tokenizer(texts: Sequence[str], folder: Path) -> PreTrainedTokenizerBase:
    """Trains the tokenizer, writes its files and config.json, and returns what transformers reads.

    Raises ValueError where the tokenizer as transformers loads it differs from sentencepiece.
    """
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=trained, model_type="bpe", vocab_size=PIECES,
        byte_fallback=True, add_dummy_prefix=False, normalization_rule_name="identity",
        remove_extra_whitespaces=False, split_digits=True, unk_id=0, bos_id=1, eos_id=2, pad_id=-1,
        character_coverage=0.9998, num_threads=2, minloglevel=1, max_sentence_length=16384,
    )  # fmt: skip
    (folder / "tokenizer.model").write_bytes(trained.getvalue())
    write_json(folder / "tokenizer_config.json", tokenizer_config())
    write_json(folder / "special_tokens_map.json", special_tokens_map())
    write_json(folder / "config.json", checkpoint_config())
    tokenizer: PreTrainedTokenizerBase = load_tokenizer(folder)
    check_tokenizer(tokenizer, folder, texts[:: max(1, len(texts) // 300)])
    return tokenizer


def write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def added_token(content: str) -> dict[str, object]:
    flags = dict.fromkeys(("lstrip", "normalized", "rstrip", "single_word"), False)
    return {"content": content, **flags}


def special_ids() -> dict[int, str]:
    return dict(enumerate(SPECIALS, PIECES))


def tokenizer_config() -> dict[str, object]:
    names = {0: "<unk>", 1: "<s>", 2: "</s>", **special_ids()}
    return {
        "add_bos_token": True,
        "add_eos_token": False,
        "added_tokens_decoder": {
            str(i): {**added_token(n), "special": True} for i, n in names.items()
        },
        "additional_special_tokens": SPECIALS[::-1],
        "bos_token": "<s>",
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "decode_with_prefix_space": False,
        "eos_token": "</s>",
        "model_max_length": 2048,
        "pad_token": "</s>",
        "sp_model_kwargs": None,
        "tokenizer_class": "InternLM2Tokenizer",
        "unk_token": "<unk>",
    }


def special_tokens_map() -> dict[str, object]:
    named = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"}
    return {
        "additional_special_tokens": SPECIALS[::-1],
        **{k: added_token(v) for k, v in named.items()},
    }


def checkpoint_config() -> dict[str, object]:
    """InternLM2-Reward's keys at a size that trains on a CPU in minutes."""
    return {
        "architectures": ["InternLM2ForRewardModel"],
        "attn_implementation": "eager",
        "bias": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": 128,
        "initializer_range": 0.02,
        "intermediate_size": 384,
        "max_position_embeddings": 2048,
        "model_type": "internlm2",
        "num_attention_heads": 4,
        "num_hidden_layers": 3,
        "num_key_value_heads": 2,
        "pad_token_id": 2,
        "reward_token_id": PIECES + SPECIALS.index("<|reward|>"),
        "rms_norm_eps": 1e-05,
        "rope_scaling": None,
        "rope_theta": 10000,
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "transformers_version": "4.41.2",
        "use_cache": True,
        "vocab_size": PIECES + len(SPECIALS),
    }


def llama_config(folder: Path) -> LlamaConfig:
    """Returns the Llama configuration of the same backbone, read from config.json."""
    raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    same = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "rms_norm_eps",
            "num_attention_heads", "num_key_value_heads", "max_position_embeddings",
            "pad_token_id", "bos_token_id", "eos_token_id", "initializer_range")  # fmt: skip
    rope = {"rope_type": "default", "rope_theta": float(raw["rope_theta"])}
    return LlamaConfig(
        **{k: raw[k] for k in same},
        rope_parameters=rope,
        attn_implementation="sdpa",
        use_cache=False,
    )


def check_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path, texts: Sequence[str]) -> None:
    """Compares transformers' ids with sentencepiece's and decodes them back, specials included."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    rough = [
        "  two spaces",
        "\n\nlines\n",
        "tab\there",
        "emoji 🙂🇫🇷 é ß 漢字",
        " ",
        "x = 3.14 * 10**2",
        "",
    ]
    for text in [*texts, *rough]:
        ids = tokenizer.encode(text, add_special_tokens=False)
        if ids != pieces.encode(text) or tokenizer.decode(ids) != text:
            raise ValueError(f"the tokenizer does not round-trip {text!r}")
    for i, name in special_ids().items():
        text = f" a{name}b"
        if tokenizer.encode(text, add_special_tokens=False) != [
            *pieces.encode(" a"),
            i,
            *pieces.encode("b"),
        ]:
            raise ValueError(f"the tokenizer does not keep {name} whole")


def export(backbone: LlamaModel, head: nn.Linear, folder: Path) -> None:
    """Writes model.safetensors in float16 under InternLM2's names, with q, k, v packed in wqkv."""
    weights = {
        "model.tok_embeddings.weight": backbone.embed_tokens.weight,
        "model.norm.weight": backbone.norm.weight,
        "v_head.weight": head.weight,
    }
    for i, layer in enumerate(backbone.layers):
        state = layer.state_dict()
        for ours, llama in LAYER_NAMES.items():
            weights[f"model.layers.{i}.{ours}.weight"] = state[f"{llama}.weight"]
        q, k, v = (state[f"self_attn.{n}_proj.weight"] for n in "qkv")
        weights[f"model.layers.{i}.attention.wqkv.weight"] = packed(q, k, v, backbone.config)
    half = {name: w.detach().to(torch.float16).contiguous() for name, w in weights.items()}
    save_file(half, folder / "model.safetensors", metadata={"format": "pt"})


def packed(q: Tensor, k: Tensor, v: Tensor, config: LlamaConfig) -> Tensor:
    """Returns wqkv: for each key-value head its G query heads, then its key, then its value."""
    groups, hidden = config.num_key_value_heads, config.hidden_size
    q = q.reshape(groups, -1, config.head_dim, hidden)  # (kv, G, d, H)
    k = k.reshape(groups, 1, config.head_dim, hidden)  # (kv, 1, d, H)
    v = v.reshape(groups, 1, config.head_dim, hidden)
    return torch.cat([q, k, v], dim=1).reshape(-1, hidden)  # (kv * (G + 2) * d, H)
