"""`rmeval overlap`: what of a benchmark stands in training data."""

import csv
import io
import json
from pathlib import Path

import pytest
from command_line import Capture, done, refusal, small_model
from tabulate import LATEX_ESCAPE_RULES

from rmeval import load_benchmark
from rmeval.records import as_message

DEMO = load_benchmark("demo")


@pytest.fixture
def train(tmp_path: Path) -> Path:
    """Two prompts of the demonstration and one response, in rows that say other things too."""
    first, second, third = DEMO.preferences[:3]
    rows = [
        {"q": "nothing of the kind"},
        {"q": first.prompt[0].content.upper(), "a": "x"},
        {"deep": [{"role": "user", "content": second.prompt[0].content}]},
        {"a": as_message(third.responses[1]).content},
    ]
    path = tmp_path / "prefs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_subsets_totals_and_what_a_word_is_are_printed(train: Path, capsys: Capture) -> None:
    out, _ = done(capsys, "overlap", "--train", train, "--benchmark", "demo")
    lines = out.splitlines()
    assert lines[0] == f"demo in 4 training rows of {train}"
    (total,) = (line.split() for line in lines if line.startswith("all "))
    assert total[1:5] == ["368", "2", "1", "3"]
    assert "a word is lowercase, between white space, without punctuation" in out


def test_json_names_every_touched_row_and_where_it_was_found(train: Path, capsys: Capture) -> None:
    out, _ = done(capsys, "overlap", "--train", train, "--benchmark", "demo", "--format", "json")
    document = json.loads(out)
    assert document["kinds"] == ["exact", "13 words", "8 words"]
    places = {row["id"]: row["place"] for row in document["rows"] if "exact" in row["prompt"]}
    assert places == {
        DEMO.preferences[0].id: f"{train} line 2",
        DEMO.preferences[1].id: f"{train} line 3",
    }
    assert document["subsets"][-1]["touched exact"] == 3


def test_a_result_is_given_without_the_touched_rows(
    train: Path, tmp_path: Path, capsys: Capture
) -> None:
    model = small_model(tmp_path / "model")
    run = ("run", "--model", model, "--benchmark", "demo", "--output", tmp_path / "results", "-q")
    done(capsys, *run, "--no-checks")
    (folder,) = (tmp_path / "results" / "demo").iterdir()
    ask = ("overlap", "--train", train, "--benchmark", "demo", "--result", folder)
    out, _ = done(capsys, *ask)
    table = out[out.index("without the touched rows") :].splitlines()
    assert table[3].split()[1:3] == ["exact", "365"]
    document = json.loads(done(capsys, *ask, "--format", "json")[0])
    exact = document["without"][0]
    assert exact["rows"] == 365
    assert exact["metrics"]["overall"] != exact["all_rows"]["overall"]
    assert "overall" in exact["intervals"]


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("table", "<b>| =1"),
        ("markdown", r"\<b>\| =1"),
        ("csv", "<b>|"),
        ("latex", LATEX_ESCAPE_RULES["<"] + "b"),
        ("html", "&lt;b&gt;|"),
    ],
)
def test_hostile_names_are_escaped_in_every_format(
    form: str, shown: str, tmp_path: Path, capsys: Capture
) -> None:
    rows = [{"prompt": "a b", "chosen": "c", "rejected": "d", "subset": "<b>|\n=1"}]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    output = tmp_path / "out"
    ask = ("overlap", "--train", data, "--benchmark", data, "--format", form, "--output", output)
    done(capsys, *ask)
    text = output.read_text(encoding="utf-8")
    assert shown in text
    assert text.startswith("<!doctype html>") == (form == "html")
    if form == "csv":
        found = list(csv.DictReader(io.StringIO(text)))
        assert [row["touched exact"] for row in found] == ["1", "1"]


def test_what_a_user_can_mend_is_one_line(train: Path, tmp_path: Path, capsys: Capture) -> None:
    demo = ("--benchmark", "demo")
    assert "the following arguments are required: --train" in refusal(capsys, "overlap", *demo)
    line = refusal(capsys, "overlap", "--train", tmp_path / "none.jsonl", *demo)
    assert line == f"{tmp_path}/none.jsonl: no such file or folder"
    line = refusal(capsys, "overlap", "--train", train, "--benchmark", f"demo,{train}")
    assert line.endswith("pass one name") or "no column" in line
    assert "is not a number from 0 to 1" in refusal(
        capsys, "overlap", "--train", train, *demo, "--least", "2"
    )
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"a": "b"}\n{"a":', encoding="utf-8")
    assert "bad.jsonl line 2: not a readable row" in refusal(
        capsys, "overlap", "--train", bad, *demo
    )
