"""Files that are whole or not there, on a full disk, at any death, with links and devices."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rmeval import files
from rmeval.errors import OutputFailure
from rmeval.files import only_owner, prepare_file, prepared, replacing, write_atomically
from rmeval.files import write_together as together

WAIT = "import sys, time; from pathlib import Path; from rmeval.files import *\n"


def python(code: str, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WAIT + code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def pair(folder: Path, text: str) -> dict[Path, str]:
    return {folder / "scores": f"{text} " * 3000, folder / "result": text}


def read(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def test_a_disk_that_is_full_leaves_the_old_files_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    together(pair(tmp_path, "old"))
    before = read(tmp_path)
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, full)
            with pytest.raises(OutputFailure, match=r"cannot write .* \(No space left on device\)"):
                together(pair(tmp_path, "new"))
            with pytest.raises(OutputFailure, match="No space left on device"):
                write_atomically(tmp_path / "result", "new")
        assert read(tmp_path) == before


def test_a_file_size_limit_is_one_line_and_leaves_the_old_files(tmp_path: Path) -> None:
    """The kernel's own refusal, with what is buffered at the end of a file."""
    together(pair(tmp_path, "old"))
    before = read(tmp_path)
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
from rmeval.errors import OutputFailure
folder = Path(sys.argv[1])
for text in ("n" * 5000, "n" * 100_000):
    try:
        write_together({folder / "scores": text, folder / "result": "new"})
    except OutputFailure as error:
        print(error)
"""
    out, err = python(code, tmp_path).communicate(timeout=60)
    assert (out.count("(File too large)\n"), err) == (2, "")
    assert read(tmp_path) == before


@pytest.mark.parametrize("step", range(1, 6))
def test_at_whatever_step_it_dies_no_result_stands_beside_others_scores(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together(pair(tmp_path, "old"))
    steps = iter(range(1, 100))

    def dies(real):
        def call(*arguments, **options):
            if next(steps) == step:
                os._exit(9)
            return real(*arguments, **options)

        return call

    child = os.fork()
    if child == 0:
        for name in ("fsync", "replace"):
            setattr(os, name, dies(getattr(os, name)))
        together(pair(tmp_path, "new"))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    found = read(tmp_path)
    if "result" in found:
        assert found["scores"] == f"{found['result']} " * 3000
    if step <= 3:  # until all of the new is on the disk, all of the old is there
        assert found["result"] == "old"
    together(pair(tmp_path, "new"))
    assert read(tmp_path) == {"result": "new", "scores": "new " * 3000}


def test_what_a_killed_process_left_is_taken_over(tmp_path: Path) -> None:
    code = "with replacing(Path(sys.argv[1])) as s: s.write('x' * 9999); s.flush(); print(flush=1)"
    process = python(code + "; time.sleep(60)", tmp_path / "file")
    assert process.stdout is not None
    process.stdout.readline()
    kill(process)
    assert [path.name for path in tmp_path.iterdir()] == [".file.unfinished"]
    write_atomically(tmp_path / "file", "new")
    assert read(tmp_path) == {"file": "new"}


def test_two_who_write_one_file_at_once_leave_one_of_both(tmp_path: Path) -> None:
    texts = [letter * 200_000 for letter in "abcd"]

    def write(text: str) -> None:
        for _ in range(20):
            write_atomically(tmp_path / "file", text)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if (tmp_path / "file").exists():
            assert (tmp_path / "file").read_text() in texts
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_link_stays_a_link_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for target in ("there/file", "there/new"):
        link = tmp_path / f"to-{Path(target).name}"
        link.symlink_to(target)
        write_atomically(link, "one")
        write_atomically(link, "two")
        assert link.is_symlink()
        assert (tmp_path / target).read_text() == "two"
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ["file", "new"]


def test_a_device_and_a_pipe_are_written_and_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to(os.devnull)
    for path in (Path(os.devnull), tmp_path / "null"):
        prepare_file(path)
        write_atomically(path, "text")
        assert stat.S_ISCHR(path.stat().st_mode)
    os.mkfifo(tmp_path / "pipe")
    reader = threading.Thread(target=lambda: heard.append((tmp_path / "pipe").read_text()))
    heard: list[str] = []
    reader.start()
    write_atomically(tmp_path / "pipe", "text")
    reader.join(10)
    assert heard == ["text"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["null", "pipe"]


def test_a_folder_in_a_files_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputFailure, match="is a folder; name a file"):
        prepare_file(tmp_path)
    with pytest.raises(OutputFailure, match="Is a directory"):
        write_atomically(tmp_path, "text")


def test_what_goes_wrong_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    def write() -> None:
        with replacing(tmp_path / "file") as stream:
            stream.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert list(tmp_path.iterdir()) == []


def test_one_owner_at_a_time_until_it_ends_or_dies(tmp_path: Path) -> None:
    lock, of = tmp_path / "lock", tmp_path / "out"
    code = "with only_owner(Path(sys.argv[1]), Path('out')): print(flush=True); time.sleep(60)"
    process = python(code, lock)
    assert process.stdout is not None
    process.stdout.readline()
    with pytest.raises(OutputFailure, match=f"another run is writing {of}; wait"):
        only_owner(lock, of).__enter__()
    kill(process)
    assert lock.exists()
    with only_owner(lock, of):
        pass
    assert not lock.exists()


def test_where_there_are_no_locks_it_is_said_and_files_are_whole_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(files, "_lock", lambda *_: None)
    with only_owner(tmp_path / "lock", tmp_path / "out"):
        write_atomically(tmp_path / "file", "text")
        together(pair(tmp_path, "new"))
    assert [r.message for r in caplog.records] == [files.NO_LOCKS % (tmp_path / "out")]
    assert sorted(read(tmp_path)) == ["file", "result", "scores"]


def test_folders_made_in_vain_are_gone(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with prepared(tmp_path / "a/b/c", tmp_path / "a/d", tmp_path / "there"):
        (tmp_path / "a/d/file").touch()
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == [
        "a", "a/d", "a/d/file", "there",
    ]  # fmt: skip
