"""Many files through one model, in parts that know nothing of each other: always the same bytes."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Capture, count_batches, done, interrupt_after, refusal, small_model

from rmeval.cli import main
from rmeval.commands.shared import lines
from rmeval.files import only_owner

FILES = 5


class Job:
    """A folder of files with prompts in common, and the command without its output."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.files = folder, folder / "in"
        self.files.mkdir()
        draw = random.Random(0)
        for number in range(FILES):
            chats = [
                [
                    {"role": "user", "content": "q " * draw.randint(1, 4)},
                    {"role": "assistant", "content": "a " * draw.randint(1, 9)},
                ]
                for _ in range(4 + number)
            ]
            rows = [
                json.dumps({"messages": chat, "id": f"{number}/{i}"})
                for i, chat in enumerate(chats)
            ]
            (self.files / f"{number}.jsonl").write_text("".join(f"{row}\n" for row in rows))
        self.model = small_model(folder / "model")

    def command(self, output: str, *shard: str) -> list[str]:
        return [
            *("score", "--model", str(self.model), "--device", "cpu", "--batch-tokens", "64"),
            *("--input", f"{self.files}/*.jsonl", "--output", str(self.folder / output)),
            *(("--shard", *shard) if shard else ()),
        ]

    def made(self, output: str) -> dict[str, bytes]:
        """Every file of lines in an output folder, and nothing else may be there but records."""
        folder = self.folder / output
        records = {path.name for path in folder.glob("*.provenance.json")}
        found = {path.name: path.read_bytes() for path in folder.glob("*.jsonl")}
        assert {path.name for path in folder.iterdir()} == records | set(found)
        assert records == {f"{name}.provenance.json" for name in found}
        return found


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


@pytest.fixture
def whole(job: Job, capsys: Capture) -> dict[str, bytes]:
    """What each file gives when it is scored alone, as one file."""
    for path in sorted(job.files.iterdir()):
        files = ("--input", path, "--output", job.folder / "alone" / path.name)
        done(capsys, *job.command("alone")[:7], *files)
    return job.made("alone")


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_any_number_of_shards_gives_the_bytes_of_each_file_alone(
    job: Job, whole: dict[str, bytes], capsys: Capture, count: int
) -> None:
    owned = []
    for index in random.Random(count).sample(range(count), count):
        before = set(job.made("out")) if (job.folder / "out").exists() else set()
        assert main(job.command("out", f"{index}/{count}")) == 0
        owned.append(set(job.made("out")) - before if (job.folder / "out").exists() else set())
        capsys.readouterr()
    assert job.made("out") == whole
    assert sum(map(len, owned)) == FILES == len(set().union(*owned))
    assert max(map(len, owned)) - min(map(len, owned)) <= 1


def test_several_files_a_folder_and_a_pattern_are_one_asking(
    job: Job, whole: dict[str, bytes], capsys: Capture
) -> None:
    for output, asked in (("named", sorted(job.files.iterdir())), ("folder", [job.files])):
        command = job.command(output)
        at = command.index("--input")
        assert main([*command[: at + 1], *map(str, asked), *command[at + 2 :]]) == 0
        assert job.made(output) == whole
    assert "all files: 5 files of 30 conversations scored: " in capsys.readouterr().err


@pytest.mark.parametrize("after", [1, 8])
def test_an_interrupted_shard_goes_on_and_what_is_whole_is_left_alone(
    job: Job,
    whole: dict[str, bytes],
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    after: int,
) -> None:
    with monkeypatch.context() as patch:
        every = count_batches(patch)
        assert main(job.command("undisturbed")) == 0
    with monkeypatch.context() as patch:
        interrupt_after(patch, after)
        assert main(job.command("out")) == 130
    times = {path: path.stat().st_mtime_ns for path in (job.folder / "out").glob("*.jsonl")}
    with monkeypatch.context() as patch:
        rest = count_batches(patch)
        assert main(job.command("out", "0/1")) == 0
    assert len(rest) == len(every) - after
    assert job.made("out") == whole
    assert times == {path: path.stat().st_mtime_ns for path in times}
    with monkeypatch.context() as patch:
        again = count_batches(patch)
        assert main(job.command("out")) == 0
    assert not again
    assert "all files: 0 files of 0 conversations scored, 5 were there" in capsys.readouterr().err


# Where a file is finished: its lines put into place, its record written, what was kept dropped.
KILLED = """
import os, signal, sys
from rmeval.cli import main
from rmeval.commands.shared import lines
def dying(*_):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(lines, sys.argv[1], dying)
main(sys.argv[2:])
"""


@pytest.mark.parametrize("moment", ["_write_provenance", "drop_store"])
def test_a_kill_while_a_file_is_finished_loses_nothing_and_leaves_nothing_behind(
    job: Job, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, moment, *job.command("out")],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        stderr=subprocess.DEVNULL,
    )
    assert killed.returncode == -signal.SIGKILL
    assert (job.folder / "out/0.jsonl").exists()
    with monkeypatch.context() as patch:
        count_batches(patch)
        assert main(job.command("out")) == 0
    assert job.made("out") == whole


def test_what_another_made_is_never_replaced(
    job: Job, whole: dict[str, bytes], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = job.folder / "alone"
    other = [
        str(small_model(job.folder / "other", reward=1.0)) if w == str(job.model) else w
        for w in job.command("alone")
    ]
    line = refusal(capsys, *other)
    assert line == (
        f"{output}/0.jsonl was made with another model or other options, which "
        "0.jsonl.provenance.json names; choose another --output"
    )
    with (job.files / "3.jsonl").open("a") as file:
        file.write((job.files / "3.jsonl").read_text())
    monkeypatch.setattr(lines, "load_rewarding_from", pytest.fail)
    line = refusal(capsys, *job.command("alone"))
    assert line.startswith(f"{output}/3.jsonl is there, and not of this {job.files}/3.jsonl; ")
    (output / "3.jsonl").write_text("mine\n")
    assert "3.jsonl is there, and not of this" in refusal(capsys, *job.command("alone"))
    assert (output / "3.jsonl").read_text() == "mine\n"
    assert {**job.made("alone"), "3.jsonl": whole["3.jsonl"]} == whole


def test_a_file_has_one_owner(job: Job, capsys: Capture) -> None:
    folder = job.folder / "out/2.jsonl.unfinished"
    folder.mkdir(parents=True)
    with only_owner(folder / "lock", job.folder / "out/2.jsonl"):
        line = refusal(capsys, *job.command("out"))
        assert line.startswith(
            f"another run is writing {job.folder}/out/2.jsonl; wait for it to end"
        )
        assert main(job.command("out", "1/3")) == 0  # files 1 and 4
    made = sorted(path.name for path in (job.folder / "out").glob("*.jsonl"))
    assert made == ["0.jsonl", "1.jsonl", "4.jsonl"]


def test_each_process_of_a_launcher_may_have_a_shard_of_its_own(
    job: Job, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "or a --shard of it" in refusal(capsys, *job.command("out"))
    assert main(job.command("out", "1/2")) == 0
    assert sorted(job.made("out")) == ["1.jsonl", "3.jsonl"]


@pytest.mark.parametrize("value", ["8/8", "-1/8", "1", "a/b", "0/0", "1/", "²/3", "0/99999999"])
def test_what_is_no_shard_is_said(job: Job, capsys: Capture, value: str) -> None:
    line = refusal(capsys, *job.command("out"), f"--shard={value}")
    assert "is not a shard: write 0/8, 1/8 and so on to 7/8" in line


def test_files_that_cannot_be_told_apart_or_would_be_lost_are_refused(
    job: Job, capsys: Capture
) -> None:
    command = job.command("out")
    at = command.index("--input") + 1

    def refused(*asked: object, output: Path = job.folder / "out") -> str:
        return refusal(capsys, *command[:at], *asked, *command[at + 1 : -1], output)

    assert refused(job.files / "*.parquet") == f"{job.files}/*.parquet: no files of lines there"
    (job.files / "more").mkdir()
    (job.files / "more/1.jsonl").write_text((job.files / "1.jsonl").read_text())
    line = refused(job.files / "**/*.jsonl")
    assert line == (
        f"{job.files}/1.jsonl and {job.files}/more/1.jsonl would both go into "
        f"{job.folder}/out/1.jsonl; rename one"
    )
    line = refused(job.files, output=job.files)
    assert line == f"{job.files}/0.jsonl is --input, and would be replaced; choose another --output"
    line = refused(job.files, output=job.files / "0.jsonl")
    assert line.endswith("0.jsonl is a file; of several files, --output names a folder")
    (job.files / "4.jsonl").write_text("{}\n")
    assert "4.jsonl line 1: no field messages" in refused(job.files)
    assert not (job.folder / "out").exists()


def test_a_shard_without_files_is_done_at_once(
    job: Job, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmeval.commands.shared.shards.load_rewarding_from", pytest.fail)
    assert main(job.command("out", "6/9")) == 0
    assert "shard 6/9: none of the files is of it" in capsys.readouterr().err


def test_candidates_are_ranked_in_shards_too(job: Job, capsys: Capture) -> None:
    for path in job.files.iterdir():
        path.write_text(json.dumps({"prompt": path.name, "responses": ["a", "b b"]}) + "\n")
    for index in range(2):
        assert main(["rank", *job.command("out", f"{index}/2")[1:]]) == 0
    assert len(job.made("out")) == FILES
    assert all(b'"ranks"' in line for line in job.made("out").values())
