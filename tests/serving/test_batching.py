"""What waits is computed together, and gives what `score` gives; the same always gives the same."""

import json
import resource
import selectors
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from serving_by_hand import Client, GatedModel, in_thread, opened, serving, talk

import rmeval

CLIENTS = 1000


@pytest.fixture(scope="module")
def model() -> rmeval.RewardModel:
    return rmeval.load_model("demo", device="cpu")


@pytest.fixture(scope="module")
def client(model: rmeval.RewardModel) -> Iterator[Client]:
    with serving(model) as running:
        yield running


def group(prompt: int, answers: int = 4) -> list[Any]:
    question = f"What is {prompt} times 3, and why? Think of it as {prompt} and {prompt} and so on."
    return [talk(question, f"It is {prompt * 3 + answer}.") for answer in range(answers)]


def test_calls_that_come_together_are_computed_together_and_as_by_score(
    client: Client, model: rmeval.RewardModel
) -> None:
    talks = [row for prompt in range(40) for row in group(prompt)]
    expected = model.score(talks)
    before = client.metric("rmeval_batch_sequences_count")
    with ThreadPoolExecutor(64) as pool:
        asked = [{"conversations": [row]} for row in talks]
        found = [
            a.json["scores"][0] for a in pool.map(lambda b: client.post("/v1/rewards", b), asked)
        ]
    assert found == pytest.approx(expected, abs=1e-4)
    passes = client.metric("rmeval_batch_sequences_count") - before
    assert passes < len(talks) / 2


def test_a_prompt_of_several_answers_is_computed_once() -> None:
    """In one pass, the engine sees what waited; the demo shares prompts in test_packed_exact."""
    model = GatedModel()
    with serving(model) as client, ThreadPoolExecutor(9) as pool:
        worker = client.app.state.service.worker
        first = pool.submit(client.post, "/v1/rewards", {"conversations": ["first"]})
        until(lambda: worker.waiting == 1 and worker.sequences_waiting == 0)
        asked = [{"conversations": [f"a prompt, answer {i}"]} for i in range(8)]
        others = [pool.submit(client.post, "/v1/rewards", body) for body in asked]
        until(lambda: worker.waiting == 9)
        model.gate.set()
        assert {f.result().status for f in (first, *others)} == {200}
    assert [len(lengths) for lengths in model.passes] == [1, 8]


def until(holds: Any) -> None:
    patience = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < patience
        time.sleep(0.01)


def test_no_more_is_taken_at_once_than_four_passes_hold() -> None:
    model = GatedModel(batch_tokens=10)
    with serving(model) as client:
        worker = client.app.state.service.worker
        with in_thread(client.post, "/v1/rewards", {"conversations": ["first"]}):
            until(lambda: worker.waiting == 1 and worker.sequences_waiting == 0)
            rows = [f"{i:0>16}" for i in range(6)]
            with in_thread(client.post, "/v1/rewards", {"conversations": rows}) as answer:
                until(lambda: worker.sequences_waiting == 6)
                model.gate.set()
    assert answer[0].json["scores"] == [16.0] * 6
    assert [len(lengths) for lengths in model.passes] == [1, 2, 2, 2]


def test_what_was_computed_is_remembered_and_is_the_same_number() -> None:
    model = opened()
    with serving(model) as client:
        for _ in range(3):
            rows = ["one", "other", "one"]
            assert client.post("/v1/rewards", {"conversations": rows}).json["scores"] == [3, 5, 3]
        assert model.passes == [[3, 5]]
        assert client.metric("rmeval_remembered_total") == 6


def test_deterministic_computes_each_sequence_alone() -> None:
    model = opened()
    with serving(model, deterministic=True) as client:
        rows = ["one", "other", "one"]
        assert client.post("/v1/rewards", {"conversations": rows}).json["scores"] == [3, 5, 3]
    assert model.passes == [[3], [5]]


def test_deterministic_is_the_same_to_the_last_bit_whatever_else_waits(
    model: rmeval.RewardModel,
) -> None:
    talks = [row for prompt in range(6) for row in group(prompt)]
    alone = [model.score([row])[0] for row in talks]
    with serving(model, deterministic=True) as client:
        assert client.post("/v1/rewards", {"conversations": talks}).json["scores"] == alone


def test_a_thousand_clients_at_once_are_all_answered(client: Client) -> None:
    """From one thread, with a connection each, all open before the first is answered."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 3 * CLIENTS:
        pytest.skip(f"this process may open {hard} files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        answers = ask_at_once(client, CLIENTS)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(answers) == CLIENTS
    found: dict[int, float] = {}
    for place, text in answers.items():
        head, _, body = text.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        found[place] = json.loads(body)["scores"][0]
    assert len(set(found.values())) > 50
    assert all(found[place] == found[place % 100] for place in found)


def ask_at_once(client: Client, clients: int) -> dict[int, bytes]:
    """Asks one of 100 things from so many connections; returns what each got until it closed."""
    waiting = selectors.DefaultSelector()
    for place in range(clients):
        body = json.dumps({"conversations": [group(place % 100, 1)[0]]})
        head = "POST /v1/rewards HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        length = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        connection = socket.create_connection(("127.0.0.1", client.port), timeout=60)
        connection.sendall((head + length + body).encode())
        waiting.register(connection, selectors.EVENT_READ, place)
    answers = dict.fromkeys(range(clients), b"")
    patience = time.monotonic() + 60
    while waiting.get_map():
        assert time.monotonic() < patience
        for key, _ in waiting.select(1):
            connection = key.fileobj
            part = connection.recv(65_536)
            answers[key.data] += part
            if not part:
                waiting.unregister(connection)
                connection.close()
    waiting.close()
    return answers
