"""Texts with fields in braces, filled in once: what is filled in is not read again."""

import re
from collections.abc import Mapping
from string import ascii_uppercase

FIELD = re.compile(r"\{([a-z_]+)\}")
MOST_SHOWN = len(ascii_uppercase)  # responses that letters can tell apart


def fill(text: str, values: Mapping[str, str]) -> str:
    """Returns a text with its fields filled in, all at once: braces in a value are only text."""
    return FIELD.sub(lambda field: values[field[1]], text)


def position(place: int) -> dict[str, str]:
    """Returns what a response is called by its place, from 0, when several are shown."""
    return {"letter": ascii_uppercase[place], "number": str(place + 1)}
