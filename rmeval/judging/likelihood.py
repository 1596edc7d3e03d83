"""How probable the tokens that mean something are, in their place in a server's answer."""

import re
from collections.abc import Sequence
from math import exp, fsum, log

from rmeval.judging.questions import Ask
from rmeval.judging.thinking import said
from rmeval.llm.endpoint import Answer, Token


def with_labels(answer: Answer, tokens: Sequence[Token], ask: Ask) -> Answer:
    """Returns an answer with log p of those labels that the server named in their place.

    A label's probability is that of all tokens that are it, with or without white space. Those
    that it did not name have each at most that of the least likely one it did, and together what
    is left: `unseen`.
    """
    assert ask.labels is not None
    place = _place(answer, [token.text for token in tokens], ask)
    if place is None or not tokens[place].likeliest:
        return answer
    named = tokens[place].likeliest
    chances = {label: fsum(exp(p) for t, p in named if t.strip() == label) for label in ask.labels}
    found = {label: log(chance) for label, chance in chances.items() if chance > 0}
    missing = len(ask.labels) - len(found)
    left = min(missing * exp(min(p for _, p in named)), 1 - fsum(exp(p) for _, p in named))
    unseen = log(left) if missing and left > 0 else None
    return answer._replace(labels=found, unseen=unseen)


def _place(answer: Answer, tokens: Sequence[str], ask: Ask) -> int | None:
    """Returns which token stands first after the thinking and `before`, or None.

    The only one where what the server says as text, and as tokens, can be laid beside each other:
    a server may keep thinking, or special tokens, out of the one and not of the other.
    """
    whole, text = "".join(tokens), answer.text.rstrip()
    readings = said(answer._replace(finish=None), ask.thinks)
    if len(readings) != 1 or not text or whole.count(text) != 1:
        return None
    reading = readings[0].lstrip()
    begun = [len(ask.before)] if reading.startswith(ask.before) else []
    if ask.after:
        begun = [match.end() for match in re.finditer(ask.after, reading)]
    if len(begun) != 1:
        return None
    rest = reading[begun[0] :]
    at = whole.index(text) + len(answer.text) - len(rest)
    start = 0
    for place, token in enumerate(tokens):
        if start <= at < start + len(token) and not token[: at - start].strip():
            if token.strip():
                return place
            at = start + len(token)
        start += len(token)
    return None
