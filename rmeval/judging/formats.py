"""How a judge is asked, and how its answer is read.

A format's texts have fields in braces: {prompt}, and {a} and {b} for two responses or {response}
for one. All are filled in at once, so that braces in a response are only text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rmeval.judging.verdicts import Labels, Scale
from rmeval.records import Conversation, Message

PAIRWISE, RATING = "pairwise", "rating"
FIELDS = {PAIRWISE: ("prompt", "a", "b"), RATING: ("prompt", "response")}
TURN_FIELDS = ("role", "content")
FIELD = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Wording:
    """What a judge is asked: a system message, or "" for none, and the user's."""

    system: str
    user: str


@dataclass(frozen=True, slots=True)
class PromptFormat:
    """A prompt format: rmeval's own, or a user's.

    A prompt that is one message of the user is that message; one of several turns is written with
    `turn`, an empty line between turns, and asked about with `several`. `subsets` has other words
    for the rows of a subset. `sha256` is that of everything here but name, summary and source.
    """

    name: str
    kind: str
    summary: str
    source: str
    max_new_tokens: int
    temperature: float
    single: Wording
    several: Wording
    turn: str
    subsets: Mapping[str, Wording]
    verdict: Labels | Scale
    sha256: str

    def question(
        self, prompt: Conversation, responses: tuple[str, ...], subset: str = ""
    ) -> Conversation:
        """Returns what the judge is asked about one response, or two in the order shown."""
        is_single = len(prompt) == 1 and prompt[0].role == "user"
        wording = self.subsets.get(subset, self.single if is_single else self.several)
        asked = prompt[0].content if is_single else self._turns(prompt)
        values = dict(zip(FIELDS[self.kind], (asked, *responses), strict=True))
        system = [Message("system", wording.system)] if wording.system else []
        return (*system, Message("user", fill(wording.user, values)))

    def _turns(self, prompt: Conversation) -> str:
        return "\n\n".join(
            fill(self.turn, {"role": turn.role.capitalize(), "content": turn.content})
            for turn in prompt
        )


def fill(text: str, values: Mapping[str, str]) -> str:
    """Returns a text with its fields filled in, once: what is filled in is not read again."""
    return FIELD.sub(lambda field: values[field[1]], text)
