"""rmeval's own server, `rmeval serve`, on another machine."""

from collections.abc import Sequence
from typing import Any

from rmeval.engines.protocol import (
    IDS,
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


class Ours(Protocol):
    """/v1/rewards, which never applies an activation."""

    name = "rmeval"
    length_option = "a `max_length=` of"

    async def facts(self, get: Get) -> Facts:
        """Asks /info."""
        told = await get("/info")
        if told is None:
            raise ServerFailure("no /info there; is this the address of `rmeval serve`?")
        told = as_object(told)
        versions = told.get("versions")
        return Facts(
            self.name,
            version=text_of(versions.get("rmeval")) if isinstance(versions, dict) else None,
            model=text_of(told.get("model")),
            max_model_len=count_of(told.get("max_length")),
            dtype=text_of(told.get("dtype")),
            fingerprint=text_of(told.get("fingerprint")),
        )

    def ask(
        self, kind: str, inputs: Sequence[Any], mode: Mode, facts: Facts, activation: bool | None
    ) -> Asked:
        """Returns a request to /v1/rewards, which takes every kind."""
        given = [list(row) if kind == IDS else row for row in inputs]
        return Asked("/v1/rewards", {"conversations": given})

    def read(self, body: Any, count: int, mode: Mode) -> Read:
        """Returns the reward of each input, and its objectives behind it."""
        answer = as_object(body)
        scores, more = answer.get("scores"), answer.get("objectives")
        if not isinstance(scores, list) or len(scores) != count:
            found = len(scores) if isinstance(scores, list) else "no"
            raise ServerFailure(f"{found} answers to {count} conversations")
        behind = more if isinstance(more, list) and len(more) == count else [[]] * count
        rows = [numbers([score, *of]) for score, of in zip(scores, behind, strict=True)]
        tokens = answer.get("tokens")
        counted = [count_of(n) for n in tokens] if isinstance(tokens, list) else []
        known = [number for number in counted if number is not None]
        return Read(rows, sum(known) if len(known) == count else None)
