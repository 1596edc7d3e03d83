"""`rmeval store`: what is kept, of which run, and what may go."""

from pathlib import Path

import pytest
from command_line import (
    Capture,
    count_batches,
    done,
    interrupt_after,
    refusal,
    small_model,
)

from rmeval.cli import main
from rmeval.results.scores import read_scores

RUN = ("run", "--benchmark", "demo", "--device", "cpu", "--limit", 5, "--batch-tokens", 256)


@pytest.fixture
def run(tmp_path: Path) -> tuple[object, ...]:
    model = small_model(tmp_path / "lab/small")
    return (*RUN, "--model", model, "--output", tmp_path / "out")


def stop(capsys: Capture, *arguments: object) -> None:
    """Runs until one batch is kept."""
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, 1)
        assert main([str(argument) for argument in arguments]) == 130
    capsys.readouterr()


def stores(folder: Path) -> list[Path]:
    return sorted(folder.rglob("store/*.sqlite"))


def batches_of(capsys: Capture, *arguments: object) -> int:
    """How many batches a run computes."""
    with pytest.MonkeyPatch.context() as patch:
        computed = count_batches(patch)
        done(capsys, *arguments)
    return len(computed)


def test_a_table_tells_what_each_file_holds(run, capsys: Capture, tmp_path: Path) -> None:
    done(capsys, *run)
    stop(capsys, *run, "--dtype", "float64", "--engine", "padded", "--output", tmp_path / "other")
    out, err = done(capsys, "store", tmp_path)
    header, *rows = out.splitlines()
    assert header.split("  ")[0].strip() == "store"
    lines = {name: line for name in ("out/", "other/") for line in rows if name in line}
    # five pairs, no response twice; 256 tokens a batch
    assert lines["out/"].split()[1] == "10"
    for word in ("float32", "packed", "256", "finished"):
        assert word in lines["out/"].split()
    for word in ("float64", "padded", "256", "unfinished"):
        assert word in lines["other/"].split()
    assert err == ""
    assert len(stores(tmp_path)) == 2


def test_pruning_deletes_what_finished_runs_kept_and_nothing_else(
    run, capsys: Capture, tmp_path: Path
) -> None:
    done(capsys, *run)
    stop(capsys, *run, "--output", tmp_path / "other")
    out, _ = done(capsys, "store", tmp_path, "--prune")
    assert "finished, deleted" in out
    assert "unfinished" in out
    assert [path.parents[3].name for path in stores(tmp_path)] == ["other"]
    assert (tmp_path / "out/demo/lab__small/scores.jsonl").exists()
    assert (tmp_path / "out/demo/lab__small/result.json").exists()


def test_pruning_leaves_what_another_setting_of_a_finished_run_has_not_finished(
    run, capsys: Capture, tmp_path: Path
) -> None:
    done(capsys, *run)
    whole = batches_of(capsys, *run, "--dtype", "float64", "--output", tmp_path / "whole")
    stop(capsys, *run, "--dtype", "float64")
    done(capsys, "store", tmp_path / "out", "--prune")
    assert batches_of(capsys, *run, "--dtype", "float64") == whole - 1


def test_pruning_leaves_what_more_rows_of_a_finished_run_have_not_finished(
    run, capsys: Capture, tmp_path: Path
) -> None:
    done(capsys, *run)
    more = (*run, "--limit", 9)
    whole = batches_of(capsys, *more, "--output", tmp_path / "whole")
    stop(capsys, *more)
    done(capsys, "store", tmp_path / "out", "--prune")
    assert batches_of(capsys, *more) < whole


def test_a_folder_without_stores_says_so(capsys: Capture, tmp_path: Path) -> None:
    out, err = done(capsys, "store", tmp_path)
    assert (out, err) == (f"no stores in {tmp_path}\n", "")


def test_a_missing_folder_is_refused(capsys: Capture, tmp_path: Path) -> None:
    line = refusal(capsys, "store", tmp_path / "nowhere")
    assert line == f"{tmp_path / 'nowhere'}: no such folder"


def test_without_a_folder_it_looks_into_results(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    assert done(capsys, "store")[0] == "no stores in results\n"


def test_scores_are_the_same_bytes_run_again_and_fresh(
    run, capsys: Capture, tmp_path: Path
) -> None:
    scores = tmp_path / "out/demo/lab__small/scores.jsonl"
    first = batches_of(capsys, *run)
    content = scores.read_bytes()
    assert batches_of(capsys, *run) == 0
    assert scores.read_bytes() == content
    assert batches_of(capsys, *run, "--fresh") == first
    assert scores.read_bytes() == content
    assert len(stores(tmp_path)) == 1


def test_other_engines_and_budgets_keep_files_of_their_own_and_agree(
    run, capsys: Capture, tmp_path: Path
) -> None:
    scores = tmp_path / "out/demo/lab__small/scores.jsonl"
    done(capsys, *run)
    expected = [score.value for item in read_scores(scores) for score in item.scores]
    changes = (("--engine", "padded"), ("--batch-tokens", 1000), ("--batch-tokens", 1))
    for number, change in enumerate(changes, 2):
        assert batches_of(capsys, *run, *change) > 0
        assert len(stores(tmp_path)) == number
        values = [score.value for item in read_scores(scores) for score in item.scores]
        assert values == pytest.approx(expected, abs=1e-4, rel=0)


def test_fresh_drops_only_its_own_setting(run, capsys: Capture, tmp_path: Path) -> None:
    done(capsys, *run, "--engine", "padded")
    done(capsys, *run)
    assert batches_of(capsys, *run, "--fresh") > 0
    assert batches_of(capsys, *run, "--engine", "padded") == 0
