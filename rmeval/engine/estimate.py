"""What scoring should take on a card that is not here: its seconds, part by part. No torch.

An arithmetic model of plain transformers layers in half precision, to hold a card's figures
against; no figure of it has been measured on a whole run yet. The assumptions stand first.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from rmeval.cards import Card

MATRIX_SHARE = {0: 0.78, 4096: 0.85}  # of large products' rate that those of a hidden size reach
ATTENTION_SHARE = 0.11  # of the matrix rate, in FlashAttention 2 on texts of a few hundred tokens
GAP_SECONDS = 0.002  # before each pass in which the card waits for the host
# bytes that a layer moves for a token, and the share of the stream rate that each part reaches
NORM = (72, 0.79)  # two, each in float32: of the hidden size
SWIGLU = (10, 0.92)  # of the feed-forward's size
ROTARY = (20, 0.70)  # of the numbers of queries and keys
RESIDUAL = (12, 0.90)  # two: of the hidden size
GATHER = (8, 0.51)  # of a key's numbers, for each key along a path
MARGIN = 0.15  # the error bars


class Work(NamedTuple):
    """What all passes compute: tokens, keys along paths, pairs of query and key, arithmetic."""

    passes: int
    tokens: int
    keys: int
    pairs: int
    flops: int


class Shape(NamedTuple):
    """A network's layers as the model sees them."""

    layers: int
    hidden: int
    queries: int  # numbers of a token's queries: heads x their size
    keys: int
    feed_forward: int


def shape_of(config: Any) -> Shape:
    """Returns the shape that a transformers configuration describes."""
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    wide = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    wide *= getattr(config, "num_experts_per_tok", None) or 1
    return Shape(
        config.num_hidden_layers, config.hidden_size, heads * size, kv_heads * size, int(wide)
    )


def estimate(work: Work, shapes: Sequence[Shape], card: Card) -> dict[str, float]:
    """Returns the seconds of each part of the passes of networks of these shapes."""
    largest = max(shape.hidden for shape in shapes)
    reached = MATRIX_SHARE[max(least for least in MATRIX_SHARE if least <= largest)]
    parts = {"matrices": work.flops / (reached * card.matrix)}
    moved = {"norms": 0.0, "swiglu": 0.0, "rotary": 0.0, "residuals": 0.0, "gathering": 0.0}
    attention = 0.0
    for shape in shapes:
        numbers = {
            "norms": (NORM, work.tokens * shape.hidden),
            "swiglu": (SWIGLU, work.tokens * shape.feed_forward),
            "rotary": (ROTARY, work.tokens * (shape.queries + shape.keys)),
            "residuals": (RESIDUAL, work.tokens * shape.hidden),
            "gathering": (GATHER, work.keys * shape.keys),
        }
        for part, ((size, share), count) in numbers.items():
            moved[part] += shape.layers * size * count / (share * card.stream)
        attention += 4 * work.pairs * shape.queries * shape.layers
    gaps = work.passes * GAP_SECONDS
    spent = attention / (ATTENTION_SHARE * card.matrix)
    return {**parts, **moved, "attention": spent, "gaps": gaps}


def over_cards(seconds: float, passes: int, count: int) -> float:
    """Returns the seconds of passes that go through a network spread over several cards.

    Each card has a pass of its own; the first fills the row, and the last empties it.
    """
    return seconds * (passes + count - 1) / (max(passes, 1) * count)
