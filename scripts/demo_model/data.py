"""The pairs to train on and the pairs held out: real ones from files, the rest generated."""

import json
from collections.abc import Sequence
from pathlib import Path

from demo_model.pair import Answered, Pair, held_out
from demo_model.pairs import MAKERS, make_pairs

REAL = {"hh": "hh_rlhf_harmless.jsonl", "gsm8k": "gsm8k_pairs.jsonl"}  # both MIT
SHARE = {"form": 1.5, "facts": 1.5, "harmful": 1.5, "over_refusal": 1.5, "wrong_ending": 0.4}


def read_real(folder: Path) -> list[Pair]:
    """Reads the real pairs, without those whose response is empty or the same on both sides."""
    pairs = []
    for kind, name in REAL.items():
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            prompt = tuple((m["role"], m["content"]) for m in row["prompt"])
            chosen, rejected = row["chosen"][0], row["rejected"][0]
            if chosen.strip() and rejected.strip() and chosen != rejected:
                pairs.append(Pair(kind, prompt, chosen, rejected))
    return pairs


def generated_pairs(real: Sequence[Pair], count: int, seed: str, test: bool) -> list[Pair]:
    """Returns about `count` generated pairs of every kind, on one side of the split."""
    side = [p for p in real if held_out(p.prompt) == test]
    pool = [Answered(p.prompt, p.chosen) for p in side if short(p)]
    pairs: list[Pair] = []
    for kind in MAKERS:
        wanted = count if test else int(count * SHARE.get(kind, 1.0))
        pairs += make_pairs(kind, wanted, seed, pool, test)
    return pairs


def short(pair: Pair) -> bool:
    return len(pair.chosen) < 400 and sum(len(text) for _, text in pair.prompt) < 400


def tokenizer_texts(known: Sequence[Pair]) -> list[str]:
    """Returns what the tokenizer learns from: last prompts and chosen responses, none held out."""
    pairs = [*known, *generated_pairs(known, 300, "tokenizer", test=False)]
    return [text for p in pairs for text in (p.prompt[-1][1], p.chosen)]


def test_pairs(real: Sequence[Pair], count: int) -> list[Pair]:
    """Returns the held-out real pairs and about `count` distinct generated ones of every kind."""
    held = [p for p in real if held_out(p.prompt)]
    return list(dict.fromkeys(held + generated_pairs(held, count, "test", test=True)))
