"""A model that compares two responses, from the command line to the files."""

import json
from pathlib import Path

import pytest
from checkpoints import copy_golden, edit_config
from command_line import Capture, done, interrupt_after, refusal
from documented import assert_documented
from readable import add_tokenizer

import rmeval
from rmeval.cli import main
from rmeval.results.scores import read_scores

RUN = ("run", "--benchmark", "demo", "--device", "cpu", "--max-length", 400)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = copy_golden("nemotron", tmp_path / "lab/pair-pm")
    edit_config(folder, remove=("_name_or_path",))
    template = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}"
    add_tokenizer(folder, template)
    return folder


def test_every_pair_is_compared_in_both_orders_and_kept(
    model: Path, capsys: Capture, tmp_path: Path
) -> None:
    out, _ = done(capsys, *RUN, "--model", model, "--limit", 6, "--output", tmp_path)
    folder = tmp_path / "demo/lab__pair-pm"
    assert "verdicts: 12; ties 0, unparsable 0 (each half a win); of the others " in out
    assert "ties (each half a win): " in out
    assert "pair-pm adapter, float32, packed engine" in out
    scored = read_scores(folder / "scores.jsonl")
    pairwise = rmeval.load_pairwise_model(model, device="cpu", max_length=400)
    rows = {row.id: row for row in rmeval.load_benchmark("demo").preferences}
    for item in scored:
        row = rows[item.id]
        expected = pairwise.compare(row.prompt, *row.responses)
        assert item.scores[0].value == pytest.approx(expected, abs=1e-5)
        assert sum(score.value for score in item.scores) == pytest.approx(1)
        assert item.comparisons is not None
        assert item.comparisons.made == 2
    document = json.loads((folder / "result.json").read_text())
    assert document["counts"]["verdicts"] == 12
    assert_documented(folder)
    assert document["provenance"]["checks"] == "not made"
    again, _ = done(capsys, "aggregate", folder)
    assert "verdicts: 12; " in again


def test_what_is_interrupted_goes_on_and_ends_with_the_same_bytes(
    model: Path, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = (*RUN, "--model", model, "--limit", 12, "--batch-tokens", 1500)
    done(capsys, *run, "--output", tmp_path / "whole")
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        assert main([str(word) for word in (*run, "--output", tmp_path / "cut")]) == 130
    capsys.readouterr()
    done(capsys, *run, "--output", tmp_path / "cut")
    whole, cut = (
        (tmp_path / name / "demo/lab__pair-pm/scores.jsonl").read_bytes()
        for name in ("whole", "cut")
    )
    assert whole == cut


def test_a_dry_run_counts_what_will_be_compared(model: Path, capsys: Capture) -> None:
    out, _ = done(capsys, *RUN, "--model", model, "--limit", 6, "--dry-run")
    assert "texts           12, of " in out


@pytest.mark.parametrize("verb", ["doctor", "score", "rank"])
def test_what_needs_a_reward_says_that_it_has_none(
    model: Path, capsys: Capture, tmp_path: Path, verb: str
) -> None:
    lines = tmp_path / "lines.jsonl"
    lines.write_text(
        json.dumps(
            {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
        )
        if verb == "score"
        else json.dumps({"prompt": "q", "responses": ["a", "b"]})
    )
    files = () if verb == "doctor" else ("--input", lines, "--output", tmp_path / "out.jsonl")
    said = refusal(capsys, verb, "--model", model, "--device", "cpu", *files)
    assert "compares two responses and has no reward for one" in said
