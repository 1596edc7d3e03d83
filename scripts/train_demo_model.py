"""Trains the demonstration reward model that ships with rmeval, and writes its checkpoint and card.

    python scripts/train_demo_model.py --data ../shared/data/benchmarks --out rmeval/data/demo/model

A real Bradley-Terry reward model, only very small: InternLM2-Reward's checkpoint layout in half
precision, trained from nothing on a CPU with two threads. Real pairs come from --data, the rest
from demo_model/. The same seed gives the same pairs, tokenizer and order of batches.
"""

import argparse
import math
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerBase

import rmeval
from demo_model.checkpoint import export, llama_config, train_tokenizer
from demo_model.data import REAL, generated_pairs, read_real, test_pairs, tokenizer_texts
from demo_model.pair import Pair, held_out
from demo_model.report import Row, Run, model_card, table

WIDTH = 64  # sequences are padded to a multiple of it
EXPORT_SECONDS = 75  # what export and evaluation take, kept back from --minutes

Encoded = tuple[list[int], list[int]]  # token ids of prompt + chosen, and of prompt + rejected


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the result, besides the data."""

    seed: int = 0
    epochs: int = 6
    generated: int = 500  # pairs of each kind and epoch, times SHARE
    worked: int = 150  # gsm8k pairs of each epoch
    batch_tokens: int = 4096
    max_tokens: int = 256
    peak_lr: float = 1e-3
    weight_decay: float = 0.1
    mask: float = 0.1  # share of input tokens hidden in training, against learning by heart


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
        with torch.autocast("cpu", enabled=False):
            rewards: Tensor = self.head(pooled.float()).squeeze(-1)
        return rewards


def encode(tokenizer: PreTrainedTokenizerBase, pair: Pair, max_tokens: int) -> Encoded:
    """Renders and tokenises both sides; past `max_tokens` the oldest turns go, as whole turns."""
    sides = []
    for answer in (pair.chosen, pair.rejected):
        turns = [{"role": r, "content": c} for r, c in (*pair.prompt, ("assistant", answer))]
        ids = rendered(tokenizer, turns)
        while len(ids) > max_tokens and len(turns) > 2:
            turns = turns[1:]
            ids = rendered(tokenizer, turns)
        sides.append(ids)
    return sides[0], sides[1]


def rendered(tokenizer: PreTrainedTokenizerBase, turns: list[dict[str, str]]) -> list[int]:
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


def epochs(
    real: Sequence[Pair], tokenizer: PreTrainedTokenizerBase, recipe: Recipe
) -> Iterator[list[list[Encoded]]]:
    """Yields the batches of each epoch: all of hh, some of gsm8k, freshly generated pairs.

    gsm8k is long and beyond a model of this size, so an epoch takes only a part of it.
    """
    train = [p for p in real if not held_out(p.prompt)]
    worked = [p for p in train if p.kind == "gsm8k"]
    for epoch in range(recipe.epochs):
        rng = random.Random(f"{recipe.seed}/{epoch}")
        pairs = [p for p in train if p.kind != "gsm8k"]
        pairs += rng.sample(worked, min(recipe.worked, len(worked)))
        pairs += generated_pairs(train, recipe.generated, f"{recipe.seed}/{epoch}", test=False)
        rows = [encode(tokenizer, p, recipe.max_tokens) for p in pairs]
        yield batches(rows, recipe.batch_tokens, rng)


def train(
    model: TinyRewardModel,
    epochs_of_batches: Iterator[list[list[Encoded]]],
    recipe: Recipe,
    seconds: float,
    most: float = math.inf,
) -> int:
    """Trains in place and returns the number of updates.

    The schedule ends with the last epoch, when the time is used up, or after `most` updates,
    whichever comes first.
    """
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=0.0, betas=(0.9, 0.98), weight_decay=recipe.weight_decay
    )
    begin, mean, updates = time.monotonic(), 0.0, 0
    for epoch, groups in enumerate(epochs_of_batches):
        for i, batch in enumerate(groups):
            elapsed = time.monotonic() - begin
            done = max((epoch + i / len(groups)) / recipe.epochs, elapsed / seconds, updates / most)
            if done >= 1:
                return updates
            lr = recipe.peak_lr * min(1.0, done / 0.02) * (0.02 + 0.98 * cosine(done))
            optimizer.param_groups[0]["lr"] = lr
            with torch.autocast("cpu", torch.bfloat16):
                loss = loss_of(model, batch, recipe)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            updates += 1
            mean = loss.item() if i == 0 else 0.98 * mean + 0.02 * loss.item()
            if i % 50 == 0:
                print(
                    f"epoch {epoch} batch {i}/{len(groups)} loss {mean:.3f} {elapsed:.0f} s",
                    flush=True,
                )
    return updates


def cosine(done: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * done))


def evaluate(
    model: rmeval.RewardModel, rows: Sequence[Encoded], pairs: Sequence[Pair]
) -> list[Row]:
    """Scores held-out pairs and counts, by kind, where chosen is strictly higher."""
    rewards = model.score_tokens([ids for row in rows for ids in row])
    margins = (a - b for a, b in zip(rewards[::2], rewards[1::2], strict=True))
    return table(list(zip(pairs, margins, strict=True)))


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/benchmarks"))
    parser.add_argument("--out", type=Path, default=Path("rmeval/data/demo/model"))
    parser.add_argument("--minutes", type=float, default=20.0, help="cap for the whole script")
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--updates", type=int, default=math.inf, help="cap for the updates")
    parser.add_argument(
        "--generated", type=int, default=Recipe.generated, help="pairs of each kind and epoch"
    )
    return parser.parse_args(arguments)


def card(
    rows: Sequence[Row], recipe: Recipe, real: Sequence[Pair], work: Path, run: tuple[int, float]
) -> str:
    """Returns the model card; `run` is the number of updates and the seconds taken so far."""
    config = llama_config(work)
    known = [p.kind for p in real if not held_out(p.prompt)]
    weights = load_file(work / "model.safetensors").values()
    shape = f"{config.num_hidden_layers} layers, hidden {config.hidden_size}, "
    shape += f"{config.num_attention_heads} heads on {config.num_key_value_heads} key-value heads, "
    shape += f"vocabulary {config.vocab_size}"
    return model_card(
        rows,
        Run(
            seed=recipe.seed,
            updates=run[0],
            seconds=round(run[1]),
            parameters=sum(w.numel() for w in weights),
            megabytes=sum(f.stat().st_size for f in work.iterdir()) / 1e6,
            shape=shape,
            recipe=", ".join(f"{k} {v}" for k, v in asdict(recipe).items()),
            train_real=", ".join(f"{known.count(kind)} of {kind}" for kind in REAL),
        ),
    )


def replace_folder(new: Path, old: Path) -> None:
    """Puts `new` in the place of `old`, so that nobody sees half a checkpoint."""
    for file in new.iterdir():
        file.chmod(0o644)
    shutil.rmtree(old, ignore_errors=True)
    new.rename(old)


def main(arguments: Sequence[str] | None = None) -> None:
    begin, args = time.monotonic(), parse_options(arguments)
    torch.manual_seed(args.seed)
    recipe = Recipe(seed=args.seed, epochs=args.epochs, generated=args.generated)
    real = read_real(args.data)
    work = args.out.with_name(args.out.name + ".new")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    tokenizer = train_tokenizer(tokenizer_texts([p for p in real if not held_out(p.prompt)]), work)
    model = TinyRewardModel(llama_config(work))
    seconds = max(1.0, args.minutes * 60 - EXPORT_SECONDS - (time.monotonic() - begin))
    updates = train(model, epochs(real, tokenizer, recipe), recipe, seconds, args.updates)
    export(model.backbone, model.head, work)
    exported = rmeval.load_model(work, dtype="float32", device="cpu")
    test = test_pairs(real, recipe.generated * 3 // 10)
    rows = evaluate(exported, [encode(tokenizer, p, 2048) for p in test], test)
    text = card(rows, recipe, real, work, (updates, time.monotonic() - begin))
    (work / "README.md").write_text(text, encoding="utf-8")
    replace_folder(work, args.out)
    print(text)


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
