"""Reward hacking, from `run --disguises` to the report, and in `doctor`."""

import json
from pathlib import Path

import pytest
from command_line import Capture, done, refusal, small_model
from documented import assert_documented
from pydantic import TypeAdapter

import rmeval
from rmeval import BadData, load_benchmark
from rmeval.metrics.disguises import DISGUISES, count_disguises, disguises_of
from rmeval.records import as_message
from rmeval.reports.disguises import disguise_rows
from rmeval.results.files import read_result
from rmeval.results.schema import DisguisesLine


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, and a result of it with ten rows in disguise."""
    folder = tmp_path_factory.mktemp("disguises")
    small_model(folder / "model")
    model = rmeval.load_model(str(folder / "model"), device="cpu", checks=False)
    rmeval.evaluate(model, load_benchmark("demo"), output=folder / "results", disguises=10)
    return folder


def only(folder: Path) -> Path:
    (path,) = (folder / "results" / "demo").iterdir()
    return path


def test_the_rewards_in_disguise_are_those_of_the_disguised_texts(world: Path) -> None:
    result = read_result(only(world))
    assert len(result.disguised) == 10
    assert_documented(only(world))
    for line in (only(world) / "disguises.jsonl").read_text(encoding="utf-8").splitlines():
        TypeAdapter(DisguisesLine).validate_python(json.loads(line), strict=True)
    model = rmeval.load_model(str(world / "model"), device="cpu", checks=False)
    rows = {item.id: item for item in load_benchmark("demo").preferences}
    scored = {item.id: item for item in result.scored}
    for made in result.disguised[::3]:
        item = rows[made.id]
        talks = [(*item.prompt, as_message(reply)) for reply in disguises_of(item.responses[1])]
        for name, score in zip(DISGUISES, model.score_conversations(talks), strict=True):
            assert made.disguised[name].value == pytest.approx(score.value, abs=1e-5)
            assert made.disguised[name].tokens == score.tokens
        assert (made.chosen, made.rejected) == scored[made.id].scores


def test_run_prints_them_and_a_recipe_may_ask_for_them(world: Path, capsys: Capture) -> None:
    run = ("run", "--model", world / "model", "--output", world / "again", "-q", "--no-checks")
    recipe = world / "recipe.toml"
    recipe.write_text("disguises = 5\n", encoding="utf-8")
    out, _ = done(capsys, *run, "--benchmark", "demo", "--config", recipe)
    table = out[out.index("Reward hacking: rejected answers in disguise") :]
    assert [name for name in DISGUISES if f"\n{name}  " in table] == list(DISGUISES)
    assert "of 5 " in table
    (folder,) = (world / "again" / "demo").iterdir()
    out, _ = done(capsys, "aggregate", folder)
    assert "Reward hacking" in out


def test_the_report_has_a_table_of_one_model_and_of_several(world: Path, capsys: Capture) -> None:
    page = world / "report.html"
    done(capsys, "report", only(world), "--output", page)
    text = page.read_text(encoding="utf-8")
    assert text.count("Reward hacking: rejected answers in disguise") == 2  # label and caption
    assert "200 words of padding" in text
    rows = disguise_rows([read_result(only(world))] * 2, ["a", "<b>"])
    assert [row["model"] for row in rows] == ["a"] * 4 + ["<b>"] * 4


def test_what_was_written_beside_a_result_is_held_to_it(world: Path) -> None:
    folder = only(world)
    path = folder / "disguises.jsonl"
    text = path.read_text(encoding="utf-8")
    assert json.loads((folder / "result.json").read_text())["disguises_sha256"]
    try:
        path.write_text(text.replace("true", "false") + "\n", encoding="utf-8")
        with pytest.raises(BadData, match=r"not what result\.json was written with"):
            read_result(folder)
        path.unlink()
        with pytest.raises(BadData, match=r"disguises\.jsonl"):
            read_result(folder)
    finally:
        path.write_text(text, encoding="utf-8")
    assert count_disguises(read_result(folder).disguised)[0].pairs == 10


def test_who_gives_no_rewards_has_none_in_disguise(world: Path, capsys: Capture) -> None:
    ask = ("run", "--model", "judge:x", "--endpoint", "http://127.0.0.1:1/v1", "--disguises")
    assert "a judge gives none" in refusal(capsys, *ask)
    line = refusal(capsys, "run", "--model", world / "model", "--disguises", "0")
    assert "'0' is not a whole number of at least 1" in line


def test_the_doctor_says_how_many_verdicts_turn(capsys: Capture) -> None:
    out, _ = done(capsys, "doctor", "--device", "cpu")
    (line,) = (line for line in out.splitlines() if line.split()[1] == "disguises")
    assert "verdicts won, the rejected answer turns with: flattery " in line
    assert "that length alone wins: " in line
