"""What a judge was asked and answered about the rows of a result: an account, and lines to read."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rmeval.duels import EVEN, Verdict
from rmeval.judging.questions import Question
from rmeval.judging.verdicts import Labels, Scale, closes_what_it_did_not_open
from rmeval.llm.endpoint import Answer
from rmeval.records import Preference

ANSWERS = "answers.jsonl"
PER = 1_000_000  # tokens that a price is of


class Price(NamedTuple):
    """US dollars for a million tokens that are read, and for a million that are written."""

    prompt: float
    completion: float


@dataclass(frozen=True, slots=True)
class Record:
    """Answers and refusals by the digest of their question; `before` were there from earlier."""

    preferences: Sequence[Preference]
    questions: Sequence[Question]
    answers: Mapping[bytes, Answer]
    refused: Mapping[bytes, str]
    before: int

    def account(self, price: Price | None) -> dict[str, Any]:
        """Returns what the answers took, each counted once, also those from an earlier run.

        Tokens are None where the server does not count them, and so is the cost.
        """
        found = list(self.answers.values())
        read = _total(answer.prompt_tokens for answer in found)
        written = _total(answer.completion_tokens for answer in found)
        account: dict[str, Any] = {
            "answers": len(found),
            "kept_before": self.before,
            "servers": [*dict.fromkeys(answer.server for answer in found if answer.server)],
            "refused": len(self.refused),
            "refused_because": next(iter(self.refused.values()), None),
            "cut": sum(answer.cut for answer in found),
            "prompt_tokens": read,
            "completion_tokens": written,
        }
        if strays := sum(closes_what_it_did_not_open(answer.text) for answer in found):
            account["closing_tags_alone"] = strays
        if price is None:
            return account
        usd = None
        if read is not None and written is not None:
            usd = (read * price.prompt + written * price.completion) / PER
        return {**account, "usd": usd, "usd_per_million_tokens": list(price)}

    def lines(self, verdict: Labels | Scale) -> Iterator[str]:
        """Yields a line of JSON for each question, in order, with what its answer is read as.

        `shown` are the places of the responses, in the order in which the judge saw them.
        """
        for question in self.questions:
            about = {"id": self.preferences[question.row].id, "shown": list(question.shown)}
            answer = self.answers.get(question.digest)
            told: dict[str, Any]
            if answer is None:
                told = {"refused_because": self.refused[question.digest]}
            else:
                told = {"verdict": _in_words(verdict.read(answer)), **answer._asdict()}
            yield json.dumps({**about, **told}, ensure_ascii=False) + "\n"


def _total(counts: Iterable[int | None]) -> int | None:
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


def _in_words(reading: Verdict | float | None) -> str | float | None:
    """Returns which response is better, or the rating; None is an answer without either."""
    if not isinstance(reading, Verdict):
        return reading
    if not reading.parsed:
        return None
    if reading.first == EVEN:
        return "tie"
    return "first" if reading.first > EVEN else "second"
