"""What a judge was asked and answered about the rows of a result: an account, and lines to read."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum
from statistics import fmean
from typing import Any

from rmeval.judging.budget import Price
from rmeval.judging.formats import PAIRWISE
from rmeval.judging.questions import Question
from rmeval.judging.thinking import closes_what_it_did_not_open
from rmeval.judging.verdicts import Verdict
from rmeval.llm.endpoint import Answer
from rmeval.records import Preference

ANSWERS = "answers.jsonl"
WORDS = {(1.0, 0.0): "first", (0.0, 1.0): "second", (0.5, 0.5): "tie"}


@dataclass(frozen=True, slots=True)
class Record:
    """Answers and refusals by the digest of their question; `before` were there from earlier.

    `repeats` says whether a server gave the same answer to the same question and seed, None where
    it was not tried.
    """

    preferences: Sequence[Preference]
    questions: Sequence[Question]
    answers: Mapping[bytes, Answer]
    refused: Mapping[bytes, str]
    before: int
    repeats: bool | None = None

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
            "cut": sum(answer.cut for answer in found if answer.labels is None),
            "prompt_tokens": read,
            "completion_tokens": written,
        }
        if strays := sum(closes_what_it_did_not_open(answer.text) for answer in found):
            account["closing_tags_alone"] = strays
        account |= self._sampling() | _of_labels(found)
        if price is None:
            return account
        usd = None
        if read is not None and written is not None:
            usd = price.of(read, written)
        return {**account, "usd": usd, "usd_per_million_tokens": list(price)}

    def _sampling(self) -> dict[str, Any]:
        """Returns what samples show of a server: how many questions have but one answer."""
        texts: dict[tuple[Any, ...], list[str]] = {}
        for question in self.questions:
            if (answer := self.answers.get(question.digest)) is not None:
                of = (question.row, question.shown, question.criterion)
                texts.setdefault(of, []).append(answer.text)
        several = [found for found in texts.values() if len(found) > 1]
        alike = sum(len(set(found)) == 1 for found in several)
        told: dict[str, Any] = {"sampled": len(several), "alike": alike} if several else {}
        return told if self.repeats is None else {**told, "repeats": self.repeats}

    def lines(self) -> Iterator[str]:
        """Yields a line of JSON for each question, in order, with what its answer is read as.

        `shown` are the places of the responses, in the order in which the judge saw them.
        """
        for question in self.questions:
            answer = self.answers.get(question.digest)
            told: dict[str, Any]
            if answer is None:
                told = {"refused_because": self.refused[question.digest]}
            else:
                read = question.asked.verdict.read(answer, len(question.shown))
                told = {"verdict": _in_words(read, question.asked.kind), **_fields(answer)}
            line = {**self._about(question), **told}
            yield json.dumps(line, ensure_ascii=False) + "\n"

    def _about(self, question: Question) -> dict[str, Any]:
        """Returns which question it is; the criterion and the sample where there are several."""
        about = {"id": self.preferences[question.row].id, "shown": list(question.shown)}
        if question.criterion or len(question.asked.criteria) > 1:
            about["criterion"] = question.asked.criteria[question.criterion].name
        return about | ({"sample": question.sample} if question.sample else {})


def _fields(answer: Answer) -> dict[str, Any]:
    """Returns an answer's fields, without those that only probabilities have where it has none."""
    fields = answer._asdict()
    return {k: v for k, v in fields.items() if v is not None or k not in ("labels", "unseen")}


def _of_labels(answers: Sequence[Answer]) -> dict[str, Any]:
    """Returns how probable it was on average that an answer is a label, where that was asked."""
    masses = [fsum(map(exp, a.labels.values())) for a in answers if a.labels is not None]
    return {"label_probability": fmean(masses)} if masses else {}


def _total(counts: Iterable[int | None]) -> int | None:
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


def _in_words(verdict: Verdict | None, kind: str) -> str | float | list[float] | None:
    """Returns which response is better, a number for each, or the rating; None is none of these."""
    if verdict is None:
        return None
    if len(verdict) == 1:
        return verdict[0]
    if kind != PAIRWISE or verdict not in WORDS:
        return list(verdict)
    return WORDS[verdict]
