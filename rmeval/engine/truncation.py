"""Truncation: what of a conversation is kept when it is longer than the model can read."""

from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

from rmeval.errors import BadOption


class Encoded(NamedTuple):
    """Token ids that fit the model, and whether some were cut to make them fit."""

    ids: tuple[int, ...]
    truncated: bool


def truncate(
    ids: Sequence[int], probe: Sequence[int], other_probe: Sequence[int], max_length: int
) -> Encoded:
    """Cuts ids from the left, after the template's head; the end, and its token, stay.

    The head is what two conversations of the same roles, but without a word in common, begin
    with (BOS, the first role's header); the tail is what they end with. Raises BadOption when
    `max_length` leaves no room for a token of text between the two.
    """
    head = common_prefix(probe, other_probe)
    tail = common_prefix(probe[::-1], other_probe[::-1])
    if max_length <= head + tail:
        raise BadOption(
            f"`max_length={max_length}` leaves no room for text: the chat template alone takes "
            f"{head + tail} tokens; pass at least {head + tail + 1}"
        )
    if len(ids) <= max_length:
        return Encoded(tuple(ids), False)
    return Encoded((*ids[:head], *ids[len(ids) - (max_length - head) :]), True)


def common_prefix(a: Sequence[object], b: Sequence[object]) -> int:
    """Returns how many tokens, or letters, two sequences share from their beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))
