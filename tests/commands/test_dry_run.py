"""`rmeval run --dry-run`: the arithmetic of a run, and nothing loaded."""

import json
from pathlib import Path

import pytest
from command_line import Capture, count_batches, done, refusal, small_model

import rmeval
from rmeval.engine import memory
from rmeval.models.checkpoints.checkpoint import Checkpoint

ROWS = [
    {"prompt": "a", "chosen": "b c", "rejected": "b d", "subset": "hep-go", "id": 1},
    {"prompt": "a", "chosen": "b c", "rejected": "e", "subset": "hep-go", "id": 2},
    {"prompt": "f g", "chosen": "", "rejected": "b c d e f", "subset": "hep-go", "id": 3},
]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return small_model(tmp_path / "lab/small")


@pytest.fixture
def run(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[object, ...]:
    monkeypatch.setattr(memory, "matrix_rate", lambda device, dtype: 2e6)  # takes a second
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    data = ("--data", tmp_path / "rows.jsonl", "--output", tmp_path / "out")
    return ("run", "--dry-run", "--device", "cpu", "--model", model, *data)


def told(capsys: Capture, *arguments: object) -> dict[str, str]:
    """What stands after each label."""
    out, err = done(capsys, *arguments)
    assert err == ""
    lines = out.splitlines()[1:]
    return {line[:18].strip(): line[18:].strip() for line in lines}


def sequences(model: Path) -> list[list[int]]:
    loaded = rmeval.load_model(str(model), device="cpu")
    return [
        loaded.encode([{"role": "user", "content": row["prompt"]}, {"role": "assistant", **said}])
        for row in ROWS
        for said in ({"content": row["chosen"]}, {"content": row["rejected"]})
    ]


def test_tokens_and_passes_are_those_counted_from_the_conversations(
    run, model: Path, capsys: Capture
) -> None:
    ids = sequences(model)
    # every prefix once: of the six conversations two are equal
    unique = {tuple(row[:end]) for row in ids for end in range(1, len(row) + 1)}
    lines = told(capsys, *run)
    assert lines["texts"] == f"6, of {sum(map(len, ids))} tokens"
    assert lines["to compute"] == (
        f"{len(unique)} unique tokens, shared prefixes once, if the model is found to allow it"
    )
    assert lines["forward passes"] == "1 of up to 8,192 tokens"


def test_the_padded_path_counts_its_padding(run, model: Path, capsys: Capture) -> None:
    distinct = {tuple(row) for row in sequences(model)}
    longest = max(map(len, distinct))
    assert len(distinct) == 5
    lines = told(capsys, *run, "--engine", "padded")
    assert lines["to compute"] == f"{5 * longest} tokens with padding"
    lines = told(capsys, *run, "--engine", "padded", "--batch-tokens", 1)
    assert lines["to compute"] == f"{sum(map(len, distinct))} tokens with padding"
    assert lines["forward passes"] == "5 of up to 1 tokens"


def test_a_limit_is_counted(run, capsys: Capture) -> None:
    assert told(capsys, *run, "--limit", 2)["texts"].startswith("4, of ")


def test_the_passes_told_are_the_passes_made(
    run, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = told(capsys, *run, "--batch-tokens", 30)["forward passes"].split()[0]
    computed = count_batches(monkeypatch)
    done(capsys, *[option for option in run if option != "--dry-run"], "--batch-tokens", 30)
    assert int(passes) == len(computed) > 1


def test_nothing_is_loaded_and_nothing_is_written(
    run, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Checkpoint, "tensors", lambda self: pytest.fail("weights were read"))
    told(capsys, *run)
    assert not (tmp_path / "out").exists()


def test_memory_and_arithmetic_are_worked_from_the_shapes(
    run, model: Path, capsys: Capture
) -> None:
    lines = told(capsys, *run, "--batch-tokens", 2**20)
    # q, k, v, o of 2 heads on 1, hidden 16; feed-forward 24; looked up: 4103 x 16; norms: 3 x 16
    matrices = 16 * 16 + 2 * 8 * 16 + 16 * 16 + 3 * 16 * 24
    weights = 4 * (4103 * 16 + matrices + 3 * 16)
    assert lines["weights"] == f"{weights / 2**30:.2f} GiB in float32"
    # in float32, 8 x 16, 3 x 24, and 4 times keys and values of 8
    assert lines["activations"] == f"up to {4 * (128 + 72 + 64) / 1024:.2f} GiB in a forward pass"
    tokens = int(lines["to compute"].split()[0])
    seconds = tokens * 2 * matrices / 2e6
    assert lines["arithmetic"].endswith(f"at least {seconds:.1f} s at the")


def test_what_a_run_would_refuse_is_refused(run, capsys: Capture) -> None:
    assert "did you mean" in refusal(capsys, *run, "--dtype", "float23")
    assert "leaves no room" in refusal(capsys, *run, "--max-length", 4)


def test_that_packing_is_decided_at_load_is_said(run, capsys: Capture) -> None:
    lines = told(capsys, *run)
    assert lines["to compute"].endswith("shared prefixes once, if the model is found to allow it")
