"""A reward model as another program serves it: transformers' own class, and mistakes on purpose."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from readable import TEMPLATE, add_tokenizer

BOS, EOS = 1, 2


def random_llama(folder: Path, seed: int, *, std: float = 0.15, template: str = TEMPLATE) -> Path:
    """A sequence classifier with random weights, whose rewards bfloat16 moves by much."""
    torch.manual_seed(seed)
    config = hf.LlamaConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=320,
        max_position_embeddings=4096,
        pad_token_id=0,
        bos_token_id=BOS,
        eos_token_id=EOS,
        num_labels=1,
        initializer_range=std,
    )
    hf.LlamaForSequenceClassification(config).save_pretrained(folder)
    add_tokenizer(folder, template)
    return folder


class Served:
    """A checkpoint as transformers runs it, head and all in `dtype`, each sequence alone."""

    def __init__(self, folder: Path, dtype: str = "float32") -> None:
        self.model: Any = hf.AutoModelForSequenceClassification.from_pretrained(
            folder, num_labels=1, dtype=getattr(torch, dtype)
        ).eval()

    @torch.inference_mode()
    def reward(self, ids: Sequence[int]) -> float:
        return float(self.model(input_ids=torch.tensor([list(ids)])).logits[0, 0])

    @torch.inference_mode()
    def of_state(self, ids: Sequence[int], pool: Callable[[Any], Any]) -> float:
        """The reward of what `pool` makes of the states, (L, H) -> (H,)."""
        states = self.model.model(input_ids=torch.tensor([list(ids)])).last_hidden_state[0]
        return float(self.model.score(pool(states))[0])

    @torch.inference_mode()
    def as_openrlhf(self, tokenizer: Any, texts: Sequence[str], max_len: int) -> list[float]:
        """What openrlhf.cli.serve_rm answers: cut from the right, padded to the left."""
        tokenizer.padding_side = "left"
        read = tokenizer(
            list(texts),
            max_length=max_len,
            padding=True,
            truncation=True,
            add_special_tokens=False,
            return_tensors="pt",
        )
        mask = read["attention_mask"]
        places = (mask.long().cumsum(-1) - 1).masked_fill(mask == 0, 1)
        states = self.model.model(
            input_ids=read["input_ids"], attention_mask=mask, position_ids=places
        ).last_hidden_state
        rewards: list[float] = self.model.score(states[:, -1])[:, 0].float().tolist()
        return rewards


Wrong = Callable[[Served, Sequence[int]], float]


def of_ids(change: Callable[[list[int]], list[int]]) -> Wrong:
    return lambda served, ids: served.reward(change(list(ids)))


def unit(state: Any) -> Any:
    return state / state.norm()


WRONG: dict[str, Wrong] = {
    "BOS doubled": of_ids(lambda ids: [BOS, *ids]),
    "BOS missing": of_ids(lambda ids: ids[1:]),
    "an end token appended": of_ids(lambda ids: [*ids, EOS]),
    "the last token missing": of_ids(lambda ids: ids[:-1]),
    "cut to 256 tokens, the end lost": of_ids(lambda ids: ids[:256]),
    "cut to 512 tokens, the beginning lost": of_ids(lambda ids: ids[-512:]),
    "BOS doubled and cut to 128 tokens, the end lost": of_ids(lambda ids: [BOS, *ids][:128]),
    "the state normalised": lambda served, ids: served.of_state(ids, lambda h: unit(h[-1])),
    "mean pooling": lambda served, ids: served.of_state(ids, lambda h: h.mean(0)),
    "sigmoid of the reward": lambda served, ids: sigmoid(served.reward(ids)),
    "BOS doubled and sigmoid of the reward": lambda served, ids: sigmoid(
        served.reward([BOS, *ids])
    ),
    "softmax over one label": lambda served, ids: 1.0,
}
COUNTS: dict[str, Callable[[int], int]] = {  # tokens read of so many
    "BOS doubled": lambda n: n + 1,
    "BOS missing": lambda n: n - 1,
    "an end token appended": lambda n: n + 1,
    "the last token missing": lambda n: n - 1,
    "cut to 256 tokens, the end lost": lambda n: min(n, 256),
    "cut to 512 tokens, the beginning lost": lambda n: min(n, 512),
    "BOS doubled and cut to 128 tokens, the end lost": lambda n: min(n + 1, 128),
    "BOS doubled and sigmoid of the reward": lambda n: n + 1,
}


def sigmoid(value: float) -> float:
    return float(torch.sigmoid(torch.tensor(value, dtype=torch.float64)))
