"""Conversations as users write them, checked once at the door."""

import re
from collections.abc import Iterable, Mapping, Sequence
from operator import index

from rmeval.errors import BadData
from rmeval.types import Conversation, Message

HALF_PAIR = re.compile("[\ud800-\udfff]")
ConversationLike = Sequence[Message | Mapping[str, str]]


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


def to_conversation(conversation: object, place: str) -> Conversation:
    """Returns a conversation of messages with text in "role" and "content".

    `place` is where it stands, for the message of the BadData that anything else raises.
    """
    if isinstance(conversation, str | Mapping) or not isinstance(conversation, Sequence):
        raise BadData(f"{place}: expected a list of messages, got {type(conversation).__name__}")
    messages = []
    for message in conversation:
        fields = message._asdict() if isinstance(message, Message) else message
        if not isinstance(fields, Mapping):
            raise BadData(f'{place}: a message must be {{"role": ..., "content": ...}}')
        role, content = fields.get("role"), fields.get("content")
        if not isinstance(role, str) or not isinstance(content, str):
            raise BadData(f'{place}: a message needs text in "role" and in "content"')
        if HALF_PAIR.search(content):
            raise BadData(f"{place}: holds half of a surrogate pair, which is no text")
        messages.append(Message(role, content))
    if not messages:
        raise BadData(f"{place}: no messages")
    return tuple(messages)
