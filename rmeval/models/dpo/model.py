"""A loaded DPO model: conversations in, the reward of each one's last response out."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from rmeval.conversations import ConversationLike, to_ids
from rmeval.engine.plan import Tokens, common_prefix
from rmeval.engine.truncation import Encoded
from rmeval.errors import BadConversation, BadData
from rmeval.models.dpo.network import DPO, DPONetwork
from rmeval.models.dpo.responses import ResponseReader, marked, plain
from rmeval.models.reward_model import RewardModel
from rmeval.records import Conversation


class DPOModel(RewardModel):
    """A policy and its reference, or the policy alone. Made by `load_model(..., reference=...)`.

    A response of no tokens has the reward 0: an empty sum. Per token it has none, and is an error.
    """

    family: DPO
    last_token = "the response ends in"

    def score_tokens(
        self,
        sequences: Sequence[tuple[Sequence[int], Sequence[int]]],  # type: ignore[override]
    ) -> list[float]:
        """Returns the reward of each (prompt ids, response ids), taken exactly as they are.

        Nothing is added or cut: no prompt, or too long a pair, raises BadData. Works without a
        tokenizer.
        """
        rows = [self._marked(pair, f"pair {number}") for number, pair in enumerate(sequences)]
        return self._score_ids(rows)

    def encode_fitted(self, conversation: ConversationLike) -> Encoded:
        ids, truncated = super().encode_fitted(conversation)
        return Encoded(tuple(plain(ids)), truncated)

    def fit_texts(self, texts: Sequence[str]) -> list[Encoded]:
        """Returns texts as the conversations that its chat template has written so.

        Raises BadConversation for one that is none: where its response begins is not known.
        """
        return self.fit([self._parse(text, index) for index, text in enumerate(texts)])

    def fit_ids(self, rows: Sequence[Sequence[int]]) -> list[Encoded]:
        """Raises BadConversation: ids do not say where the response begins."""
        if rows:
            raise BadConversation(0, NO_RESPONSE)
        return []

    def _parse(self, text: str, index: int) -> Conversation:
        talk = self._text_reader.template.parse(text)
        if talk is None:
            raise BadConversation(index, NO_RESPONSE)
        return talk

    def read(self, conversations: Sequence[Conversation]) -> list[list[int]]:
        return [plain(row) for row in self._read(conversations)]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of everything that makes the reward: policy, reference, sum or mean."""
        found = [checkpoint.fingerprint() for checkpoint in self.family.checkpoints]
        return hashlib.sha256(repr([*found, self.family.per_token]).encode()).hexdigest()

    def provenance(self) -> dict[str, Any]:
        policy, *reference = self.family.checkpoints
        return {
            **super().provenance(),
            "policy_fingerprint": policy.fingerprint(),
            "per_token": self.family.per_token,
            "reference": None
            if not reference
            else {
                "name": reference[0].name,
                "revision": reference[0].revision,
                "fingerprint": reference[0].fingerprint(),
                "architecture": reference[0].architecture,
                **(
                    {"base": reference[0].adaptation.provenance()}
                    if reference[0].adaptation
                    else {}
                ),
            },
        }

    @cached_property
    def _reader(self) -> ResponseReader:
        return ResponseReader(self.specials, self.family.checkpoint.tokenizer_folder)

    def _read(self, conversations: Sequence[Conversation]) -> list[list[int]]:
        rows = self._reader.read(self._with_system(conversations))
        for index, row in enumerate(rows):
            if self.family.per_token and row[-1] >= 0:
                raise BadConversation(index, NOTHING_TO_DIVIDE_BY)
        return rows

    def _marked(self, pair: object, place: str) -> list[int]:
        """Returns prompt and response as one sequence for the engine. Raises BadData."""
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise BadData(f"{place}: expected the token ids of a prompt, and of its response")
        prompt, response = (to_ids(ids, place) for ids in pair)
        if not prompt:
            raise BadData(f"{place}: no prompt; the first token of a text has no probability")
        if self.family.per_token and not response:
            raise BadData(f"{place}: {NOTHING_TO_DIVIDE_BY}")
        if len(prompt) + len(response) > self.max_length:
            raise BadData(
                f"{place} has {len(prompt) + len(response)} tokens; {self.name} takes 2 to "
                f"{self.max_length}"
            )
        super()._require_in_vocabulary([*prompt, *response], place)
        return [*prompt, *marked(response)]

    def _require_in_vocabulary(self, ids: Sequence[int], place: str) -> None:
        super()._require_in_vocabulary(plain(ids), place)

    def _flops(self, group: Sequence[Tokens]) -> int:
        """Adds the matrices of the vocabulary, which only a response's tokens meet."""
        assert isinstance(self.network, DPONetwork)
        pairs = zip([np.empty(0, np.int32), *group], group, strict=False)
        shared = [common_prefix(*pair) if self.engine.packed else 0 for pair in pairs]
        scored = sum(int((row[skip:] < 0).sum()) for row, skip in zip(group, shared, strict=True))
        matrices = sum(model.logit_weights for model in self.network.causal_models)
        return super()._flops(group) + 2 * scored * matrices


NOTHING_TO_DIVIDE_BY = (
    "the response has no tokens to divide by; drop it, or leave out `per_token=True`"
)
NO_RESPONSE = (
    "does not say where the response begins, which a DPO reward needs: send messages, or a text "
    "that the model's own chat template writes"
)
