"""What an answer's text says, read strictly: one verdict, or none."""

import re
from dataclasses import dataclass

from rmeval.duels import EVEN, Verdict
from rmeval.llm.endpoint import THINKS, Answer

THOUGHT = "</think>"
UNPARSED = Verdict(EVEN, parsed=False)


def said(answer: Answer, thinks: bool = False) -> tuple[str, ...]:
    """Returns what an answer says after its thinking, in each way in which that can be read.

    Only thinking with which the answer begins counts, also one that its chat template began for
    it (`thinks`): a tag further on may be of a response that is quoted. So may all but the first
    of several closing tags, or the first of them: then there are two readings. There is none of
    what did not end: half an explanation may name a label, and mean the other.
    """
    text = answer.text.lstrip()
    if not answer.finished:
        return ()
    if not thinks and not text.startswith(THINKS):
        return (text,)
    _, closed, first = text.partition(THOUGHT)
    return tuple(dict.fromkeys((first, text.rpartition(THOUGHT)[2]))) if closed else ()


def closes_what_it_did_not_open(text: str) -> bool:
    """Whether an answer may hold thinking that began before it, in a server's chat template."""
    return THOUGHT in text and not text.lstrip().startswith(THINKS)


@dataclass(frozen=True, slots=True)
class Labels:
    """The texts that say which of two responses is better; `tie` is None where none may be.

    `thinks`: every answer begins within the judge's thinking, and without a tag.
    """

    a: str
    b: str
    tie: str | None = None
    thinks: bool = False

    def read(self, answer: Answer) -> Verdict:
        """Returns the verdict of the only label in an answer; with none or several, no verdict."""
        wins = {self.a: 1.0, self.b: 0.0, **({} if self.tie is None else {self.tie: EVEN})}
        found = {frozenset(la for la in wins if la in text) for text in said(answer, self.thinks)}
        (labels,) = found if len(found) == 1 else (frozenset[str](),)
        return Verdict(wins[min(labels)]) if len(labels) == 1 else UNPARSED


@dataclass(frozen=True, slots=True)
class Scale:
    """How a rating is written, as a pattern with one group, and between what it lies.

    `thinks` is as for `Labels`.
    """

    pattern: str
    low: float
    high: float
    thinks: bool = False

    def read(self, answer: Answer) -> float | None:
        """Returns the only rating in an answer; None with none, several, or one off the scale."""
        found = {
            frozenset(map(_number, re.findall(self.pattern, text)))
            for text in said(answer, self.thinks)
        }
        if len(found) != 1 or len(*found) != 1:
            return None
        ((value,),) = found
        return value if value is not None and self.low <= value <= self.high else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
