"""`--system`: a system prompt for a whole run, kept in what is known of its scores."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Capture, done, refusal, small_model
from conftest import GOLDEN

import rmeval

SYSTEM = "Judge the code by its speed.\nNothing else."


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("models") / "model")


def talk(*, system: str | None = None, **beside: Any) -> dict[str, Any]:
    first = [] if system is None else [{"role": "system", "content": system}]
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    return {"messages": [*first, *turns], **beside}


def score(model: Path, folder: Path, capsys: Capture, line: Any, *options: object) -> float:
    (folder / "in.jsonl").write_text(json.dumps(line) + "\n")
    files = ("--input", folder / "in.jsonl", "--output", folder / "out.jsonl")
    done(capsys, "score", "--model", model, *files, *options)
    (scored,) = (folder / "out.jsonl").read_text().splitlines()
    value: float = json.loads(scored)["score"]
    return value


@pytest.mark.parametrize("beside", [{}])
def test_every_conversation_begins_with_it_and_the_record_says_so(
    model: Path, tmp_path: Path, capsys: Capture, beside: dict[str, Any]
) -> None:
    (tmp_path / "system.txt").write_text(f"{SYSTEM}\n")
    expected = score(model, tmp_path, capsys, talk(system=SYSTEM, **beside))
    by_text = score(model, tmp_path, capsys, talk(**beside), "--system", SYSTEM)
    file = tmp_path / "system.txt"
    by_file = score(model, tmp_path, capsys, talk(**beside), "--system", file)
    record = json.loads((tmp_path / "out.jsonl.provenance.json").read_text())
    assert by_text == by_file == expected
    assert score(model, tmp_path, capsys, talk(**beside)) != expected
    assert record["model"]["system"] == SYSTEM


def test_a_run_keeps_it_too(model: Path, tmp_path: Path, capsys: Capture) -> None:
    asked = ("run", "--model", model, "--benchmark", "demo", "--limit", 2, "--output", tmp_path)
    done(capsys, *asked, "--system", SYSTEM)
    (result,) = tmp_path.rglob("result.json")
    assert json.loads(result.read_text())["provenance"]["model"]["system"] == SYSTEM


def test_a_conversation_that_has_one_already_is_refused_by_its_place(
    model: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps(talk(system="Other.")) + "\n")
    files = ("--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl")
    said = refusal(capsys, "score", "--model", model, *files, "--system", SYSTEM)
    assert "in.jsonl line 1: has a system message, and --system is another" in said


def test_what_is_no_prompt_is_refused(model: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    asked = ("run", "--model", model, "--benchmark", "demo")
    assert "is empty; is a shell variable unset?" in refusal(capsys, *asked, "--system", " ")
    assert "cannot be read as text" in refusal(capsys, *asked, "--system", tmp_path / "bytes")
    assert "cannot be read as text" in refusal(capsys, *asked, "--system", tmp_path)
    judged = ("run", "--model", "judge:some/model", "--benchmark", "demo", "--system", "x")
    assert "does not apply to a judge" in refusal(capsys, *judged)


def test_a_long_prompt_is_a_text_and_no_path(model: Path, tmp_path: Path, capsys: Capture) -> None:
    long = "Be brief. " * 200
    expected = score(model, tmp_path, capsys, talk(system=long))
    assert score(model, tmp_path, capsys, talk(), "--system", long) == expected


def test_without_it_no_record_speaks_of_one(model: Path) -> None:
    assert "system" not in rmeval.load_model(model, device="cpu").provenance()


def test_a_model_that_compares_has_no_place_for_one(tmp_path: Path, capsys: Capture) -> None:
    pair_pm = GOLDEN.parent / "golden_pairs" / "pair-pm"
    asked = ("run", "--model", pair_pm, "--benchmark", "demo", "--output", tmp_path)
    assert "this one compares" in refusal(capsys, *asked, "--system", "x")
