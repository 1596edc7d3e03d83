"""Servers on loopback for tests: of a real model, or of one that waits until it is told to go."""

import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from threading import Event, Thread
from typing import Any, NamedTuple

import uvicorn

from rmeval.engine.truncation import Encoded
from rmeval.errors import BadConversation, BadReward, ServerFailure
from rmeval.records import Conversation, Score
from rmeval.serving.app import build_app
from rmeval.serving.running import listen
from rmeval.serving.settings import Settings

JSON = {"Content-Type": "application/json"}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["error"]["message"])


@dataclass
class Client:
    """Asks the server at a port, each time over a connection of its own."""

    port: int
    app: Any
    server: uvicorn.Server

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Any = None) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {} if headers is None else headers)
            found = connection.getresponse()
            named = {name.lower(): value for name, value in found.getheaders()}
            return Answer(found.status, named, found.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        """Posts bytes or text as they are, and anything else as JSON."""
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        sent = text.encode() if isinstance(text, str) else text
        return self.ask("POST", path, sent, {**JSON, **headers})

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def metric(self, name: str) -> float:
        lines = self.get("/metrics").body.decode().splitlines()
        return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))

    def until(self, path: str, status: int) -> None:
        patience = time.monotonic() + 20
        while self.get(path).status != status:
            assert time.monotonic() < patience, f"{path} never was {status}"
            time.sleep(0.02)


@contextmanager
def serving(model: Any, **settings: Any) -> Iterator[Client]:
    """A server that runs during the block; it is ready, or loading where a function loads it."""
    app = build_app(model, Settings(**settings))
    bound = listen("127.0.0.1", 0)
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on")
    server = uvicorn.Server(config)
    running = Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    running.start()
    client = Client(bound.getsockname()[1], app, server)
    try:
        client.until("/health", 200)
        if not callable(model):
            client.until("/ready", 200)
        yield client
    finally:
        server.should_exit = True
        running.join(30)
        app.state.service.worker.join(30)
        assert not running.is_alive()


@dataclass
class GatedModel:
    """A model whose reward is the length of a text, once `gate` is open; "nan" has none.

    It shares no code with `RewardModel`: whatever keeps the protocol can be served.
    """

    name: str = "gated"
    max_length: int = 100
    batch_tokens: int = 1000
    tokenizer: Any = None
    checks: bool = False
    gate: Event = field(default_factory=Event)
    passes: list[list[int]] = field(default_factory=list)
    dies: bool = False
    away: bool = False  # as an engine elsewhere

    def provenance(self) -> dict[str, Any]:
        return {"of": "a test"}

    def fit(self, conversations: Sequence[Conversation]) -> list[Encoded]:
        return self.fit_texts(["".join(m.content for m in talk) for talk in conversations])

    def fit_texts(self, texts: Sequence[str]) -> list[Encoded]:
        return [
            Encoded(tuple(map(ord, text[-self.max_length :])), len(text) > self.max_length)
            for text in texts
        ]

    def fit_ids(self, rows: Sequence[Sequence[int]]) -> list[Encoded]:
        for index, ids in enumerate(rows):
            if len(ids) > self.max_length:
                raise BadConversation(index, "is too long")
        return [Encoded(tuple(ids), False) for ids in rows]

    def score_fitted(self, fitted: Sequence[Encoded]) -> list[Score]:
        assert self.gate.wait(60)
        if self.dies:
            raise RuntimeError("a bug")
        self.passes.append([len(item.ids) for item in fitted])
        for index, item in enumerate(fitted):
            if item.ids == tuple(map(ord, "nan")):
                raise BadReward(index, float("nan"))
            if item.ids == tuple(map(ord, "refused")):
                raise BadConversation(index, "the engine refuses it")
            if self.away or item.ids == tuple(map(ord, "down")):
                raise ServerFailure("http://engine: no answer")
        return [Score(float(len(item.ids)), len(item.ids), item.truncated) for item in fitted]


def opened(**fields: Any) -> GatedModel:
    """A model whose gate is open."""
    model = GatedModel(**fields)
    model.gate.set()
    return model


def talk(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


@contextmanager
def in_thread(call: Any, *args: Any) -> Iterator[list[Any]]:
    """Calls something in a thread during the block; what it returns is there when it has ended."""
    found: list[Any] = []
    running = Thread(target=lambda: found.append(call(*args)), daemon=True)
    running.start()
    yield found
    running.join(60)
    assert not running.is_alive()
