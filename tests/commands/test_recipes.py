"""Options from a TOML file: the same as typed, and typed ones win."""

import argparse
from pathlib import Path

import pytest
from command_line import Capture, refusal

from rmeval.commands.options import add_model_options, parse_with_recipe, positive


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
    options = parsed(tmp_path, recipe + 'dtype = "float64"\n')
    assert (options.model, options.batch_tokens, options.max_length) == ("org/näme", 99, 7)
    assert (options.trust_remote_code, options.dtype) == (True, "float64")


def test_the_command_line_wins_over_the_recipe(tmp_path: Path) -> None:
    options = parsed(tmp_path, 'dtype = "float64"\nlimit = 3\n', "--dtype", "float16")
    assert (options.dtype, options.limit) == ("float16", 3)


def test_false_leaves_a_switch_off(tmp_path: Path) -> None:
    options = parsed(tmp_path, "trust-remote-code = false\nallow_pickle = true\n")
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


RECIPES = sorted((Path(__file__).parents[2] / "configs").rglob("*.toml"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_can_be_parsed(recipe: Path, tmp_path: Path) -> None:
    from rmeval.commands.run import _add_options

    parser = argparse.ArgumentParser()
    _add_options(parser)
    options = parse_with_recipe(parser, ["--config", str(recipe)])
    assert options.model
    assert options.benchmark
