"""A server on this machine that speaks as vLLM does, or OpenRLHF, over transformers' own class."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from served import BOS, Served, sigmoid


class Vllm:
    """/classify as recorded from vLLM 0.32: a BOS before text, a sigmoid unless told not to.

    `change` is what it does to ids that it should not; `refuses` are lengths that it has no room
    for, and `fingerprint` makes it rmeval's own server of another checkpoint.
    """

    def __init__(
        self,
        served: Served,
        tokenizer: Any,
        *,
        change: Callable[[list[int]], list[int]] = lambda ids: ids,
        reward: Callable[[Served, Sequence[int]], float] = Served.reward,
        deaf: bool = False,
        prompt: bool = False,
        max_model_len: int = 4096,
        refuses: Callable[[int], bool] = lambda length: False,
    ) -> None:
        self.served, self.tokenizer, self.change, self.reward = served, tokenizer, change, reward
        self.deaf, self.prompt, self.refuses = deaf, prompt, refuses
        self.max_model_len = max_model_len
        self.asked: list[dict[str, Any]] = []

    def get(self, path: str) -> Any:
        model = {"id": "rm", "root": "/models/rm", "max_model_len": self.max_model_len}
        return {"/version": {"version": "0.32.0"}, "/v1/models": {"data": [model]}}.get(path)

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        self.asked.append(body)
        if path != "/classify":
            return 404, {"detail": "Not Found"}
        read = [self.change(ids) for ids in self._ids(body)]
        if any(self.refuses(len(ids)) for ids in read):
            return 400, {"error": {"message": "maximum context length is short", "code": 400}}
        rewards = [self.reward(self.served, ids) for ids in read]
        if self.deaf or body.get("use_activation", True):
            rewards = list(map(sigmoid, rewards))
        data = [
            {"index": at, "label": "LABEL_0", "probs": [reward], "num_classes": 1}
            for at, reward in enumerate(rewards)
        ]
        return 200, {"data": data, "usage": {"prompt_tokens": sum(map(len, read))}}

    def _ids(self, body: dict[str, Any]) -> list[list[int]]:
        if "messages" in body:
            text = self.tokenizer.apply_chat_template(
                body["messages"], tokenize=False, add_generation_prompt=self.prompt
            )
            return [self._read(text)]
        given = body["input"]
        given = [given] if isinstance(given, str) else given
        return [[BOS, *self._read(one)] if isinstance(one, str) else one for one in given]

    def _read(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


class OpenRLHF:
    """/get_reward of openrlhf.cli.serve_rm."""

    def __init__(self, served: Served, tokenizer: Any, max_len: int) -> None:
        self.served, self.tokenizer, self.max_len = served, tokenizer, max_len

    def get(self, path: str) -> Any:
        return None

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        rewards = self.served.as_openrlhf(self.tokenizer, body["query"], self.max_len)
        return 200, {"rewards": rewards, "scores": rewards, "extra_logs": {"dummy_scores": rewards}}


@contextmanager
def answering(server: Any) -> Iterator[str]:
    """Answers during the block; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = server.get(self.path)
            self.send(404 if found is None else 200, found)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self.send(*server.post(self.path, body))

        def send(self, status: int, body: Any) -> None:
            sent = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *said: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_port}"
    finally:
        http.shutdown()
        http.server_close()
