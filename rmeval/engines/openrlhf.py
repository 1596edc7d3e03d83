"""OpenRLHF's own reward server, `python -m openrlhf.cli.serve_rm` (recorded at commit 3c3be623).

It takes text, whose special tokens it reads and to which it adds none, counts no tokens, says
nothing of itself, and answers nothing with 500. It cuts what is longer than its --data.max_len.
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
    numbers,
)
from rmeval.errors import ServerFailure


class OpenRLHF(Protocol):
    """serve_rm's one path."""

    name = "openrlhf"
    takes = (TEXTS,)
    length_option = "--data.max_len"

    async def facts(self, get: Get) -> Facts:
        """Returns the name alone: the server says nothing of itself."""
        return Facts(self.name)

    def ask(
        self, kind: str, inputs: Sequence[Any], mode: Mode, facts: Facts, activation: bool | None
    ) -> Asked:
        """Returns a request to /get_reward, which knows no activation."""
        nothing = [""] * len(inputs)
        body = {"query": list(inputs), "prompts": nothing, "labels": nothing}
        return Asked("/get_reward", body)

    def read(self, body: Any, count: int, mode: Mode) -> Read:
        """Returns one reward for each input."""
        rewards = as_object(body).get("rewards")
        if not isinstance(rewards, list) or len(rewards) != count:
            found = len(rewards) if isinstance(rewards, list) else "no"
            raise ServerFailure(f"{found} answers to {count} texts")
        return Read([numbers([reward]) for reward in rewards], None)
