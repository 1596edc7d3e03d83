"""An engine that fails in every way is named in one line, and asked again where that may help."""

import asyncio
import time
from typing import Any

import pytest
from engine_stub import Stub, Vllm
from loopback import Reply

from rmeval.engines import client as clients
from rmeval.engines.client import EngineClient
from rmeval.errors import BadOption, ServerFailure, UnknownName
from rmeval.llm.endpoint import RequestRefused

ROWS = [[1, 2, 3], [1, 4], [1, 5, 6, 7]]


@pytest.fixture
def counting() -> Vllm:
    """Worth are the tokens' sum, from which each row can be told."""
    return Vllm(lambda ids: float(sum(ids)))


def ask(answer: Any, rows: Any = ROWS, seconds: float = 5.0, engine: str = "vllm") -> Any:
    async def once(url: str) -> Any:
        client = EngineClient(url, engine, pause=0.001, seconds=seconds)
        try:
            return await client.ask(rows)
        finally:
            await client.close()

    with Stub(answer).run() as stub:
        return asyncio.run(once(stub.url))


def posts(reply: Reply | None, times: int = 10**6) -> Any:
    """Answers so often with a reply in place of rewards."""
    left = [times]

    def before(method: str, path: str, body: Any) -> Reply:
        if method == "GET" or reply is None or left[0] == 0:
            return Reply(None)
        left[0] -= 1
        return reply

    return before


def failure(counting: Vllm, reply: Reply, **options: Any) -> str:
    counting.before = posts(reply)
    with pytest.raises(ServerFailure) as raised:
        ask(counting, **options)
    said = str(raised.value)
    assert "\n" not in said
    assert said.startswith("http://127.0.0.1:")
    return said.partition(": ")[2]


def test_answers_are_read_by_their_index(counting: Vllm) -> None:
    counting.after = lambda body: {**body, "data": body["data"][::-1]}
    assert ask(counting).rewards == [6.0, 5.0, 19.0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data[:-1], "2 answers to 3 sequences"),
        (lambda data: [data[0], *data[:2]], "2 answers to 3 sequences"),
        (lambda data: [{**data[0], "index": 7}, *data[1:]], "3 answers to 3 sequences"),
        (lambda data: [{**data[0], "probs": [float("nan")]}, *data[1:]], "NaN or infinite"),
        (lambda data: [{**data[0], "probs": ["5"]}, *data[1:]], "whose reward is no number"),
        (lambda data: [{**data[0], "probs": []}, *data[1:]], "an answer without a reward"),
        (lambda data: None, "an answer without a list of rewards"),
        (lambda data: [1, 2, 3], "an answer without a list of rewards"),
    ],
)
def test_answers_that_are_none_are_told(counting: Vllm, change: Any, said: str) -> None:
    counting.after = lambda body: {**body, "data": change(body["data"])}
    with pytest.raises(ServerFailure, match=said):
        ask(counting)


def test_html_is_no_answer(counting: Vllm) -> None:
    page = Reply("<html>Sign in</html>", headers={"content-type": "text/html; charset=utf-8"})
    said = failure(counting, page)
    assert said == "/classify: answers with text/html, not JSON; is this the engine's address?"


def test_a_redirect_is_not_followed(counting: Vllm) -> None:
    moved = Reply({}, 307, {"location": "https://elsewhere.example/classify"})
    assert "redirected to https://elsewhere.example/classify; redirects" in failure(counting, moved)


def test_half_an_answer_is_asked_for_again(counting: Vllm) -> None:
    half = Reply({"data": []}, cut=True)
    counting.before = posts(half, times=2)
    assert ask(counting).rewards == [6.0, 5.0, 19.0]


def test_half_an_answer_each_time_is_told(counting: Vllm, monkeypatch: Any) -> None:
    monkeypatch.setattr(clients, "TRIES", 3)
    said = failure(counting, Reply({"data": []}, cut=True))
    assert "RemoteProtocolError" in said
    assert said.endswith("; asked 3 times")


def test_no_answer_is_told_in_time(counting: Vllm, monkeypatch: Any) -> None:
    monkeypatch.setattr(clients, "TRIES", 2)
    began = time.monotonic()
    said = failure(counting, Reply({}, seconds=3.0), seconds=0.2)
    assert "ReadTimeout" in said
    assert time.monotonic() - began < 2.5


def test_nobody_there_is_told(monkeypatch: Any) -> None:
    monkeypatch.setattr(clients, "TRIES", 2)

    async def once() -> None:
        client = EngineClient("http://127.0.0.1:9", "vllm", pause=0.001)
        await client.facts()

    with pytest.raises(ServerFailure, match=r"127\.0\.0\.1:9: /version: ConnectError"):
        asyncio.run(once())


@pytest.mark.parametrize("status", [429, 503])
def test_a_full_engine_is_left_alone_as_long_as_it_asks(counting: Vllm, status: int) -> None:
    counting.before = posts(Reply({"error": {"message": "busy"}}, status, {"retry-after": "1"}), 1)
    began = time.monotonic()
    assert ask(counting).rewards == [6.0, 5.0, 19.0]
    assert time.monotonic() - began >= 1.0


def test_a_body_that_is_too_large_is_halved_at_once(counting: Vllm) -> None:
    sizes: list[int] = []

    def before(method: str, path: str, body: Any) -> Reply:
        if method == "GET":
            return Reply(None)
        sizes.append(len(body["input"]))
        return Reply({"error": "too large"}, 413) if sizes[-1] > 16 else Reply(None)

    counting.before = before
    rows = [[1, n] for n in range(64)]
    assert ask(counting, rows).rewards == [1.0 + n for n in range(64)]
    assert sizes == [64, 32, 16, 16, 16, 16]


def test_one_sequence_that_is_too_large_is_told(counting: Vllm) -> None:
    assert "one sequence alone is too large" in failure(counting, Reply({}, 413), rows=[[1]])


def test_a_refused_request_is_not_repeated(counting: Vllm) -> None:
    tried: list[Any] = []

    def before(method: str, path: str, body: Any) -> Reply:
        tried.extend([path] if method == "POST" else [])
        return Reply({"error": {"message": "no"}}, 400) if method == "POST" else Reply(None)

    counting.before = before
    with pytest.raises(RequestRefused, match="/classify: 400 no"):
        ask(counting)
    assert tried == ["/classify"]


def test_what_a_server_says_is_one_line_of_bounded_length(counting: Vllm) -> None:
    said = failure(counting, Reply({"error": {"message": "a\n\x1b[31mb" + "x" * 9_999}}, 418))
    assert "\x1b" not in said
    assert len(said) < 400


def test_an_engine_takes_only_what_it_can(counting: Vllm) -> None:
    with pytest.raises(BadOption, match="openrlhf takes no token ids"):
        ask(counting, engine="openrlhf")
    with pytest.raises(UnknownName, match="did you mean 'vllm'"):
        ask(counting, engine="vlm")


def test_a_key_goes_to_this_machine_or_over_https(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMEVAL_API_KEY", "sk-secret-123")
    with pytest.raises(BadOption, match="RMEVAL_API_KEY would go over the network in the clear"):
        EngineClient("http://node0:8000", "vllm")
    for url in ("http://127.0.0.1:8000", "https://node0"):
        EngineClient(url, "vllm")
    EngineClient("http://node0:8000", "vllm", key_over_http=True)
    with pytest.raises(BadOption, match="put the key in RMEVAL_API_KEY"):
        EngineClient("http://me:secret@node0:8000", "vllm")
