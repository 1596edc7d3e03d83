"""How a judge is asked, and how its answer is read.

A format's texts have fields in braces: {prompt}, and {a} and {b} for two responses, {response} for
one, or {responses} for several, each of which is written with `item`; {criterion} is what to judge
by. All are filled in at once, so that braces in a response are only text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rmeval.errors import BadData, one_line
from rmeval.judging.fields import MOST_SHOWN, fill, position
from rmeval.judging.verdicts import Reader
from rmeval.records import Conversation, Message, Preference

PAIRWISE, RATING, LISTWISE = "pairwise", "rating", "listwise"
FIELDS = {
    PAIRWISE: ("prompt", "a", "b"),
    RATING: ("prompt", "response"),
    LISTWISE: ("prompt", "responses"),
}
CRITERION = "criterion"
TURN_FIELDS = ("role", "content")
TURNS = Message("", "")  # stands for the prompt's own messages


class Wording(tuple[Message, ...]):
    """The messages that a judge is sent, with their fields; TURNS among them are the prompt's."""

    __slots__ = ()

    def has(self, field: str) -> bool:
        """Whether a field stands in one of the messages."""
        return any(f"{{{field}}}" in message.content for message in self)


@dataclass(frozen=True, slots=True)
class Criterion:
    """What responses are judged by, in words, and how much it weighs among others."""

    name: str
    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Subset:
    """How the rows of a subset are asked about: in other words, by another criterion, or format."""

    wording: Wording | None = None
    criterion: str | None = None
    prompt_format: "PromptFormat | None" = None


@dataclass(frozen=True, slots=True)
class PromptFormat:
    """A prompt format: rmeval's own, or a user's.

    A prompt that is one message of the user is that message; one of several turns is written with
    `turn`, an empty line between turns, and asked about with `several`. `sha256` is that of
    everything here but name, summary and source.
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
    item: str
    criteria: tuple[Criterion, ...]
    subsets: Mapping[str, Subset]
    verdict: Reader
    sha256: str

    def of_subset(self, name: str) -> "PromptFormat":
        """Returns the format that the rows of a subset are asked with: this one, or another."""
        found = self.subsets.get(name)
        return self if found is None or found.prompt_format is None else found.prompt_format

    def criteria_of(self, row: Preference) -> tuple[Criterion, ...]:
        """Returns what a row's responses are judged by: the row's own, its subset's, or all.

        One without words where the format names none. Raises BadData for a row that needs one.
        """
        if not self.single.has(CRITERION):
            return (Criterion("", ""),)
        subset = self.subsets.get(row.subset)
        if row.criterion:
            return (Criterion("", row.criterion),)
        if subset is not None and subset.criterion is not None:
            return (Criterion("", subset.criterion),)
        if not self.criteria:
            raise BadData(
                f"preference {row.id} ({one_line(row.subset)}): no criterion, which the prompt "
                f"format {self.name} asks for; give the data a column `criterion`, or the format "
                "[[criteria]]"
            )
        return self.criteria

    def question(
        self,
        prompt: Conversation,
        responses: Sequence[str],
        subset: str = "",
        criterion: str = "",
    ) -> Conversation:
        """Returns what the judge is asked about responses, in the order in which they are shown."""
        is_single = len(prompt) == 1 and prompt[0].role == "user"
        other = self.subsets.get(subset, Subset()).wording
        wording = other or (self.single if is_single else self.several)
        asked = prompt[0].content if is_single else self._turns(prompt)
        values = {"prompt": asked, CRITERION: criterion, **self._shown(asked, responses)}
        return tuple(
            message
            for template in wording
            for message in (
                prompt
                if template == TURNS
                else (Message(template.role, fill(template.content, values)),)
            )
        )

    def with_criteria(self, criteria: Sequence[Criterion], sha256: str) -> "PromptFormat":
        """Returns the format with other criteria, whose hash is added to its own."""
        return replace(self, criteria=tuple(criteria), sha256=sha256)

    def _shown(self, prompt: str, responses: Sequence[str]) -> dict[str, str]:
        if self.kind != LISTWISE:
            return dict(zip(FIELDS[self.kind][1:], responses, strict=True))
        items = [
            fill(self.item, {"prompt": prompt, "response": text, **position(place)})
            for place, text in enumerate(responses)
        ]
        return {"responses": "\n\n".join(items)}

    def _turns(self, prompt: Conversation) -> str:
        return "\n\n".join(
            fill(self.turn, {"role": turn.role.capitalize(), "content": turn.content})
            for turn in prompt
        )


def require_listable(row: Preference) -> None:
    """Raises BadData for a row of which a judge cannot name the best response."""
    count = len(row.responses)
    if row.num_chosen > 1:
        fault = f"has {row.num_chosen} chosen responses"
    elif count > MOST_SHOWN:
        fault = f"has {count} responses, and there are {MOST_SHOWN} letters"
    else:
        return
    raise BadData(
        f"preference {row.id} ({one_line(row.subset)}) {fault}: a listwise format asks for the one "
        "best response; use one that compares two, or rates"
    )
