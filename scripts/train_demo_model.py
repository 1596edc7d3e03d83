"""Trains the demonstration reward model that ships with rmeval, and writes its checkpoint and card.

    git clone https://github.com/anthropics/hh-rlhf sources/hh-rlhf
    git clone https://github.com/openai/grade-school-math sources/grade-school-math
    python scripts/train_demo_model.py --data sources --out rmeval/data/demo/model

A real Bradley-Terry reward model, only very small: InternLM2-Reward's checkpoint layout in half
precision, trained from nothing by one thread of a CPU. Pairs are made by demo_model/, of templates
and of two public files, whose sha256 is checked. Where a pair shares text with the demonstration
benchmark, nothing is trained. The same seed gives the same pairs, tokenizer and order of batches.
"""

import argparse
import math
import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerBase

import rmeval
from demo_model.checkpoint import export, llama_config, train_tokenizer
from demo_model.data import Material, read_material
from demo_model.embeddings import from_neighbours
from demo_model.overlap import hold_apart
from demo_model.pair import Pair
from demo_model.pairs import make_pairs
from demo_model.report import Row, Run, model_card, table

WIDTH = 16  # sequences are padded to a multiple of it
EMBEDDED = 0.05  # root mean square of an embedding's numbers at the start

Encoded = tuple[list[int], list[int]]  # token ids of prompt + chosen, and of prompt + rejected


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result, besides the data."""

    seed: int = 0
    pairs: int = 2800  # of each kind, times its share; each is seen once
    batch_tokens: int = 2048
    peak_lr: float = 2e-3
    weight_decay: float = 0.1
    mask: float = 0.05  # share of input tokens hidden in training, against learning by heart


class TinyRewardModel(nn.Module):
    """A Llama backbone and a linear head without bias, as in InternLM2-Reward."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.backbone = LlamaModel(config)
        self.head = nn.Linear(config.hidden_size, 1, bias=False)
        nn.init.normal_(self.head.weight, std=config.hidden_size**-0.5)

    def forward(self, ids: Tensor, last: Tensor) -> Tensor:
        """Returns rewards (N,) for right-padded ids (N, T).

        `last` (N,) is the position of <|reward|>. Attention is causal and the padding stands on
        the right, so no real token sees it and no mask is needed.
        """
        hidden = self.backbone(input_ids=ids, use_cache=False).last_hidden_state  # (N, T, H)
        pooled = hidden[torch.arange(len(ids)), last]  # (N, H)
        rewards: Tensor = self.head(pooled).squeeze(-1)
        return rewards


def encode(tokenizer: PreTrainedTokenizerBase, pair: Pair) -> Encoded:
    """Renders and tokenises both sides."""
    chosen, rejected = (
        rendered(tokenizer, pair.prompt, answer) for answer in (pair.chosen, pair.rejected)
    )
    return chosen, rejected


def rendered(tokenizer: PreTrainedTokenizerBase, prompt: str, answer: str) -> list[int]:
    turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    text = tokenizer.apply_chat_template(turns, tokenize=False)
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids


def width(row: Encoded) -> int:
    """Returns the padded length of a pair; a few fixed lengths keep the kernels' shapes few."""
    return -(-max(map(len, row)) // WIDTH) * WIDTH


def batches(rows: Sequence[Encoded], tokens: int, rng: random.Random) -> list[list[Encoded]]:
    """Groups pairs of the same padded length under a budget of tokens, in random order."""
    by_width: dict[int, list[Encoded]] = {}
    for row in rng.sample(rows, len(rows)):
        by_width.setdefault(width(row), []).append(row)
    groups = []
    for wide, same in by_width.items():
        size = max(1, tokens // (2 * wide))
        groups += [same[i : i + size] for i in range(0, len(same), size)]
    rng.shuffle(groups)
    return groups


def padded(sequences: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
    """Returns right-padded ids (N, T) and the position of each last token (N,)."""
    longest = max(map(len, sequences))
    longest += -longest % WIDTH
    ids = torch.tensor([s + [2] * (longest - len(s)) for s in sequences])
    return ids, torch.tensor([len(s) - 1 for s in sequences])


def masked(ids: Tensor, last: Tensor, share: float) -> Tensor:
    """Hides a share of the ids behind <unk>, never the reward token."""
    hide = torch.rand(ids.shape) < share
    hide[torch.arange(len(ids)), last] = False
    return ids.masked_fill(hide, 0)


def loss_of(model: TinyRewardModel, batch: Sequence[Encoded], recipe: Recipe) -> Tensor:
    """Returns the Bradley-Terry loss, the mean of -log sigmoid(chosen - rejected)."""
    ids, last = padded([c for c, _ in batch] + [r for _, r in batch])  # (2 * pairs, T)
    rewards = model(masked(ids, last, recipe.mask), last)
    margin = rewards[: len(batch)] - rewards[len(batch) :]  # (pairs,)
    return -nn.functional.logsigmoid(margin).mean()


def train(model: TinyRewardModel, groups: Sequence[list[Encoded]], recipe: Recipe) -> None:
    """Trains in place, one update for each group: a warm-up, then a cosine."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=0.0, betas=(0.9, 0.98), weight_decay=recipe.weight_decay
    )
    begin, mean = time.process_time(), 0.0
    for i, batch in enumerate(groups):
        done = i / len(groups)
        lr = recipe.peak_lr * min(1.0, done / 0.04) * (0.02 + 0.98 * cosine(done))
        optimizer.param_groups[0]["lr"] = lr
        loss = loss_of(model, batch, recipe)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        mean = loss.item() if i == 0 else 0.98 * mean + 0.02 * loss.item()
        if i % 100 == 0:
            seconds = time.process_time() - begin
            print(f"update {i} of {len(groups)}, loss {mean:.3f}, {seconds:.0f} s", flush=True)


def cosine(done: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * done))


def tokenizer_texts(material: Material, pairs: Sequence[Pair]) -> list[str]:
    """Returns what the tokenizer learns from: some of all text that the model will see."""
    some = [text for one in (*material.talk, *material.sums[::4]) for text in one]
    return some + [text for pair in pairs[::5] for text in (pair.prompt, pair.chosen)]


def new_model(
    folder: Path, tokenizer: PreTrainedTokenizerBase, material: Material
) -> TinyRewardModel:
    """Returns a model whose embeddings know which tokens stand near each other in real text."""
    model = TinyRewardModel(llama_config(folder))
    texts = [text for one in (*material.talk, *material.sums) for text in one]
    ids = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    embeddings = model.backbone.embed_tokens.weight
    with torch.no_grad():
        embeddings.add_(EMBEDDED * from_neighbours(ids, *embeddings.shape))
    return model


def evaluate(
    model: rmeval.RewardModel, tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Pair]
) -> list[Row]:
    """Scores held-out pairs and counts, by kind, where chosen is strictly higher."""
    rewards = model.score_tokens([ids for pair in pairs for ids in encode(tokenizer, pair)])
    margins = (a - b for a, b in zip(rewards[::2], rewards[1::2], strict=True))
    return table(list(zip(pairs, margins, strict=True)))


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="where both clones are")
    parser.add_argument("--out", type=Path, default=Path("rmeval/data/demo/model"))
    parser.add_argument("--pairs", type=int, default=Recipe.pairs, help="of each kind")
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    return parser.parse_args(arguments)


def card(
    rows: Sequence[Row], recipe: Recipe, work: Path, apart: str, run: tuple[int, int, float]
) -> str:
    """Returns the model card; `run` is the number of pairs, of updates, and the CPU's seconds."""
    config = llama_config(work)
    weights = load_file(work / "model.safetensors").values()
    shape = f"{config.num_hidden_layers} layers, hidden {config.hidden_size}, "
    shape += f"{config.num_attention_heads} heads on {config.num_key_value_heads} key-value heads, "
    shape += f"vocabulary {config.vocab_size}"
    return model_card(
        rows,
        Run(
            seed=recipe.seed,
            pairs=run[0],
            updates=run[1],
            minutes=round(run[2] / 60),
            parameters=sum(w.numel() for w in weights),
            megabytes=sum(f.stat().st_size for f in work.iterdir()) / 1e6,
            shape=shape,
            apart=apart,
            recipe=", ".join(f"{k} {v}" for k, v in asdict(recipe).items()),
        ),
    )


def replace_folder(new: Path, old: Path) -> None:
    """Puts `new` in the place of `old`, so that nobody sees half a checkpoint."""
    for file in new.iterdir():
        file.chmod(0o644)
    shutil.rmtree(old, ignore_errors=True)
    new.rename(old)


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse_options(arguments)
    torch.manual_seed(args.seed)
    recipe = Recipe(seed=args.seed, pairs=args.pairs)
    material = read_material(args.data)
    pairs = make_pairs(recipe.pairs, str(recipe.seed), material, test=False)
    apart = hold_apart(pairs)
    work = args.out.with_name(args.out.name + ".new")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    tokenizer = train_tokenizer(tokenizer_texts(material, pairs), work)
    model = new_model(work, tokenizer, material)
    rows = [encode(tokenizer, pair) for pair in pairs]
    groups = batches(rows, recipe.batch_tokens, random.Random(recipe.seed))
    train(model, groups, recipe)
    export(model.backbone, model.head, work)
    exported = rmeval.load_model(work, dtype="float32", device="cpu")
    test = make_pairs(recipe.pairs // 12, "test", material, test=True)
    found = evaluate(exported, tokenizer, test)
    text = card(found, recipe, work, apart, (len(pairs), len(groups), time.process_time()))
    (work / "README.md").write_text(text, encoding="utf-8")
    replace_folder(work, args.out)
    print(text)


if __name__ == "__main__":
    torch.set_num_threads(1)  # with another number the sums round otherwise
    main()
