"""Rows for judges, and judges that answer from what they are shown."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loopback import Reply, choices

from rmeval.records import Message, Preference

SHOWN = re.compile(
    r"\[The Start of Assistant A's Answer\]\n(.*)\n\[The End of Assistant A's Answer\]\n\n"
    r"\[The Start of Assistant B's Answer\]\n(.*)\n\[The End of Assistant B's Answer\]",
    re.S,
)
RATED = re.compile(r"\[Response\]\n(.*)\n\n\[Your judgement\]", re.S)


def row(number: int, *responses: str, num_chosen: int = 1, subset: str = "") -> Preference:
    prompt = (Message("user", f"question {number}"),)
    return Preference(f"r{number}", subset, prompt, responses, num_chosen)


def pairs(count: int) -> list[Preference]:
    """The better response says so; it is the longer one in every third row."""
    return [row(n, f"good {n}" + " and long" * (n % 3 == 0), f"bad, {n}.") for n in range(count)]


def write_pairs(path: Path, rows: list[Preference]) -> Path:
    lines = (
        {"id": r.id, "prompt": r.prompt[0].content, "chosen": r.responses[0], "rejected": bad}
        for r in rows
        for bad in r.responses[1:]
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def shown(asked: dict[str, Any]) -> tuple[str, str]:
    """The two responses of a question in the format `rewardbench`, in order."""
    found = SHOWN.search(asked["messages"][-1]["content"])
    assert found is not None
    return found[1], found[2]


def prefers(better: Callable[[str, str], bool], **answer: Any) -> Callable[[Any], Reply]:
    """A judge that says [[A]] where `better` says so of the first response, else [[B]]."""

    def reply(asked: dict[str, Any]) -> Reply:
        label = "[[A]]" if better(*shown(asked)) else "[[B]]"
        return choices(f"Let me compare. My verdict: {label}", **answer)

    return reply


PERFECT = prefers(lambda a, b: a.startswith("good") and not b.startswith("good"), usage=(100, 10))
LONGER = prefers(lambda a, b: len(a) > len(b))
ALWAYS_A = prefers(lambda a, b: True)
