"""kill -9 at any moment: the same command again ends with the same bytes, nothing done twice."""

import json
import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "commands"))

from command_line import count_batches, small_model

from rmeval.cli import main

RUN = ["run", "--benchmark", "demo", "--device", "cpu", "--limit", "23", "--batch-tokens", "200"]
PAUSE = 0.02  # after each batch, so that most moments fall between first and last
# Forks a run for each [folder, seconds], with all imports done; kills it so long after its store
# has appeared, or after its start where the store was there before.
KILLER = f"""
import json, os, signal, sys, time
from pathlib import Path
import rmeval.models.load, rmeval.benchmarks.reading.rows
from rmeval.cli import main
from rmeval.engine.store import ScoreStore
put = ScoreStore.put
def slow(store, *batch):
    put(store, *batch)
    time.sleep({PAUSE})
ScoreStore.put = slow
for folder, seconds in json.loads(sys.argv[1]):
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(main([*sys.argv[2:], "--output", folder]))
    while not list(Path(folder).rglob("*.sqlite")):
        time.sleep(0.001)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The command without its output folder, its batches, and its scores when nothing happens."""
    folder = tmp_path_factory.mktemp("runs")
    command = [*RUN, "--model", str(small_model(folder / "lab/small"))]
    computed = compute(command, folder / "whole")
    return command, computed, scores(folder / "whole")


def compute(command, output):
    """Runs to the end; returns how many batches were computed."""
    with pytest.MonkeyPatch.context() as patch:
        computed = count_batches(patch)
        assert main([*command, "--output", str(output)]) == 0
    return len(computed)


def scores(output):
    return (output / "demo/lab__small/scores.jsonl").read_bytes()


def kill(command, moments):
    """Starts a run for each folder and moment in turn, and kills it at that moment."""
    subprocess.run(
        [sys.executable, "-c", KILLER, json.dumps(moments), *command],
        check=True,
        timeout=600,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )


def batches_kept(output):
    """How many batches the store of a killed run holds."""
    kept = 0
    for path in output.rglob("*.sqlite"):
        with sqlite3.connect(path) as database:
            tables = database.execute("SELECT name FROM sqlite_master").fetchall()
            if ("batches",) in tables:
                kept += database.execute("SELECT count(*) FROM batches").fetchone()[0]
        database.close()
    return kept


def require_the_same_end(run, output):
    command, batches, expected = run
    assert not list(output.rglob("*.damaged"))
    kept = batches_kept(output)
    assert compute(command, output) == batches - kept
    assert scores(output) == expected
    assert batches_kept(output) == batches
    return kept


def test_a_run_killed_at_any_moment_goes_on_and_ends_the_same(run, tmp_path):
    moments = {"at once": 0.0, "a": 0.1, "b": 0.2, "c": 0.3}
    kill(run[0], [[str(tmp_path / name), seconds] for name, seconds in moments.items()])
    kept = [require_the_same_end(run, tmp_path / name) for name in moments]
    assert kept[0] < run[1]
    assert kept[-1] > 0


@pytest.mark.skipif(not os.environ.get("RMEVAL_SLOW_TESTS"), reason="needs RMEVAL_SLOW_TESTS=1")
def test_a_hundred_random_moments(run, tmp_path):
    """Every tenth run is killed five times before it may end."""
    draw = random.Random(0)
    moments = [
        [str(tmp_path / str(number)), draw.uniform(0, 0.7)]
        for number in range(60)
        for _ in range(5 if number % 6 == 0 else 1)
    ]
    assert len(moments) == 100
    kill(run[0], moments)
    kept = [require_the_same_end(run, tmp_path / str(number)) for number in range(60)]
    assert sum(0 < count < run[1] for count in kept) > 20  # most were killed in the midst
