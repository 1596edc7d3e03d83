"""Held-out accuracies of the demonstration model, and its model card."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from demo_model.pair import Pair


class Row(NamedTuple):
    """Accuracy on one kind of held-out pairs; `longer` is the accuracy of 'longer wins'."""

    kind: str
    n: int
    accuracy: float
    low: float
    high: float
    longer: float


class Run(NamedTuple):
    """What the card says about the run that made the checkpoint."""

    seed: int
    pairs: int
    updates: int
    minutes: int
    parameters: int
    megabytes: float
    shape: str
    recipe: str
    apart: str


CARD = """---
license: apache-2.0
library_name: rmeval
language: en
pipeline_tag: text-classification
tags:
- reward-model
- demonstration
- internlm2-reward-layout
---

# rmeval demonstration reward model

A reward model trained from nothing on a CPU in minutes, so that `rmeval` has something real and
small to score with: {parameters:,} parameters ({shape}), {megabytes:.2f} MB in all, float16. The
files have the layout of InternLM2-Reward (`InternLM2ForRewardModel`, packed `wqkv`, grouped-query
heads, `<|reward|>` as the last token), without remote code. It shares no weights, vocabulary or
text with InternLM2-Reward, only names of files, keys and special tokens.

**For demonstrations and tests only.** Its rewards say nothing about the quality or the safety of
real responses; do not filter, rank or train with them.

## Training

Written by `scripts/train_demo_model.py` of rmeval, seed {seed}: {pairs:,} pairs, each seen once,
{updates:,} updates, {minutes:,} minutes of one CPU thread for everything (pairs, tokenizer,
training, export, evaluation).

- Loss: Bradley-Terry, -log sigmoid(chosen - rejected).
- Recipe: {recipe}.
- Pairs: made by `scripts/demo_model/` of templates, and of questions with their answers from
  anthropics/hh-rlhf, harmless-base/test, and openai/grade-school-math, train (both MIT; commits
  and sha256 in `scripts/demo_model/data.py`). The rejected response is one to another question,
  chatter, cut short, repeated, scrambled, a wrong result, a list in another form, a faulty
  function, compliance with a harmful request, or a refusal of a harmless one. Nobody's
  preferences are in it.
  Within a kind, chosen is the longer response about as often as the shorter one.
- Embeddings began as singular vectors of which tokens stand near each other in the two sources.
- Not trained on the demonstration benchmark: {apart}
- Held out: about 10 % of prompts, by a hash of their text; no prompt is in both parts.

## Held-out results

Measured on the exported float16 files, read back and computed in float32, nothing truncated.
Accuracy in %: share of pairs with chosen strictly above rejected; Wilson intervals. The last
column is the accuracy of preferring the longer response (equal lengths count half).

{table}

{findings}

## Limits

- The held-out pairs come from the same templates, word lists and sources as the training pairs:
  they show that these were learnt, not how far that carries over to other text. For other text
  there is the demonstration benchmark, `rmeval run`: hand-written rows, on which the model does
  less well.
- English, short texts; positions were trained up to a few hundred tokens.
- It sees whether an answer is to the question, whole, in the form that was asked for, and a refusal
  where it should be one. It knows next to nothing, and it can be fooled by almost anything.
"""


def wilson(wins: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Returns the 95 % Wilson score interval of wins / n."""
    share, shrink = wins / n, 1 + z * z / n
    centre = (share + z * z / (2 * n)) / shrink
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / shrink
    return centre - half, centre + half


def row(kind: str, scored: Sequence[tuple[Pair, float]]) -> Row:
    """A tie is a loss for the model; for 'longer wins' equal lengths count as half a win."""
    wins = sum(margin > 0 for _, margin in scored)
    lengths = [len(p.chosen) - len(p.rejected) for p, _ in scored]
    longer = sum(1.0 if d > 0 else 0.5 if d == 0 else 0.0 for d in lengths)
    n = len(scored)
    return Row(kind, n, wins / n, *wilson(wins, n), longer / n)


def table(scored: Sequence[tuple[Pair, float]]) -> list[Row]:
    """Returns one row for each kind, then all."""
    kinds = dict.fromkeys(p.kind for p, _ in scored)
    rows = [row(kind, [s for s in scored if s[0].kind == kind]) for kind in kinds]
    return [*rows, row("all", scored)]


def markdown(rows: Sequence[Row]) -> str:
    lines = [
        "| held-out pairs | n | accuracy | 95 % interval | 'longer wins' |",
        "|---|---:|---:|---:|---:|",
    ]
    for r in rows:
        interval = f"{100 * r.low:.1f} to {100 * r.high:.1f}"
        shown = f"{100 * r.accuracy:.1f} | {interval} | {100 * r.longer:.1f}"
        lines.append(f"| {r.kind} | {r.n} | {shown} |")
    return "\n".join(lines)


def findings(rows: Sequence[Row]) -> str:
    """Sorts the kinds by what their intervals allow to say, so that words follow numbers."""
    kinds = [r for r in rows if r.kind != "all"]
    better = ", ".join(r.kind for r in kinds if r.low > 0.5) or "none"
    chance = ", ".join(r.kind for r in kinds if r.low <= 0.5 <= r.high) or "none"
    worse = ", ".join(r.kind for r in kinds if r.high < 0.5) or "none"
    return (
        f"- Better than chance (interval above 50 %): {better}.\n"
        f"- Not distinguishable from chance: {chance}.\n"
        f"- Worse than chance: {worse}."
    )


def model_card(rows: Sequence[Row], run: Run) -> str:
    """Returns the README of the checkpoint; every figure in it is an argument or a measurement."""
    return CARD.format(
        table=markdown(rows),
        findings=findings(rows),
        **run._asdict(),
    )
