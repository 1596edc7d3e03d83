"""Preferences with their scores, and results of them, for tests of what is shown."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rmeval.benchmarks import scheme_of
from rmeval.metrics.scheme import Scheme
from rmeval.metrics.summary import describe_scores
from rmeval.records import Message, Preference, Result, Score, ScoredPreference

PROVENANCE = {
    "model": {"name": "fake", "fingerprint": "f", "family": "fake", "dtype": "bfloat16"},
    "engine": {"path": "plain", "reason": None, "device": "cpu"},
    "data": {
        "source": "nowhere",
        "revision": None,
        "reading": {},
        "empty_responses": 0,
        "identical_responses": 0,
    },
    "versions": {"rmeval": "0.9"},
    "started": "2026-01-02T03:04:05+00:00",
    "seconds": 1.25,
}


def question(row_id: str, subset: str = "s", *texts: str) -> Preference:
    """A question about the first text, of which the second is preferred to those that follow."""
    prompt, *responses = texts or ("why?", "so that it works", "so that it fails")
    return Preference(row_id, subset, (Message("user", prompt),), tuple(responses))


def scored(item: Preference, *rewards: float, cut: bool = False) -> ScoredPreference:
    """The question with these rewards; the tokens of a response are its words."""
    scores = tuple(
        Score(reward, len(text.split()), cut)
        for reward, text in zip(rewards, item.responses, strict=True)
    )
    return ScoredPreference(item.id, item.subset, item.num_chosen, scores, item.digest)


def result(
    rows: Sequence[ScoredPreference],
    model: str = "org/m",
    definition: str = "pairs",
    scheme: Scheme | None = None,
    **changes: Any,
) -> Result:
    """What an evaluation would have made of the rows."""
    scheme = scheme or scheme_of(definition)
    weighting = changes.pop("weighting", scheme.weightings[0])
    named = {"benchmark": definition, "definition": definition, "model": model}
    rest = {"partial": None, "provenance": PROVENANCE, "scored": tuple(rows)}
    metrics = describe_scores(scheme, rows, weighting)
    return Result(**{**named, **rest, "metrics": metrics, "weighting": weighting, **changes})


def write_questions(path: Path, questions: Sequence[Preference]) -> Path:
    """Writes the questions as a user's own file of preferences."""
    lines = [
        {
            "id": item.id,
            "subset": item.subset,
            "prompt": item.prompt[0].content,
            "chosen": item.responses[0],
            "rejected": item.responses[1],
        }
        for item in questions
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path
