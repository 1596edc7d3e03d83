"""Probabilities of an answer's first token from a causal language model, by the engine.

One pass and no sampling: what prompts share is computed once, every group is kept before the next
begins, and the probabilities are those of the whole vocabulary, exactly.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from rmeval.engine.memory import serving_batch_tokens
from rmeval.engine.scoring import Engine, Store, score_rows
from rmeval.errors import BadOption
from rmeval.llm.endpoint import Answer, RequestRefused
from rmeval.llm.generator import LocalGenerator
from rmeval.models.checkpoints.checkpoint import open_checkpoint
from rmeval.models.dpo.language_model import CausalModel, LabelHead, LanguageModel
from rmeval.models.families import require_language_model
from rmeval.models.limits import choose_engine
from rmeval.models.load import make_network
from rmeval.models.network import Network
from rmeval.models.placement import loading_on
from rmeval.records import Conversation, OnProgress


class LocalLikelihoods:
    """What a generator's model would begin its answers with; weights are loaded when asked."""

    def __init__(self, generator: LocalGenerator) -> None:
        self._generator = generator

    def answers(
        self,
        prompts: Sequence[Conversation],
        labels: Sequence[str],
        before: str = "",
        *,
        store: Store | None = None,
        on_progress: OnProgress | None = None,
    ) -> list[Answer | RequestRefused]:
        """Returns log p of each label, after `before`, for each prompt; one too long is refused.

        A label's probability is that of all tokens that are it, with or without white space.
        Raises BadOption for a label that is no token, BadCheckpoint for weights that do not load.
        """
        rows = [self._generator.encode(prompt, i, before) for i, prompt in enumerate(prompts)]
        reasons = [self._generator.too_long(len(row), 1) for row in rows]
        fit = [row for row, reason in zip(rows, reasons, strict=True) if reason is None]
        head = LabelHead(self._model, self._groups(labels))
        network, engine = self._network
        network.head = head
        kept = None if store is None else _Apart(store, json.dumps([*labels]))
        found = iter(score_rows(network, fit, engine, store=kept, on_progress=on_progress))
        return [
            RequestRefused(f"{self._generator.name}: {reason}")
            if reason is not None
            else Answer("", None, len(row), 0, labels=dict(zip(labels, next(found), strict=True)))
            for row, reason in zip(rows, reasons, strict=True)
        ]

    def engine(self) -> dict[str, Any]:
        """Returns how passes are made, as the results of reward models say it."""
        engine = self._network[1]
        return {
            "path": "packed" if engine.packed else "padded",
            "reason": engine.reason,
            "batch_tokens": engine.batch_tokens,
        }

    @cached_property
    def _network(self) -> tuple[Network, Engine]:
        where, dtype = self._generator.device, self._generator.dtype
        checkpoint = open_checkpoint(self._generator.name, self._generator.revision)
        require_language_model(checkpoint)
        with loading_on(where):
            network = make_network(
                LanguageModel(checkpoint), where, dtype, spread=self._generator.spread
            )
            return network, choose_engine(
                network, serving_batch_tokens(network, where, dtype), "auto"
            )

    @property
    def _model(self) -> CausalModel:
        model = self._network[0].backbone
        assert isinstance(model, CausalModel)
        return model

    @cached_property
    def _spellings(self) -> dict[str, list[int]]:
        """The tokens of the vocabulary by their texts, without white space around them."""
        found: dict[str, list[int]] = {}
        for token, text in self._generator.vocabulary(self._network[0].vocab_size):
            found.setdefault(text.strip(), []).append(token)
        return found

    def _groups(self, labels: Iterable[str]) -> list[list[int]]:
        for label in labels:
            if label not in self._spellings:
                raise BadOption(
                    f"{self._generator.name} has no token {label!r}, whose probability the prompt "
                    "format asks for; use one that it has, or a format that reads the text"
                )
        return [self._spellings[label] for label in labels]


class _Apart:
    """A store in which the numbers of other labels for the same tokens are others."""

    def __init__(self, store: Store, labels: str) -> None:
        self._store, self._labels = store, labels.encode()

    def get(self, digest: bytes) -> list[float] | None:
        return self._store.get(self._name(digest))

    def put(self, digest: bytes, rewards: list[float]) -> None:
        self._store.put(self._name(digest), rewards)

    def refresh(self) -> None:
        self._store.refresh()

    def _name(self, digest: bytes) -> bytes:
        return hashlib.sha256(self._labels + digest).digest()
