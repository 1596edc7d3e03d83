"""What a judge is asked about the rows of a benchmark, and where its answers are kept."""

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rmeval.duels import plan_duels, texts_of
from rmeval.judging.formats import PAIRWISE, PromptFormat
from rmeval.llm.endpoint import Answer
from rmeval.records import Conversation, Preference

if TYPE_CHECKING:
    from rmeval.engine.store import ScoreStore


class Question(NamedTuple):
    """What is asked about a row: its place, and the responses shown, by theirs, in order.

    `digest` is that of exactly what is sent.
    """

    row: int
    shown: tuple[int, ...]
    conversation: Conversation
    digest: bytes


def plan_questions(
    preferences: Sequence[Preference],
    prompt_format: PromptFormat,
    order: tuple[str, int],
    settings: dict[str, Any],
) -> list[Question]:
    """Returns what is asked about each row, in order: its duels, or each of its responses.

    `order` is that of `plan_duels`, with its seed; `settings` are sent with every question.
    Raises BadData for a row that is more than text.
    """
    shown: list[tuple[int, tuple[int, ...]]]
    if prompt_format.kind == PAIRWISE:
        shown = [(d.row, (d.first, d.second)) for d in plan_duels(preferences, *order)]
    else:
        shown = [(r, (k,)) for r, row in enumerate(preferences) for k in range(len(row.responses))]
    texts = [texts_of(row) for row in preferences]
    questions = []
    for row, places in shown:
        asked = preferences[row]
        responses = tuple(texts[row][place] for place in places)
        conversation = prompt_format.question(asked.prompt, responses, asked.subset)
        content = json.dumps([settings, conversation], sort_keys=True)
        digest = hashlib.sha256(content.encode()).digest()
        questions.append(Question(row, places, conversation, digest))
    return questions


class KeptAnswers:
    """Answers by the digest of their question: in memory, and in a store where there is one."""

    def __init__(self, store: "ScoreStore | None") -> None:
        self._store = store
        self._found: dict[bytes, Answer] = {}

    def get(self, digest: bytes) -> Answer | None:
        """Returns the answer, from this run or an earlier one, or None."""
        if digest not in self._found and self._store is not None:
            blob = self._store.get_bytes(digest)
            if blob is not None:
                self._found[digest] = Answer(*json.loads(blob))
        return self._found.get(digest)

    def put(self, digest: bytes, answer: Answer) -> None:
        """Keeps an answer; it survives a kill from now on. Raises OutputFailure."""
        if self._store is not None:
            self._store.put_bytes(digest, json.dumps(answer).encode())
        self._found[digest] = answer
