"""`rmeval score`, `pairs`, `merge`: nothing of another run's is lost or written over."""

import json
import os
import stat
from pathlib import Path

import pytest
from command_line import Capture, count_batches, done, interrupt_after, refusal, small_model

from rmeval.cli import main
from rmeval.files import only_owner

ANSWER = {"role": "assistant", "content": "a"}


@pytest.fixture
def command(tmp_path: Path) -> tuple[object, ...]:
    chats = [[{"role": "user", "content": f"{n} q" * n}, ANSWER] for n in range(40)]
    lines = [{"messages": chat} for chat in chats]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    model = small_model(tmp_path / "model")
    files = ("--input", tmp_path / "in.jsonl", "--batch-tokens", 256, "--device", "cpu")
    return ("score", *files, "--model", model)


def test_a_second_run_into_one_output_is_refused_before_it_loads_a_model(
    command: tuple[object, ...], tmp_path: Path, capsys: Capture
) -> None:
    output = tmp_path / "out.jsonl"
    (tmp_path / "link.jsonl").symlink_to("out.jsonl")
    (tmp_path / "out.jsonl.unfinished").mkdir()
    with only_owner(tmp_path / "out.jsonl.unfinished/lock", output):
        for path in (output, tmp_path / "link.jsonl"):
            line = refusal(capsys, *command, "--model", tmp_path / "none", "--output", path)
            assert line.startswith(f"another run is writing {output}; wait for it to end")
    done(capsys, *command, "--output", tmp_path / "link.jsonl")
    assert (tmp_path / "link.jsonl").is_symlink()
    assert len(output.read_text().splitlines()) == 40
    assert not (tmp_path / "out.jsonl.unfinished").exists()


def test_another_models_run_leaves_what_an_interrupted_one_kept(
    command: tuple[object, ...], tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = (*command, "--output", tmp_path / "out.jsonl")
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        assert main([str(argument) for argument in command]) == 130
    capsys.readouterr()
    with monkeypatch.context() as patch:
        whole = count_batches(patch)
        done(capsys, *command, "--model", small_model(tmp_path / "other", reward=1.0))
    with monkeypatch.context() as patch:
        rest = count_batches(patch)
        done(capsys, *command)
    assert len(rest) == len(whole) - 3
    assert not (tmp_path / "out.jsonl.unfinished").exists()


def test_a_run_that_fails_leaves_no_folder_and_no_device_is_replaced(
    command: tuple[object, ...], tmp_path: Path, capsys: Capture
) -> None:
    refusal(capsys, *command, "--model", tmp_path / "none", "--output", tmp_path / "new/out.jsonl")
    broken = small_model(tmp_path / "broken", reward=float("nan"))
    refusal(capsys, *command, "--model", broken, "--output", tmp_path / "new/out.jsonl")
    assert not (tmp_path / "new").exists()
    line = refusal(capsys, *command, "--output", os.devnull)
    assert line == f"{os.devnull} is a device or a pipe; --output names a file"
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_pairs_never_replace_their_input(tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "pref"
    folder.mkdir()
    ranked = {"prompt": "q", "responses": ["a", "b"], "scores": [1.0, 0.0]}
    (folder / "train.jsonl").write_text(json.dumps(ranked) + "\n")
    (tmp_path / "link.jsonl").symlink_to(folder / "train.jsonl")
    before = (folder / "train.jsonl").read_bytes()
    for path in (folder / "train.jsonl", tmp_path / "link.jsonl"):
        line = refusal(capsys, "pairs", "--input", path, "--output", folder)
        assert line.endswith(
            "train.jsonl is --input, and would be replaced; choose another --output"
        )
    assert [path.name for path in folder.iterdir()] == ["train.jsonl"]
    assert (folder / "train.jsonl").read_bytes() == before


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_killed_merge_starts_over_its_own_work_and_no_others(
    moved: int, tmp_path: Path, capsys: Capture
) -> None:
    a, b = (small_model(tmp_path / name, reward=1.0) for name in "ab")
    done(capsys, "merge", a, b, "--output", tmp_path / "whole")
    output = tmp_path / "m"
    output.mkdir()
    child = os.fork()
    if child == 0:
        calls = iter(range(100))
        replace = os.replace
        os.replace = lambda *x, **y: os._exit(9) if next(calls) == moved else replace(*x, **y)
        main(["merge", str(a), str(b), "--output", str(output)])
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert (output / ".unfinished").is_dir()
    (output / "notes.txt").write_text("mine")
    assert refusal(capsys, "merge", a, b, "--output", output) == (
        f"{output} is not empty; choose another --output"
    )
    (output / "notes.txt").unlink()
    done(capsys, "merge", a, b, "--output", output)
    whole, again = (
        {path.name: path.read_bytes() for path in folder.iterdir()}
        for folder in (tmp_path / "whole", output)
    )
    assert again == whole
