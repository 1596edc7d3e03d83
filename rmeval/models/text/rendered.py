"""Texts that a chat template has written elsewhere, read as they are, or backwards into messages.

Who sends a text to be scored has rendered it: with the template of the model, or with that of the
model that he trains. Reading backwards is guessing, so every guess is written again by the same
template, and is one only where the same text comes out.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from itertools import dropwhile, takewhile
from typing import Any, NamedTuple

from rmeval.errors import BadConversation
from rmeval.hub import local_path
from rmeval.known import find_template, shipped_templates
from rmeval.models.checkpoints.checkpoint import find_checkpoint
from rmeval.models.text.day import ASKS, choose_day, day_in
from rmeval.models.text.specials import Specials
from rmeval.models.text.tokenizer import render, require_chat_template, template_of
from rmeval.models.text.tokenizer_files import load_tokenizer
from rmeval.records import Conversation, Message

MOST_TURNS = 256  # of the assistant; each costs a pass over the text
FRAMES = 1024  # that are remembered
HEAD = 2000  # characters in which a template writes the day
FOREIGN = "holds no special token of the model's chat template: it was rendered for another model"
Ids = list[int]


class Frame(NamedTuple):
    """What a template writes around the contents of some roles: one more text than there are."""

    roles: tuple[str, ...]
    literals: tuple[str, ...]


class TemplateReader:
    """A chat template at work with its tokenizer, backwards."""

    def __init__(self, tokenizer: Any, template: str | None = None) -> None:
        """Takes a template in place of the tokenizer's own. Nothing is rendered yet."""
        self._tokenizer, self._template = tokenizer, template or template_of(tokenizer)
        self._frame = lru_cache(FRAMES)(self._make_frame)

    def parse(self, text: str) -> Conversation | None:
        """Returns the conversation that the template writes as this text, or None.

        A BOS may be missing or doubled, and the end of the last answer may be missing. Where the
        template writes a system prompt by itself, that is not a message; where it writes the day,
        it is the text's.
        """
        bare = self._without_bos(text)
        template = self._on_the_day_of(bare)
        found = [self._parse_as(template, bare, system) for system in (False, True)]
        # the more of a text is the template's, the less was guessed
        return min(filter(None, found), key=_letters, default=None)

    def _parse_as(self, template: str | None, text: str, system: bool) -> Conversation | None:
        turns = self._count_turns(template, text, system)
        frame = self._frame(template, system, turns) if turns else None
        return self._fill(template, frame, text) if frame else None

    def _on_the_day_of(self, text: str) -> str | None:
        """Returns the template on the day that a text begins with, where it asks for the day."""
        if self._template is None or ASKS not in self._template:
            return self._template
        day = day_in(text[:HEAD])
        return day.fixed_in(self._template) if day else self._template

    def _count_turns(self, template: str | None, text: str, system: bool) -> int:
        """Returns how many answers a text seems to hold, 0 for none or too many."""
        frame = self._frame(template, system, 1)
        before_answer = frame.literals[-2] if frame else ""
        turns = text.count(before_answer) if before_answer else 0
        return turns if turns <= MOST_TURNS else 0

    def _make_frame(self, template: str | None, system: bool, turns: int) -> Frame | None:
        """Returns what is written around so many turns, or None where that cannot be told."""
        roles = (*(["system"] if system else []), *(["user", "assistant"] * turns))
        marks = [f"\ue000{place}\ue001" for place in range(len(roles))]
        written = self._write(template, [*map(Message, roles, marks)])
        if written is None or any(written.count(mark) != 1 for mark in marks):
            return None
        literals = []
        for mark in marks:
            before, found, written = written.partition(mark)
            if not found:  # in another order
                return None
            literals.append(before)
        return Frame(roles, (*literals, written)) if all(literals[1:]) else None

    def _fill(self, template: str | None, frame: Frame, text: str) -> Conversation | None:
        """Returns the messages of these roles that are written as this text, or None."""
        if not text.startswith(frame.literals[0]):
            return None
        contents, rest = [], text[len(frame.literals[0]) :]
        for literal in frame.literals[1:-1]:
            content, found, rest = rest.partition(literal)
            if not found:
                return None
            contents.append(content)
        end = frame.literals[-1]
        sign = "".join(end.split()[:1])  # of an end, which an unfinished answer does not have
        for size in range(len(end), -1, -1):  # as much of the end as there is
            answer = rest[: len(rest) - size]
            if not rest.endswith(end[:size]) or (size < len(end) and sign and sign in answer):
                continue
            talk = tuple(map(Message, frame.roles, [*contents, answer]))
            if self._write(template, talk) == text + end[size:]:
                return talk
        return None

    def _write(self, template: str | None, talk: Sequence[Message]) -> str | None:
        try:
            written = render(self._tokenizer, tuple(talk), 0, template=template)
        except BadConversation:
            return None
        return self._without_bos(written)

    def _without_bos(self, text: str) -> str:
        bos = self._tokenizer.bos_token
        while bos and text.startswith(bos):
            text = text[len(bos) :]
        return text


def _letters(talk: Conversation) -> int:
    return sum(len(message.content) for message in talk)


class TextReader:
    """Rendered texts as ids: special tokens are read, none is added, and BOS stands as it should.

    Some clients strip the BOS that a template writes, since their server adds one, and others do
    not. So a text begins with BOS as often as the model's conversations do, whatever was sent.
    """

    def __init__(self, specials: Specials, end_token: int | None, probe: Sequence[int]) -> None:
        """Takes the ids of a short conversation, which show what the model's texts begin with."""
        self._specials, self._end = specials, end_token
        self._tokenizer = specials.tokenizer
        self._starts = {self._tokenizer.bos_token_id, *specials.around.before} - {None}
        self._lead = self._leading(probe)
        of_any_text = {end_token, self._tokenizer.unk_token_id, *specials.around.after}
        special = set(self._tokenizer.added_tokens_decoder) - self._starts - of_any_text
        self._marks = special.intersection(probe)

    @cached_property
    def template(self) -> TemplateReader:
        """The model's own template, backwards."""
        return TemplateReader(self._tokenizer)

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Returns the ids of texts, however long.

        Raises BadConversation for a text that is not of the model's template, as far as that can
        be told: it has none of its special tokens, or is not written so where it has none.
        """
        rows = [self._encode_one(ids) for ids in self._specials.encode(texts)]
        for index, (text, ids) in enumerate(zip(texts, rows, strict=True)):
            own = self._marks.intersection(ids) if self._marks else self.template.parse(text)
            if not own:
                raise BadConversation(
                    index,
                    f"{FOREIGN}? Pass `text_template=`, the template that it was rendered with, or "
                    "send messages",
                )
        return rows

    def _encode_one(self, ids: Ids) -> Ids:
        rest = list(dropwhile(self._starts.__contains__, ids))
        end = [] if self._end is None or rest[-1:] == [self._end] else [self._end]
        return [*self._lead, *rest, *end]

    def _leading(self, ids: Iterable[int]) -> Ids:
        return list(takewhile(self._starts.__contains__, ids))


def open_template(name: str, tokenizer: Any) -> TemplateReader:
    """Returns a template backwards: a file's, a shipped one, or that of a model, a folder or name.

    That of a file or a shipped one is used with the tokenizer given, for the names of its special
    tokens. Raises RmevalError for what is none of these.
    """
    path = local_path(name)
    if name in shipped_templates() or (path is not None and path.is_file()):
        return TemplateReader(tokenizer, find_template(name).text)
    folder = find_checkpoint(name, None)[0]
    other = load_tokenizer(folder)
    template = require_chat_template(other, folder)
    other.day = choose_day(None, template, folder)
    return TemplateReader(other)
