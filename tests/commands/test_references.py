"""A reference answer on the way from a line to a model that compares with it: POLAR."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Capture, done, refusal, small_model
from tiny_generator import tiny_generator

import rmeval

SERVER = ("--generator", "http://127.0.0.1:9/v1", "--generator-model", "nobody")
ASKED = "Capital of China?"
MESSAGES = [{"role": "assistant", "content": "Bei"}, {"role": "assistant", "content": "jing."}]
GIVEN = [("Beijing.", "Beijing."), (MESSAGES, "Bei\njing."), ({**MESSAGES[0]}, "Bei")]


@pytest.fixture(scope="module")
def polar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("models") / "POLAR-7B")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("models") / "internlm2-7b-reward")


def write(path: Path, *lines: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def reward(model: Path, answer: str, reference: str) -> float:
    messages = [{"role": "user", "content": ASKED}, {"role": "assistant", "content": answer}]
    loaded = rmeval.load_model(model, device="cpu", checks=False)
    return loaded.score([{"messages": messages, "reference": reference}])[0]


@pytest.mark.parametrize(("given", "reference"), GIVEN)
def test_score_reads_a_reference_as_a_text_or_as_messages(
    polar: Path, tmp_path: Path, capsys: Capture, given: Any, reference: str
) -> None:
    talk = [{"role": "user", "content": ASKED}, {"role": "assistant", "content": "Shanghai."}]
    lines = write(tmp_path / "in.jsonl", {"messages": talk, "reference": given, "id": 3})
    done(capsys, "score", "--model", polar, "--input", lines, "--output", tmp_path / "out.jsonl")
    (line,) = read(tmp_path / "out.jsonl")
    assert (line["id"], line["reference"]) == (3, given)
    assert line["score"] == pytest.approx(reward(polar, "Shanghai.", reference), abs=1e-5)


def test_rank_compares_every_response_with_its_prompts_reference(
    polar: Path, tmp_path: Path, capsys: Capture
) -> None:
    answers = ["Shanghai.", "Beijing.", ""]
    lines = write(
        tmp_path / "in.jsonl",
        {"prompt": ASKED, "responses": answers, "reference": "Beijing."},
        {"prompt": ASKED, "responses": answers, "reference": "Shanghai."},
    )
    out = tmp_path / "out.jsonl"
    done(capsys, "rank", "--model", polar, "--input", lines, "--output", out)
    first, second = read(out)
    assert first["scores"] == pytest.approx(
        [reward(polar, answer, "Beijing.") for answer in answers], abs=1e-5
    )
    assert second["scores"] != pytest.approx(first["scores"], abs=1e-3)
    pairs = list(rmeval.pairs(read(out)))
    assert [pair["reference"] for pair in pairs] == ["Beijing.", "Shanghai."]


def test_filter_and_best_of_n_read_it_too(polar: Path, tmp_path: Path, capsys: Capture) -> None:
    row = {"prompt": ASKED, "chosen": "Beijing.", "rejected": "Shanghai.", "reference": "Beijing."}
    lines, kept = write(tmp_path / "in.jsonl", row), tmp_path / "kept.jsonl"
    others = tmp_path / "others.jsonl"
    files = ("--input", lines, "--output", kept, "--others", others)
    done(capsys, "filter", "--model", polar, *files)
    (line,) = read(kept) + read(others)
    assert line["score_chosen"] == pytest.approx(reward(polar, "Beijing.", "Beijing."), abs=1e-5)
    prompts = write(tmp_path / "prompts.jsonl", {"prompt": ASKED, "reference": MESSAGES})
    writer = ("--generator", tiny_generator(tmp_path / "writer"), "--n", 2, "--max-new-tokens", 3)
    asked = ("best-of-n", "--model", polar, "--prompts", prompts, "--output", tmp_path / "best")
    done(capsys, *asked, *writer)
    (line,) = read(tmp_path / "best" / "ranked.jsonl")
    rewards = [reward(polar, answer, "Bei\njing.") for answer in line["responses"]]
    assert line["scores"] == pytest.approx(rewards, abs=1e-5)


@pytest.mark.parametrize("given", ["Beijing.", MESSAGES, json.dumps(MESSAGES)])
def test_data_of_ones_own_has_a_column_for_it(
    polar: Path, tmp_path: Path, capsys: Capture, given: Any
) -> None:
    row = {"prompt": ASKED, "chosen": "Beijing.", "rejected": "Shanghai.", "reference": given}
    data, out = write(tmp_path / "mine.jsonl", row), tmp_path / "out"
    said, _ = done(capsys, "run", "--model", polar, "--benchmark", data, "--output", out)
    assert "layout: prompt: text; chosen: text; rejected: text; reference" in said
    (scores,) = out.rglob("scores.jsonl")
    reference = "Beijing." if given == "Beijing." else "Bei\njing."
    (line,) = read(scores)
    assert [response["value"] for response in line["responses"]] == pytest.approx(
        [reward(polar, answer, reference) for answer in ("Beijing.", "Shanghai.")], abs=1e-5
    )


def test_a_column_may_be_called_otherwise(polar: Path, tmp_path: Path, capsys: Capture) -> None:
    data = tmp_path / "mine.csv"
    with data.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerows([("prompt", "chosen", "rejected", "gold"), (ASKED, "a", "b", "c")])
    asked = ("run", "--model", polar, "--benchmark", data, "--output", tmp_path / "out")
    assert "has none" in refusal(capsys, *asked)
    said, _ = done(capsys, *asked, "--columns", "reference=gold")
    assert "reference (gold)" in said


@pytest.mark.parametrize("empty", ["", "  ", None, 7])
def test_a_row_without_one_is_named_before_any_weight_is_read(
    polar: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, empty: Any
) -> None:
    monkeypatch.setattr("rmeval.models.load.make_network", lambda *_, **__: pytest.fail("read"))
    whole = {"prompt": ASKED, "responses": ["a"], "chosen": "a", "rejected": "b"}
    rows = [{**whole, "reference": "c"}, {**whole, "reference": empty}]
    data, out = write(tmp_path / "rows.jsonl", *rows), tmp_path / "out"
    ranked = refusal(capsys, "rank", "--model", polar, "--input", data, "--output", out)
    assert "without a reference there is no score" in ranked
    assert "rows.jsonl line 2 has none" in ranked
    assert "rows, row 2, has none" in refusal(
        capsys, "run", "--model", polar, "--benchmark", data, "--output", out
    )
    planned = refusal(capsys, "run", "--model", polar, "--benchmark", data, "--dry-run")
    assert "rows, row 2, has none" in planned
    asked = ("best-of-n", "--model", polar, "--prompts", data, "--output", out)
    assert "line 2 has none" in refusal(capsys, *asked, *SERVER)


@pytest.mark.parametrize("name", ["rewardbench", "rewardbench-2"])
def test_a_published_benchmark_has_none_and_is_refused_by_the_models_name(
    capsys: Capture, name: str
) -> None:
    said = refusal(capsys, "run", "--model", "internlm/POLAR-7B", "--benchmark", name)
    assert said.startswith("internlm/POLAR-7B: POLAR, by its name, compares an answer")
    assert said.endswith(f"{name} has none")


def test_other_models_give_the_same_rewards_with_and_without_one(
    other: Path, tmp_path: Path, capsys: Capture
) -> None:
    whole = {"prompt": ASKED, "responses": ["a", "b"]}
    rows = [whole, {**whole, "reference": "c"}, {**whole, "reference": ""}]
    rows += [{**whole, "reference": {"page": 7}}]
    lines, out = write(tmp_path / "in.jsonl", *rows), tmp_path / "out.jsonl"
    done(capsys, "rank", "--model", other, "--input", lines, "--output", out)
    assert len({tuple(line["scores"]) for line in read(out)}) == 1
