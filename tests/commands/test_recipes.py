"""Options from a TOML file: the same as typed, and typed ones win."""

import argparse
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Capture, refusal

from rmeval.commands.shared.options import (
    add_model_options,
    parse_with_recipe,
    positive,
    published_row,
)
from rmeval.known import published_of, published_tables, same_figures


def parsed(tmp_path: Path, recipe: str, *arguments: str) -> argparse.Namespace:
    path = tmp_path / "recipe.toml"
    path.write_text(recipe, encoding="utf-8")
    parser = argparse.ArgumentParser()
    add_model_options(parser, default="demo")
    parser.add_argument("--limit", type=positive)
    parser.add_argument("--config", type=Path)
    return parse_with_recipe(parser, ["--config", str(path), *arguments])


def test_a_recipe_gives_every_kind_of_option(tmp_path: Path) -> None:
    recipe = 'model = "org/näme"\nbatch-tokens = 99\nmax_length = 7\ntrust_remote_code = true\n'
    options = parsed(tmp_path, recipe + 'dtype = "float64"\n', "--trust-remote-code")
    assert (options.model, options.batch_tokens, options.max_length) == ("org/näme", 99, 7)
    assert (options.trust_remote_code, options.dtype) == (True, "float64")


def test_the_command_line_wins_over_the_recipe(tmp_path: Path) -> None:
    options = parsed(tmp_path, 'dtype = "float64"\nlimit = 3\n', "--dtype", "float16")
    assert (options.dtype, options.limit) == ("float16", 3)


def test_false_leaves_a_switch_off(tmp_path: Path) -> None:
    recipe = "trust-remote-code = false\nallow_pickle = true\n"
    options = parsed(tmp_path, recipe, "--allow-pickle")
    assert (options.trust_remote_code, options.allow_pickle) == (False, True)


def test_a_value_that_begins_with_a_dash_is_still_a_value(tmp_path: Path) -> None:
    assert parsed(tmp_path, 'revision = "-x"\n').revision == "-x"


def test_an_empty_recipe_changes_nothing(tmp_path: Path) -> None:
    assert parsed(tmp_path, "# nothing\n").model == "demo"


def refused(capsys: Capture, tmp_path: Path, recipe: str) -> str:
    path = tmp_path / "recipe.toml"
    path.write_text(recipe)
    (tmp_path / "file").write_text("")  # what is not refused before stops here
    return refusal(capsys, "run", "--config", path, "--output", tmp_path / "file")


@pytest.mark.parametrize(
    ("recipe", "complaint"),
    [
        ("modle = 'demo'", "modle'; did you mean 'model'?"),
        ("trust-remote-cod = true", "did you mean 'trust_remote_code'?"),
        ("limit = 1.5", "limit must be a text or a whole number"),
        ("model = ['a', 'b']", "model must be a text or a whole number"),
        ("limit = -3", "'-3' is not a whole number of at least 1"),
        ("limit = 'many'", "'many' is not a whole number of at least 1"),
        ("limit = true", "limit"),
        ("limit = false", "limit"),
        ("dtype = false", "dtype"),
        ("trust-remote-code = 'yes'", "trust-remote-code must be true or false"),
        ("dtype = 'float23'", "unknown dtype 'float23'; did you mean 'float32'?"),
        ("benchmark = 'demp'", "unknown benchmark 'demp'; did you mean 'demo'?"),
        ("limit = \n", "cannot read --config"),
        ("limit = 1\nlimit = 2", "cannot read --config"),
        ("config = 'other.toml'", "config"),
    ],
)
def test_a_mistake_in_a_recipe_is_one_line(
    recipe: str, complaint: str, capsys: Capture, tmp_path: Path
) -> None:
    line = refused(capsys, tmp_path, recipe)
    assert complaint in line
    assert "cannot write" not in line


def test_a_recipe_that_is_not_there_is_named(capsys: Capture, tmp_path: Path) -> None:
    line = refusal(capsys, "run", "--config", tmp_path / "none.toml")
    assert line == f"cannot read --config {tmp_path}/none.toml: No such file or directory"


def test_a_recipe_that_is_a_folder_or_no_text_is_one_line(capsys: Capture, tmp_path: Path) -> None:
    assert "Is a directory" in refusal(capsys, "run", "--config", tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    assert "cannot read --config" in refusal(capsys, "run", "--config", tmp_path / "bytes.toml")


def test_the_revision_of_a_recipe_is_not_that_of_another_model(tmp_path: Path) -> None:
    recipe = 'model = "org/m"\nrevision = "main"\n'
    assert parsed(tmp_path, recipe).revision == "main"
    assert parsed(tmp_path, recipe, "--model", "org/m").revision == "main"
    assert parsed(tmp_path, recipe, "--model", "./copy").revision is None
    assert parsed(tmp_path, recipe, "--model", "x", "--revision", "r").revision == "r"


ROW = """
model = "org/m"
[published]
Score = 80
"A section" = 75.5
benchmark = "rewardbench"
weighting = "rewardbench-v1"
type = "custom head"
source = "a card"
date = "2025-01"
"""


def test_a_recipe_may_carry_the_published_row(tmp_path: Path) -> None:
    row = parsed(tmp_path, ROW, "--model", "./copy").published
    assert (row.model, row.overall, row.sections) == ("org/m", 80.0, {"A section": 75.5})
    assert parsed(tmp_path, "limit = 3\n").published is None


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("[published]", "[publishd]", "did you mean"),
        ("Score = 80", "", "[published]: no Score; a published row has"),
        ("Score = 80", "Score = 180", "[published]: Score is 180, not a percentage"),
        ("75.5", "'high'", "[published]: A section is 'high', not a percentage"),
        ("75.5", "[1]", "not a percentage"),
        ('model = "org/m"', "", "[published]: no model"),
        (ROW, "published = 3", "[published]: must be a table of figures"),
    ],
)
def test_a_mistake_in_a_published_row_is_one_line(
    old: str, new: str, complaint: str, capsys: Capture, tmp_path: Path
) -> None:
    assert complaint in refused(capsys, tmp_path, ROW.replace(old, new))


CARDS = ("grm", "inf-orm-versions", "inf-orm", "internlm2-reward")
RECIPES = sorted((Path(__file__).parents[2] / "configs/reproduce").glob("*.toml"))


def parsed_for_run(recipe: Path) -> argparse.Namespace:
    from rmeval.commands.run import _add_options

    parser = argparse.ArgumentParser()
    _add_options(parser)
    return parse_with_recipe(parser, ["--config", str(recipe)])


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_asks_for_its_row_and_has_the_tables_figures(recipe: Path) -> None:
    options = parsed_for_run(recipe)
    row = options.published
    cards = [replace(row, revision="") for name in CARDS for row in published_tables()[name]]
    assert row in cards
    asked = (options.model, options.benchmark, options.weighting)
    assert asked == (row.model, row.benchmark, row.weighting)
    assert (options.revision, recipe.stem) == ("main", options.model.partition("/")[2])
    assert {"model", "revision", "dtype", "weighting"} <= tomllib.loads(recipe.read_text()).keys()


def test_there_is_a_recipe_for_every_published_model_that_can_be_loaded() -> None:
    assert {parsed_for_run(recipe).model for recipe in RECIPES} == {
        *(f"internlm/internlm2-{size}-reward" for size in ("1_8b", "7b", "20b")),
        "infly/INF-ORM-Llama3.1-70B",
        "Ray2333/GRM-llama3-8B-sftreg",
        "Ray2333/GRM-llama3-8B-distill",
        "sfairXC/FsfairX-LLaMA3-RM-v0.1",
        "Skywork/Skywork-Reward-Gemma-2-27B-v0.2",
        "Skywork/Skywork-Reward-Gemma-2-27B",
        "Skywork/Skywork-Reward-Llama-3.1-8B-v0.2",
        "nicolinho/QRM-Llama3.1-8B",
        "LxzGordon/URM-LLaMa-3.1-8B",
    }


@pytest.mark.parametrize(
    ("recipe", "typed"),
    [
        ("trust-remote-code = true", "--trust-remote-code"),
        ("trust_remote_code = true", "--trust-remote-code"),
        ("allow-pickle = true", "--allow-pickle"),
        ("model = 'judge:x'\nendpoint = 'https://x.example/v1'", "--endpoint https://x.example/v1"),
        ("key-over-http = true", "--key-over-http"),
        ("output = '/etc'", "--output /etc"),
    ],
)
def test_a_recipe_says_nothing_in_the_place_of_who_runs_it(
    recipe: str, typed: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.toml").write_text(recipe)
    line = refusal(capsys, "run", "--config", "recipe.toml")
    assert line.startswith(f"recipe.toml: {typed.split()[0].removeprefix('--')} ")
    assert line.endswith(f"if you want it, pass {typed} on the command line")
    assert [path.name for path in tmp_path.iterdir()] == ["recipe.toml"]


@pytest.mark.parametrize("size", ["1_8b", "7b", "20b"])
def test_internlm2s_recipes_tell_the_leaderboards_row_too(size: str) -> None:
    recipe = next(path for path in RECIPES if path.stem == f"internlm2-{size}-reward")
    _, board = published_of(f"internlm/{recipe.stem}", "rewardbench")
    figures = ", ".join(str(figure) for figure in (board.overall, *board.sections.values()))
    assert f"leaderboard's of {board.date} is {figures}, under {board.weighting}" in (
        recipe.read_text("utf-8").replace("\n# ", " ")
    )


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_says_the_other_row_of_its_model_where_one_differs(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    asked = tomllib.loads(text)
    own = published_row(asked, str(path))
    told = " ".join(line.removeprefix("#") for line in text.splitlines() if line.startswith("#"))
    for row in published_of(asked["model"], asked["benchmark"]):
        if not same_figures(row, own):
            sections = [row.sections[name] for name in own.sections]
            assert ", ".join(f"{figure:g}" for figure in (row.overall, *sections)) in told
            assert row.date in told
            assert row.weighting in told
