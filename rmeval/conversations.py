"""Conversations as users write them, checked once at the door."""

from collections.abc import Mapping, Sequence

from rmeval.errors import BadData
from rmeval.types import Conversation, Message

ConversationLike = Sequence[Message | Mapping[str, str]]


def to_conversations(conversations: Sequence[ConversationLike]) -> list[Conversation]:
    """Checks and freezes what a user passes as conversations. Raises BadData, naming which."""
    return [
        to_conversation(conversation, f"conversation {index}")
        for index, conversation in enumerate(conversations)
    ]


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
        messages.append(Message(role, content))
    if not messages:
        raise BadData(f"{place}: no messages")
    return tuple(messages)
