"""An engine on this machine that answers as it is told: recordings, or rewards of a real model."""

import base64
import json
import math
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from loopback import Reply

Answer = Callable[[str, str, Any], Reply]
"""Answers a method, a path and the JSON that was sent."""
MISSING = Reply({"detail": "Not Found"}, 404)
BUSY = "The engine is currently busy and cannot accept new requests. Please try again later."


class Stub:
    """`asked` are the paths and bodies of all requests with one."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.asked, self.headers = answer, [], []
        self.url = ""
        self._lock = Lock()

    @contextmanager
    def run(self) -> Iterator["Stub"]:
        http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        http.daemon_threads, http.block_on_close = True, False
        Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{http.server_port}"
        yield self
        http.shutdown()
        http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(None)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with stub._lock:
                    stub.asked.append((self.path, body))
                    stub.headers.append(dict(self.headers))
                self._answer(body)

            def _answer(self, body: Any) -> None:
                with suppress(BrokenPipeError, ConnectionResetError):  # who has waited enough
                    send(self, stub.answer(self.command, self.path, body))

            def log_message(self, *said: Any) -> None:
                pass

        return Handler


def send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    time.sleep(reply.seconds)
    body = (reply.body if isinstance(reply.body, str) else json.dumps(reply.body)).encode()
    handler.send_response(reply.status)
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    for name, value in (headers | reply.headers).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2] if reply.cut else body)
    if reply.cut:
        handler.close_connection = True


class Vllm:
    """vLLM's paths over a function that scores token ids; what may go wrong is an attribute."""

    def __init__(self, score: Callable[[Sequence[int]], float]) -> None:
        self.score = score
        self.root, self.max_model_len, self.version = "ckpt", 4096, "0.32.0"
        self.heeds_activation, self.activation = True, lambda reward: 1 / (1 + math.exp(-reward))
        self.extra_tokens, self.room = 0, 1_000
        self.before: Answer = lambda *asked: Reply(None)  # a reply with a body goes first
        self.after: Callable[[dict[str, Any]], Any] = lambda body: body

    def __call__(self, method: str, path: str, body: Any) -> Reply:
        score = self.score  # of the process that has the request, whatever comes after it
        first = self.before(method, path, body)
        if first.body is not None:
            return first
        if path == "/version":
            return Reply({"version": self.version})
        if path == "/v1/models":
            known = {"id": "m", "root": self.root, "max_model_len": self.max_model_len}
            return Reply({"object": "list", "data": [known]})
        if path != "/classify":
            return MISSING
        if len(body["input"]) > self.room:
            return Reply({"error": {"message": BUSY}}, 503)
        raw = self.heeds_activation and body.get("use_activation") is False
        rewards = [score(ids) for ids in body["input"]]
        shown = rewards if raw else list(map(self.activation, rewards))
        data = [
            {"index": i, "label": "LABEL_0", "probs": [reward], "num_classes": 1}
            for i, reward in enumerate(shown)
        ]
        tokens = sum(map(len, body["input"])) + self.extra_tokens * len(data)
        return Reply(self.after({"data": data, "usage": {"prompt_tokens": tokens}}))


def recording(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def replay(*recorded: dict[str, Any]) -> Answer:
    """Answers each recorded request with its recorded answer, and nothing else."""

    def answer(method: str, path: str, body: Any) -> Reply:
        for one in recorded:
            asked = one["request"]
            if (asked["method"], asked["path"], asked.get("body")) == (method, path, body):
                return Reply(one["response"], one["status"], one["headers"])
        return MISSING if method == "GET" else Reply("no such request was recorded", 418)

    return answer


def as_base64(numbers: Sequence[float]) -> str:
    return base64.b64encode(array("f", numbers).tobytes()).decode()
