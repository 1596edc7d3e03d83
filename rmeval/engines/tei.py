"""Text Embeddings Inference, read from commit 0d124dc (it was not run here).

It serves encoders only, takes text only, and adds the tokenizer's special tokens itself.
"""

from collections.abc import Sequence
from typing import Any

from rmeval.engines.protocol import (
    TEXTS,
    Asked,
    Facts,
    Get,
    Mode,
    Protocol,
    Read,
    as_object,
    count_of,
    numbers,
    text_of,
)
from rmeval.errors import ServerFailure


class Tei(Protocol):
    """text-embeddings-router with a sequence classifier."""

    name = "tei"
    takes = (TEXTS,)
    activation = "raw_scores"
    most = 32  # its --max-client-batch-size, unless it is started with another
    length_option = "a model of a longer max_input_length"

    async def facts(self, get: Get) -> Facts:
        """Asks /info."""
        told = await get("/info")
        if told is None:
            raise ServerFailure("no /info there; is this the address of Text Embeddings Inference?")
        told = as_object(told)
        return Facts(
            self.name,
            version=text_of(told.get("version")),
            model=text_of(told.get("model_id")),
            root=text_of(told.get("model_sha")) or text_of(told.get("model_id")),
            max_model_len=count_of(told.get("max_input_length")),
            dtype=text_of(told.get("model_dtype")),
        )

    def ask(
        self, kind: str, inputs: Sequence[Any], mode: Mode, facts: Facts, activation: bool | None
    ) -> Asked:
        """Returns a request to /predict; each text in a list of its own, else two are a pair."""
        raw = {} if activation is None else {self.activation: not activation}
        return Asked("/predict", {"inputs": [[text] for text in inputs], **raw, "truncate": False})

    def read(self, body: Any, count: int, mode: Mode) -> Read:
        """Returns the scores of all labels of each input."""
        if not isinstance(body, list) or len(body) != count:
            raise ServerFailure(
                f"{len(body) if isinstance(body, list) else 'no'} answers to {count} texts"
            )
        rows = []
        for labels in body:
            if not isinstance(labels, list) or not all(isinstance(one, dict) for one in labels):
                raise ServerFailure("an answer without labels")
            rows.append(numbers([one.get("score") for one in labels]))
        return Read(rows, None)
