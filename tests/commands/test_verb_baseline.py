"""`rmeval baseline`: a file that is small, whole, and the same each time."""

import json
from pathlib import Path

from command_line import Capture, done, refusal
from demo_results import keep

from rmeval.benchmarks.rewardbench import ROWS
from rmeval.results.files import read_result


def test_a_baseline_is_written_and_its_size_said(tmp_path: Path, capsys: Capture) -> None:
    made, path = keep(tmp_path / "a", {"hep-go": 2}), tmp_path / "new/b.json"
    out, err = done(capsys, "baseline", made, "--output", path)
    assert (out, err) == (f"{path}: org/m on demo, {path.stat().st_size:,} bytes\n", "")
    document = json.loads(path.read_text("utf-8"))
    assert document["metrics"] == read_result(made).metrics.values
    assert sum(packed["rows"] for packed in document["credits"].values()) == 368
    assert document["made_by"]["fingerprint"] == "f"
    assert list(path.parent.iterdir()) == [path]


def test_the_same_result_gives_the_same_bytes_whatever_the_order_of_its_rows(
    tmp_path: Path, capsys: Capture
) -> None:
    rows = read_result(keep(tmp_path / "a", {"hep-go": 2})).scored
    by_subset = [[row for row in rows if row.subset == subset][::-1] for subset in ROWS]
    keep(tmp_path / "b", scored=tuple(row for group in by_subset for row in group))
    for name in "ab":
        done(capsys, "baseline", tmp_path / name, "--output", tmp_path / f"{name}.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_result_passes_the_baseline_that_it_made(tmp_path: Path, capsys: Capture) -> None:
    made, path = keep(tmp_path / "a", {"hep-go": 2}), tmp_path / "b.json"
    done(capsys, "baseline", made, "--output", path)
    options = ["--max-drop", "0", "--alpha", "1", "--per", "subset"]
    out, _ = done(capsys, "check", "--result", made, "--baseline", path, *options)
    assert "passed: org/m on demo" in out


def test_a_damaged_result_makes_no_baseline_and_leaves_the_old_one(
    tmp_path: Path, capsys: Capture
) -> None:
    made, path = keep(tmp_path / "a"), tmp_path / "b.json"
    path.write_text("old")
    scores = made / "scores.jsonl"
    scores.write_text("".join(scores.read_text("utf-8").splitlines(keepends=True)[1:]), "utf-8")
    line = refusal(capsys, "baseline", made, "--output", path)
    assert line.startswith(
        f"{scores}: 15 rows of alpacaeval-easy, but result.json was made from 16"
    )
    assert path.read_text() == "old"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, capsys: Capture) -> None:
    made = keep(tmp_path / "a")
    (tmp_path / "file").write_text("")
    line = refusal(capsys, "baseline", made, "--output", tmp_path / "file/b.json")
    assert line.startswith(f"cannot write to {tmp_path / 'file'}")


def test_an_output_is_asked_for(tmp_path: Path, capsys: Capture) -> None:
    assert "--output" in refusal(capsys, "baseline", tmp_path)
