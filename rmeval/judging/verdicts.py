"""What an answer's text says, read strictly: one verdict, or none."""

import re
from dataclasses import dataclass

from rmeval.duels import EVEN, Verdict
from rmeval.endpoint import Answer

THOUGHT, THINKS = "</think>", "<think>"
UNPARSED = Verdict(EVEN, parsed=False)


def said(answer: Answer) -> str:
    """Returns an answer without the thinking before it; nothing where either did not end.

    Half an explanation may name a label, and mean the other.
    """
    if not answer.finished:
        return ""
    after = answer.text.rpartition(THOUGHT)[2]
    return "" if THINKS in after else after


@dataclass(frozen=True, slots=True)
class Labels:
    """The texts that say which of two responses is better; `tie` is None where none may be."""

    a: str
    b: str
    tie: str | None = None

    def read(self, answer: Answer) -> Verdict:
        """Returns the verdict of the only label in an answer; with none or several, no verdict."""
        wins = {self.a: 1.0, self.b: 0.0, **({} if self.tie is None else {self.tie: EVEN})}
        text = said(answer)
        found = [label for label in wins if label in text]
        return Verdict(wins[found[0]]) if len(found) == 1 else UNPARSED


@dataclass(frozen=True, slots=True)
class Scale:
    """How a rating is written, as a pattern with one group, and between what it lies."""

    pattern: str
    low: float
    high: float

    def read(self, answer: Answer) -> float | None:
        """Returns the only rating in an answer; None with none, several, or one off the scale."""
        found = {_number(written) for written in re.findall(self.pattern, said(answer))}
        if len(found) != 1:
            return None
        (value,) = found
        return value if value is not None and self.low <= value <= self.high else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
