"""`rmeval rank`: candidates in, the same with their scores and ranks out."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import Capture, count_batches, done, interrupt_after, refusal, small_model

import rmeval
from rmeval.cli import main
from rmeval.commands.shared import lines
from rmeval.commands.shared.lines import read_provenance
from rmeval.engine.store import store_files
from rmeval.errors import BadData

LINES: list[dict[str, Any]] = [
    {"id": 7, "prompt": "Hello", "responses": ["Hi", "Grüße 世界", "", "Hi"], "tags": [None]},
    {"messages": [{"role": "user", "content": "q"}], "responses": ["only one"], "best": "old"},
    {
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
        ],
        "responses": ["x", "y" * 200, "z z"],
        "scores": "old",
    },
    {"prompt": [{"role": "user", "content": "same"}], "responses": ["", ""]},
]


def write(path: Path, items: list[Any]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def command(tmp_path: Path) -> tuple[object, ...]:
    model = small_model(tmp_path / "model")
    write(tmp_path / "in.jsonl", LINES)
    files = ("--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl")
    return ("rank", "--model", model, "--device", "cpu", *files)


def test_order_and_fields_are_kept(command: Any, tmp_path: Path, capsys: Capture) -> None:
    _, err = done(capsys, *command)
    for item, line in zip(LINES, read(tmp_path / "out.jsonl"), strict=True):
        assert line == {**item, **{name: line[name] for name in ("scores", "ranks", "best")}}
    assert list(read(tmp_path / "out.jsonl")[0]) == [*LINES[0], "scores", "ranks", "best"]
    assert "Grüße 世界" in (tmp_path / "out.jsonl").read_text(encoding="utf-8")
    assert err.splitlines()[-1] == f"10 conversations scored: {tmp_path / 'out.jsonl'}"


def test_scores_ranks_and_best_are_those_of_python(
    command: Any, tmp_path: Path, capsys: Capture
) -> None:
    done(capsys, *command)
    model = rmeval.load_model(tmp_path / "model", device="cpu")
    for line in read(tmp_path / "out.jsonl"):
        prompt = line["messages"] if "messages" in line else line["prompt"]
        best, scores = model.best_of(prompt, line["responses"])
        assert line["scores"] == pytest.approx(scores, abs=5e-5)
        assert line["best"] == best
        assert line["ranks"] == [sum(other > s for other in line["scores"]) for s in line["scores"]]
    ranked = read(tmp_path / "out.jsonl")
    assert ranked[0]["ranks"][0] == ranked[0]["ranks"][3]
    assert sorted(ranked[2]["ranks"]) == [0, 1, 2]
    assert (ranked[1]["ranks"], ranked[1]["best"]) == ([0], 0)
    assert (ranked[3]["ranks"], ranked[3]["best"]) == ([0, 0], 0)


def test_a_shared_prompt_is_computed_once(command: Any, tmp_path: Path, capsys: Capture) -> None:
    prompt = "word " * 300
    write(tmp_path / "in.jsonl", [{"prompt": prompt, "responses": [f"{i}" for i in range(9)]}])
    _, err = done(capsys, *command)
    share = int(err.split("% of")[0].split()[-1])
    assert share <= 13  # one prompt of nine


def test_windows_change_nothing_but_the_memory(
    command: Any, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(capsys, *command)
    whole = read(tmp_path / "out.jsonl")
    monkeypatch.setattr(lines, "WINDOW", 2)
    done(capsys, *command)
    for line, expected in zip(read(tmp_path / "out.jsonl"), whole, strict=True):
        assert line["scores"] == pytest.approx(expected["scores"], abs=5e-5)
        assert line["ranks"] == expected["ranks"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ({"responses": ["a"]}, "no prompt and no messages; found: responses"),
        ({"prompt": "a", "messages": [], "responses": ["a"]}, "both prompt and messages"),
        ({"prompt": "a"}, "no responses; found: prompt"),
        ({"prompt": "a", "responses": []}, "no responses, the list is empty"),
        ({"prompt": "a", "responses": "abc"}, '"responses" must be a list of texts'),
        ({"prompt": [{"role": "user"}], "responses": ["a"]}, "a message needs text"),
        ([], "expected an object"),
    ],
)
def test_a_line_that_is_none_is_named_before_the_model_is_loaded(
    line: Any, complaint: str, command: Any, tmp_path: Path, capsys: Capture
) -> None:
    write(tmp_path / "in.jsonl", [*LINES, line])
    (tmp_path / "model/config.json").unlink()
    assert refusal(capsys, *command).startswith(f"in.jsonl line 5: {complaint}")
    assert not (tmp_path / "out.jsonl").exists()


def test_an_interrupted_run_ends_with_the_same_bytes(
    command: Any, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [{"prompt": f"q{n}", "responses": ["x" * n, "y" * n]} for n in range(1, 60, 4)]
    write(tmp_path / "in.jsonl", many)
    command = (*command, "--batch-tokens", 256)
    with monkeypatch.context() as patch:
        computed = count_batches(patch)
        done(capsys, *command)
    whole = (tmp_path / "out.jsonl").read_bytes()
    (tmp_path / "out.jsonl").unlink()
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        assert main([str(argument) for argument in command]) == 130
    assert not (tmp_path / "out.jsonl").exists()
    capsys.readouterr()
    with monkeypatch.context() as patch:
        rest = count_batches(patch)
        done(capsys, *command)
    assert len(rest) == len(computed) - 3
    assert (tmp_path / "out.jsonl").read_bytes() == whole
    assert not (tmp_path / "out.jsonl.unfinished").exists()


SLOWLY = """
import sys, time
from rmeval.cli import main
from rmeval.engine.store import ScoreStore
put = ScoreStore.put
def slow(store, *batch):
    put(store, *batch)
    time.sleep(0.1)
ScoreStore.put = slow
sys.exit(main(sys.argv[1:]))
"""


def test_kill_9_loses_nothing(
    command: Any, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [{"prompt": f"q{n}", "responses": ["x" * n, "y" * n]} for n in range(1, 200, 2)]
    write(tmp_path / "in.jsonl", many)
    command = (*command, "--batch-tokens", 256)
    process = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, *map(str, command)],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )
    patience = time.monotonic() + 60
    while not any(file.groups > 1 for file in store_files(tmp_path)):
        assert time.monotonic() < patience
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL
    assert not (tmp_path / "out.jsonl").exists()
    with monkeypatch.context() as patch:
        rest = count_batches(patch)
        done(capsys, *command)
    resumed = (tmp_path / "out.jsonl").read_bytes()
    with monkeypatch.context() as patch:
        computed = count_batches(patch)
        done(capsys, *command)
    assert 0 < len(rest) < len(computed)
    assert (tmp_path / "out.jsonl").read_bytes() == resumed


def test_what_made_the_scores_is_written_beside_them(
    command: Any, tmp_path: Path, capsys: Capture
) -> None:
    done(capsys, *command)
    made = read_provenance(tmp_path / "out.jsonl")
    assert made is not None
    assert made["model"]["name"] == str(tmp_path / "model")
    (tmp_path / "out.jsonl").write_text("{}\n")
    assert read_provenance(tmp_path / "out.jsonl") is None  # these lines it did not make
    for damaged in ("[", "[]", '{"model": {}, "versions": {}, "lines_sha256": ""}'):
        (tmp_path / "out.jsonl.provenance.json").write_text(damaged)
        with pytest.raises(BadData, match=r"provenance\.json: .*; delete it, or rank again"):
            read_provenance(tmp_path / "out.jsonl")


def test_several_processes_are_refused(
    command: Any, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert "one process" in refusal(capsys, *command)


@pytest.fixture(scope="module")
def model() -> rmeval.RewardModel:
    return rmeval.load_model("demo", device="cpu")


def test_best_of_takes_the_first_of_the_best(model: rmeval.RewardModel) -> None:
    best, scores = model.best_of("Hello", ["bad", "good day", "good day", ""])
    chats = [[{"role": "user", "content": "Hello"}, {"role": "assistant", "content": r}]
             for r in ("bad", "good day", "good day", "")]  # fmt: skip
    assert scores == model.score(chats)
    assert best == scores.index(max(scores))
    assert model.rank(chats)[best] == 0
    assert model.best_of([{"role": "user", "content": "Hello"}], ("x",))[0] == 0


@pytest.mark.parametrize("responses", [[], "text", [1], None])
def test_best_of_nothing_is_refused(model: rmeval.RewardModel, responses: Any) -> None:
    with pytest.raises(BadData, match="responses"):
        model.best_of("Hello", responses)
