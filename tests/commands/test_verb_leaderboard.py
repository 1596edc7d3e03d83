"""`rmeval leaderboard`, in every format."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Capture, done, refusal

from rmeval.metrics.rewardbench import SECTIONS
from rmeval.results import prepare_folder, write_result
from rmeval.types import Metrics, Result

PROVENANCE = {"model": {"dtype": "float32"}, "data": {"revision": "0123456789abcdef"}}


def keep(folder: Path, model: str, overall: float, **changes: Any) -> None:
    values = {"overall": overall, **{f"section/{name}": overall for name in SECTIONS}}
    rest = {"metrics": Metrics(values, {}), "scored": (), "partial": None}
    named = {"benchmark": "rewardbench", "model": model, "weighting": "rewardbench-v1"}
    result = Result(**{**named, **rest, "provenance": PROVENANCE, **changes})
    write_result(prepare_folder(folder / str(len(list(folder.iterdir())))), result)


@pytest.fixture
def found(tmp_path: Path) -> Path:
    """Four whole results under two weightings, one of them with an awkward name, and a partial."""
    keep(tmp_path, "org/second", 0.75)
    keep(tmp_path, "org/a|b, c", 0.875)
    keep(tmp_path, "org/also second", 0.75)
    keep(tmp_path, "org/older", 0.9375, weighting="rewardbench-v1-2024-07")
    keep(tmp_path, "org/partial", 1.0, partial="9 of 2985 rows (--limit)")
    return tmp_path


RANKING = [
    ("rewardbench-v1", 1, "org/a|b, c", 87.5),
    ("rewardbench-v1", 2, "org/second", 75.0),
    ("rewardbench-v1", 2, "org/also second", 75.0),
    ("rewardbench-v1-2024-07", 1, "org/older", 93.75),
]


def test_json_holds_the_ranking_within_each_weighting(found: Path, capsys: Capture) -> None:
    out, err = done(capsys, "leaderboard", found, "--format", "json")
    rows = json.loads(out)
    keys = ("weighting", "rank", "model", "Score")
    assert [tuple(row[key] for key in keys) for row in rows] == RANKING
    assert all(row["data"] == "01234567" and row["dtype"] == "float32" for row in rows)
    assert err == "left out: 1 partial results\n"


def test_csv_holds_the_same(found: Path, capsys: Capture) -> None:
    out, _ = done(capsys, "leaderboard", found, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(r["model"], float(r["Score"])) for r in rows] == [row[2:] for row in RANKING]
    assert list(rows[0])[4:9] == ["Score", *SECTIONS]


def test_markdown_escapes_what_would_end_a_cell(found: Path, capsys: Capture) -> None:
    out, _ = done(capsys, "leaderboard", found, "--format", "markdown")
    lines = out.splitlines()
    assert len(lines) == 6
    assert r"org/a\|b, c" in out
    assert {line.replace(r"\|", "").count("|") for line in lines} == {12}


def test_a_table_is_the_default(found: Path, capsys: Capture) -> None:
    out, _ = done(capsys, "leaderboard", found)
    assert out == done(capsys, "leaderboard", found, "--format", "table")[0]
    assert out.splitlines()[0].split()[:5] == ["benchmark", "weighting", "rank", "model", "Score"]
    assert "org/partial" not in out


def test_results_of_several_folders_stand_together(found: Path, capsys: Capture) -> None:
    both, _ = done(capsys, "leaderboard", found / "0", found / "1", "--format", "json")
    assert [row["model"] for row in json.loads(both)] == ["org/a|b, c", "org/second"]


@pytest.mark.parametrize(
    ("form", "shown"), [("table", ""), ("markdown", ""), ("csv", ""), ("json", "[]\n")]
)
def test_no_results_are_no_error(form: str, shown: str, capsys: Capture, tmp_path: Path) -> None:
    out, err = done(capsys, "leaderboard", tmp_path, "--format", form)
    assert out == shown
    assert err == f"no results in {tmp_path}; `rmeval run` makes one\n"


def test_results_is_the_folder_that_is_read_by_default(
    found: Path, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal(capsys, "leaderboard") == "results: no such folder"
    keep(prepare_folder(tmp_path / "results"), "org/mine", 0.5)
    out, _ = done(capsys, "leaderboard", "--format", "json")
    assert [row["model"] for row in json.loads(out)] == ["org/mine"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"schema": 1}', '{"schema": 1, "partial": null, "metrics": {}}']
)
def test_a_damaged_result_is_named_and_nothing_is_ranked(
    text: str, found: Path, capsys: Capture
) -> None:
    (found / "0/result.json").write_text(text)
    assert refusal(capsys, "leaderboard", found).startswith(f"{found}/0/result.json: ")


def test_a_result_of_a_newer_rmeval_asks_for_an_update(found: Path, capsys: Capture) -> None:
    (found / "0/result.json").write_text('{"schema": 99}')
    assert "schema 99" in refusal(capsys, "leaderboard", found)
