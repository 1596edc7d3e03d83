"""From a checkpoint and an address to a reward model whose network runs there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rmeval.engine.workers import count_processes
from rmeval.engines.model import CONCURRENCY, REQUEST_TOKENS, EngineModel, Service
from rmeval.engines.parity_file import read_record
from rmeval.errors import BadOption
from rmeval.models.dpo.model import DPOModel
from rmeval.models.load import load_scorer, require_reward_model

HERE_ALONE = ("device", "batch_tokens", "parallel")
"""Options of loading that say how a network computes here."""


def open_engine(
    name_or_folder: str | Path,
    endpoint: str,
    engine: str = "vllm",
    *,
    concurrency: int = CONCURRENCY,
    request_tokens: int = REQUEST_TOKENS,
    key_over_http: bool = False,
    checks: bool = True,
    against: str | Path | None = None,
    **options: Any,
) -> EngineModel:
    """Returns a reward model that an engine computes, to `evaluate` or to `score` with.

    Args:
        name_or_folder: the checkpoint, as for `load_model`; none of its weights are read but a
            head's, where the engine serves a backbone.
        endpoint: the engine's address, such as http://node0:8000. Its key comes from
            RMEVAL_API_KEY, which goes to https or this machine only, unless `key_over_http`.
        engine: vllm, sglang, tei, rmeval or openrlhf.
        concurrency: requests at once, of `request_tokens` at most.
        checks: refuse an engine whose answers look like those of a sigmoid, or of other tokens.
        against: what `rmeval doctor --record FILE` wrote of this model: the engine's rewards are
            held to it, and how near they are stands in results.
        options: those of `load_model` that say how texts are read; `dtype` is what the engine
            computes in, for the record.

    Raises:
        RmevalError: one of its kinds, each with what to do.
    """
    service = Service(
        endpoint,
        engine,
        concurrency=concurrency,
        request_tokens=request_tokens,
        key_over_http=key_over_http,
        insist=not checks,
    )
    return engine_model(name_or_folder, service, options, against)


def engine_model(
    name_or_folder: str | Path,
    service: Service,
    options: Mapping[str, Any],
    against: str | Path | None = None,
) -> EngineModel:
    """Returns the model of `open_engine`, of what `load_model` takes. Nothing is asked yet."""
    for name in HERE_ALONE:
        if options.get(name) not in (None, "auto"):
            raise BadOption(f"`{name}=` is for a network on this machine, not for `endpoint=`")
    if count_processes() > 1:
        raise BadOption("an engine is asked by one process; start it without a launcher")
    given = {**options, "engine": "auto", "device": "cpu", "weights": False, "checks": False}
    text = require_reward_model(load_scorer(name_or_folder, given))
    if isinstance(text, DPOModel):
        raise BadOption("a DPO policy's reward is in its probabilities, which no engine gives here")
    service.require_sound()
    expected = None if against is None else read_record(Path(against))
    asked = options.get("dtype")
    dtype = None if asked in (None, "auto") else str(asked)
    return EngineModel(text, service, dtype_asked=dtype, against=expected)
