"""Runs whose results would have one folder: both are kept, each finds its own again, names show."""

import json
from pathlib import Path

import pytest
from command_line import Capture, count_batches, done, refusal, small_model

Log = pytest.LogCaptureFixture
RUN = ("run", "--device", "cpu", "--no-checks")
ROW = '{"prompt": "p", "chosen": "good", "rejected": "%s"}\n'


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return small_model(tmp_path / "a/lab/small")


def results(output: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(output.rglob("result.json"))}


def scores(output: Path) -> set[bytes]:
    return {path.read_bytes() for path in output.rglob("scores.jsonl")}


def rows(path: Path, rejected: str = "bad") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(ROW % rejected)
    return path


def require_two(capsys: Capture, caplog: Log, output: Path, one: tuple, two: tuple) -> None:
    """Both commands have a result, whatever is run again."""
    run = (*RUN, "--output", output)
    done(capsys, *run, *one)
    assert not caplog.records
    first = results(output)
    out, _ = done(capsys, *run, *two)
    assert [r.message for r in caplog.records if "holds a result of other" in r.message]
    both, kept = results(output), scores(output)
    assert len(both) == 2
    assert first.items() <= both.items()
    [place] = [line for line in out.splitlines() if line.startswith("kept in ")]
    assert place.removeprefix("kept in ") in [str(path.parent) for path in both]
    for again in (one, two):
        done(capsys, *run, *again)
    assert (results(output).keys(), scores(output)) == (both.keys(), kept)


def test_checkpoints_whose_folders_have_one_name(
    model: Path, capsys: Capture, tmp_path: Path, caplog: Log
) -> None:
    other = small_model(tmp_path / "b/lab/small", reward=1.0)
    data = ("--benchmark", rows(tmp_path / "pairs.jsonl"))
    require_two(
        capsys, caplog, tmp_path / "out", (*data, "--model", model), (*data, "--model", other)
    )


@pytest.mark.parametrize(
    "options",
    [
        ("--dtype", "float64"),
        ("--max-length", "48"),
        ("--chat-template", "template.jinja"),
        ("--engine", "padded"),
    ],
)
def test_other_settings(
    options: tuple[str, str],
    model: Path,
    capsys: Capture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: Log,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("template.jinja").write_text("{% for m in messages %}{{ m.content }}|{% endfor %}")
    command = ("--benchmark", rows(tmp_path / "pairs.jsonl"), "--model", model)
    require_two(capsys, caplog, tmp_path / "out", command, (*command, *options))


@pytest.mark.parametrize("names", [("x/train.jsonl", "y/train.jsonl"), ("a b.jsonl", "a+b.jsonl")])
def test_files_of_rows_that_share_a_name_run_one_by_one(
    names: tuple[str, str], model: Path, capsys: Capture, tmp_path: Path, caplog: Log
) -> None:
    one, two = rows(tmp_path / names[0]), rows(tmp_path / names[1], "worse")
    line = refusal(capsys, *RUN, "--model", model, "--benchmark", f"{one},{two}")
    assert line.endswith("run them one at a time")
    commands = [("--model", model, "--benchmark", file) for file in (one, two)]
    require_two(capsys, caplog, tmp_path / "out", *commands)


def test_more_rows_of_one_benchmark_go_on_from_what_fewer_kept(
    model: Path, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = (*RUN, "--model", model, "--benchmark", "demo", "--output", tmp_path, "--limit")
    done(capsys, *run, 1)
    done(capsys, *run, 7, "--subset", "hep-*")
    assert len(results(tmp_path)) == 2
    computed = count_batches(monkeypatch)
    done(capsys, *run, 7, "--subset", "hep-*", "--batch-tokens", 4096)
    assert len(computed) == 1
    done(capsys, *run, 7, "--subset", "hep-*")
    assert len(computed) == 1
    assert len(list(tmp_path.rglob("store"))) == 1


def test_a_model_that_is_none_leaves_no_folder(capsys: Capture, tmp_path: Path) -> None:
    refusal(capsys, "run", "--model", tmp_path / "none", "--output", tmp_path / "new/out")
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_shown_and_what_was_loaded_stays_known(
    model: Path, capsys: Capture, tmp_path: Path
) -> None:
    data = ("--benchmark", rows(tmp_path / "pairs.jsonl"), "--output", tmp_path / "out")
    out, _ = done(capsys, *RUN, "--model", model, *data, "--name", "Mine v2")
    assert "Mine v2 on pairs (rows weighting)" in out
    [path] = results(tmp_path / "out")
    document = json.loads(path.read_text())
    assert (document["name"], document["model"]) == ("Mine v2", str(model))
    assert document["provenance"]["model"]["name"] == str(model)
    ranked, _ = done(capsys, "leaderboard", tmp_path / "out", "--format", "json")
    assert [row["model"] for row in json.loads(ranked)] == ["Mine v2"]
    compared, _ = done(capsys, "compare", path.parent, path.parent)
    assert compared.splitlines()[0] == f"A  Mine v2  {path.parent}"
    page = tmp_path / "page.html"
    done(capsys, "report", path.parent, "--output", page)
    assert "<title>Mine v2 on pairs" in page.read_text()
    drawn, _ = done(
        capsys, "plot", path.parent, path.parent, "--output", tmp_path / "f", "--format", "svg"
    )
    assert drawn
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'model = "{model}"\nname = "Of a recipe"\n')
    out, _ = done(capsys, *RUN, "--config", recipe, *data)
    assert "Of a recipe on pairs" in out
    other = small_model(tmp_path / "other", reward=1.0)
    out, _ = done(capsys, *RUN, "--config", recipe, *data, "--model", other)
    assert f"{other} on pairs" in out
    assert refusal(capsys, *RUN, *data, "--name", " ").endswith("is a shell variable unset?")


def test_a_name_of_another_kind_is_no_result(model: Path, capsys: Capture, tmp_path: Path) -> None:
    run = (*RUN, "--model", model, "--benchmark", rows(tmp_path / "pairs.jsonl"))
    done(capsys, *run, "--output", tmp_path / "out")
    [path] = results(tmp_path / "out")
    path.write_text(json.dumps({**json.loads(path.read_text()), "name": 3}))
    line = refusal(capsys, "aggregate", path.parent)
    assert line == f"{path}: not a result of rmeval: name is of another kind"
