"""A user's own preference rows: which layout they are in, and the preference that each one is.

The layouts are TRL's preference formats (docs/source/dataset_formats.md), with the prompt in a
column of its own or inside both conversations, and prompts with several chosen and rejected
responses. The first row decides and every other one must agree: text of a data set can look like
anything, so a layout is not guessed anew for each row.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rmeval.benchmarks.reading.columns import as_argument, missing_columns
from rmeval.benchmarks.reading.rows import Row
from rmeval.benchmarks.reading.turns import Shape, Value, parse_value
from rmeval.conversations import as_reply, is_missing, to_conversation, to_reference, to_tools
from rmeval.errors import BadData, one_line
from rmeval.preferences import to_candidates
from rmeval.records import (
    WEIGHTS,
    Conversation,
    Message,
    Preference,
    Reply,
    as_message,
    with_reference,
    with_tools,
)

ASKED = ("prompt", "messages", "responses")  # of a question with several answers
TEXT_FIELDS = ("prompt", "messages", "chosen", "rejected")
OPTIONAL = {"system", "tools", "reference", "criterion"}  # null or absent in a row that has none
WHOLE = (Shape.TRANSCRIPT, Shape.DIALOGUE)

Values = Mapping[str, Value]  # of the text fields, by our names for them


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a data set are read.

    `columns` are those that are read, by our names for them, and `unread` one that could have been
    the prompt; `shapes` are those of the text fields; `place` is where the first row stands.
    """

    columns: Mapping[str, str]
    shapes: Mapping[str, Shape]
    place: str
    unread: str | None = None

    def preference(
        self, row: Row, columns: Mapping[str, str], number: int, subset: str
    ) -> Preference | None:
        """Returns the preference of a row, or None where it is not one prompt with two replies.

        Two conversations may part before their last turn, and then nobody compared two replies.
        `columns` are those of the row; `number` is its id, `subset` its subset where no column
        says. Raises BadData for a row of another layout or with a value that is none.
        """
        self._check_columns(row, columns)
        values = parse_row(row, self.columns)
        for name, value in values.items():
            if value.shape is not self.shapes[name]:
                raise BadData(
                    f"{row.place}: {name} is {value.shape}, but {self.shapes[name]} in "
                    f"{self.place} (mixed layouts); make all rows alike"
                )
        found = split_conversations(values) if self._whole else split_replies(values, row)
        if found is None:
            return None
        prompt, chosen, rejected = found
        if self._whole and "prompt" in values:
            self._check_repeated(row, values["prompt"], prompt)
        prompt = self._with_system(row, prompt, columns.get("system"))
        to_conversation([*prompt, *map(as_message, (*chosen, *rejected))], row.place)
        return Preference(
            id=self._name(row, "id") or str(number),
            subset=self._name(row, "subset") or subset,
            prompt=self._with_beside(row, prompt, columns),
            responses=(*chosen, *rejected),
            num_chosen=len(chosen),
            magnitude=self._number(row, "magnitude"),
            weight=self._weight(row),
            cluster=row.text(self.columns["cluster"]) if "cluster" in self.columns else "",
            criterion=self._text_or_none(row, columns.get("criterion")),
        )

    def joined(self, columns: Mapping[str, str]) -> "Layout":
        """Returns the layout with those columns that a row has and the first one had not."""
        found = {name: columns[name] for name in columns.keys() & OPTIONAL}
        return (
            self
            if found.keys() <= self.columns.keys()
            else replace(self, columns={**self.columns, **found})
        )

    def describe(self) -> str:
        """Returns what was recognised, on one line."""
        label = {name: self._label(name) for name in self.columns}
        if self._whole:
            kind = self.shapes["chosen"]
            told = [
                f"{label['chosen']} and {label['rejected']}: each {kind}, whose last turn is the "
                "response and the rest the prompt"
            ]
            told += [f"{label['prompt']}: repeats a part of it"] if "prompt" in label else []
        else:
            told = [f"{label[name]}: {shape}" for name, shape in self.shapes.items()]
        told += [text for name, text in label.items() if name not in self.shapes]
        told += [f"{one_line(self.unread)}: not read"] if self.unread is not None else []
        return "; ".join(told)

    @property
    def _whole(self) -> bool:
        return self.shapes["chosen"] in WHOLE

    def _label(self, name: str) -> str:
        column = one_line(self.columns[name])
        return name if name == column else f"{name} ({column})"

    def _check_columns(self, row: Row, columns: Mapping[str, str]) -> None:
        here = {name for name in columns if columns[name] != self.unread}
        for name in sorted((here ^ self.columns.keys()) - OPTIONAL):
            with_it, without = (row.place, self.place) if name in here else (self.place, row.place)
            raise BadData(f"{without} has no column for {name}, {with_it} has one (mixed layouts)")
        for name in sorted(here & self.columns.keys()):
            first, now = self.columns[name], columns[name]
            if first != now:
                raise BadData(
                    f"{row.place}: {name} is in column {now!r}, and in {first!r} at {self.place} "
                    "(mixed layouts)"
                )

    def _check_repeated(self, row: Row, repeated: Value, prompt: Conversation) -> None:
        """Raises BadData where the prompt that stands beside conversations is not theirs."""
        if repeated.shape is Shape.TEXT:
            known = repeated.texts[0].strip() in {turn.content.strip() for turn in prompt}
        else:
            known = repeated.prompt() == prompt
        if not known:
            raise BadData(
                f"{row.place}: column {self.columns['prompt']!r} is not in what chosen and "
                "rejected share; pass `columns={'prompt': ''}` to leave it unread"
            )

    def _with_system(self, row: Row, prompt: Conversation, column: str | None) -> Conversation:
        """Returns the prompt after the system message in a column of its own, unless empty."""
        text = self._text_or_none(row, column)
        if text and prompt[0].role == "system":
            raise BadData(
                f"{row.place}: has a system message in its column and another in the prompt"
            )
        return (Message("system", text), *prompt) if text else prompt

    def _text_or_none(self, row: Row, column: str | None) -> str:
        """Returns the text in a column that a row may lack, "" where it does."""
        return "" if column is None or is_missing(row.values[column]) else row.text(column)

    def _tools(self, row: Row, column: str | None) -> str:
        if column is None:
            return ""
        return to_tools(row.values[column], f"{row.place}: column {column!r}")

    def _with_beside(
        self, row: Row, prompt: Conversation, columns: Mapping[str, str]
    ) -> Conversation:
        """Returns the prompt with the tools and the reference that stand in columns of their own.

        A reference may be messages as JSON in a text, as replies may.
        """
        prompt = with_tools(prompt, self._tools(row, columns.get("tools")))
        given = row.values[columns["reference"]] if "reference" in columns else None
        if isinstance(given, str):
            turns = parse_value(given, columns["reference"], row.place)
            read = turns.shape in (Shape.REPLY, Shape.DIALOGUE)
            given = [turn.fields() for turn in turns.turns] if read else given
        return with_reference(prompt, to_reference(given, row.place))

    def _name(self, row: Row, field: str) -> str | None:
        """Returns a column as a name: a text or a whole number, which may be written as 1.0."""
        if field not in self.columns:
            return None
        value = row.values[self.columns[field]]
        if isinstance(value, float) and value.is_integer():  # pandas, where a number is missing
            value = int(value)
        if is_missing(value):
            raise self._bad(row, field, "has no value")
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise self._bad(row, field, f"holds {type(value).__name__}, not text")
        if value == "":
            raise self._bad(row, field, "is empty")
        return str(value)

    def _number(self, row: Row, field: str) -> float | None:
        if field not in self.columns:
            return None
        value = row.values[self.columns[field]]
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise self._bad(row, field, f"holds {one_line(repr(value))[:40]}, not a finite number")
        return number

    def _weight(self, row: Row) -> float:
        weight = self._number(row, "weight")
        if weight is not None and not WEIGHTS[0] <= weight <= WEIGHTS[1]:
            least, most = WEIGHTS
            fault = f"holds {weight:g}; a weight is from {least:g} to {most:g}"
            raise self._bad(row, "weight", fault)
        return 1.0 if weight is None else weight

    def _bad(self, row: Row, field: str, fault: str) -> BadData:
        advice = f"fix it, or pass {as_argument({field: ''})} to leave it unread"
        return BadData(f"{row.place}: column {self.columns[field]!r} {fault}; {advice}")


class Answers(Layout):
    """A question a row, with right and wrong answers: `responses`, and which of them are `correct`.

    The right ones come first in a preference, in their order. `answers` are the final answers that
    the responses give, where a column says them.
    """

    def preference(
        self, row: Row, columns: Mapping[str, str], number: int, subset: str
    ) -> Preference | None:
        """Returns the question of a row. Raises BadData for a row of another layout."""
        self._check_columns(row, columns)
        row = replace(row, values={**row.values, **self._unpacked(row)})
        fields = {name: row.values[self.columns[name]] for name in self.columns if name in ASKED}
        candidates = to_candidates(fields, row.place)
        count = len(candidates.responses)
        right = row.flags(self.columns["correct"], count)
        order = sorted(range(count), key=lambda index: not right[index])
        answers = self._answers(row, count)
        prompt = self._with_system(row, candidates.prompt, columns.get("system"))
        return Preference(
            id=self._name(row, "id") or str(number),
            subset=self._name(row, "subset") or subset,
            prompt=self._with_beside(row, prompt, columns),
            responses=tuple(candidates.responses[index] for index in order),
            num_chosen=sum(right),
            magnitude=self._number(row, "magnitude"),
            weight=self._weight(row),
            cluster=row.text(self.columns["cluster"]) if "cluster" in self.columns else "",
            answers=tuple(answers[index] for index in order) if answers else (),
        )

    def describe(self) -> str:
        """Returns the layout, on one line."""
        responses, correct = self._label("responses"), self._label("correct")
        others = [self._label(n) for n in self.columns if n not in ("responses", "correct")]
        return "; ".join([f"{responses}: right and wrong answers, told by {correct}", *others])

    def _unpacked(self, row: Row) -> dict[str, Any]:
        """Returns the lists that stand as JSON in a text, as they do in csv. Raises BadData."""
        names = ("messages", "responses", "correct", "answers")
        columns = [self.columns[name] for name in names if name in self.columns]
        found = {}
        for column in columns:
            text = row.values[column]
            if isinstance(text, str):
                try:
                    found[column] = json.loads(text)
                except (ValueError, RecursionError) as error:
                    raise BadData(f"{row.place}: column {column!r} is text, not a list") from error
        return found

    def _answers(self, row: Row, count: int) -> tuple[str, ...]:
        """Returns the final answers, texts or numbers; one that is null is like no other."""
        if "answers" not in self.columns:
            return ()
        column = self.columns["answers"]
        values = row.values[column]
        if not isinstance(values, list) or len(values) != count:
            raise BadData(f"{row.place}: column {column!r} must be a list of {count} answers")
        return tuple(
            f"none {index}" if is_missing(value) else f"answer {value}"
            for index, value in enumerate(values)
        )


def recognise(row: Row, columns: Mapping[str, str], found: Sequence[str]) -> Layout:
    """Returns the layout that the first row is in.

    `columns` are those of ours that the data has, `found` are all that it has. Raises BadData for
    a row of no layout, or of more than one, and says what to pass.
    """
    if "responses" in columns:
        return Answers(columns, {}, row.place)
    shapes = {name: value.shape for name, value in parse_row(row, columns).items()}
    if (shapes["chosen"] in WHOLE) != (shapes["rejected"] in WHOLE):
        raise BadData(
            f"{row.place}: chosen is {shapes['chosen']}, rejected is {shapes['rejected']}; "
            "both must hold the prompt, or neither"
        )
    if shapes["chosen"] in WHOLE:
        if "messages" not in columns:
            return Layout(columns, shapes, row.place)
        # UltraFeedback's `messages` repeats the chosen conversation.
        read = {name: column for name, column in columns.items() if name != "messages"}
        del shapes["messages"]
        return Layout(read, shapes, row.place, unread=columns["messages"])
    if "prompt" in columns and "messages" in columns:
        raise BadData(
            f"{row.place}: prompt and messages may both be the prompt; pass "
            f"{as_argument({'prompt': columns['prompt']})} or "
            f"{as_argument({'messages': columns['messages']})}"
        )
    if "prompt" not in columns and "messages" not in columns:
        raise missing_columns(["prompt"], found, columns, row.place)
    return Layout(columns, shapes, row.place)


def parse_row(row: Row, columns: Mapping[str, str]) -> dict[str, Value]:
    """Returns the text fields of a row. Raises BadData.

    What the assistant begins is a reply only where a prompt stands beside it.
    """
    names = [name for name in TEXT_FIELDS if name in columns]
    values = {
        name: parse_value(row.values[columns[name]], columns[name], row.place) for name in names
    }
    prompts = [name for name in names if name in ("prompt", "messages")]
    for name in prompts or names:
        if values[name].shape is Shape.REPLY:
            values[name] = values[name]._replace(shape=Shape.DIALOGUE)
    for name in prompts:
        if values[name].shape in (Shape.TEXTS, Shape.MESSAGE):
            raise BadData(
                f"{row.place}: column {columns[name]!r} is {values[name].shape}; a prompt is text "
                "or a list of messages"
            )
    return values


Parts = tuple[Conversation, list[Reply], list[Reply]]  # the prompt, the chosen, the rejected


def split_conversations(values: Values) -> Parts | None:
    """Returns the turns that both share and their last ones, or None where more differs."""
    *prompt, chosen = values["chosen"].turns
    *others, rejected = values["rejected"].turns
    if not prompt or prompt != others or not chosen.role == rejected.role == "assistant":
        return None
    return tuple(prompt), [as_reply(chosen)], [as_reply(rejected)]


def split_replies(values: Values, row: Row) -> Parts | None:
    """Returns a prompt with the replies beside it, or None where one has several turns.

    Raises BadData for a message that is not the assistant's.
    """
    prompt = values["prompt"] if "prompt" in values else values["messages"]
    replies = []
    for name in ("chosen", "rejected"):
        texts, turns = values[name].texts, values[name].turns
        if turns and turns[0].role != "assistant":
            raise BadData(
                f"{row.place}: {name} is a message of the {turns[0].role}, not a response"
            )
        if len(turns) > 1:
            return None
        replies.append([*texts, *map(as_reply, turns)])
    if prompt.unspaced_cue:  # the space after the cue is then the first character of the reply
        replies = [[_without_space(reply) for reply in several] for several in replies]
    return prompt.prompt(), replies[0], replies[1]


def _without_space(reply: Reply) -> Reply:
    message = as_message(reply)
    text = message.content.removeprefix(" ")
    return text if isinstance(reply, str) else message.saying(text)
