"""Prints what scoring RewardBench should take on a card, part by part, for five sizes of models.

    python scripts/gpu_model.py [CARD ...]

It is `rmeval.engine.estimate`, whose assumptions come first, over RewardBench's own numbers: texts,
tokens and packs as Llama 3's tokenizer and the packed plan give them.
"""

import sys
from collections.abc import Sequence

from rmeval import cards
from rmeval.cards import Card, find_card
from rmeval.engine import estimate
from rmeval.engine.estimate import Shape, Work
from rmeval.reports.tables import format_rows

# 5,970 texts, 5,938 distinct, 1,351,029 tokens; packs of up to 16,384 unique ones
PACKS, TOKENS, KEYS, PAIRS = 64, 1_028_260, 1_340_553, 198 * 1_028_260
SHAPES = {  # layers, hidden, queries, keys, feed-forward
    "1.8b": Shape(24, 2048, 2048, 1024, 8192),
    "7b": Shape(32, 4096, 4096, 1024, 14336),
    "8b": Shape(32, 4096, 4096, 1024, 14336),
    "20b": Shape(48, 6144, 6144, 1024, 16384),
    "70b": Shape(80, 8192, 8192, 1024, 28672),
}
ASSUMPTIONS = (
    "MATRIX_SHARE",
    "ATTENTION_SHARE",
    "GAP_SECONDS",
    "NORM",
    "SWIGLU",
    "ROTARY",
    "RESIDUAL",
    "GATHER",
    "MARGIN",
)


def main(names: Sequence[str]) -> None:
    """Prints the assumptions, then a table."""
    for name in ASSUMPTIONS:
        print(f"{name.lower().replace('_', ' '):<16} {getattr(estimate, name)}")
    print(f"{'of makers':<16} {cards.OF_MAKERS}")
    found = [find_card(name) for name in names or ("h100-80gb", "h200-141gb")]
    rows = [row(size, card) for card in found for size in SHAPES]
    print("\n" + format_rows(rows, "table"))


def row(size: str, card: Card) -> dict[str, str]:
    """Returns a size's seconds on a card, and the share of the matrix rate that they make."""
    parts = expected(size, card)
    whole = sum(parts.values())
    floor = rewardbench(size).flops / card.matrix
    shown = {part: f"{seconds:.2f}" for part, seconds in parts.items()}
    last = {"sum": f"{whole:.1f}", "of matrix rate": f"{floor / whole:.0%}"}
    return {"card": card.name, "model": size, **shown, **last}


def expected(size: str, card: Card) -> dict[str, float]:
    """Returns the seconds of each part of RewardBench on a card."""
    return estimate.estimate(rewardbench(size), [SHAPES[size]], card)


def rewardbench(size: str) -> Work:
    """Returns what the packed passes over RewardBench compute."""
    return Work(PACKS, TOKENS, KEYS, PAIRS, TOKENS * 2 * weights(SHAPES[size]))


def weights(shape: Shape) -> int:
    """Returns the weights that a token is multiplied with."""
    attention = 2 * shape.hidden * shape.queries + 2 * shape.hidden * shape.keys
    return shape.layers * (attention + 3 * shape.hidden * shape.feed_forward)


if __name__ == "__main__":
    main(sys.argv[1:])
