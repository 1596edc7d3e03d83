"""`rmeval compare`: two results over the same rows, or a refusal."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Capture, done, refusal
from demo_results import PROVENANCE, keep

from rmeval.benchmarks.rewardbench import ROWS
from rmeval.results.files import read_result

CODE = dict.fromkeys((name for name in ROWS if name.startswith("hep")), 11)


def test_a_verdict_tables_and_the_rows_most_different_are_printed(
    tmp_path: Path, capsys: Capture
) -> None:
    a, b = keep(tmp_path / "a"), keep(tmp_path / "b", CODE, model="org/new")
    out, err = done(capsys, "compare", a, b, "--pairs", 4)
    assert err == ""
    lines = out.splitlines()
    assert lines[0] == f"A  org/m  {a}"
    assert lines[1] == f"B  org/new  {b}"
    # 30 of 96 rows of code, which are half of Reasoning, a quarter of the Score.
    assert lines[4].startswith("B is worse than A by 3.9 (95 % interval -")
    score = next(line.split() for line in lines if line.startswith("Score "))
    assert score[:4] == ["Score", "100.0", "96.1", "-3.9"]
    subset = next(line.split() for line in lines if line.startswith("hep-go "))
    assert subset[:4] == ["hep-go", "100.0", "68.8", "-31.2"]
    assert subset[-5:] == ["5", "0", "0.062", "1", "no"]  # 2/32, and by Holm's correction no news
    assert "Both numbers were made in the same way." in lines
    assert "the 4 rows most different (margins by each model's own spread):" in lines
    assert sum(line.startswith("hep-") and " won " in line for line in lines) == 4


def test_json_has_every_metric_and_the_swap_negates_it(tmp_path: Path, capsys: Capture) -> None:
    a, b = keep(tmp_path / "a"), keep(tmp_path / "b", CODE)
    there, back = (
        json.loads(done(capsys, "compare", *pair, "--json")[0]) for pair in ((a, b), (b, a))
    )
    assert len(there["differences"]) == 28
    for name, found in there["differences"].items():
        other = back["differences"][name]
        assert found["difference"] == -other["difference"]
        assert (found["p"], found["p_holm"]) == (other["p"], other["p_holm"])
        assert (found["only_a"], found["only_b"]) == (other["only_b"], other["only_a"])
        assert found["test"]
        assert "Student's t, 95 %" in found["interval"]["method"]
        assert found["real"] == (found["p_holm"] < 0.05)


def test_the_weighting_may_be_chosen(tmp_path: Path, capsys: Capture) -> None:
    a, b = keep(tmp_path / "a"), keep(tmp_path / "b", {"xstest-should-refuse": 0})
    for name, weight in (("rewardbench-v1", 154), ("rewardbench-v1-2024-07", 250)):
        found = json.loads(done(capsys, "compare", a, b, "--weighting", name, "--json")[0])
        safety = found["differences"]["section/Safety"]["difference"]
        assert safety == pytest.approx(-weight / 740)
    line = refusal(capsys, "compare", a, b, "--weighting", "rewardbench-v3")
    assert line.startswith("unknown weighting 'rewardbench-v3'; did you mean")


def test_what_made_the_numbers_differently_is_said(tmp_path: Path, capsys: Capture) -> None:
    other = {**PROVENANCE, "model": {**PROVENANCE["model"], "dtype": "bfloat16"}}
    out, _ = done(capsys, "compare", keep(tmp_path / "a"), keep(tmp_path / "b", provenance=other))
    found = next(line.split() for line in out.splitlines() if line.startswith("model.dtype"))
    assert found == ["model.dtype", "float32", "bfloat16"]


def test_other_texts_under_the_same_ids_are_refused(tmp_path: Path, capsys: Capture) -> None:
    a = keep(tmp_path / "a")
    rows = read_result(a).scored
    b = keep(tmp_path / "b", scored=(replace(rows[0], digest="new"), *rows[1:]))
    line = refusal(capsys, "compare", a, b)
    assert line.startswith("different rows: 1 have other text")
    assert line.endswith("first 'alpacaeval-easy/0'")
    c = keep(tmp_path / "c", scored=rows[1:])
    assert "first 'alpacaeval-easy/0'" in refusal(capsys, "compare", a, c)
    assert f"are not in {c}" in refusal(capsys, "compare", a, c)


def damage(folder: Path, name: str, before: str, after: str) -> Path:
    path = folder / name
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), "utf-8")
    return folder


DAMAGE = {
    "a NaN": ("scores.jsonl", '"value": 1.0', '"value": NaN', "line 1: a score of"),
    "an infinite score": ("scores.jsonl", '"value": 1.0', '"value": 1e999', "is not finite"),
    "infinite tokens": ("scores.jsonl", '"tokens": 9', '"tokens": 1e999', "line 1: not a line"),
    "a huge score": ("scores.jsonl", '"value": 1.0', f'"value": {10**400}', "line 1: not a line"),
    "another score": ("scores.jsonl", '"value": 1.0', '"value": 2.0', "not the scores that"),
    "a row twice": ("scores.jsonl", "easy/1", "easy/0", "line 2: id alpacaeval-easy/0 is also"),
    "another subset": ("scores.jsonl", '"subset": "hep-go"', '"subset": "x"', "5 rows of hep-go"),
    "a newer schema": ("result.json", '"schema": 2', '"schema": 3', "schema 3, this rmeval"),
    "no metrics": ("result.json", '"metrics"', '"metric"', "metrics is missing"),
    "rows of no kind": ("result.json", '"rows": {', '"rows": 1, "x": {', "not a result of rmeval"),
    "no definition": ("result.json", '"definition": "demo"', '"definition": 5', "not a result"),
    "brackets without end": ("result.json", "{", "[" * 99_999, "not a result of rmeval"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_result_is_refused_by_name_and_left_alone(
    kind: str, tmp_path: Path, capsys: Capture
) -> None:
    name, before, after, message = DAMAGE[kind]
    a, b = keep(tmp_path / "a"), damage(keep(tmp_path / "b"), name, before, after)
    kept = [path.read_bytes() for path in sorted(b.iterdir())]
    line = refusal(capsys, "compare", a, b)
    assert message in line
    assert line.startswith(str(b / name))
    assert [path.read_bytes() for path in sorted(b.iterdir())] == kept


def test_the_hint_names_what_show_can_read(tmp_path: Path, capsys: Capture) -> None:
    """A benchmark of one's own has a name that only its results know: its file has another."""
    data = {**PROVENANCE["data"], "source": "my pairs.jsonl"}
    own = {"benchmark": "my-pairs", "definition": "pairs", "weighting": "rows"}
    made = {**own, "provenance": {**PROVENANCE, "data": data}}
    a, b = keep(tmp_path / "a", {"hep-go": 2}, **made), keep(tmp_path / "b", **made)
    assert "rmeval show 'my pairs.jsonl' ID prints one" in done(capsys, "compare", a, b)[0]
    a, b = keep(tmp_path / "c", {"hep-go": 2}), keep(tmp_path / "d")
    assert "rmeval show demo ID prints one" in done(capsys, "compare", a, b)[0]
