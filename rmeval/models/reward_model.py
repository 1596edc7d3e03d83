"""A loaded reward model: conversations or token ids in, rewards out."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from rmeval.conversations import ConversationLike, to_conversations, to_ids
from rmeval.engine.attention import has_fused_kernel
from rmeval.engine.fit import Fitted, fit_to_length
from rmeval.engine.scoring import Engine, Store, score_sequences
from rmeval.engine.workers import Workers
from rmeval.errors import BadData
from rmeval.models.family import Family
from rmeval.models.network import Network
from rmeval.models.tokenizer import encode_conversations, require_chat_template
from rmeval.preferences import ranks_of, to_candidates
from rmeval.types import Conversation, Message, OnProgress, Score

PROBES = ("x", "7")  # two contents without a common first or last token


@dataclass(frozen=True, eq=False)
class RewardModel:
    """A network with its family's way of reading conversations. Made by `load_model`.

    `max_length` bounds a sequence, in tokens; `engine` says how forward passes are made.
    """

    name: str
    family: Family
    network: Network
    dtype: torch.dtype
    device: torch.device
    engine: Engine
    max_length: int
    revision_asked: str | None = None

    def score(self, conversations: Sequence[ConversationLike]) -> list[float]:
        """Returns the reward of each conversation, a sequence of {"role", "content"} messages.

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
        return score_sequences(self.network, checked, self.engine)

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
        self, prompt: str | ConversationLike, responses: Sequence[str]
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

    def encode_fitted(self, conversation: ConversationLike) -> Fitted:
        """Returns the token ids that the model sees, and whether some were cut to fit."""
        return self._encode(to_conversations([conversation]))[0]

    def score_conversations(
        self,
        conversations: Sequence[Conversation],
        *,
        store: Store | None = None,
        workers: Workers | None = None,
        on_progress: OnProgress | None = None,
    ) -> list[Score]:
        """Returns reward, length in tokens and truncation of each conversation.

        Raises BadReward, whose `index` is the conversation's. See `score_sequences`.
        """
        fitted = self._encode(conversations)
        for index, item in enumerate(fitted):
            self._require_in_vocabulary(item.ids, f"conversation {index}")
        values = score_sequences(
            self.network,
            [item.ids for item in fitted],
            self.engine,
            store=store,
            workers=workers,
            on_progress=on_progress,
        )
        return [
            Score(value, len(item.ids), item.truncated)
            for value, item in zip(values, fitted, strict=True)
        ]

    def plan(self, conversations: Sequence[Conversation]) -> tuple[int, list[int]]:
        """Returns the tokens of all conversations, and those of each forward pass to come."""
        ids = [item.ids for item in self._encode(conversations)]
        distinct = [np.asarray(row, np.int32) for row in dict.fromkeys(ids)]
        groups = self.engine.plan(distinct, may_pad=self.network.may_pad)
        costs = [self.engine.cost([distinct[index] for index in group]) for group in groups]
        return sum(map(len, ids)), costs

    @cached_property
    def tokenizer(self) -> Any:
        """The checkpoint's tokenizer, loaded when first needed. Raises BadCheckpoint."""
        tokenizer = self.family.tokenizer()
        require_chat_template(tokenizer, self.family.checkpoint.folder)
        return tokenizer

    @property
    def dtype_name(self) -> str:
        """The backbone's dtype as `--dtype` takes it."""
        return str(self.dtype).removeprefix("torch.")

    @cached_property
    def fingerprint(self) -> str:
        """A hash of config.json and all weights; reads every weight file once."""
        return self.family.checkpoint.fingerprint()

    def provenance(self) -> dict[str, Any]:
        """Returns everything about the model that its scores depend on."""
        checkpoint = self.family.checkpoint
        template = require_chat_template(self.tokenizer, checkpoint.folder)
        probe = self._encode([(Message("user", "x"), Message("assistant", "x"))])[0].ids
        bos = self.tokenizer.bos_token_id
        return {
            "name": self.name,
            "revision": checkpoint.revision,
            "fingerprint": self.fingerprint,
            "family": self.family.name,
            "architecture": checkpoint.architecture,
            "dtype": self.dtype_name,
            "template_sha256": hashlib.sha256(template.encode()).hexdigest(),
            "bos": {"policy": "as the template writes it", "count": list(probe).count(bos)},
            "max_length": self.max_length,
        }

    def engine_provenance(self) -> dict[str, Any]:
        """Returns how the scores are computed: path, budget, device."""
        cuda = self.device.type == "cuda"
        return {
            "path": "packed" if self.engine.packed else "padded",
            "reason": self.engine.reason,
            "kernel": self._kernel(),
            "batch_tokens": self.engine.batch_tokens,
            "device": torch.cuda.get_device_name(self.device) if cuda else "cpu",
        }

    def _kernel(self) -> str:
        config = self.network.config.get_text_config()
        if not self.engine.packed:
            return str(self.network.config._attn_implementation)
        heads = config.num_attention_heads
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
        softcap = getattr(config, "attn_logit_softcapping", None)
        fused = has_fused_kernel(self.device, self.dtype, head_dim, softcap)
        return "varlen_attn" if fused else "sdpa, one sequence after the other"

    def _encode(self, conversations: Sequence[Conversation]) -> list[Fitted]:
        end_token = self.family.end_token()
        rows = encode_conversations(self.tokenizer, conversations, end_token)
        return [
            Fitted(tuple(ids), False)
            if len(ids) <= self.max_length
            else self._cut(ids, conversation)
            for ids, conversation in zip(rows, conversations, strict=True)
        ]

    def _cut(self, ids: list[int], conversation: Conversation) -> Fitted:
        """Cuts a conversation between the template's head and its own end."""
        roles = [message.role for message in conversation]
        probes = [tuple(Message(role, probe) for role in roles) for probe in PROBES]
        frames = encode_conversations(self.tokenizer, probes, self.family.end_token())
        return fit_to_length(ids, frames[0], frames[1], self.max_length)

    def _require_in_vocabulary(self, ids: Sequence[int], place: str) -> None:
        if not ids:
            raise BadData(f"{place} has 0 tokens; {self.name} takes at least 1")
        size = self.network.vocab_size
        if not 0 <= min(ids) <= max(ids) < size:
            raise BadData(f"{place} has a token id outside 0 to {size - 1}")
