"""`rmeval serve` as a process of its own: what it says, what it refuses, and how it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from command_line import Capture, refusal, small_model

import rmeval

TALK = [{"role": "user", "content": "What is 7 times 8?"}, {"role": "assistant", "content": "56"}]
# A model whose every pass takes half a second: what is asked for meanwhile has to wait.
SLOWLY = """
import sys, time
from rmeval.cli import main
from rmeval.models.reward_model import RewardModel
score = RewardModel.score_fitted
def slow(*args, **kwargs):
    time.sleep(0.5)
    return score(*args, **kwargs)
RewardModel.score_fitted = slow
sys.exit(main(sys.argv[1:]))
"""


@contextmanager
def served(*arguments: object, **environment: str) -> Iterator[tuple[Any, int, list[str]]]:
    """The process, its port, and what it said when it was ready."""
    usual = {k: v for k, v in os.environ.items() if k != "RMEVAL_API_KEY"}
    process = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, "serve", "--port", "0", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**usual, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **environment},
    )
    assert process.stdout is not None
    try:
        said = [process.stdout.readline(), process.stdout.readline()]
        found = re.search(r":(\d+)$", said[0].strip())
        assert found, (said, process.poll() is None or process.communicate())
        yield process, int(found[1]), said
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)


def ask(port: int, path: str = "/v1/rewards", body: Any = None, key: str = "") -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/json", **({"Authorization": key} if key else {})}
    sent = None if body is None else json.dumps(body)
    connection.request("GET" if body is None else "POST", path, sent, headers)
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("lab") / "small")


def test_it_says_what_is_served_and_a_command_that_works_and_sigterm_drains(folder: Path) -> None:
    expected = rmeval.load_model(folder, device="cpu").score([TALK])[0]
    with served("--model", folder, "--name", "mine") as (process, port, said):
        assert said[0].startswith("mine: internlm2, float32, on cpu, at http://127.0.0.1:")
        shown = subprocess.run(
            ["bash", "-c", f"curl -s {said[1].removeprefix('curl ')}"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert json.loads(shown.stdout)["scores"] == [expected]
        answers: list[Any] = []
        talks = [[TALK[0], {"role": "assistant", "content": f"{n}"}] for n in range(8)]
        asking = [
            threading.Thread(
                target=lambda talk=talk: answers.append(ask(port, body={"conversations": [talk]}))
            )
            for talk in talks
        ]
        for thread in asking:
            thread.start()
        time.sleep(0.2)  # the first is computed, the others wait
        process.send_signal(signal.SIGTERM)
        for thread in asking:
            thread.join(30)
        assert process.wait(30) == 0
        assert [status for status, _ in answers] == [200] * len(talks)
        assert process.stderr.read() == ""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)


def test_the_key_comes_from_the_environment_and_is_said_nowhere(folder: Path) -> None:
    with served("--model", folder, RMEVAL_API_KEY="very-secret") as (process, port, said):
        assert ask(port, "/info")[0] == 401
        assert ask(port, "/info", key="Bearer very-secret")[0] == 200
        assert "very-secret" not in "".join(said)
        assert "$RMEVAL_API_KEY" in said[1]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""


def test_who_has_sent_half_a_body_keeps_nobody_from_ending(folder: Path) -> None:
    with served("--model", folder) as (process, port, _):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as half:
            head = "POST /v1/rewards HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
            half.sendall(head.encode())
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        assert "Traceback" not in process.stderr.read()


def test_elsewhere_than_on_this_machine_without_a_key_is_said_aloud(folder: Path) -> None:
    with served("--model", folder, "--host", "0.0.0.0") as (process, port, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        told = process.stderr.read()
        assert told.count("\n") == 1
        assert f"whoever reaches port {port}" in told
        assert "RMEVAL_API_KEY" in told


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("--port 70000", "'70000' is not a port from 0 to 65535"),
        ("--port x", "'x' is not a port"),
        ("--on-long cutt", "did you mean 'cut'?"),
        ("--max-wait -1", "'-1' is not a number from 0 to 86400"),
        ("--max-wait 0", "--max-wait"),
        ("--max-body-mib 0", "'0' is not a whole number of at least 1"),
        (
            "--host nowhere.invalid --port 0",
            "--host nowhere.invalid --port 0 cannot be listened on",
        ),
        ("--port 0 --text-template nowhere", "unknown model 'nowhere'"),
        ("--port 0 --device nonsense", "nonsense"),
        ("--api-key x", "unknown option '--api-key'"),
    ],
)
def test_what_is_typed_wrong_is_one_line(arguments: str, complaint: str, capsys: Capture) -> None:
    assert complaint in refusal(capsys, "serve", "--model", "demo", *arguments.split())


def test_a_judge_and_a_folder_without_a_model_are_refused(capsys: Capture, tmp_path: Path) -> None:
    assert "a judge gives no rewards" in refusal(
        capsys, "serve", "--port", "0", "--model", "judge:gpt-4o"
    )
    assert str(tmp_path) in refusal(capsys, "serve", "--port", "0", "--model", str(tmp_path))


def test_a_model_that_compares_is_refused(capsys: Capture) -> None:
    folder = Path(__file__).parents[1] / "golden_pairs" / "pair-pm"
    told = refusal(capsys, "serve", "--port", "0", "--model", str(folder))
    assert "compares two responses" in told


def test_a_port_that_is_taken_is_said_before_anything_is_loaded(capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = refusal(capsys, "serve", "--model", "/nowhere", "--port", port)
    assert f"--port {port} cannot be listened on: Address already in use" in told


def test_without_the_extra_it_is_named(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("rmeval.serving")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    told = refusal(capsys, "serve", "--model", "demo", "--port", "0")
    assert told == "uvicorn is not installed: pip install 'rmeval[serve]'"


def test_a_launcher_is_refused(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "one process" in refusal(capsys, "serve", "--model", "demo", "--port", "0")


def test_an_empty_key_is_no_key(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMEVAL_API_KEY", " ")
    assert "the key is empty" in refusal(capsys, "serve", "--model", "demo", "--port", "0")
