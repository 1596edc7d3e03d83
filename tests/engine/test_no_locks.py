"""A file system without locks, as Lustre is without -o flock: the C library's own calls fail."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_killed_runs import RUN, batches_kept, scores, small_model

from rmeval.cli import main
from rmeval.engine.store import ScoreStore

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler")
# fcntl's locks, which sqlite takes, and flock: NFS and Lustre may lack them. All else is libc's.
NONE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
static int locks(int cmd) { return cmd == F_SETLK || cmd == F_SETLKW || cmd == F_GETLK; }
static int call(const char *name, int fd, int cmd, void *arg) {
    if (locks(cmd)) { errno = REFUSED; return -1; }
    return ((int (*)(int, int, void *))dlsym(RTLD_NEXT, name))(fd, cmd, arg);
}
#define LIKE(name) int name(int fd, int cmd, ...) { \\
    va_list rest; va_start(rest, cmd); void *arg = va_arg(rest, void *); va_end(rest); \\
    return call(#name, fd, cmd, arg); }
LIKE(fcntl)
LIKE(fcntl64)
int flock(int fd, int how) { errno = REFUSED; return -1; }
"""
KILLED = """
import os, signal, sys
from rmeval.cli import main
from rmeval.engine.store import ScoreStore
put, left = ScoreStore.put, [4]
def killed(store, *batch):
    put(store, *batch)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "killed":
    ScoreStore.put = killed
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture(scope="module", params=["ENOLCK", "ENOSYS"])
def without_locks(request, tmp_path_factory):
    """Runs a command where there are no locks; returns its status and what it said."""
    folder = tmp_path_factory.mktemp("shim")
    (folder / "none.c").write_text(NONE)
    subprocess.run(
        ["gcc", "-shared", "-fPIC", f"-DREFUSED={request.param}", "-o", "none.so", "none.c"],
        cwd=folder,
        check=True,
    )

    def start(how, *command):
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, how, *map(str, command)],
            capture_output=True,
            text=True,
            timeout=240,
            env={**os.environ, "LD_PRELOAD": str(folder / "none.so"), "HF_HUB_OFFLINE": "1"},
        )
        return ended.returncode, ended.stderr

    return start


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(small_model(tmp_path_factory.mktemp("models") / "lab/small"))


def test_a_run_is_killed_and_gone_on_with_and_told_that_it_must_be_alone(
    without_locks, model, tmp_path
):
    command = [*RUN, "--model", model]
    assert main([*command, "--output", str(tmp_path / "locks")]) == 0
    command += ["--output", str(tmp_path / "none")]
    status, _ = without_locks("killed", *command)
    assert status == -signal.SIGKILL
    assert batches_kept(tmp_path / "none") == 4
    status, said = without_locks("whole", *command)
    assert status == 0, said
    assert "this file system or machine has no locks; do not start a second run into it" in said
    status, said = without_locks("whole", "store", tmp_path / "none")
    assert (status, "is skipped" in said) == (0, False), said
    assert scores(tmp_path / "none") == scores(tmp_path / "locks")
    assert batches_kept(tmp_path / "none") == batches_kept(tmp_path / "locks")


def test_the_parts_of_others_are_read_as_they_stand_and_never_written(monkeypatch, tmp_path):
    """Of one that is being written the journal would be taken for that of a dead process."""
    monkeypatch.setattr("rmeval.engine.store.has_locks", lambda folder: False)
    zero, one = (ScoreStore(tmp_path, {}, part=part) for part in (0, 1))
    one.put(b"a", [1.0])
    one._database.execute("BEGIN")
    one.put(b"b", [2.0])
    one._database.execute("PRAGMA cache_spill = 0")
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert any(path.name.endswith("-journal") for path in files)
    zero.refresh()
    assert (zero.get(b"a"), zero.get(b"b")) == ([1.0], None)
    assert files == {path: path.read_bytes() for path in tmp_path.iterdir()}
    one._database.execute("COMMIT")
    zero.refresh()
    assert zero.get(b"b") == [2.0]


def test_another_run_of_one_place_cannot_be_seen_there_and_lines_are_scored(
    without_locks, model, tmp_path
):
    (tmp_path / "in.jsonl").write_text('{"messages": [{"role": "user", "content": "a"}]}\n' * 2)
    files = ("--input", tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl")
    status, said = without_locks("whole", "score", "--model", model, "--device", "cpu", *files)
    assert status == 0, said
    assert len(Path(tmp_path / "out.jsonl").read_text().splitlines()) == 2
    assert not (tmp_path / "out.jsonl.unfinished").exists()
    assert "has no locks" in said
