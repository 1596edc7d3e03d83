"""What goes wrong with clients, and what they are told; with the model, with the queue."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from serving_by_hand import Client, GatedModel, in_thread, opened, serving

from rmeval.errors import BadCheckpoint, BadOption
from rmeval.serving.running import listen
from rmeval.serving.settings import MIB, Settings


def rewards(*texts: str) -> dict[str, list[str]]:
    return {"conversations": list(texts)}


def test_a_key_is_asked_for_everywhere_but_where_probes_look() -> None:
    with serving(opened(), key="a secret") as client:
        for path in ("/health", "/ready", "/metrics"):
            assert client.get(path).status == 200
        for path in ("/info", "/v1/models", "/", "/nowhere"):
            assert client.get(path).status == 401
        assert client.post("/v1/rewards", rewards("x")).status == 401
        for wrong in ("Bearer wrong", "Bearer a secre", "a secret", "Bearer", "Basic !", ""):
            answer = client.post("/v1/rewards", rewards("x"), Authorization=wrong)
            assert (answer.status, answer.message) == (401, "Invalid API key")
        right = client.post("/v1/rewards", rewards("x"), Authorization="Bearer a secret")
        assert right.json["scores"] == [1.0]
        # what a browser sends when its user has typed the key as a password
        assert client.get("/", Authorization="Basic dXNlcjphIHNlY3JldA==").status == 200
        assert client.get("/").headers["www-authenticate"].startswith("Basic")


def test_a_key_is_in_no_answer_and_no_representation() -> None:
    assert "secret" not in repr(Settings(key="secret"))
    with serving(opened(), key="secret") as client:
        told = client.get("/info", Authorization="Bearer secret").body
        assert b"secret" not in told + client.get("/metrics").body


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "not JSON"),
        (b'{"conversations": [1,', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"{}", "no field conversations"),
        (b'{"conversations": "x"}', "expected a list"),
        (b'{"conversations": [[]]}', "conversation 0: no messages"),
        (b'{"conversations": [[1, true]]}', "conversation 0"),
        (b'{"conversations": ["x", [1.5]]}', "conversation 1"),
        (b'{"conversations": ["x", {"role": "user"}]}', "conversation 1"),
        (b'{"conversations": ["\\ud800"]}', "surrogate"),
        (b'{"conversations": [], "conversations": []}', "twice"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_body_that_is_no_request_is_400_and_says_where(body: bytes, told: str) -> None:
    with serving(opened()) as client:
        answer = client.post("/v1/rewards", body)
        assert answer.status == 400
        assert told in answer.message
        assert "\n" not in answer.message


def test_another_type_of_body_is_refused_as_by_vllm() -> None:
    with serving(opened()) as client:
        answer = client.ask(
            "POST", "/v1/rewards", b'{"conversations": []}', {"Content-Type": "text/plain"}
        )
        assert answer.status == 400
        assert "application/json" in answer.message


def test_a_body_that_is_too_large_is_413_told_or_not() -> None:
    with serving(opened(), max_body_mib=1) as client:
        large = rewards("x" * MIB)
        assert client.post("/v1/rewards", large).status == 413
        with client.connect() as connection:
            head = "POST /v1/rewards HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            part = b"x" * 65_536
            try:
                for _ in range(20):  # 1.25 MiB
                    connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
            except (BrokenPipeError, ConnectionResetError):
                pass
            assert b" 413 " in connection.recv(200)
        assert client.post("/v1/rewards", rewards("x")).status == 200


def test_33_mib_are_refused_from_their_length_alone() -> None:
    with serving(opened()) as client, client.connect() as connection:
        head = f"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: {33 * MIB}\r\n\r\n"
        connection.sendall(head.encode())
        assert b" 413 " in connection.recv(200)


def test_half_a_body_is_nobodys_request_and_the_server_goes_on() -> None:
    with serving(opened()) as client:
        for _ in range(20):
            with client.connect() as connection:
                connection.sendall(
                    b"POST /v1/rewards HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
                )
        assert client.post("/v1/rewards", rewards("x")).json["scores"] == [1.0]


def test_no_route_and_no_such_method_are_said_in_json() -> None:
    with serving(opened()) as client:
        assert client.get("/v1/reward").status == 404
        assert "GET /v1/reward" in client.get("/v1/reward").message
        assert client.get("/classify").status == 405


def test_a_reward_that_is_no_number_is_500_for_it_alone(caplog: pytest.LogCaptureFixture) -> None:
    model = GatedModel()
    with serving(model) as client, ThreadPoolExecutor(4) as pool:
        first = pool.submit(client.post, "/v1/rewards", rewards("first"))
        wait_for(client, lambda: client.app.state.service.worker.waiting == 1)
        bad = pool.submit(client.post, "/v1/rewards", rewards("good", "nan"))
        good = pool.submit(client.post, "/v1/rewards", rewards("good", "others"))
        wait_for(client, lambda: client.app.state.service.worker.waiting == 3)
        model.gate.set()
        assert first.result().json["scores"] == [5.0]
        assert good.result().json["scores"] == [4.0, 6.0]
        assert bad.result().status == 500
        assert bad.result().message.startswith("conversation 1: the reward is nan")
        assert client.get("/health").status == 200
    assert "conversation 1: the reward is nan" in caplog.text


def test_what_an_engine_elsewhere_refuses_is_named_and_its_failure_is_a_bad_gateway() -> None:
    with serving(opened()) as client:
        refused = client.post("/v1/rewards", rewards("good", "better", "refused"))
        assert (refused.status, refused.message) == (400, "conversation 2: the engine refuses it")
        down = client.post("/get_reward", {"query": ["down"]})
        assert (down.status, down.message) == (502, "http://engine: no answer")
        assert client.get("/health").status == 200
        assert client.post("/v1/rewards", rewards("good")).json["scores"] == [4.0]


def test_behind_an_engine_that_is_away_the_server_is_not_ready_and_asks_until_it_is_back() -> None:
    model = opened()
    with serving(model) as client:
        assert client.get("/ready").status == 200
        model.away = True
        assert client.post("/v1/rewards", rewards("first")).status == 502
        ready = client.get("/ready")
        assert (ready.status, ready.json["state"]) == (503, "away")
        assert client.metric("rmeval_ready") == 0
        assert client.get("/health").status == 200
        assert client.post("/v1/rewards", rewards("another")).status == 502  # who asks, is served
        model.away = False
        client.until("/ready", 200)  # nobody else asks by now
        assert client.post("/v1/rewards", rewards("first")).json["scores"] == [5.0]


def wait_for(client: Client, holds: object) -> None:
    patience = time.monotonic() + 30
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < patience
        time.sleep(0.01)


def test_who_would_wait_too_long_is_told_when_to_come_again() -> None:
    model = GatedModel(batch_tokens=4)
    with serving(model, max_wait=0.5) as client:
        with in_thread(client.post, "/v1/rewards", rewards("a" * 50)) as computed:
            wait_for(client, lambda: client.app.state.service.worker.waiting == 1)
            late = client.post("/v1/rewards", rewards("late"))  # is held for so long
            assert late.status == 503
            assert int(late.headers["retry-after"]) >= 1
            assert late.json["error"]["type"] == "overloaded"
            model.gate.set()
        assert computed[0].json["scores"] == [50.0]  # once begun, it is answered
        assert client.post("/v1/rewards", rewards("late")).json["scores"] == [4.0]
        assert not any(5 in lengths for lengths in model.passes[:1])


def test_what_waits_longer_than_allowed_is_refused_at_once_when_the_speed_is_known() -> None:
    model = GatedModel(batch_tokens=4)
    with serving(model, max_wait=100) as client:
        worker = client.app.state.service.worker
        worker._rates.append(1.0)  # a token a second
        with in_thread(client.post, "/v1/rewards", rewards("b" * 100, "c" * 60)):
            wait_for(client, lambda: worker.waiting == 1)
            started = time.monotonic()
            answer = client.post("/v1/rewards", rewards("x"))
            assert time.monotonic() - started < 10
            assert answer.status == 503
            assert 50 <= int(answer.headers["retry-after"]) <= 60
            model.gate.set()


def test_a_client_that_leaves_is_dropped_from_the_queue() -> None:
    model = GatedModel(batch_tokens=1)
    with serving(model) as client, in_thread(client.post, "/v1/rewards", rewards("first")):
        worker = client.app.state.service.worker
        wait_for(client, lambda: worker.waiting == 1)
        body = json.dumps(rewards("leaving one", "leaving two")).encode()
        with client.connect() as connection:
            head = "POST /v1/rewards HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            wait_for(client, lambda: worker.sequences_waiting == 2)
        wait_for(client, lambda: worker.sequences_waiting == 0)
        assert client.metric("rmeval_dropped_total") == 2
        model.gate.set()
    assert model.passes == [[5]]


def test_draining_answers_what_waits_and_takes_no_more() -> None:
    model = GatedModel()
    with serving(model) as client:
        service = client.app.state.service
        with in_thread(client.post, "/v1/rewards", rewards("waits")) as waiting:
            wait_for(client, lambda: service.worker.waiting == 1)
            service.drain()
            assert client.get("/ready").status == 503
            assert client.get("/health").status == 200
            late = client.post("/v1/rewards", rewards("late"))
            assert (late.status, "retry-after" in late.headers) == (503, True)
            assert not service.ended
            model.gate.set()
        assert waiting[0].json["scores"] == [5.0]
        assert service.ended


def test_a_model_is_not_ready_until_it_is_loaded() -> None:
    loaded = threading.Event()

    def load() -> GatedModel:
        assert loaded.wait(60)
        return opened()

    with serving(load) as client:
        assert client.get("/ready").status == 503
        assert client.get("/v1/models").json["data"] == []
        answer = client.post("/v1/rewards", rewards("x"))
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        loaded.set()
        client.until("/ready", 200)
        assert client.post("/v1/rewards", rewards("x")).json["scores"] == [1.0]


def test_a_model_that_cannot_be_loaded_is_not_healthy_and_says_why_to_who_started_it() -> None:
    tried = threading.Event()

    def load() -> GatedModel:
        assert tried.wait(60)
        raise BadCheckpoint("no weights")

    with serving(load) as client:
        tried.set()
        client.until("/health", 503)
        assert client.post("/v1/rewards", rewards("x")).status == 500
        assert str(client.app.state.service.worker.failure) == "no weights"
        assert client.app.state.service.ended


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_of_a_bug_leaves_nobody_waiting_and_is_not_healthy() -> None:
    model = GatedModel(dies=True)
    with serving(model) as client:
        with in_thread(client.post, "/v1/rewards", rewards("waits")) as waiting:
            wait_for(client, lambda: client.app.state.service.worker.waiting == 1)
            model.gate.set()
        assert waiting[0].status == 500
        assert client.get("/health").status == 503
        assert client.get("/ready").status == 503
        assert client.post("/v1/rewards", rewards("x")).status == 500


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadOption, match=f"port={port}` cannot be listened on"):
            listen("127.0.0.1", port)


def test_settings_are_checked() -> None:
    for wrong in ({"max_wait": 0}, {"max_body_mib": 0}, {"key": " "}):
        with pytest.raises(BadOption):
            Settings(**wrong)
