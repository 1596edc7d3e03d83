"""A loaded pairwise model: a prompt and two responses in, P(the first is better) out."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy

from rmeval.conversations import ConversationLike, to_ids
from rmeval.duels import Duel, Verdict, one_pair, plan_duels, settle, texts_of
from rmeval.engine.scoring import Store, score_sequences
from rmeval.engine.truncation import Encoded
from rmeval.engine.workers import Workers
from rmeval.errors import BadConversation, BadOption, BadReward
from rmeval.models.family import Family
from rmeval.models.model import LoadedModel, Plan
from rmeval.records import Conversation, Message, OnProgress, Preference, ScoredPreference


class Shown(NamedTuple):
    """A prompt and two responses, in the order in which the model sees them."""

    prompt: Conversation
    first: str
    second: str


class PairwiseFamily(Family):
    """A family whose head gives the log-odds that the response shown first is the better one."""

    kind = "pairwise"

    @abstractmethod
    def encode_pairs(
        self, tokenizer: Any, shown: Sequence[Shown], max_length: int
    ) -> list[Encoded]:
        """Returns the token ids of each pair, cut where they must be.

        Raises BadConversation, whose `index` is that of the pair.
        """


@dataclass(frozen=True, eq=False, repr=False)
class PairwiseModel(LoadedModel):
    """A network that compares two responses. Made by `load_pairwise_model`.

    The engine is that of reward models: the number that it computes is a log-odds.
    """

    family: PairwiseFamily

    def __post_init__(self) -> None:
        if self.system is not None:
            raise BadOption("`system=` is for models that give rewards; this one compares")

    def compare(self, prompt: str | ConversationLike, a: str, b: str) -> float:
        """Returns the probability that `a` answers better than `b`, both orders averaged.

        Raises BadData for what is no prompt or no response.
        """
        [scored] = self.score_preferences([one_pair(prompt, a, b)])
        return scored.scores[0].value

    def compare_tokens(self, sequences: Sequence[Sequence[int]]) -> list[float]:
        """Returns P(first is better) of each list of token ids, taken exactly as it is."""
        checked = [to_ids(sequence, f"sequence {i}") for i, sequence in enumerate(sequences)]
        for index, ids in enumerate(checked):
            self._require_in_vocabulary(ids, f"sequence {index}")
        log_odds = score_sequences(self.network, checked, self.engine)
        chances: list[float] = scipy.special.expit(np.array(log_odds, float)).tolist()
        return chances

    def score_preferences(
        self,
        preferences: Sequence[Preference],
        *,
        store: Store | None = None,
        workers: Workers | None = None,
        on_progress: OnProgress | None = None,
    ) -> tuple[ScoredPreference, ...]:
        """Returns the rows with each response's mean probability of beating the others.

        Every two responses are compared in both orders. Raises BadReward or BadConversation,
        naming the row.
        """
        duels = plan_duels(preferences)
        try:
            fitted = self._encode(preferences, duels)
            log_odds = score_sequences(
                self.network,
                [item.ids for item in fitted],
                self.engine,
                store=store,
                workers=workers,
                on_progress=on_progress,
            )
        except (BadReward, BadConversation) as error:
            raise error.at(_name_duel(preferences, duels[error.index])) from error
        verdicts = [Verdict(p) for p in scipy.special.expit(np.array(log_odds, float)).tolist()]
        truncated = [item.truncated for item in fitted]
        return settle(preferences, duels, verdicts, self._lengths(preferences), truncated)

    def plan(self, preferences: Sequence[Preference]) -> Plan:
        """Returns what the forward passes to come will take; no weights are needed."""
        fitted = self._encode(preferences, plan_duels(preferences))
        return self._plan([item.ids for item in fitted])

    def _encode(self, preferences: Sequence[Preference], duels: Sequence[Duel]) -> list[Encoded]:
        responses = [texts_of(row) for row in preferences]
        shown = [
            Shown(preferences[d.row].prompt, *(responses[d.row][i] for i in d[1:])) for d in duels
        ]
        return self.family.encode_pairs(self.tokenizer, shown, self.max_length)

    def _lengths(self, preferences: Sequence[Preference]) -> list[list[int]]:
        """Returns the tokens of each response alone."""
        texts = [response for row in preferences for response in texts_of(row)]
        if not texts:
            return []
        ids = self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        lengths = iter(map(len, ids))
        return [[next(lengths) for _ in row.responses] for row in preferences]

    def _probe_ids(self) -> Sequence[int]:
        shown = Shown((Message("user", "x"),), "x", "x")
        return self.family.encode_pairs(self.tokenizer, [shown], self.max_length)[0].ids


def _name_duel(preferences: Sequence[Preference], duel: Duel) -> str:
    row = preferences[duel.row]
    return f"preference {row.id} ({row.subset}), responses {duel.first + 1} and {duel.second + 1}"
