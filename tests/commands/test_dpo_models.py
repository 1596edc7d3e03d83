"""DPO models on the command line: every verb that takes a model, a recipe, an interruption."""

import json
from pathlib import Path

import pytest
from command_line import Capture, done, interrupt_after, refusal
from documented import assert_documented
from language_models import write_pair

import rmeval
from rmeval.cli import main
from rmeval.engine import memory

RUN = ("run", "--benchmark", "demo")
LINES = [{"messages": [{"role": "user", "content": "Tea?"}, {"role": "assistant", "content": said}]}
         for said in ("Yes, gladly.", "No.", "Yes, gladly.")]  # fmt: skip


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    sizes = {"vocab_size": 4103, "max_position_embeddings": 2048, "num_hidden_layers": 1}
    pair = write_pair(tmp_path_factory.mktemp("lab"), **sizes)
    tokenizer = rmeval.load_model("demo", device="cpu").tokenizer
    for folder in pair:
        tokenizer.save_pretrained(folder)
    return pair


@pytest.fixture
def model(pair: tuple[Path, Path]) -> tuple[object, ...]:
    return ("--model", pair[0], "--reference", pair[1], "--device", "cpu")


def scores(folder: Path) -> bytes:
    return next(folder.rglob("scores.jsonl")).read_bytes()


def test_a_run_is_scored_recorded_and_said(
    model: tuple[object, ...], pair: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    out, _ = done(capsys, *RUN, *model, "--limit", 8, "--output", tmp_path)
    assert f"dpo adapter against {pair[1]}, float32, packed engine" in out
    document = json.loads(next(tmp_path.rglob("result.json")).read_text())
    assert document["provenance"]["model"]["reference"]["name"] == str(pair[1])
    assert_documented(next(tmp_path.rglob("result.json")).parent)
    loaded = rmeval.load_model(pair[0], reference=pair[1], device="cpu")
    row = json.loads(scores(tmp_path).splitlines()[0])
    asked = rmeval.load_benchmark("demo").find(row["id"])
    found = [score["value"] for score in row["responses"]]
    assert loaded.score(asked.conversations()) == pytest.approx(found, abs=1e-4)


def test_an_interrupted_run_ends_with_the_same_bytes(
    model: tuple[object, ...], tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = (*RUN, *model, "--limit", 12, "--batch-tokens", 600)
    done(capsys, *run, "--output", tmp_path / "whole")
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        assert main([str(word) for word in (*run, "--output", tmp_path / "cut")]) == 130
    done(capsys, *run, "--output", tmp_path / "cut")
    assert scores(tmp_path / "cut") == scores(tmp_path / "whole")


def test_other_references_share_no_store_and_no_folder(
    pair: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    for extra in (("none",), (pair[1],), (pair[1], "--per-token")):
        options = ("--model", pair[0], "--device", "cpu", "--limit", 4, "--output", tmp_path)
        out, _ = done(capsys, *RUN, *options, "--reference", *extra)
    assert "per token" in out
    found = {path.parent.name: path.read_bytes() for path in tmp_path.rglob("scores.jsonl")}
    name = "__".join(pair[0].parts[-2:])
    reference = f"{name}@against-{'__'.join(pair[1].parts[-2:])}"
    assert set(found) == {f"{name}@against-none", reference, f"{reference}-per-token"}
    assert len(set(found.values())) == 3


def test_a_dry_run_reads_no_weights(
    model: tuple[object, ...], capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memory, "matrix_rate", lambda device, dtype: 2e6)
    monkeypatch.setattr(
        "rmeval.models.checkpoints.checkpoint.Checkpoint.tensors", lambda self: 1 / 0
    )
    run = (*RUN, "--dry-run", *model, "--limit", 4)
    out, _ = done(capsys, *run, "--output", tmp_path / "out")
    assert "texts           8, of " in out
    assert not (tmp_path / "out").exists()


def test_score_and_rank_take_a_policy(
    model: tuple[object, ...], tmp_path: Path, capsys: Capture
) -> None:
    came, goes = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    came.write_text("\n".join(map(json.dumps, LINES)))
    done(capsys, "score", *model, "--input", came, "--output", goes)
    a, b, again = [json.loads(line)["score"] for line in goes.read_text().splitlines()]
    assert a == again != b
    came.write_text(json.dumps({"prompt": "Tea?", "responses": ["Yes, gladly.", "No."]}))
    done(capsys, "rank", *model, "--input", came, "--output", goes)
    assert json.loads(goes.read_text())["scores"] == pytest.approx([a, b], abs=1e-4)


def test_a_line_that_ends_with_the_user_is_named(
    model: tuple[object, ...], tmp_path: Path, capsys: Capture
) -> None:
    came = tmp_path / "in.jsonl"
    only_asked = {"messages": LINES[0]["messages"][:1]}
    came.write_text("\n".join(map(json.dumps, [LINES[0], only_asked])))
    said = refusal(capsys, "score", *model, "--input", came, "--output", tmp_path / "out.jsonl")
    assert "in.jsonl line 2: a DPO reward is of an assistant's answer to a prompt" in said


def test_doctor_and_show_take_a_policy(model: tuple[object, ...], capsys: Capture) -> None:
    assert main(["doctor", *map(str, model)]) == 0
    assert "the response ends in" in capsys.readouterr().out
    out, _ = done(capsys, "show", "demo", 1, *model)
    assert "neighbour to turn the music down" in out


def test_a_recipe_may_name_the_reference(
    pair: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    recipe = tmp_path / "dpo.toml"
    recipe.write_text(
        f'model = "{pair[0]}"\nreference = "none"\nper-token = true\ndevice = "cpu"\nlimit = 4\n'
    )
    out, _ = done(capsys, *RUN, "--config", recipe, "--output", tmp_path)
    assert "dpo adapter without a reference, per token, float32" in out


def test_what_cannot_be_scored_is_refused_in_one_line(
    pair: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    run = (*RUN, "--device", "cpu", "--output", tmp_path, "--model")
    assert "is scored with --reference" in refusal(capsys, *run, pair[0])
    assert "pass --reference as well" in refusal(capsys, *run, pair[0], "--per-token")
    assert "head of its own" in refusal(capsys, *run, "demo", "--reference", pair[1])
    assert "model itself" in refusal(capsys, *run, pair[0], "--reference", pair[0])
    assert "no model, but checkpoints in its folders" in refusal(
        capsys, *run, pair[0], "--reference", pair[0].parent
    )
