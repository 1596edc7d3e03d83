"""An OpenAI-compatible server on this machine that answers, or fails, as it is told."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

import pytest

from rmeval.llm import endpoint


@dataclass(frozen=True)
class Reply:
    """What is sent: `body` as JSON, or as it is where it is text; `cut` stops half way."""

    body: Any = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    cut: bool = False


def choices(
    *texts: Any, finish: Any = "stop", usage: Any = None, refusal: str | None = None
) -> Reply:
    """An answer with these texts; `usage` is (tokens read, tokens written)."""
    said = {"role": "assistant", **({} if refusal is None else {"refusal": refusal})}
    found = [
        {"index": i, "finish_reason": finish, "message": {**said, "content": text}}
        for i, text in enumerate(texts)
    ]
    body = {"id": "x", "object": "chat.completion", "created": 0, "choices": found}
    if usage is not None:
        body["usage"] = dict(zip(("prompt_tokens", "completion_tokens"), usage, strict=True))
    return Reply(body)


def failure(status: int, message: str = "no", **headers: str) -> Reply:
    """An error that the client may repeat at once."""
    headers = {"retry-after-ms": "1", **{k.replace("_", "-"): v for k, v in headers.items()}}
    return Reply({"error": {"message": message}}, status, headers)


def candidates(asked: dict[str, Any]) -> Reply:
    """Answers of which no two are alike, but the same to the same question."""
    seed, question = asked["seed"], asked["messages"][-1]["content"]
    return choices(*(f"{question}: answer {seed + i}" for i in range(asked["n"])))


class Loopback:
    """`asked` are the requests so far, `headers` theirs, `at_once` the most at one time."""

    def __init__(self) -> None:
        self.answer: Callable[[dict[str, Any]], Reply] = candidates
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.at_once = self._open = 0
        self._lock = Lock()
        self.url = ""

    @contextmanager
    def run(self) -> Iterator["Loopback"]:
        http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        http.daemon_threads = True
        http.block_on_close = False
        Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{http.server_port}/v1"
        yield self
        http.shutdown()
        http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        loopback = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with loopback._lock:
                    loopback.asked.append(asked)
                    loopback.headers.append(dict(self.headers))
                    loopback._open += 1
                    loopback.at_once = max(loopback.at_once, loopback._open)
                try:
                    loopback._send(self, loopback.answer(asked))
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the client has waited long enough
                finally:
                    with loopback._lock:
                        loopback._open -= 1

            def log_message(self, *said: Any) -> None:
                pass

        return Handler

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        time.sleep(reply.seconds)
        is_text = isinstance(reply.body, str)
        body = (reply.body if is_text else json.dumps(reply.body)).encode()
        handler.send_response(reply.status)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(body)))
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2] if reply.cut else body)


@contextmanager
def serving(
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[dict[str, Any]], Reply] = candidates,
    *,
    key: str | None = None,
    retries: int | None = None,
) -> Iterator[Loopback]:
    """A server that runs during the block, with this key or none in the environment."""
    pytest.importorskip("openai")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    if key is None:
        monkeypatch.delenv(endpoint.KEY, raising=False)
    else:
        monkeypatch.setenv(endpoint.KEY, key)
    if retries is not None:
        monkeypatch.setattr(endpoint, "RETRIES", retries)
    with Loopback().run() as running:
        running.answer = answer
        yield running
