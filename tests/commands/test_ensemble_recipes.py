"""`rmeval ensemble --config`: members by their names, and the shipped recipe."""

import csv
from pathlib import Path

import pytest
from command_line import Capture, done, refusal
from test_verb_ensemble import FIRST, SECOND, keep, values

from rmeval.results import read_result

CONFIGS = Path(__file__).parents[2] / "configs/ensembles"
SHIPPED = CONFIGS / "MetaMetrics-RM-v1.0.toml"
RECIPE = """
name = "lab/both"
benchmark = "mine"
normalise = "none"

[weights]
"org/b" = 0.5
"org/a" = 2
"""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    keep(tmp_path / "results/a", FIRST, "org/a")
    keep(tmp_path / "results/b", SECOND, "org/b")
    keep(tmp_path / "results/c", FIRST, "org/c")
    keep(tmp_path / "results/elsewhere", FIRST, "org/a", benchmark="other")
    keep(tmp_path / "results/part", FIRST, "org/a", partial="2 of 3 rows")
    return tmp_path / "results"


def recipe(folder: Path, text: str = RECIPE) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


def test_members_are_found_by_name_whatever_their_order(
    results: Path, capsys: Capture, tmp_path: Path
) -> None:
    arguments = (results, "--config", recipe(tmp_path), "--output", tmp_path / "out")
    out, _ = done(capsys, "ensemble", *arguments)
    found = read_result(tmp_path / "out/mine/lab__both")
    assert values(found) == [[-46.0, 52.0], [150.0, 108.0], [6.0, -44.0]]
    assert "ensemble of stored scores, none: 0.5 x org/b + 2 x org/a" in out


def test_a_recipe_that_cannot_be_followed_says_why(
    results: Path, capsys: Capture, tmp_path: Path
) -> None:
    def said(text: str = RECIPE, *more: object) -> str:
        return refusal(capsys, "ensemble", results, "--config", recipe(tmp_path, text), *more)

    assert "no whole result on mine below" in said(RECIPE + '"org/d" = 1\n"org/e" = 1\n')
    assert "of org/d, org/e; make it with `rmeval run`, for example of --model org/d" in said(
        RECIPE + '"org/d" = 1\n"org/e" = 1\n'
    )
    assert "did you mean 'normalise'?" in said("normalize = 'none'\n" + RECIPE)
    assert "[weights] must give each member" in said("name = 'x'\n")
    assert "[weights] must give each member" in said(RECIPE + '"org/d" = "much"\n')
    assert "[weights] must give each member" in said(RECIPE + '"org/d" = true\n')
    assert "unknown normalisation 'no'" in said(RECIPE.replace("none", "no"))
    assert "--weights and --config both give weights" in said(RECIPE, "--weights", 1, 2)
    assert "cannot read --config" in refusal(
        capsys, "ensemble", results, "--config", tmp_path / "none.toml"
    )
    keep(results / "twice", FIRST, "org/a")
    assert f"several results of org/a: {results / 'a'}, {results / 'twice'}" in said()


def test_the_shipped_recipe_names_its_members_and_has_the_tables_row(
    results: Path, capsys: Capture
) -> None:
    said = refusal(capsys, "ensemble", results, "--config", SHIPPED)
    members = ("Ray2333/GRM-Gemma-2B-rewardmodel-ft", "internlm/internlm2-7b-reward")
    assert all(member in said for member in members)
    table = Path(__file__).parents[2] / "rmeval/data/published/metametrics.csv"
    [row] = [
        r for r in csv.DictReader(table.read_text().splitlines()) if "MetaMetrics" in r["model"]
    ]
    text = SHIPPED.read_text()
    assert f'name = "{row["model"]}"' in text
    for section in ("Score", "Chat", "Safety", "Reasoning"):
        assert f"\n{section} = {row[section]}\n" in text
    assert f'"Chat Hard" = {row["Chat Hard"]}\n' in text


def test_a_published_row_is_printed_beside(results: Path, capsys: Capture, tmp_path: Path) -> None:
    row = '[published]\nScore = 66.7\ntype = "x"\nsource = "s"\ndate = "2024-12"\n'
    text = RECIPE.replace("[weights]", 'weighting = "rows"\n\n[weights]') + row
    arguments = (results, "--config", recipe(tmp_path, text), "--output", tmp_path / "out")
    out, _ = done(capsys, "ensemble", *arguments)
    assert "published: s, 2024-12, rows weighting" in out
