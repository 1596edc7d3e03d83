"""`rmeval ensemble --config`: members by their names, and the shipped recipe."""

import csv
from pathlib import Path

import pytest
from command_line import Capture, done, refusal
from test_verb_ensemble import FIRST, SECOND, keep, values

from rmeval.records import Result
from rmeval.results.files import read_result

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


BOUNDS = '\n[bounds]\n"org/a" = [0, 4]\n"org/b" = [-100, 300.0]\n'
MINMAX = RECIPE.replace('"none"', '"minmax"')


def test_fixed_bounds_take_the_place_of_the_responses_own(
    results: Path, capsys: Capture, tmp_path: Path
) -> None:
    """FIRST runs from 0 to 4, SECOND from -100 to 300: as its own bounds, and as half of them."""

    def made(text: str, where: str, *more: object) -> Result:
        arguments = (results, "--config", recipe(tmp_path, text), "--output", tmp_path / where)
        out, _ = done(capsys, "ensemble", *arguments, *more)
        assert (" minmax with fixed bounds: " in out) == (where != "own")
        return read_result(tmp_path / where / "mine/lab__both")

    own, fixed = made(MINMAX, "own"), made(MINMAX + BOUNDS, "fixed")
    assert values(fixed) == values(own)
    bounds = [member["bounds"] for member in own.provenance["ensemble"]["members"]]
    assert bounds == [[-100.0, 300.0], [0.0, 4.0]]
    assert own.provenance["model"]["fingerprint"] != fixed.provenance["model"]["fingerprint"]
    path = tmp_path / "bounds.toml"
    path.write_text('"org/a" = [0, 2]\n"org/b" = [0, 100]\n')
    other = made(MINMAX + BOUNDS, "other", "--bounds", path)
    # 0.5 x b / 100 + 2 x a / 2
    assert values(other) == [[1.5, 1.5], [1.5, 5.0], [3.0, 2.5]]


def test_with_fixed_bounds_a_response_has_its_score_whatever_else_is_scored(
    tmp_path: Path, capsys: Capture
) -> None:
    path = tmp_path / "bounds.toml"
    path.write_text('"org/a" = [0, 4]\n"org/b" = [-100, 300]\n')
    a, b = (keep(tmp_path / n, s[:1], f"org/{n}") for n, s in (("a", FIRST), ("b", SECOND)))
    more = ("--bounds", path, "--name", "n", "--output", tmp_path / "o")
    done(capsys, "ensemble", a, b, *more)
    assert values(read_result(tmp_path / "o/mine/n")) == [[0.25, 0.375]]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (RECIPE + BOUNDS, "bounds go with the normalisation minmax, not with none"),
        (MINMAX + '\n[bounds]\n"org/a" = [0, 4]\n', 'no line like "org/b" = [low, high]'),
        (MINMAX + BOUNDS.replace("[0, 4]", "[0, 4, 5]"), 'no line like "org/a" = [low, high]'),
        (MINMAX + BOUNDS.replace("[0, 4]", "[0, true]"), 'no line like "org/a" = [low, high]'),
        (MINMAX + BOUNDS.replace("[0, 4]", "[4, 4]"), "bounds of org/a, 4 and 4, are not a range"),
        (
            MINMAX + BOUNDS.replace("[0, 4]", "[0, inf]"),
            "bounds of org/a, 0 and inf, are not a range",
        ),
        (MINMAX.replace("[weights]", "bounds = 3\n[weights]"), "no line like"),
    ],
)
def test_bounds_that_are_none_are_refused(
    text: str, complaint: str, results: Path, capsys: Capture, tmp_path: Path
) -> None:
    assert complaint in refusal(capsys, "ensemble", results, "--config", recipe(tmp_path, text))
