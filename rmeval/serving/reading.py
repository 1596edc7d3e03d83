"""From what a client sends to token ids: messages, text that is rendered already, or ids."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from rmeval.conversations import HALF_PAIR, to_conversation
from rmeval.engine.truncation import Encoded
from rmeval.errors import BadConversation, BadData
from rmeval.records import Conversation
from rmeval.serving.settings import REFUSE, ServedModel

if TYPE_CHECKING:
    from rmeval.models.text.rendered import TemplateReader

Ids = tuple[int, ...]
Text = str
Item = Text | Ids | Conversation


def to_item(given: object, place: str) -> Item:
    """Returns a text, token ids, or a conversation. Raises BadData for anything else."""
    if isinstance(given, str):
        if HALF_PAIR.search(given):
            raise BadData(f"{place}: holds half of a surrogate pair, which is not valid text")
        return given
    if is_ids(given):
        return tuple(given)
    return to_conversation(given, place)


def is_ids(given: object) -> TypeGuard[list[int]]:
    """Whether something is a list of whole numbers, at least one."""
    return isinstance(given, list) and bool(given) and all(type(token) is int for token in given)


class Reader:
    """Reads what clients send for one model, whatever of it is mixed in a request."""

    def __init__(self, model: ServedModel, template: "TemplateReader | None") -> None:
        """Texts are of `template`, or of the model's own where there is none."""
        self._model, self._template = model, template

    def read(self, items: Sequence[Item], word: str, on_long: str) -> list[Encoded]:
        """Returns the ids of items, in their order.

        Raises BadConversation for one that cannot be read, or is too long where that is to be
        refused; `word` is what an item is called.
        """
        found: dict[int, Encoded] = {}
        for kind in sorted({_kind_of(item) for item in items}):
            places = [place for place, item in enumerate(items) if _kind_of(item) == kind]
            try:
                fitted = self._read_kind(kind, [items[place] for place in places])
            except BadConversation as error:
                place = places[error.index]
                raise BadConversation(place, error.reason, f"{word} {place}") from error
            found |= zip(places, fitted, strict=True)
        read = [found[place] for place in range(len(items))]
        if on_long == REFUSE:
            self._require_whole(read, word)
        return read

    def _read_kind(self, kind: str, items: list[Any]) -> list[Encoded]:
        if kind == "ids":
            return self._model.fit_ids(items)
        if kind == "text" and self._template is None:
            return self._model.fit_texts(items)
        if kind == "text":
            items = [self._parse(text, index) for index, text in enumerate(items)]
        return self._model.fit(items)

    def _parse(self, text: str, index: int) -> Conversation:
        assert self._template is not None
        talk = self._template.parse(text)
        if talk is None:
            raise BadConversation(
                index,
                "is no text that the template of `text_template=` writes for messages of system, "
                "user and assistant; send messages instead",
            )
        return talk

    def _require_whole(self, read: Sequence[Encoded], word: str) -> None:
        for index, item in enumerate(read):
            if item.truncated:
                longest = self._model.max_length
                reason = f"has more than the {longest} tokens that the model takes"
                raise BadConversation(index, reason, f"{word} {index}")


def _kind_of(item: Item) -> str:
    if isinstance(item, str):
        return "text"
    return "ids" if isinstance(item[0], int) else "talk"
