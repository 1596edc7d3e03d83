"""A comparison between two responses, and whether it is held out of training."""

import hashlib
import re
from typing import NamedTuple


class Pair(NamedTuple):
    """One comparison: a user's prompt, the better and the worse response."""

    kind: str
    prompt: str
    chosen: str
    rejected: str


class Answered(NamedTuple):
    """A prompt with a good answer: the material for off-topic and damaged responses."""

    prompt: str
    answer: str


def held_out(prompt: str) -> bool:
    """True for about 10 % of prompts, by their text, so that no prompt is in both parts."""
    digest = hashlib.sha256(prompt.strip().lower().encode()).digest()
    return int.from_bytes(digest[:4], "big") % 100 < 10


def capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def with_article(text: str) -> str:
    """Turns 'a owl' into 'an owl'."""
    return re.sub(r"\b([Aa]) (?=[aeiou][a-z])", r"\1n ", text)
