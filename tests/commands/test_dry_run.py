"""`rmeval run --dry-run`: the arithmetic of a run, and nothing loaded."""

import json
from pathlib import Path

import pytest
from command_line import Capture, count_batches, done, refusal, small_model

import rmeval
from rmeval.cards import Card, known_cards
from rmeval.engine import memory
from rmeval.engine.estimate import estimate, shape_of
from rmeval.errors import BadOption
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
    # in float32, 8 x 16, 3 x 24, and 16 times keys and values of 8
    assert lines["activations"] == f"up to {4 * (128 + 72 + 256) / 1024:.2f} GiB in a forward pass"
    tokens = int(lines["to compute"].split()[0])
    seconds = tokens * 2 * matrices / 2e6
    assert lines["arithmetic"].endswith(f"at least {seconds:.1f} s at the")


def test_what_a_run_would_refuse_is_refused(run, capsys: Capture) -> None:
    assert "did you mean" in refusal(capsys, *run, "--dtype", "float23")
    assert "leaves no room" in refusal(capsys, *run, "--max-length", 4)


def test_that_packing_is_decided_at_load_is_said(run, capsys: Capture) -> None:
    lines = told(capsys, *run)
    assert lines["to compute"].endswith("shared prefixes once, if the model is found to allow it")


def on(capsys: Capture, run: tuple[object, ...], *options: object) -> dict[str, str]:
    return told(capsys, *run, "--on", *options)


def test_a_card_that_is_not_here_is_planned_for(run, capsys: Capture, monkeypatch) -> None:
    monkeypatch.setattr(Checkpoint, "tensors", lambda self: pytest.fail("weights were read"))
    monkeypatch.setattr(memory, "matrix_rate", lambda *_: pytest.fail("nothing is measured"))
    lines = on(capsys, run, "h100-80gb", "--dtype", "bfloat16")
    assert lines["forward passes"] == "1 of up to 16,384 tokens"
    assert lines["placement"] == "h100-80gb (79 GiB): fits one"
    assert lines["scoring"].startswith("about 0.0 s by arithmetic")
    assert lines["weights"].endswith("in bfloat16")
    assert on(capsys, run, "l4-24gb", "--dtype", "float32")["scoring"] == "no figures in this dtype"


def test_a_model_that_is_too_large_for_a_card_is_told_over_how_many(
    run, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = Card("small", memory=memory.CONTEXT_BYTES + 140_000, matrix=1e6, stream=1e6)
    monkeypatch.setitem(known_cards(), "small", small)
    lines = on(capsys, run, "small", "--dtype", "bfloat16")
    assert lines["placement"] == "small (1 GiB): is spread over 2, by one process"


def test_the_seconds_are_the_estimates_of_the_plan(
    run, model: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Card("slow", memory=80e9, matrix=1e6, stream=1e6)
    monkeypatch.setitem(known_cards(), "slow", slow)
    loaded = rmeval.load_model(str(model), weights=False, on="slow", dtype="bfloat16")
    rows = rmeval.load_benchmark(str(run[run.index("--data") + 1]))
    work = loaded.plan(rows.preferences).work
    expected = sum(estimate(work, [shape_of(loaded.network.config)], slow).values())
    lines = on(capsys, run, "slow", "--dtype", "bfloat16")
    assert lines["scoring"].startswith(f"about {expected:.1f} s by arithmetic")
    plan = rmeval.plan_run(str(model), rows, on="slow", dtype="bfloat16")
    assert (plan.seconds, plan.cards, plan.rate) == (pytest.approx(expected), 1, None)
    assert plan.texts == 6


def test_what_is_not_a_card_or_not_a_plan_is_refused_in_one_line(run, capsys: Capture) -> None:
    said = refusal(capsys, *run, "--on", "h100")
    assert "unknown card 'h100'" in said
    assert "a100-80gb" in said
    without = [option for option in run if option != "--dry-run"]
    assert "pass --dry-run as well" in refusal(capsys, *without, "--on", "h100-80gb")
    with pytest.raises(BadOption, match="weights=False"):
        rmeval.load_model("demo", on="h100-80gb")


def test_of_a_known_checkpoint_that_cannot_be_reached_its_name_says_whether_it_fits(
    run, capsys: Capture
) -> None:
    known = [*run]
    known[known.index("--model") + 1] = "internlm/internlm2-20b-reward"
    out, _ = done(capsys, *known, "--on", "h100-80gb")
    assert "37.3 GiB in float16, by its name" in out
    assert "h100-80gb (79 GiB): fits one" in out
    out, _ = done(capsys, *known, "--on", "l4-24gb")
    assert "is spread over 3, by one process" in out
    known[known.index("--model") + 1] = "nobody/nothing"
    assert "nobody/nothing" in refusal(capsys, *known, "--on", "h100-80gb")
