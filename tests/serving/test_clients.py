"""The clients of four trainers: the bytes that they send, what they take, and how they try again.

Read in OpenRLHF 3c3be623 (utils/agent.py), slime 624b824a8 (rollout/rm_hub), LLaMA-Factory
ff6d4d12e (train/ppo) and verl 1dda039b9 (experimental/reward_loop). What aiohttp 3.14 and requests
2.34 put on the wire for their calls was recorded on a socket.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from serving_by_hand import Client, opened, serving, talk

import rmeval

AIOHTTP = (
    "POST {path} HTTP/1.1\r\n"
    "Host: 127.0.0.1:{port}\r\n"
    "Accept: */*\r\n"
    "Accept-Encoding: gzip, deflate\r\n"
    "User-Agent: Python/3.11 aiohttp/3.14.5\r\n"
    "Content-Length: {length}\r\n"
    "Content-Type: application/json\r\n"
    "\r\n"
    "{body}"
)
REQUESTS = (
    "POST {path} HTTP/1.1\r\n"
    "Host: 127.0.0.1:{port}\r\n"
    "User-Agent: python-requests/2.34.2\r\n"
    "Accept-Encoding: gzip, deflate\r\n"
    "Accept: */*\r\n"
    "Connection: keep-alive\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: {length}\r\n"
    "\r\n"
    "{body}"
)
TALKS = [
    talk("Name a prime above 10.", "11"),
    talk("Name a prime above 10.", "Twelve is one, I think."),
    [{"role": "system", "content": "Be brief."}, *talk("Où est « Zürich » ?", "En\nSuisse 🇨🇭")],
]


def over_the_wire(client: Client, form: str, path: str, payload: Any) -> tuple[int, bytes]:
    """Sends a request as it was recorded, to the byte; returns the status and the answer."""
    body = json.dumps(payload)  # which both write, in ASCII
    sent = form.format(path=path, port=client.port, length=len(body), body=body)
    with client.connect() as connection:
        connection.sendall(sent.encode())
        found = HTTPResponse(connection)
        found.begin()
        return found.status, found.read()


@pytest.fixture(scope="module")
def model() -> rmeval.RewardModel:
    return rmeval.load_model("demo", device="cpu")


@pytest.fixture(scope="module")
def client(model: rmeval.RewardModel) -> Iterator[Client]:
    with serving(model) as running:
        yield running


@pytest.fixture(scope="module")
def rewards(model: rmeval.RewardModel) -> list[float]:
    return model.score(TALKS)


@pytest.fixture(scope="module")
def texts(model: rmeval.RewardModel) -> list[str]:
    return [model.tokenizer.apply_chat_template(given, tokenize=False) for given in TALKS]


def openrlhf(client: Client, text: str) -> float:
    payload = {"query": [text], "prompts": ["Name"], "labels": [None]}
    status, body = over_the_wire(client, AIOHTTP, "/get_reward", payload)
    assert status == 200, body
    found = json.loads(body)
    assert found["scores"] == found["rewards"]
    assert found["extra_logs"] == {}
    return float(found["rewards"][0])


def slime(client: Client, text: str) -> float:
    """The prompt ends where the assistant begins to write, as apply_chat_template cuts it."""
    cut = text.rindex("assistant\n") + len("assistant\n")
    payload = {"prompt": text[:cut], "response": text[cut:], "label": None}
    status, body = over_the_wire(client, AIOHTTP, "/reward", payload)
    assert status == 200, body
    found = json.loads(body)
    assert isinstance(found, float)
    return found


def llama_factory(client: Client, text: str) -> float:
    payload = {"model": "model", "messages": [text]}
    status, body = over_the_wire(client, REQUESTS, "/v1/score/evaluation", payload)
    assert status == 200, body
    return float(json.loads(body)["scores"][0])


def verl_of_vllm(client: Client, text: str) -> float:
    payload = {"model": "demo", "input": text.removeprefix("<s>"), "use_activation": False}
    status, body = over_the_wire(client, AIOHTTP, "/classify", payload)
    assert status == 200, body
    return float(json.loads(body)["data"][-1]["probs"][-1])


def verl_of_sglang(client: Client, text: str) -> float:
    payload = {"model": "demo", "input": text.removeprefix("<s>")}
    status, body = over_the_wire(client, AIOHTTP, "/v1/embeddings", payload)
    assert status == 200, body
    return float(json.loads(body)["data"][-1]["embedding"][-1])


CLIENTS = [openrlhf, slime, llama_factory, verl_of_vllm, verl_of_sglang]


@pytest.mark.parametrize("ask", CLIENTS)
def test_a_client_that_sends_text_gets_the_models_own_reward(
    ask: Callable[[Client, str], float], client: Client, texts: list[str], rewards: list[float]
) -> None:
    assert [ask(client, text) for text in texts] == pytest.approx(rewards, abs=1e-4)
    assert max(rewards) - min(rewards) > 0.1


def test_slime_may_send_the_messages_of_a_prompt(client: Client, rewards: list[float]) -> None:
    for given, expected in zip(TALKS, rewards, strict=True):
        payload = {"prompt": given[:-1], "response": given[-1]["content"], "label": "x"}
        status, body = over_the_wire(client, AIOHTTP, "/reward", payload)
        assert (status, json.loads(body)) == (200, pytest.approx(expected, abs=1e-4))


def test_texts_in_the_template_of_the_model_that_is_trained_get_the_reward_of_their_messages(
    model: rmeval.RewardModel, rewards: list[float], tmp_path: Path
) -> None:
    """An actor with Llama 2's special tokens and other words around the turns."""
    actor = tmp_path / "actor.jinja"
    actor.write_text(
        "<s>{% for m in messages %}[{{ m.role | upper }}] {{ m.content }} [END]\n{% endfor %}"
        "{% if add_generation_prompt %}[ASSISTANT] {% endif %}"
    )
    texts = [
        "<s>" + "".join(f"[{m['role'].upper()}] {m['content']} [END]\n" for m in given)
        for given in TALKS
    ]
    with serving(model, text_template=str(actor)) as client:
        assert [openrlhf(client, text) for text in texts] == pytest.approx(rewards, abs=1e-4)
        assert [llama_factory(client, text) for text in texts] == pytest.approx(rewards, abs=1e-4)
        odd = {"query": ["<s>[TOOL] what is this?"], "prompts": [""], "labels": [""]}
        status, body = over_the_wire(client, AIOHTTP, "/get_reward", odd)
    assert status == 400
    assert b"send messages instead" in body


def test_a_text_of_another_model_is_refused_and_llama_factory_then_finds_no_scores(
    client: Client,
) -> None:
    payload = {"model": "model", "messages": ["### Human: Hi ### Assistant: Hello"]}
    status, body = over_the_wire(client, REQUESTS, "/v1/score/evaluation", payload)
    assert status == 400
    assert "scores" not in json.loads(body)
    assert b"rendered for another model" in body


def openrlhf_shards(clients: Sequence[Client], texts: Sequence[str]) -> list[list[float]]:
    """Several --reward.remote_url: each server has its part of the texts, which may be none."""
    size = -(-len(texts) // len(clients))
    found = []
    for place, client in enumerate(clients):
        part = list(texts[place * size : (place + 1) * size])
        payload = {"query": part, "prompts": part, "labels": [None] * len(part)}
        status, body = over_the_wire(client, AIOHTTP, "/get_reward", payload)
        assert status == 200, body
        found.append(json.loads(body)["rewards"])
    return found


def test_a_server_of_openrlhfs_that_has_no_part_of_a_batch_answers_with_nothing(
    client: Client, texts: list[str], rewards: list[float]
) -> None:
    """One text for two servers makes parts of 1 and 0: OpenRLHF's own server answers 500."""
    assert openrlhf_shards([client, client], texts[:1])[1] == []
    parts = openrlhf_shards([client, client], texts)
    assert [len(part) for part in parts] == [2, 1]
    assert [reward for part in parts for reward in part] == pytest.approx(rewards, abs=1e-4)


def tries(
    client: Client, path: str, payload: Any, most: int, again: Callable[[int], bool], between: Any
) -> int:
    """Asks as often as a trainer does; returns how often that was. Its pauses are `between`."""
    for tried in range(1, most + 1):
        status, _ = over_the_wire(client, AIOHTTP, path, payload)
        if status == 200:
            return tried
        if not again(status):
            break
        between()
    raise AssertionError(f"it has given up after {tried} tries, the last one with {status}")


@pytest.mark.parametrize(
    ("path", "payload", "most", "again"),
    [
        ("/get_reward", {"query": ["a"], "prompts": [""], "labels": [""]}, 5, lambda status: True),
        ("/reward", {"prompt": "a", "response": "b", "label": ""}, 10, lambda status: True),
        (
            "/classify",
            {"model": "gated", "input": "a", "use_activation": False},
            16,
            lambda status: status >= 500,
        ),
    ],
    ids=["openrlhf", "slime", "verl"],
)
def test_a_trainer_that_asks_while_the_model_is_loaded_gets_its_reward_when_it_is(
    path: str, payload: Any, most: int, again: Callable[[int], bool]
) -> None:
    loaded, model = Event(), opened()

    def load() -> Any:
        assert loaded.wait(60)
        return model

    with serving(load) as client:

        def between() -> None:
            loaded.set()
            client.until("/ready", 200)

        assert tries(client, path, payload, most, again, between) == 2


def test_a_connection_is_kept_for_the_next_request(
    client: Client, texts: list[str], rewards: list[float]
) -> None:
    """slime keeps 64 of them for all its samples."""
    connection = HTTPConnection("127.0.0.1", client.port, timeout=60)
    found = []
    for text in texts:
        body = json.dumps({"query": [text], "prompts": [""], "labels": [""]})
        connection.request("POST", "/get_reward", body, {"Content-Type": "application/json"})
        kept = connection.sock
        found += json.loads(connection.getresponse().read())["rewards"]
        assert connection.sock is kept
    connection.close()
    assert found == pytest.approx(rewards, abs=1e-4)
