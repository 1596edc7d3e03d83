r"""What a prompt or a response may look like in a data set: text, texts, or messages of some kind.

Known are text; dialogues in one text, "\n\nHuman: ...\n\nAssistant: ...", as Anthropic's hh-rlhf
(arXiv 2204.05862) is published; {"role", "content"} messages, as in TRL's conversational formats;
ShareGPT's {"from", "value"}; and such messages as JSON in a text, since csv has no lists. What else
a message has, such as tool_calls, stays with it.
"""

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple, TypeGuard

from rmeval.conversations import is_missing, parse_json, to_message
from rmeval.errors import BadData, first_line, one_line
from rmeval.records import Conversation, Message

ROLES = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "developer": "developer",
    "function": "function",
    "human": "user",
    "gpt": "assistant",
}
SPEAKERS = {"Human": "user", "Assistant": "assistant"}
TRANSCRIPT_START = "\n\nHuman:"
TRANSCRIPT_CUE = "\n\nAssistant:"
_TURN = re.compile(r"\n\n(Human|Assistant):[ ]?")  # hh-rlhf's empty turns lack the space


class Shape(StrEnum):
    """What the values of a column are, in words that follow "is"."""

    TEXT = "text"
    TRANSCRIPT = r"a dialogue in '\n\nHuman:' text"
    TEXTS = "a list of texts"
    MESSAGE = "one message"
    REPLY = "a reply as a list of messages"
    DIALOGUE = "a list of messages"


class Value(NamedTuple):
    """A value with its shape: `texts` of a text or texts, `turns` of all others.

    `unspaced_cue`: a dialogue ends in "Assistant:" without the space that follows a speaker.
    """

    shape: Shape
    texts: tuple[str, ...] = ()
    turns: Conversation = ()
    unspaced_cue: bool = False

    def prompt(self) -> Conversation:
        """Returns the value as a prompt: text is the user's, a last "Assistant:" is no turn."""
        if self.shape is Shape.TRANSCRIPT and self.turns[-1] == ("assistant", ""):
            return self.turns[:-1]
        return self.turns or (Message("user", self.texts[0]),)


def parse_value(value: object, column: str, place: str) -> Value:
    """Returns what a column holds. Raises BadData, naming both, for anything that is not text.

    A list of messages is a reply if the assistant begins it.
    """
    if isinstance(value, str):
        return _parse_text(value, place)
    if _is_message(value):
        return Value(Shape.MESSAGE, turns=(_message(value, place),))
    if isinstance(value, list) and value:
        if all(isinstance(item, str) for item in value):
            return Value(Shape.TEXTS, texts=tuple(value))
        if all(_is_message(item) for item in value):
            return _list_of_messages(value, place)
    if is_missing(value):
        raise BadData(f"{place}: column {column!r} has no value")
    if value == []:
        raise BadData(f"{place}: column {column!r} is an empty list")
    kind = type(value).__name__
    raise BadData(f"{place}: column {column!r} holds {kind}, neither text nor texts nor messages")


def parse_transcript(text: str) -> Conversation:
    r"""Returns the turns of a text "\n\nHuman: ...\n\nAssistant: ...", which begins with one."""
    _, *parts = _TURN.split(text)
    turns = zip(parts[::2], parts[1::2], strict=True)
    return tuple(Message(SPEAKERS[speaker], content) for speaker, content in turns)


def _parse_text(text: str, place: str) -> Value:
    if text.startswith(TRANSCRIPT_START):
        cue = text.endswith(TRANSCRIPT_CUE)
        return Value(Shape.TRANSCRIPT, turns=parse_transcript(text), unspaced_cue=cue)
    if text.startswith("["):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None  # text that begins with a bracket
        if isinstance(found, list) and found and all(_is_message(item) for item in found):
            try:
                return _list_of_messages(parse_json(text), place)
            except ValueError as error:
                raise BadData(f"{place}: messages in a text: {first_line(error)}") from error
    return Value(Shape.TEXT, texts=(text,))


def _is_message(value: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping) and ("role" in value or "from" in value)


def _list_of_messages(found: list[Any], place: str) -> Value:
    turns = tuple(_message(item, place) for item in found)
    return Value(Shape.REPLY if turns[0].role == "assistant" else Shape.DIALOGUE, turns=turns)


def _message(fields: Mapping[str, Any], place: str) -> Message:
    """Returns a message of {"role", "content"} or {"from", "value"}. Raises BadData."""
    names = ("from", "value") if fields.get("role") is None else ("role", "content")
    role = fields.get(names[0])
    if not isinstance(role, str) or role not in ROLES:
        found = one_line(repr(role))[:40]
        raise BadData(f"{place}: a message of role {found}; known: {', '.join(ROLES)}")
    if names[1] == "value" and not isinstance(fields.get("value"), str):
        raise BadData(f"{place}: a message needs text in 'value'")
    if names[1] == "value" and fields.get("content") is not None:
        raise BadData(f"{place}: a message has text in 'value', and a content")
    given = {name: value for name, value in fields.items() if name not in names}
    given |= {"content": fields[names[1]]} if names[1] in fields else {}
    return to_message({**given, "role": ROLES[role]}, place)
