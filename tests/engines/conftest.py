"""An engine that computes the demonstration's rewards as they are computed here."""

from collections.abc import Callable, Iterator

import pytest
from served import reward
from stub import Stub, Vllm

from rmeval.engines.loading import engine_model
from rmeval.engines.model import EngineModel, Service


@pytest.fixture
def vllm() -> Vllm:
    return Vllm(lambda ids: reward(tuple(ids)))


@pytest.fixture
def stub(vllm: Vllm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("RMEVAL_API_KEY", raising=False)
    with Stub(vllm).run() as running:
        yield running


@pytest.fixture
def served(stub: Stub) -> Callable[..., EngineModel]:
    """Makes the model of the stub; `service` are settings of how it is asked."""

    def make(model: str = "demo", engine: str = "vllm", **service: object) -> EngineModel:
        how = {"seconds": 10.0, "pause": 0.001, "concurrency": 4, **service}
        return engine_model(model, Service(stub.url, engine, **how), {})  # type: ignore[arg-type]

    return make
