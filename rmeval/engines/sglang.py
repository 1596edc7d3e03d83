"""SGLang, `python -m sglang.launch_server --is-embedding`, read from 0.5.23 (it was not run here).

Its native /classify with `input_ids` gives the raw number. That of OpenAI's shape takes a softmax
over the labels, which is always 1.0 for one; it is not asked.
"""

from collections.abc import Sequence
from typing import Any

from rmeval.engines.protocol import (
    IDS,
    TEXTS,
    Asked,
    Facts,
    Get,
    Mode,
    Protocol,
    Read,
    count_of,
    numbers,
    text_of,
)
from rmeval.errors import ServerFailure


class SGLang(Protocol):
    """SGLang's native server."""

    name = "sglang"
    takes = (IDS, TEXTS)
    length_option = "--context-length"

    async def facts(self, get: Get) -> Facts:
        """Asks /get_model_info and /get_server_info."""
        model, server = await get("/get_model_info"), await get("/get_server_info")
        model, server = (told if isinstance(told, dict) else {} for told in (model, server))
        return Facts(
            self.name,
            version=text_of(server.get("version")),
            model=text_of(server.get("served_model_name")),
            root=text_of(model.get("model_path")),
            max_model_len=count_of(server.get("context_length")),
            dtype=_dtype(server.get("dtype")),
        )

    def ask(
        self, kind: str, inputs: Sequence[Any], mode: Mode, facts: Facts, activation: bool | None
    ) -> Asked:
        """Returns a request to the native /classify, which knows no activation."""
        field = "input_ids" if kind == IDS else "text"
        return Asked("/classify", {field: [list(row) if kind == IDS else row for row in inputs]})

    def read(self, body: Any, count: int, mode: Mode) -> Read:
        """Returns one reward for each input: a list of answers, or one alone."""
        entries = body if isinstance(body, list) else [body]
        if len(entries) != count or not all(isinstance(entry, dict) for entry in entries):
            raise ServerFailure(f"{len(entries)} answers to {count} sequences")
        rows = [numbers(entry.get("embedding")) for entry in entries]
        told = [entry.get("meta_info") for entry in entries]
        tokens = [count_of(meta.get("prompt_tokens")) for meta in told if isinstance(meta, dict)]
        known = [number for number in tokens if number is not None]
        return Read(rows, sum(known) if len(known) == count else None)


def _dtype(value: Any) -> str | None:
    """Returns a dtype that is one; "auto" says nothing."""
    told = text_of(value)
    return None if told in (None, "auto") else told
