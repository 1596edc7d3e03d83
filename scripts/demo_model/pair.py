"""A comparison between two responses, and whether it is held out of training."""

import hashlib
import re
from typing import NamedTuple

Turn = tuple[str, str]  # (role, content)


class Pair(NamedTuple):
    """One comparison; `prompt` alternates user and assistant turns and ends with the user's."""

    kind: str
    prompt: tuple[Turn, ...]
    chosen: str
    rejected: str


class Answered(NamedTuple):
    """A prompt with a good answer: the material for off-topic and damaged responses."""

    prompt: tuple[Turn, ...]
    answer: str


def held_out(prompt: tuple[Turn, ...]) -> bool:
    """True for about 15 % of prompts, by the opening turn, so that no opening is in both parts."""
    digest = hashlib.sha256(prompt[0][1].strip().lower().encode()).digest()
    return int.from_bytes(digest[:4], "big") % 100 < 15


def user(text: str) -> tuple[Turn, ...]:
    return (("user", text),)


def capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def with_article(text: str) -> str:
    """Turns 'a owl' into 'an owl'."""
    return re.sub(r"\b([Aa]) (?=[aeiou][a-z])", r"\1n ", text)
