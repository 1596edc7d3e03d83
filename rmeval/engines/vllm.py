"""vLLM, `vllm serve M --runner pooling`, 0.11.1 and later (recorded with 0.32.0).

One label is read from /classify; InternLM2's and Qwen2's own reward classes have only
/pooling, which gives a number for each token; of a backbone, /pooling gives the last token's state.
`use_activation` false is sent with every request: else rewards go through a sigmoid, and states are
normalised.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from rmeval.engines.protocol import (
    HIDDEN,
    IDS,
    MESSAGES,
    REWARD,
    Asked,
    Facts,
    Get,
    Mode,
    Protocol,
    Read,
    as_object,
    count_of,
    counted,
    in_order,
    numbers,
    text_of,
)
from rmeval.errors import ServerFailure

CLASSIFY = Mode("classify", REWARD, "--runner pooling --convert classify")
TOKENS = Mode("token_classify", REWARD, "--pooler-config.task token_classify")
EMBED = Mode("embed", HIDDEN, "--runner pooling --convert embed")


class Vllm(Protocol):
    """vLLM's pooling server."""

    name = "vllm"
    modes: ClassVar[tuple[Mode, ...]] = (CLASSIFY, TOKENS, EMBED)
    activation = "use_activation"
    length_option = "--max-model-len"

    async def facts(self, get: Get) -> Facts:
        """Asks /version and /v1/models, whose first entry is the model, before any adapters."""
        version = await get("/version")
        listed = await get("/v1/models")
        entries = listed.get("data") if isinstance(listed, dict) else None
        if not isinstance(entries, list) or not entries or not isinstance(entries[0], dict):
            raise ServerFailure("/v1/models names no model; is this vLLM's address, without /v1?")
        entry = entries[0]
        return Facts(
            self.name,
            version=text_of(version.get("version")) if isinstance(version, dict) else None,
            model=text_of(entry.get("id")),
            root=text_of(entry.get("root")),
            max_model_len=count_of(entry.get("max_model_len")),
        )

    def ask(
        self, kind: str, inputs: Sequence[Any], mode: Mode, facts: Facts, activation: bool | None
    ) -> Asked:
        """Returns a request to /classify or /pooling."""
        body: dict[str, Any] = {"model": facts.model}
        body["messages" if kind == MESSAGES else "input"] = (
            inputs[0] if kind == MESSAGES else [list(row) if kind == IDS else row for row in inputs]
        )
        if activation is not None:
            body[self.activation] = activation
        if mode == CLASSIFY:
            return Asked("/classify", body)
        body["task"] = mode.name
        if mode == EMBED:
            body["encoding_format"] = "base64"
        return Asked("/pooling", body)

    def is_of_mode(self, refusal: str) -> bool:
        """Whether /pooling refuses its `task`."""
        return "task" in refusal

    def read(self, body: Any, count: int, mode: Mode) -> Read:
        """Returns one reward for each input, or its last token's state."""
        answer = as_object(body)
        entries = in_order(answer.get("data"), count)
        if mode == CLASSIFY:
            rows = [numbers(entry.get("probs")) for entry in entries]
        elif mode == TOKENS:
            rows = [_last(entry.get("data")) for entry in entries]
        else:
            rows = [numbers(entry.get("data"), "state") for entry in entries]
        return Read(rows, counted(answer))


def _last(data: Any) -> list[float]:
    """Returns the last token's numbers, of those of every token."""
    if not isinstance(data, list) or not data:
        raise ServerFailure("an answer without a reward for each token")
    return numbers(data[-1])
