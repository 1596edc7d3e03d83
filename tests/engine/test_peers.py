"""Who of a launch is still there: over a board in memory, and with processes killed and stopped."""

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from random import random
from threading import Event
from time import monotonic, sleep

import pytest
from test_killed_runs import RUN, batches_kept, compute, scores, small_model

from rmeval.cli import main
from rmeval.engine.peers import Peers
from rmeval.engine.workers import Workers, _meet, join_workers
from rmeval.errors import BadOption, PeerLost

PATIENCE = 1.5
slow = pytest.mark.skipif(
    not os.environ.get("RMEVAL_SLOW_TESTS"), reason="needs RMEVAL_SLOW_TESTS=1"
)


class Board(dict):
    """A store in memory. `through` may hold up or break one process's way to it."""

    def __init__(self, texts, through=lambda: None):
        self.texts, self.through = texts, through

    def set(self, key, value):
        self.through()
        self.texts[key] = value.encode()

    def check(self, keys):
        self.through()
        return all(key in self.texts for key in keys)

    def get(self, key):
        self.through()
        return self.texts[key]


@pytest.fixture
def meeting():
    """Makes processes of a launch of three, which leave in the end."""
    texts, made = {}, []

    def meet(rank, through=lambda: None, patience=PATIENCE):
        made.append(Peers(Board(texts, through), rank, 3, "the board", patience))
        return made[-1]

    yield meet
    for peers in sorted(made, key=lambda peers: -peers.rank):
        peers._patience = 0.1
        peers.leave()


def together(*calls):
    """What each call returns or raises, all at once, and the seconds until the last."""
    begun = monotonic()
    with ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(call) for call in calls]
    found = [future.exception() or future.result() for future in futures]
    return found, monotonic() - begun


def test_each_is_told_what_all_say_by_rank_however_late_one_comes(meeting):
    """Also where the others say theirs between one look at the board and the next."""
    three = [meeting(rank, lambda: sleep(0.004 * random())) for rank in range(3)]

    def talk(peers):
        found = []
        for turn in range(15):
            sleep(0.05 * random())
            found.append(peers.gather([peers.rank, turn]))
        return found

    found, _ = together(*[lambda peers=peers: talk(peers) for peers in three])
    assert found == [[[[rank, turn] for rank in range(3)] for turn in range(15)]] * 3


def test_nobody_is_given_up_who_computes_for_longer_than_patience(meeting):
    three = [meeting(rank, patience=0.5) for rank in range(3)]
    late = [lambda p=p: (sleep(1.5 if p.rank == 2 else 0), p.gather(p.rank))[1] for p in three]
    assert together(*late)[0] == [[0, 1, 2]] * 3


@pytest.mark.parametrize("silent", [0, 1])
def test_who_falls_silent_is_named_by_all_others_in_patience(meeting, silent):
    stopped = Event()

    def through():
        while stopped.is_set():
            sleep(0.01)

    three = [meeting(rank, through if rank == silent else lambda: None) for rank in range(3)]
    together(*[lambda p=p: p.gather(None) for p in three])
    stopped.set()
    others = [p for p in three if p.rank != silent]
    found, seconds = together(*[lambda p=p: p.gather(None) for p in others])
    for error in found:
        assert isinstance(error, PeerLost)
        assert str(error).startswith(f"rank {silent} of 3 ({socket.gethostname()}, process ")
        assert "has not been heard of for 2 seconds" in str(error)
    assert PATIENCE - 0.2 < seconds < 4 * PATIENCE
    with pytest.raises(PeerLost):
        others[0].require_all()
    others[0].require_in_touch()  # what it has computed itself it may still keep
    sleep(PATIENCE / 2)
    stopped.clear()
    with pytest.raises(
        PeerLost, match=rf"rank {silent} of 3: this process was stopped, or cut off"
    ):
        three[silent].require_in_touch()


def test_who_ends_early_is_named_at_once_and_the_first_cause_is_handed_on(meeting):
    zero, one, two = (meeting(rank, patience=30) for rank in range(3))
    one._gone = "rank 9 is gone"
    two.leave()
    found, seconds = together(lambda: zero.gather(None))
    assert "rank 2 of 3 (" in str(found[0])
    assert "has ended before the others, and its own message says why" in str(found[0])
    assert seconds < 10
    one.leave()
    zero._gone = ""
    zero._others.pop(2)
    found, _ = together(lambda: zero.gather(None))
    assert str(found[0]).startswith("rank 9 is gone; what was scored is kept")


def test_a_store_that_breaks_or_hangs_is_said_and_not_waited_for(meeting):
    def breaks():
        raise RuntimeError("Connection reset by peer")

    def hangs():
        sleep(3 * PATIENCE)

    for through, told in ((breaks, "Connection reset"), (hangs, "the board does not answer")):
        with pytest.raises(PeerLost, match=told):
            meeting(0, through).gather(None)


def test_one_that_is_alone_waits_for_nobody():
    alone = Workers()
    alone.require_all()
    alone.require_in_touch()
    alone.require_same({"any": 1})
    assert alone.gather(3) == [3]


@pytest.mark.parametrize("value", ["0", "soon", "-3"])
def test_a_patience_that_is_none_is_refused(value, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RMEVAL_PATIENCE", value)
    with pytest.raises(BadOption, match=f"RMEVAL_PATIENCE={value} in the environment"):
        join_workers()
    _meet.cache_clear()


def test_unlike_cards_are_named_and_not_taken_for_other_files(meeting):
    def settings(rank, **other):
        card = ["NVIDIA H100", "NVIDIA H100", "NVIDIA H200"][rank]
        tokens = [8192, 8192, 16384][rank]
        engine = {"device": card, "batch_tokens": tokens, "path": "packed"}
        return {"model": {"fingerprint": "f", **other}, "engine": engine}

    three = [Workers(rank, 3, meeting(rank)) for rank in range(3)]
    found, _ = together(*[lambda w=w: w.require_same(settings(w.rank)) for w in three])
    for error in found:
        assert isinstance(error, BadOption)
        assert str(error) == (
            "the processes disagree about engine.device: NVIDIA H100 in rank 0, NVIDIA H200 in "
            "rank 2; start them on devices of one kind, or with `device='cpu'`"
        )
    found, _ = together(
        *[lambda w=w: w.require_same(settings(0, dtype=w.rank // 2)) for w in three]
    )
    assert str(found[1]) == (
        "the processes disagree about model.dtype: 0 in rank 0, 1 in rank 2; give each the same "
        "files, options and versions"
    )
    assert together(*[lambda w=w: w.require_same(settings(0)) for w in three])[0] == [None] * 3


# A process of a launch without a launcher. All is imported first: nothing but the run takes time.
# Process `victim` gets a signal when it has kept one batch, all are slow.
TOLD = """
import os, signal, sys, time
import rmeval.models.load, rmeval.benchmarks.reading.rows
from rmeval.cli import main
from rmeval.engine.store import ScoreStore
victim, name, *run = sys.argv[1:]
put = ScoreStore.put
def slow(store, *batch):
    put(store, *batch)
    time.sleep(0.05)
    if os.environ["RANK"] == victim and name != "none":
        os.kill(os.getpid(), getattr(signal, name))
ScoreStore.put = slow
sys.exit(main(run))
"""


def start(folder, count, victim, name, command, patience):
    """Starts the processes of a launch; returns them."""
    (folder / "told.py").write_text(TOLD)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(count)}
    return [
        subprocess.Popen(
            [sys.executable, folder / "told.py", str(victim), name, *command],
            env={
                **os.environ,
                **where,
                "RANK": str(rank),
                "RMEVAL_PATIENCE": str(patience),
                "HF_HUB_OFFLINE": "1",
                "OMP_NUM_THREADS": "1",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def ended(process, seconds=120):
    """The status of a process, and the last line that it said."""
    said = process.communicate(timeout=seconds)[1]
    return process.returncode, said.strip().splitlines()[-1] if said.strip() else ""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The command without its output folder, its batches, and its scores when nothing happens."""
    folder = tmp_path_factory.mktemp("runs")
    command = [*RUN, "--model", str(small_model(folder / "lab/small"))]
    return command, compute(command, folder / "whole"), scores(folder / "whole")


@pytest.mark.parametrize(
    ("count", "victim", "name"),
    [(2, 1, "SIGKILL"), (3, 1, "SIGSTOP"), pytest.param(3, 0, "SIGSTOP", marks=slow)],
)
def test_a_launch_ends_in_patience_and_what_was_finished_is_gone_on_from(
    run, tmp_path, count, victim, name
):
    command, batches, expected = run
    whole = [*command, "--output", str(tmp_path)]
    processes = start(tmp_path, count, victim, name, whole, 12)
    try:
        for rank in set(range(count)) - {victim}:
            status, line = ended(processes[rank])
            assert status == 2, line
            # the store is in rank 0, and silent with it
            silent = "127.0.0.1:" if victim == 0 else f"rank {victim} of {count} ("
            assert silent in line
            assert line.endswith("what was scored is kept: start the launch again to go on")
        kept = batches_kept(tmp_path)
        assert 1 <= kept < batches
        assert not list(tmp_path.rglob("result.json"))
        assert compute(command, tmp_path) == batches - kept
        assert scores(tmp_path) == expected
        files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        if name == "SIGKILL":
            assert processes[victim].wait() == -signal.SIGKILL
        else:
            processes[victim].send_signal(signal.SIGCONT)  # and it writes nothing more
            status, line = ended(processes[victim])
            assert (status, "start the launch again" in line) == (2, True), line
        assert files == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@slow
def test_a_launch_without_a_launcher_ends_with_the_bytes_of_one_process(run, tmp_path):
    whole = [*run[0], "--output", str(tmp_path)]
    for process in start(tmp_path, 2, 9, "none", whole, 300):
        assert ended(process)[0] == 0
    assert scores(tmp_path) == run[2]
    assert batches_kept(tmp_path) == run[1]
    assert main([*whole]) == 0
