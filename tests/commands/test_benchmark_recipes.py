"""Benchmarks that are recipes, from `run` to the report."""

import json
from pathlib import Path

import pytest
from command_line import Capture, done, refusal, small_model
from documented import assert_documented

from rmeval.reports.texts import find_texts
from rmeval.results.files import read_result

RECIPE = """
licence = "MIT"
meaning = "accuracy"
source = "https://example.org/mine"
rows = { "a/x" = 2, "b/x" = 1 }
score = "SCORE"
published = [
    { model = "MODEL", Score = 50.0, note = "by hand" },
    { model = "org/other", Score = 60.0 },
]

[columns]
prompt = "question.text"
subset = ["kind", "language"]

[better]
column = "winner"
model_a = ["a"]
model_b = ["b"]
neither = ["tie"]
"""
ROWS = [
    ("a", "a", "An egg takes seven minutes.", "Boil it."),
    ("a", "b", "No.", "Rome is the capital of Italy."),
    ("b", "a", "<script>alert(1)</script>", "Nothing."),
    ("b", "tie", "Yes.", "Certainly."),
]


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A recipe, its rows, and a model."""
    lines = [
        {"kind": kind, "language": "x", "winner": winner, "model_a": a, "model_b": b}
        | {"question": {"text": f"question {number}"}}
        for number, (kind, winner, a, b) in enumerate(ROWS)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "rows.jsonl").write_text(text, encoding="utf-8")
    small_model(tmp_path / "model")
    return tmp_path


def write(world: Path, score: str) -> Path:
    path = world / f"{score}.toml"
    text = RECIPE.replace("SCORE", score).replace("MODEL", str(world / "model"))
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("score", "definition"), [("rows", "pairs-by-part"), ("subsets", "subset-mean")]
)
def test_a_recipe_is_run_read_back_explained_and_reported(
    score: str, definition: str, world: Path, capsys: Capture
) -> None:
    run = ("run", "--model", world / "model", "--output", world / "results", "-q", "--no-checks")
    data = ("--data", world / "rows.jsonl")
    out, _ = done(capsys, *run, "--benchmark", write(world, score), *data)
    assert "1 rows left out, in which neither is better" in out
    assert "published: https://example.org/mine" in out
    assert "by hand" in out
    assert "PARTIAL" not in out
    (folder,) = (world / "results" / score).iterdir()
    result = read_result(folder)
    assert_documented(folder)
    assert (result.definition, result.partial, len(result.scored)) == (definition, None, 3)
    sections = {name for name in result.metrics.values if name.startswith("section/")}
    wanted = {"section/a", "section/b", "section/x"} if score == "rows" else set()
    assert sections == wanted
    out, _ = done(capsys, "aggregate", folder, "--explain")
    assert "subset/a/x = " in out
    done(capsys, "leaderboard", world / "results")
    page = world / "report.html"
    done(capsys, "report", folder, "--output", page)
    text = page.read_text(encoding="utf-8")
    assert "<script>alert(1)" not in text
    again = find_texts(result, None)
    assert again.missing is None
    assert again.by_id["3"].responses == ("<script>alert(1)</script>", "Nothing.")


def test_a_folder_of_recipes_is_run_with_one_load(world: Path, capsys: Capture) -> None:
    folder = world / "recipes"
    folder.mkdir()
    for score in ("rows", "subsets"):
        write(world, score).rename(folder / f"{score}.toml")
    named = [f"{folder / score}.toml={world / 'rows.jsonl'}" for score in ("rows", "subsets")]
    data = [word for one in named for word in ("--data", one)]
    run = ("run", "--model", world / "model", "--output", world / "results", "-q", "--no-checks")
    done(capsys, *run, "--benchmark", folder, *data)
    assert {path.name for path in (world / "results").iterdir()} >= {"rows", "subsets"}


def test_what_does_not_go_with_a_recipe_is_one_line(world: Path, capsys: Capture) -> None:
    run = ("run", "--model", world / "model", "--benchmark", write(world, "rows"))
    assert "needs neither" in refusal(capsys, *run, "--columns", "prompt=q")
    assert "is not on the Hub: get it from https://example.org/mine" in refusal(capsys, *run)
    line = refusal(capsys, *run, "--weighting", "mean")
    assert line == "unknown weighting 'mean'; known: rows"
    line = refusal(capsys, "run", "--model", world / "model", "--benchmark", "helpster3")
    assert line.startswith("unknown benchmark 'helpster3'; did you mean 'helpsteer3'?")


def test_shipped_recipes_are_listed_with_rows_and_licence(capsys: Capture) -> None:
    out, _ = done(capsys, "list", "benchmarks")
    (line,) = (line for line in out.splitlines() if line.startswith("themis-code-reward-bench "))
    assert line.split()[1:3] == ["8,866", "Apache-2.0"]


def test_published_rows_of_a_shipped_recipe_are_a_leaderboard(capsys: Capture) -> None:
    name = "themis-code-reward-bench"
    ask = ("leaderboard", "--published", "--benchmark", name, "--format", "json")
    out, _ = done(capsys, *ask)
    rows = json.loads(out)
    assert len(rows) == 51
    assert (rows[0]["model"], rows[0]["Score"]) == ("Themis-RM-32B", 91.82)
    out, _ = done(capsys, "leaderboard", "--card", name, "--format", "csv")
    assert out.count("\n") == 52
