"""A loaded reward model: conversations or token ids in, rewards out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from rmeval.clock import spending
from rmeval.conversations import ConversationLike, to_conversations, to_ids
from rmeval.engine.scoring import Store, score_rows, score_sequences
from rmeval.engine.truncation import Encoded, truncate
from rmeval.engine.workers import Workers
from rmeval.errors import BadConversation, BadData
from rmeval.models.model import LoadedModel, Plan
from rmeval.models.text.rendered import TextReader
from rmeval.models.text.tokenizer import encode_conversations
from rmeval.preferences import ranks_of, to_candidates
from rmeval.records import Conversation, Message, OnProgress, Preference, Score, with_system

PROBES = ("x", "7")  # two contents without a common first or last token


@dataclass(frozen=True, eq=False, repr=False)
class RewardModel(LoadedModel):
    """A network with its family's way of reading conversations. Made by `load_model`."""

    last_token: ClassVar[str] = "the reward is read from"

    def score(self, conversations: Sequence[ConversationLike]) -> list[float]:
        """Returns the reward of each conversation, a sequence of {"role", "content"} messages.

        Other fields of a message reach the chat template too. A conversation that offers tools is
        {"messages": […], "tools": […]}.
        Raises BadData for what is no conversation, BadReward for a NaN or infinite reward.
        """
        return [score.value for score in self.score_conversations(to_conversations(conversations))]

    def score_tokens(self, sequences: Sequence[Sequence[int]]) -> list[float]:
        """Returns the reward of each list of token ids, taken exactly as it is.

        Nothing is added or cut: an empty or too long sequence raises BadData. Works without a
        tokenizer.
        """
        checked = [to_ids(sequence, f"sequence {i}") for i, sequence in enumerate(sequences)]
        for index, ids in enumerate(checked):
            if len(ids) > self.max_length:
                raise BadData(
                    f"sequence {index} has {len(ids)} tokens; {self.name} takes 1 to "
                    f"{self.max_length}"
                )
            self._require_in_vocabulary(ids, f"sequence {index}")
        return self._score_ids(checked)

    def _score_ids(self, rows: Sequence[Sequence[int]]) -> list[float]:
        """Returns the reward of sequences as the engine takes them, a few held to those alone."""
        from rmeval.models.doctor.examination import require_same_alone

        rewards = score_sequences(self.network, rows, self.engine)
        self._check_once("tokens", lambda: require_same_alone(self, rows, rewards))
        return rewards

    def _check_once(self, what: str, check: Callable[[], None]) -> None:
        """Makes a check before the first score, unless the model was loaded without checks."""
        if self.checks and what not in self.checked:
            check()
            self.checked.add(what)

    def compare(self, a: ConversationLike, b: ConversationLike) -> bool:
        """Whether `a` has a strictly higher reward than `b`."""
        reward_a, reward_b = self.score([a, b])
        return reward_a > reward_b

    def rank(self, conversations: Sequence[ConversationLike]) -> list[int]:
        """Returns the rank of each conversation, 0 = best; equal rewards share the better rank.

        This is what InternLM2-Reward's card documents. The code published there returns an
        argsort instead, which is another thing from three conversations on.
        """
        return ranks_of(self.score(conversations))

    def best_of(
        self, prompt: str | ConversationLike, responses: Sequence[str | Mapping[str, Any]]
    ) -> tuple[int, list[float]]:
        """Returns the place of the best response to a prompt, and the reward of each.

        Of equally good ones the first is the best. Raises BadData where there are none.
        """
        fields = {"prompt": prompt, "responses": responses}
        rewards = self.score(to_candidates(fields, "best_of").conversations())
        return rewards.index(max(rewards)), rewards

    def encode(self, conversation: ConversationLike) -> list[int]:
        """Returns the token ids that the model sees for a conversation, cut where it must be."""
        return list(self.encode_fitted(conversation).ids)

    def encode_fitted(self, conversation: ConversationLike) -> Encoded:
        """Returns the token ids that the model sees, and whether some were cut to fit."""
        return self._encode(to_conversations([conversation]))[0]

    def sequence(self, conversation: ConversationLike) -> list[int]:
        """Returns a conversation as the engine takes it: its ids, some of which may be marked."""
        return list(self._encode(to_conversations([conversation]))[0].ids)

    def read(self, conversations: Sequence[Conversation]) -> list[list[int]]:
        """Returns the token ids of conversations, however long. Raises BadConversation."""
        return self._read(conversations)

    def score_conversations(
        self,
        conversations: Sequence[Conversation],
        *,
        store: Store | None = None,
        workers: Workers | None = None,
        on_progress: OnProgress | None = None,
    ) -> list[Score]:
        """Returns reward, length in tokens, truncation and objectives of each conversation.

        Raises BadReward, whose `index` is the conversation's. See `score_rows`.
        """
        from rmeval.models.doctor.examination import (
            require_sound,  # which checks models of this class
        )

        self._check_once("conversations", lambda: require_sound(self, conversations))
        fitted = self.fit(conversations)
        return self.score_fitted(fitted, store=store, workers=workers, on_progress=on_progress)

    def fit(self, conversations: Sequence[Conversation]) -> list[Encoded]:
        """Returns conversations as the engine takes them, cut where they must be.

        Raises BadConversation, and BadData for ids that the model does not know.
        """
        fitted = self._encode(conversations)
        for index, item in enumerate(fitted):
            self._require_in_vocabulary(item.ids, f"conversation {index}")
            if reason := self.family.why_unreadable(item.ids):
                raise BadConversation(index, reason)
        return fitted

    def fit_texts(self, texts: Sequence[str]) -> list[Encoded]:
        """Returns texts that its chat template has written elsewhere as the engine takes them.

        Special tokens are read and none is added, but that BOS stands there as often as in a
        conversation. What is too long is cut as the conversation that it was made of. Raises
        BadConversation for a text of another template, and for what cannot be cut so.
        """
        rows = self._text_reader.encode(texts)
        return [self._fit_text(*item, i) for i, item in enumerate(zip(texts, rows, strict=True))]

    def fit_ids(self, rows: Sequence[Sequence[int]]) -> list[Encoded]:
        """Returns token ids as the engine takes them: as they are.

        Raises BadConversation for none, too many, or one that the model does not know.
        """
        for index, ids in enumerate(rows):
            if not 1 <= len(ids) <= self.max_length:
                raise BadConversation(
                    index, f"has {len(ids)} tokens; the model takes 1 to {self.max_length}"
                )
            most = self.network.vocab_size - 1
            unknown = next((token for token in ids if not 0 <= token <= most), None)
            if unknown is not None:
                raise BadConversation(index, f"token id {unknown} is outside 0 to {most}")
        return [Encoded(tuple(ids), False) for ids in rows]

    def score_fitted(
        self,
        fitted: Sequence[Encoded],
        *,
        store: Store | None = None,
        workers: Workers | None = None,
        on_progress: OnProgress | None = None,
    ) -> list[Score]:
        """Returns the scores of what `fit`, `fit_texts` and `fit_ids` return. See `score_rows`."""
        rows = score_rows(
            self.network,
            [item.ids for item in fitted],
            self.engine,
            store=store,
            workers=workers,
            on_progress=on_progress,
        )
        return [
            Score(row[0], len(item.ids), item.truncated, row[1:])
            for row, item in zip(rows, fitted, strict=True)
        ]

    @property
    def batch_tokens(self) -> int:
        """The tokens that a forward pass may hold."""
        return self.engine.batch_tokens

    @cached_property
    def _text_reader(self) -> TextReader:
        return TextReader(self.specials, self.family.end_token(), self._probe_ids())

    def _fit_text(self, text: str, ids: Sequence[int], index: int) -> Encoded:
        if len(ids) <= self.max_length:
            self._require_in_vocabulary(ids, f"text {index}")
            if reason := self.family.why_unreadable(ids):
                raise BadConversation(index, reason)
            return Encoded(tuple(ids), False)
        talk = self._text_reader.template.parse(text)
        if talk is None:
            raise BadConversation(
                index,
                f"has {len(ids)} tokens, the model takes {self.max_length}, and a text of other "
                "roles than system, user and assistant cannot be cut: send messages",
            )
        return self._encode([talk])[0]

    def examine(self, preferences: Sequence[Preference]) -> str:
        """Makes the checks of `rmeval doctor` that are cheap; they are not made again.

        Raises BadCheckpoint for a model that fails one.
        """
        from rmeval.models.doctor.examination import require_sound

        require_sound(self, [preference.conversations()[0] for preference in preferences])
        self.checked.add("conversations")
        return "passed"

    def plan(self, preferences: Sequence[Preference]) -> Plan:
        """Returns what the forward passes to come will take; no weights are needed."""
        conversations = [c for preference in preferences for c in preference.conversations()]
        return self._plan([item.ids for item in self._encode(conversations)])

    def _probe_ids(self) -> Sequence[int]:
        return self.encode((Message("user", "x"), Message("assistant", "x")))

    def _read(self, conversations: Sequence[Conversation]) -> list[list[int]]:
        """Returns conversations as the engine takes them, however long."""
        end, given = self.family.end_token(), self._with_system(conversations)
        with spending("tokenising"):
            return encode_conversations(self.specials, given, end)

    def _with_system(self, conversations: Sequence[Conversation]) -> Sequence[Conversation]:
        """Returns the conversations with the model's system prompt, where it has one.

        Raises BadConversation for one that has another: which of them counts, nobody said.
        """
        if self.system is None:
            return conversations
        for index, talk in enumerate(conversations):
            if any(message.role == "system" for message in talk):
                raise BadConversation(
                    index, "has a system message, and `system=` is another; leave one of them out"
                )
        return [with_system(talk, self.system) for talk in conversations]

    def _encode(self, conversations: Sequence[Conversation]) -> list[Encoded]:
        return [
            Encoded(tuple(ids), False)
            if len(ids) <= self.max_length
            else self._cut(ids, conversation)
            for ids, conversation in zip(self._read(conversations), conversations, strict=True)
        ]

    def _cut(self, ids: list[int], conversation: Conversation) -> Encoded:
        """Cuts a conversation between the template's head and its own end."""
        probes = [tuple(message.saying(probe) for message in conversation) for probe in PROBES]
        frames = self._read(probes)
        return truncate(ids, frames[0], frames[1], self.max_length)
