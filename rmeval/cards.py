"""GPUs that a run can be planned for by name, without one: `rmeval/data/cards.toml`."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from rmeval.errors import UnknownName, nearest_name

OF_MAKERS = {"matrix": 0.80, "stream": 0.90}  # what of a maker's figure is reached at all


class Card(NamedTuple):
    """A card by name: bytes of memory, FLOP/s of large products in bfloat16, bytes/s of copies."""

    name: str
    memory: float
    matrix: float
    stream: float


@cache
def known_cards() -> dict[str, Card]:
    """Returns the shipped table, `rmeval/data/cards.toml`, by name."""
    text = (files("rmeval") / "data" / "cards.toml").read_text(encoding="utf-8")
    return {
        name: Card(
            name,
            memory=facts["memory"] * 2**30,
            matrix=facts["matrix"] * 1e12 * (1 if facts.get("measured") else OF_MAKERS["matrix"]),
            stream=facts["stream"] * 1e12 * (1 if facts.get("measured") else OF_MAKERS["stream"]),
        )
        for name, facts in tomllib.loads(text).items()
    }


def find_card(name: str) -> Card:
    """Returns the card of a name. Raises UnknownName."""
    known = known_cards()
    if name not in known:
        near = nearest_name(name, known) is not None
        raise UnknownName("card", name, known, f" of {', '.join(known)}" if near else "")
    return known[name]
