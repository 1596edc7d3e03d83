"""`rmeval best-of-n`: prompts in; candidates, the best of them and a curve out."""

import gc
import json
import os
import re
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Capture, done, interrupt_after, refusal, small_model
from loopback import Loopback, Reply, candidates, choices, failure
from tiny_generator import tiny_generator

from rmeval.cli import main
from rmeval.commands import best_of_n
from rmeval.llm import endpoint
from rmeval.llm.generator import LocalGenerator

PROMPTS: list[dict[str, Any]] = [
    {"id": 3, "prompt": "Hello"},
    {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "Why 世界?"}]},
    {"prompt": [{"role": "user", "content": "Tea?"}], "tags": [None]},
]


def write(path: Path, items: list[Any]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_generator(tmp_path_factory.mktemp("generator"))


@pytest.fixture
def local(tmp_path: Path, generator: Path) -> tuple[object, ...]:
    files = ("--prompts", write(tmp_path / "prompts.jsonl", PROMPTS), "--output", tmp_path / "out")
    model = ("--model", small_model(tmp_path / "model"), "--device", "cpu")
    return ("best-of-n", *model, *files, "--generator", generator, "--n", 3, "--max-new-tokens", 5)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    pytest.importorskip("openai")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(endpoint.KEY, "sk-secret")
    monkeypatch.setattr(endpoint, "RETRIES", 0)
    with Loopback().run() as running:
        yield running


@pytest.fixture
def remote(tmp_path: Path, server: Loopback) -> tuple[object, ...]:
    prompts = [{"prompt": f"q{n}", "id": n} for n in range(12)]
    files = ("--prompts", write(tmp_path / "prompts.jsonl", prompts), "--output", tmp_path / "out")
    model = ("--model", small_model(tmp_path / "model"), "--device", "cpu")
    asked = ("--generator", server.url, "--generator-model", "tiny", "--n", 2)
    return ("best-of-n", *model, *files, *asked, "--concurrency", 1)


def status(capsys: Capture, *command: object) -> tuple[int, list[str]]:
    found = main([str(argument) for argument in command])
    return found, capsys.readouterr().err.splitlines()


FILES = {
    "best.jsonl",
    "candidates.jsonl",
    "curve.json",
    "curve.png",
    "ranked.jsonl",
    "ranked.jsonl.provenance.json",
    "sampling.json",
}


def test_every_candidate_is_kept_with_its_score_and_the_best_apart(
    local: Any, tmp_path: Path, capsys: Capture
) -> None:
    out, _ = done(capsys, *local)
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    ranked = read(tmp_path / "out/ranked.jsonl")
    for line, asked in zip(ranked, PROMPTS, strict=True):
        assert {key: line[key] for key in asked} == asked
        assert len(line["responses"]) == len(line["scores"]) == 3
        assert line["scores"][line["best"]] == max(line["scores"])
    for line, best in zip(ranked, read(tmp_path / "out/best.jsonl"), strict=True):
        assert best["completion"] == [
            {"role": "assistant", "content": line["responses"][line["best"]]}
        ]
        assert best["score"] == max(line["scores"])
    assert best["prompt"] == [{"role": "user", "content": "Tea?"}]
    curve = json.loads((tmp_path / "out/curve.json").read_text())
    assert [point["n"] for point in curve] == [1, 2, 3]
    means = [sum(line["scores"]) / 3 for line in ranked]
    assert curve[0]["reward"] == pytest.approx(sum(means) / 3)
    assert curve[2]["reward"] == pytest.approx(sum(max(line["scores"]) for line in ranked) / 3)
    assert curve[0]["low"] < curve[0]["reward"] < curve[0]["high"]
    assert out.splitlines()[0].split("  ")[-1] == "KL bound, nats"
    assert out.splitlines()[4].split()[0] == "3"
    assert f"{curve[2]['reward']:.3f}" in out.splitlines()[4]
    assert (tmp_path / "out/curve.png").read_bytes().startswith(b"\x89PNG")


def test_the_sampling_that_was_asked_for_is_written_down(
    local: Any, tmp_path: Path, generator: Path, capsys: Capture
) -> None:
    done(capsys, *local, "--seed", 7, "--temperature", 1.5)
    kept = json.loads((tmp_path / "out/sampling.json").read_text())
    assert len(kept.pop("prompts_sha256")) == 64
    assert kept.pop("tokenizer")["file"].startswith("tokenizer")
    assert kept == {
        "generator": str(generator), "revision": None, "dtype": "float32", "n": 3,
        "temperature": 1.5, "top_k": 50, "top_p": 0.95, "max_new_tokens": 5, "seed": 7,
    }  # fmt: skip


def test_one_candidate_of_one_prompt(local: Any, tmp_path: Path, capsys: Capture) -> None:
    write(tmp_path / "prompts.jsonl", PROMPTS[:1])
    out, _ = done(capsys, *local, "--n", 1)
    (point,) = json.loads((tmp_path / "out/curve.json").read_text())
    assert (point["n"], point["low"], point["high"], point["kl_bound"]) == (1, None, None, 0)
    assert "of one prompt, none" in out
    assert read(tmp_path / "out/ranked.jsonl")[0]["best"] == 0


def test_the_generator_is_freed_before_the_reward_model_is_loaded(
    local: Any, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks: list[Any] = []
    load, score_lines = LocalGenerator._load, best_of_n.score_lines

    def watched(self: LocalGenerator) -> Any:
        network = load(self)
        networks.append(weakref.ref(network))
        return network

    def checked(*arguments: Any) -> None:
        gc.collect()
        assert [network() for network in networks] == [None]
        score_lines(*arguments)

    monkeypatch.setattr(LocalGenerator, "_load", watched)
    monkeypatch.setattr(best_of_n, "score_lines", checked)
    done(capsys, *local)


def test_a_ranking_that_was_interrupted_draws_nothing_again(
    local: Any, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_after(patch, 1)
        assert status(capsys, *local)[0] == 130
    monkeypatch.delattr(LocalGenerator, "_load")
    done(capsys, *local)
    assert len(read(tmp_path / "out/ranked.jsonl")) == 3


def test_another_reward_model_ranks_the_same_candidates(
    local: Any, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(capsys, *local)
    before = (tmp_path / "out/candidates.jsonl").read_bytes()
    monkeypatch.delattr(LocalGenerator, "_load")
    done(capsys, *local, "--model", "demo")
    assert (tmp_path / "out/candidates.jsonl").read_bytes() == before
    made = json.loads((tmp_path / "out/ranked.jsonl.provenance.json").read_text())
    assert made["model"]["name"] == "demo"


REFUSED = {
    "--top-p 2": "argument --top-p: '2' is not a number above 0 and up to 1",
    "--top-p 0": "argument --top-p: '0' is not a number above 0 and up to 1",
    "--top-p nan": "argument --top-p: 'nan' is not a number above 0 and up to 1",
    "--temperature -1": "argument --temperature: '-1' is not a number above 0 and up to 100",
    "--temperature 0": "argument --temperature: '0' is not a number above 0 and up to 100",
    "--temperature hot": "argument --temperature: 'hot' is not a number above 0 and up to 100",
    "--top-k -1": "argument --top-k: '-1' is not a whole number of at least 1",
    "--n 0": "argument --n: '0' is not a whole number of at least 1",
    "--max-new-tokens 0": "argument --max-new-tokens: '0' is not a whole number of at least 1",
    "--timeout 0": "argument --timeout: '0' is not a number above 0 and up to 86400",
    "--generator http://127.0.0.1:9/v1": "--generator is a server: pass --generator-model NAME too",
}


@pytest.mark.parametrize("option", REFUSED)
def test_options_are_refused_before_anything_is_loaded(
    option: str, local: Any, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "model/config.json").unlink()
    assert refusal(capsys, *local, *option.split()) == REFUSED[option]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ({"question": "?"}, "prompts.jsonl line 4: no prompt and no messages; found: question"),
        ({"prompt": "a", "messages": []}, "prompts.jsonl line 4: both prompt and messages"),
        ({"messages": []}, "prompts.jsonl line 4: no messages"),
    ],
)
def test_a_line_that_is_no_prompt_is_named(
    line: Any, complaint: str, local: Any, tmp_path: Path, capsys: Capture
) -> None:
    write(tmp_path / "prompts.jsonl", [*PROMPTS, line])
    assert refusal(capsys, *local).startswith(complaint)
    assert not (tmp_path / "out").exists()


def test_no_prompts_are_refused(local: Any, tmp_path: Path, capsys: Capture) -> None:
    write(tmp_path / "prompts.jsonl", [])
    assert refusal(capsys, *local).endswith("prompts.jsonl: no lines")
    (tmp_path / "prompts.jsonl").unlink()
    assert refusal(capsys, *local).endswith("prompts.jsonl: no such file")


def test_a_wrong_reward_model_is_found_before_anything_is_drawn(
    local: Any, tmp_path: Path, capsys: Capture
) -> None:
    assert "nowhere" in refusal(capsys, *local, "--model", tmp_path / "nowhere")
    assert not (tmp_path / "out").exists()


def test_several_processes_are_refused_before_anything_is_drawn(
    local: Any, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert "one process" in refusal(capsys, *local)
    assert not (tmp_path / "out").exists()


def test_a_prompt_without_room_is_named(local: Any, tmp_path: Path, capsys: Capture) -> None:
    message = refusal(capsys, *local, "--max-new-tokens", 2048)
    assert message.startswith("prompts.jsonl line 1: ")
    assert "the model's 2048" in message


def test_a_folder_of_other_prompts_is_refused(local: Any, tmp_path: Path, capsys: Capture) -> None:
    done(capsys, *local)
    write(tmp_path / "prompts.jsonl", [*PROMPTS, {"prompt": "more"}])
    assert "was drawn with other prompts" in refusal(capsys, *local)
    inside = write(tmp_path / "out/ranked.jsonl", PROMPTS)
    assert "would be written over" in refusal(capsys, *local, "--prompts", inside)


def test_a_server_does_what_a_model_here_does(
    remote: Any, server: Loopback, tmp_path: Path, capsys: Capture
) -> None:
    done(capsys, *remote)
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    ranked = read(tmp_path / "out/ranked.jsonl")
    assert [line["responses"] for line in ranked] == [
        [f"q{n}: answer 0", f"q{n}: answer 1"] for n in range(12)
    ]
    assert all("top_k" not in asked for asked in server.asked)  # nobody asked for it
    assert server.asked[0]["max_tokens"] == 512
    assert all(b"sk-secret" not in path.read_bytes() for path in (tmp_path / "out").iterdir())


def test_a_server_is_told_a_top_k_that_was_asked_for(
    remote: Any, server: Loopback, capsys: Capture
) -> None:
    done(capsys, *remote, "--top-k", 20)
    assert {asked["top_k"] for asked in server.asked} == {20}


def test_identical_candidates_share_their_rank(
    remote: Any, server: Loopback, tmp_path: Path, capsys: Capture
) -> None:
    server.answer = lambda asked: candidates({**asked, "n": 1, "seed": 0})
    out, _ = done(capsys, *remote)
    assert {tuple(line["ranks"]) for line in read(tmp_path / "out/ranked.jsonl")} == {(0, 0)}
    assert re.search(
        r"(\d+) of \1 prompts have the same candidate several times, so n makes no", out
    )
    curve = json.loads((tmp_path / "out/curve.json").read_text())
    assert curve[0]["reward"] == pytest.approx(curve[1]["reward"])


def test_what_a_server_leaves_is_named_and_the_exit_status_says_so(
    remote: Any, server: Loopback, tmp_path: Path, capsys: Capture
) -> None:
    server.answer = lambda asked: (
        failure(500, "on fire sk-secret") if len(server.asked) > 4 else candidates(asked)
    )
    found, said = status(capsys, *remote)
    assert found == 1
    assert [line.split(":")[0] for line in said[:5]] == [
        f"prompts.jsonl line {n}" for n in range(5, 10)
    ]
    assert all("no candidates (" in line and "on fire …" in line for line in said[:5])
    assert said[5:] == [
        "prompts.jsonl line 10 to prompts.jsonl line 12: 3 prompts not asked; "
        "the server failed too often in a row",
        "8 of 12 prompts have no candidates",
        "the candidates drawn so far are kept; run the same command again for the rest",
    ]
    assert not (tmp_path / "out/ranked.jsonl").exists()
    server.answer, before = candidates, len(server.asked)
    done(capsys, *remote)
    assert len(server.asked) == before + 8
    assert [line["id"] for line in read(tmp_path / "out/ranked.jsonl")] == list(range(12))


def test_a_server_that_does_not_answer_in_time(
    remote: Any, server: Loopback, capsys: Capture
) -> None:
    server.answer = lambda asked: Reply(seconds=0.5)
    found, said = status(capsys, *remote, "--timeout", 0.1, "--concurrency", 5)
    assert found == 1
    assert "APITimeoutError" in said[0]
    assert said[-2] == "12 of 12 prompts have no candidates"


def test_prompts_that_a_server_refuses_can_be_left_out(
    remote: Any, server: Loopback, tmp_path: Path, capsys: Capture
) -> None:
    server.answer = lambda asked: (
        failure(400, "flagged") if asked["messages"][0]["content"] == "q3" else candidates(asked)
    )
    assert status(capsys, *remote)[0] == 1
    found, said = status(capsys, *remote, "--skip-missing")
    assert found == 1
    assert said[0].startswith("prompts.jsonl line 4: no candidates (")
    ids = [line["id"] for line in read(tmp_path / "out/ranked.jsonl")]
    assert ids == [0, 1, 2, *range(4, 12)]
    server.answer = candidates
    done(capsys, *remote)
    assert [line["id"] for line in read(tmp_path / "out/ranked.jsonl")] == list(range(12))
    server.answer = lambda asked: failure(400)
    assert status(capsys, *remote, "--skip-missing", "--output", tmp_path / "none")[0] == 1


def test_control_c_stops_at_once_and_what_was_drawn_stays(
    remote: Any, server: Loopback, tmp_path: Path, capsys: Capture
) -> None:
    server.answer = lambda asked: Reply(seconds=20) if len(server.asked) > 6 else candidates(asked)
    process = subprocess.Popen(
        [sys.executable, "-m", "rmeval", *map(str, remote), "--concurrency", "3"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )
    patience = time.monotonic() + 60
    while len(server.asked) < 9 and time.monotonic() < patience:
        time.sleep(0.02)
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - sent < 10
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("rmeval: interrupted")
    assert "Traceback" not in err
    server.answer, before = candidates, len(server.asked)
    done(capsys, *remote)
    assert len(server.asked) == before + 6


SUMS: list[dict[str, Any]] = [{"prompt": f"{n} + 1?", "answer": n + 1} for n in range(4)]


@pytest.fixture
def sums(tmp_path: Path, server: Loopback) -> tuple[object, ...]:
    """A server that answers 1, 2 and 3 to every sum."""
    files = ("--prompts", write(tmp_path / "sums.jsonl", SUMS), "--output", tmp_path / "out")
    model = ("--model", small_model(tmp_path / "model"), "--device", "cpu")
    drawn = ("--generator", server.url, "--generator-model", "m", "--n", 3)
    server.answer = lambda asked: choices(*(f"The answer is {i}." for i in (1, 2, 3)))
    return ("best-of-n", *model, *files, *drawn)


def test_answers_are_checked_and_the_curve_of_right_ones_is_kept(
    sums: Any, tmp_path: Path, capsys: Capture
) -> None:
    out, _ = done(capsys, *sums, "--answers", "numeric")
    ranked = read(tmp_path / "out/ranked.jsonl")
    assert [line["correct"] for line in ranked] == [[n == i for i in range(3)] for n in range(4)]
    assert {tuple(line["answers"]) for line in ranked} == {("1", "2", "3")}
    found = json.loads((tmp_path / "out/answers.json").read_text())
    assert [point["n"] for point in found["curve"]] == [1, 2, 3]
    assert found["curve"][0]["accuracy"] == pytest.approx(3 / 12)
    assert found["curve"][2]["ceiling"] == pytest.approx(3 / 4)
    best = sum(line["correct"][line["best"]] for line in ranked) / 4
    assert found["curve"][2]["accuracy"] == pytest.approx(best)
    assert found["majority"]["value"] == pytest.approx(3 / 4 / 3)
    assert "best of n is right" in out
    assert (tmp_path / "out/answers.png").read_bytes().startswith(b"\x89PNG")
    command = ["run", "--model", str(tmp_path / "model"), "--device", "cpu", "--no-checks"]
    data = ["--benchmark", str(tmp_path / "out/ranked.jsonl"), "--output", str(tmp_path / "r")]
    assert main([*command, *data]) == 0
    printed = capsys.readouterr().out
    assert f"{100 * best:.1f} (" in printed


def test_a_prompt_without_an_answer_is_named_before_anything_is_asked(
    sums: Any, tmp_path: Path, capsys: Capture
) -> None:
    write(tmp_path / "sums.jsonl", [SUMS[0], {"prompt": "q"}])
    said = refusal(capsys, *sums, "--answers", "exact")
    assert "sums.jsonl line 2: no answer to hold responses to" in said
    assert "--answers" in refusal(capsys, *sums, "--answers", "exactly")
    assert not (tmp_path / "out/candidates.jsonl").exists()
