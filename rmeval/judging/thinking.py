"""What of an answer is said after its thinking, in each way that models mark it."""

from rmeval.llm.endpoint import Answer
from rmeval.llm.thinking import THINKING

THOUGHT = THINKING["<think>"]


def said(answer: Answer, thinks: bool | str = False) -> tuple[str, ...]:
    """Returns what an answer says after its thinking, in each way in which that can be read.

    Only thinking with which the answer begins counts, also one that its chat template began for
    it (`thinks`, or the mark that ends it): a mark further on may be of a response that is quoted.
    So may all but the first of several closing marks, or the first of them: then there are two
    readings. There is none of what did not end: half an explanation may name a label, and mean the
    other.
    """
    text = answer.text.lstrip()
    if not answer.finished:
        return ()
    closing = next((end for start, end in THINKING.items() if text.startswith(start)), None)
    if closing is None and thinks:
        closing = thinks if isinstance(thinks, str) else THOUGHT
    if closing is None:
        return (text,)
    _, closed, first = text.partition(closing)
    return tuple(dict.fromkeys((first, text.rpartition(closing)[2]))) if closed else ()


def closes_what_it_did_not_open(text: str) -> bool:
    """Whether an answer may hold thinking that began before it, in a server's chat template."""
    opened = text.lstrip().startswith(tuple(THINKING))
    return not opened and any(end in text for end in THINKING.values())
