"""`--endpoint URL --engine NAME`: every verb that scores, with an engine on this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Capture, done, refusal
from demo_engine import demo, reward, talks
from documented import assert_documented
from engine_stub import Stub, Vllm
from loopback import Reply

import rmeval


@pytest.fixture
def vllm() -> Vllm:
    return Vllm(lambda ids: reward(tuple(ids)))


@pytest.fixture
def stub(vllm: Vllm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("RMEVAL_API_KEY", raising=False)
    with Stub(vllm).run() as running:
        yield running


def where(stub: Stub, *more: object) -> tuple[object, ...]:
    return ("--model", "demo", "--endpoint", stub.url, "--engine", "vllm", *more)


def write(path: Path, items: list[Any]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_run_through_an_engine_and_one_here_compare(
    stub: Stub, tmp_path: Path, capsys: Capture
) -> None:
    how = ("--benchmark", "demo", "--limit", 20, "--output", tmp_path, "-q")
    out, _ = done(capsys, "run", *where(stub), *how)
    assert "rewards of vllm 0.32.0, which were not compared with the model's own" in out
    assert "server engine" in out
    done(capsys, "run", "--model", "demo", *how)
    folders = sorted(path.parent for path in tmp_path.rglob("result.json"))
    assert len(folders) == 2
    compared, _ = done(capsys, "compare", *folders)
    assert "demo@vllm" in compared
    table, _ = done(capsys, "leaderboard", tmp_path, "--benchmark", "demo")
    assert "rewards of vllm 0.32.0" in table
    provenance = json.loads((folders[1] / "result.json").read_text())["provenance"]
    assert_documented(folders[1])
    assert provenance["engine"]["path"] == "server"


def test_lines_are_scored_ranked_and_filtered_as_they_are_here(
    stub: Stub, tmp_path: Path, capsys: Capture
) -> None:
    lines = write(tmp_path / "in.jsonl", [{"messages": talk} for talk in talks(30)])
    done(capsys, "score", *where(stub), "--input", lines, "--output", tmp_path / "out.jsonl")
    scores = [line["score"] for line in read(tmp_path / "out.jsonl")]
    assert scores == pytest.approx(demo().score(talks(30)), abs=1e-5)
    told = json.loads((tmp_path / "out.jsonl.provenance.json").read_text())
    assert told["engine"]["server"] == "vllm 0.32.0"
    row = {"prompt": "Which?", "responses": ["This one.", "That one, perhaps.", "None"]}
    rows = write(tmp_path / "rows.jsonl", [row])
    done(capsys, "rank", *where(stub), "--input", rows, "--output", tmp_path / "ranked.jsonl")
    done(capsys, "rank", "--model", "demo", "--input", rows, "--output", tmp_path / "here.jsonl")
    there, here = read(tmp_path / "ranked.jsonl"), read(tmp_path / "here.jsonl")
    assert there[0]["ranks"] == here[0]["ranks"]
    pairs = [{"prompt": f"Say {n}", "chosen": f"{n}", "rejected": "no " * n} for n in range(1, 9)]
    kept = write(tmp_path / "pairs.jsonl", pairs)
    done(capsys, "filter", *where(stub), "--input", kept, "--output", tmp_path / "kept.jsonl")
    done(capsys, "filter", "--model", "demo", "--input", kept, "--output", tmp_path / "k2.jsonl")
    assert [r["prompt"] for r in read(tmp_path / "kept.jsonl")] == [
        r["prompt"] for r in read(tmp_path / "k2.jsonl")
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--engine", "vllm"), "--engine vllm computes elsewhere: pass its address, --endpoint"),
        (("--endpoint", "http://127.0.0.1:9"), "--endpoint names no engine: pass --engine vllm|"),
        (("--request-tokens", 5), "--request-tokens goes with --endpoint only"),
        (("--engine", "vlm"), "unknown engine 'vlm'; did you mean 'vllm'?"),
        (("--engine", "vllm", "--endpoint", "node0:8000"), "a server's URL is http:// or https://"),
        (
            ("--engine", "vllm", "--endpoint", "http://127.0.0.1:9", "--device", "cuda"),
            "--device is for a network on this machine",
        ),
        (
            ("--engine", "vllm", "--endpoint", "http://127.0.0.1:9", "--prompt", "rating"),
            "--prompt goes with --model judge:NAME only",
        ),
        (
            ("--engine", "vllm", "--endpoint", "http://127.0.0.1:9", "--dry-run"),
            "--dry-run plans a run on this machine",
        ),
        (("--model", "judge:x", "--engine", "vllm", "--endpoint", "http://127.0.0.1:9"), "judge"),
    ],
)
def test_half_an_address_is_told(
    arguments: tuple[object, ...], said: str, tmp_path: Path, capsys: Capture
) -> None:
    assert said in refusal(capsys, "run", "--output", tmp_path, *arguments)


def test_what_a_user_can_mend_is_said_in_flags(
    stub: Stub, vllm: Vllm, tmp_path: Path, capsys: Capture
) -> None:
    vllm.max_model_len = 30
    lines = write(tmp_path / "in.jsonl", [{"messages": talk} for talk in talks(5)])
    how = ("--input", lines, "--output", tmp_path / "out.jsonl")
    told = refusal(capsys, "score", *where(stub), *how)
    assert "start it with --max-model-len" in told
    assert "or pass --max-length 30" in told
    vllm.max_model_len, vllm.heeds_activation = 4096, False
    told = refusal(capsys, "score", *where(stub), *how)
    assert "pass --no-checks where the model's own are such" in told
    assert not (tmp_path / "out.jsonl").exists()


def test_a_recipe_cannot_send_rows_to_an_engine(
    stub: Stub, tmp_path: Path, capsys: Capture
) -> None:
    recipe = tmp_path / "a.toml"
    recipe.write_text(f'model = "demo"\nengine = "vllm"\nendpoint = "{stub.url}"\n')
    told = refusal(capsys, "run", "--config", recipe, "--output", tmp_path)
    assert "endpoint sends the rows and your key to a server" in told


def test_ctrl_c_keeps_what_came_and_the_same_command_ends_with_the_same_bytes(
    stub: Stub, vllm: Vllm, tmp_path: Path
) -> None:
    lines = write(tmp_path / "in.jsonl", [{"messages": talk} for talk in talks(200)])
    goes, whole = tmp_path / "out.jsonl", tmp_path / "whole.jsonl"

    def command(output: Path, *more: object) -> list[str]:
        words = ["score", *where(stub, *more), "--input", lines, "--output", output]
        return [sys.executable, "-m", "rmeval", *map(str, words)]

    slow = [0]

    def before(method: str, path: str, body: Any) -> Reply:
        slow[0] += method == "POST"
        if slow[0] > 30:
            time.sleep(1.0)
        return Reply(None)

    vllm.before = before
    few = ("--request-tokens", 300, "--concurrency", 2)
    running = subprocess.Popen(command(goes, *few), stderr=subprocess.PIPE, env=os.environ)
    until = time.monotonic() + 120
    while slow[0] <= 32 and time.monotonic() < until:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=30)
    assert running.returncode == 130, told
    vllm.before = lambda *asked: Reply(None)
    asked = len(stub.asked)
    subprocess.run(command(goes), check=True, capture_output=True)
    rest = sum(len(body["input"]) for _, body in stub.asked[asked:])
    stub.asked.clear()
    subprocess.run(command(whole), check=True, capture_output=True)
    assert rest < sum(len(body["input"]) for _, body in stub.asked)
    assert goes.read_bytes() == whole.read_bytes()


def test_every_model_of_the_library_is_served_by_name() -> None:
    from rmeval.engines.client import PROTOCOLS
    from rmeval.records import SERVED

    assert tuple(PROTOCOLS) == SERVED
    assert rmeval.open_engine.__doc__ is not None
    assert all(name in rmeval.open_engine.__doc__ for name in SERVED)
