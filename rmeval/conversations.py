"""Conversations as users write them, checked once at the door."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import index
from typing import Any

from rmeval.errors import BadData, first_line, one_line
from rmeval.records import Conversation, Message, Reply, with_reference, with_tools

HALF_PAIR = re.compile("[\ud800-\udfff]")
CALLS = ("tool_calls", "function_call")  # what a message may have instead of a content
ConversationLike = Sequence[Message | Mapping[str, Any]] | Mapping[str, Any]
"""A list of messages, or {"messages": …, "tools": …, "reference": …}."""
BESIDE = ("tools", "reference")


def to_conversations(conversations: Sequence[ConversationLike]) -> list[Conversation]:
    """Checks and freezes what a user passes as conversations. Raises BadData, naming which."""
    if isinstance(conversations, str | Mapping) or not isinstance(conversations, Iterable):
        raise BadData(f"expected a list of conversations, got {type(conversations).__name__}")
    return [
        to_conversation(conversation, f"conversation {number}")
        for number, conversation in enumerate(conversations)
    ]


def to_ids(sequence: object, place: str) -> list[int]:
    """Returns token ids as whole numbers; raises BadData, naming the place, for anything else."""
    try:
        if isinstance(sequence, Iterable) and not isinstance(sequence, str | bytes):
            return [index(token) for token in sequence]
    except TypeError:
        pass
    raise BadData(f"{place}: expected a list of token ids")


def to_conversation(
    conversation: object, place: str, tools: object = None, reference: object = None
) -> Conversation:
    """Returns a conversation of messages, see `to_message`, that offers `tools`, see `to_tools`.

    It may also be given as {"messages": …, "tools": …, "reference": …}; for `reference` see
    `to_reference`. `place` is where it stands, for the message of the BadData that anything else
    raises.
    """
    if isinstance(conversation, Mapping) and "messages" in conversation:
        others = one_line(", ".join(map(str, conversation.keys() - {"messages", *BESIDE})))
        if others or tools is not None:
            raise BadData(
                f"{place}: unexpected beside messages and tools: {others or 'tools again'}"
            )
        given = (conversation.get(name) for name in BESIDE)
        return to_conversation(conversation["messages"], place, *given)
    if isinstance(conversation, str | Mapping) or not isinstance(conversation, Sequence):
        raise BadData(f"{place}: expected a list of messages, got {type(conversation).__name__}")
    messages = tuple(to_message(message, place) for message in conversation)
    if not messages:
        raise BadData(f"{place}: no messages")
    offered = to_tools(tools, place)
    kept = [turn.tools if isinstance(turn, Message) else "" for turn in conversation]
    if any(kept[1:]) or (offered and any(kept)):
        raise BadData(f"{place}: tools are offered twice, or after the first message")
    beside = [turn.reference for turn in conversation if isinstance(turn, Message)]
    told = to_reference(reference, place) or "".join(beside[:1])
    return with_reference(with_tools(messages, offered or "".join(kept)), told)


def to_message(given: object, place: str) -> Message:
    """Returns a message with text in "role" and "content", and whatever other fields it has.

    A content may be a list of text parts, which are joined, and null or absent where tools are
    called. Another field that is null, or an empty list, is as if it were not there. Raises
    BadData, naming the place, for anything else.
    """
    fields = given.fields() if isinstance(given, Message) else given
    if not isinstance(fields, Mapping):
        raise BadData(f'{place}: a message must be {{"role": ..., "content": ...}}')
    role, content = fields.get("role"), fields.get("content")
    others = {
        name: value
        for name, value in fields.items()
        if name not in ("role", "content") and value is not None and value != []
    }
    if content is None and any(others.get(name) for name in CALLS):
        others |= {"content": None} if "content" in fields else {}
        content = ""
    if isinstance(content, list):
        content = "".join(_part_texts(content, place))
    if not isinstance(role, str) or not isinstance(content, str):
        raise BadData(f'{place}: a message needs text in "role" and in "content"')
    extra = _to_json(others, place, "a message's fields") if others else ""
    if HALF_PAIR.search(content) or HALF_PAIR.search(extra):
        raise BadData(f"{place}: holds half of a surrogate pair, which is not valid text")
    return Message(role, content, extra)


def to_reply(given: object, place: str) -> Reply:
    """Returns a response: a text, or a message of the assistant. Raises BadData."""
    if isinstance(given, str):
        return given
    message = to_message(given, place)
    if message.role != "assistant":
        role = one_line(message.role)[:40]
        raise BadData(f"{place}: a message of the {role}, not a response of the assistant")
    return as_reply(message)


def as_reply(message: Message) -> Reply:
    """Returns a message of the assistant as a response: its text, where it has nothing else."""
    return message if message.extra else message.content


def to_tools(given: object, place: str) -> str:
    """Returns tools as JSON text, "" for none: null, an empty text, or a missing number.

    They are objects in a list, which may itself be JSON in a text. Raises BadData.
    """
    if isinstance(given, str):
        given = _from_json(given, place) if given.strip() else None
    if is_missing(given):
        return ""
    if not isinstance(given, list | tuple) or not all(isinstance(tool, Mapping) for tool in given):
        raise BadData(f"{place}: tools must be a list of objects, as a chat template takes them")
    return _to_json(given, place, "tools")


def to_reference(given: object, place: str) -> str:
    """Returns the answer that responses may be compared with: a text, or the contents of messages.

    What is neither is none, and so is white space: only a model that compares needs one, and says
    so. Messages come in a list, or as one, and their contents are joined by line breaks, as POLAR's
    authors do. Raises BadData for a message that is none.
    """
    if isinstance(given, str):
        return given if given.strip() else ""
    messages = [given] if isinstance(given, Mapping) else given
    if not isinstance(messages, list | tuple) or not all(
        isinstance(message, Mapping) and "role" in message for message in messages
    ):
        return ""
    contents = [to_message(message, f"{place}: reference").content for message in messages]
    return to_reference("\n".join(contents), place)


def is_missing(value: object) -> bool:
    """Whether a value is none: null, or the NaN that pandas writes for it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def parse_json(text: str) -> Any:
    """Returns what JSON holds. Raises ValueError, also for a key that an object has twice."""
    return json.loads(text, object_pairs_hook=_only_once)


def _only_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {one_line(twice)[:80]!r} appears twice")
    return found


def _from_json(text: str, place: str) -> object:
    try:
        return parse_json(text)
    except (ValueError, RecursionError) as error:
        raise BadData(f"{place}: tools are not JSON ({first_line(error)})") from error


def _to_json(value: object, place: str, what: str) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadData(f"{place}: {what} must be JSON ({one_line(first_line(error))})") from error


def _part_texts(parts: Iterable[Any], place: str) -> Iterator[str]:
    """Yields the text of a message that is given in parts. Raises BadData for all but text."""
    for part in parts:
        kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
        text = part.get("text") if kind == "text" else None
        if not isinstance(text, str):
            kind = one_line(repr(kind))[:40]
            raise BadData(f"{place}: a message has a part of type {kind}; rmeval scores text only")
        others = [name for name in part if name not in ("type", "text") and part[name] is not None]
        if others:
            raise BadData(f"{place}: a part of a message has {one_line(str(others[0]))[:40]!r}")
        yield text
