"""Several processes share one run: balanced, agreed, and the same bytes as one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_killed_runs import RUN, batches_kept, compute, scores, small_model

from rmeval.engine.workers import Workers

slow = pytest.mark.skipif(
    not os.environ.get("RMEVAL_SLOW_TESTS"), reason="needs RMEVAL_SLOW_TESTS=1"
)
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
# What each process finds: in agreement, in disagreement, sharing, with other settings; then a whole
# run, and at last one of which process 1 is killed when it has kept one batch.
TOLD = """
import json, os, signal, sys, time
from pathlib import Path
from fake_networks import Adding, network
from rmeval.cli import main
from rmeval.engine.once import once_a_machine
from rmeval.engine.scoring import Engine, score_sequences
from rmeval.engine.store import ScoreStore
from rmeval.engine.workers import join_workers
from rmeval.errors import BadOption
from rmeval.models.checkpoints.checkpoint import Checkpoint

folder, run = Path(sys.argv[1]), sys.argv[2:]
workers, told = join_workers(), {}
told["place"] = [workers.rank, workers.count]
told["agreed"] = workers.broadcast([[3, 5], [3, 5, 7]][workers.rank], "same")
try:
    workers.broadcast([1], f"other {workers.rank}")
except BadOption as error:
    told["refused"] = str(error)
told["hashed"] = once_a_machine(workers, "one checkpoint", lambda: workers.rank)
told["others"] = once_a_machine(workers, f"checkpoint {workers.rank}", lambda: workers.rank)
time.sleep(0.3 * workers.rank)  # process 1 is late, in opening its part and in every pass
store = ScoreStore(folder / "shared", {}, part=workers.rank)
net = network(Adding(lambda ids: time.sleep(0.3 * workers.rank)))
sequences = [[number, 1] for number in range(8)]
told["rewards"] = score_sequences(net, sequences, Engine(4), store=store, workers=workers)
told["computed"] = sorted(net.backbone.calls)
try:
    dtype = ["float32", "float64"][workers.rank]
    told["status"] = main([*run, "--dtype", dtype, "--output", str(folder / "mixed")])
except AssertionError as error:
    told["status"] = f"AssertionError: {error}"
told["apart"] = main([*run, "--output", str(folder / f"apart.{workers.rank}")])
fingerprint, told["weights_read"] = Checkpoint.fingerprint, 0
def counted(checkpoint):
    told["weights_read"] += 1
    return fingerprint(checkpoint)
Checkpoint.fingerprint = counted
main([*run, "--output", str(folder / "both")])
(folder / f"told.{workers.rank}.json").write_text(json.dumps(told))
put = ScoreStore.put
def killed(store, *batch):
    put(store, *batch)
    if workers.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
ScoreStore.put = killed
main([*run, "--output", str(folder / "killed")])
"""


@given(costs=st.lists(st.integers(1, 1000), max_size=40), count=st.integers(1, 6))
def test_the_shares_are_a_partition_and_balanced(costs, count):
    shares = [Workers(rank, count).partition(costs) for rank in range(count)]
    assert sorted(place for share in shares for place in share) == list(range(len(costs)))
    assert all(share == sorted(share) for share in shares)
    loads = [sum(costs[place] for place in share) for share in shares]
    assert max(loads) - min(loads) <= max(costs, default=0)


def test_shares_worked_by_hand():
    # 9 to the first, 7 to the second, 5 to the second, 4 to the first, 1 to the second
    assert Workers(0, 2).partition([5, 9, 1, 7, 4]) == [1, 4]
    assert Workers(1, 2).partition([5, 9, 1, 7, 4]) == [0, 2, 3]


def test_one_process_agrees_with_itself_and_does_all():
    alone = Workers()
    assert alone.broadcast([4, 2], "any") == [4, 2]
    assert alone.partition([3, 1, 2]) == [0, 1, 2]
    alone.barrier()


def launch(count, *arguments):
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    inherited = [path for path in [os.environ.get("PYTHONPATH")] if path]
    return subprocess.run(
        [*LAUNCH, str(count), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        env={
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([*inherited, *paths]),
        },
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The command without its output folder, its batches, and its scores from one process."""
    folder = tmp_path_factory.mktemp("runs")
    command = [*RUN, "--model", str(small_model(folder / "lab/small"))]
    return command, compute(command, folder / "whole"), scores(folder / "whole")


@pytest.fixture(scope="module")
def two(run, tmp_path_factory):
    """The folder of two processes that ran `TOLD`; what each told; and how they ended."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "told.py").write_text(TOLD)
    ended = launch(2, folder / "told.py", folder, *run[0])
    files = sorted(folder.glob("told.*.json"))
    assert len(files) == 2, ended.stderr
    return folder, [json.loads(file.read_text()) for file in files], ended


def test_two_processes_know_their_places_and_agree_on_rank_0s_list(two):
    assert [told["place"] for told in two[1]] == [[0, 2], [1, 2]]
    assert [told["agreed"] for told in two[1]] == [[3, 5]] * 2


def test_one_process_of_a_machine_reads_the_weights_for_their_hash_and_tells_the_others(two):
    assert [told["hashed"] for told in two[1]] == [0, 0]
    assert [told["others"] for told in two[1]] == [0, 1], "of other checkpoints each reads its own"
    assert [told["weights_read"] for told in two[1]] == [1, 0]


def test_two_processes_that_see_other_data_are_both_refused(two):
    for told in two[1]:
        assert told["refused"].startswith("the processes do not see the same rows")


def test_two_processes_compute_every_batch_once_and_know_all_rewards(two):
    assert [told["rewards"] for told in two[1]] == [[100.0 + n + 1 for n in range(8)]] * 2
    computed = [told["computed"] for told in two[1]]
    assert [len(batches) for batches in computed] == [2, 2]
    assert sorted(computed[0] + computed[1]) == [[[n, 1], [n + 1, 1]] for n in range(0, 8, 2)]


def test_two_processes_with_other_settings_are_refused_before_they_compute(two):
    folder, told, ended = two
    assert [each["status"] for each in told] == [2, 2]
    assert (
        "the processes disagree about model.dtype: float32 in rank 0, float64 in rank 1; give "
        in (ended.stderr)
    )
    assert batches_kept(folder / "mixed") == 0


def test_two_processes_with_folders_of_their_own_are_refused_before_they_compute(two):
    folder, told, ended = two
    assert [each["apart"] for each in told] == [2, 2]
    assert "is not one folder for all 2 processes" in ended.stderr
    assert [batches_kept(folder / f"apart.{rank}") for rank in (0, 1)] == [0, 0]


def test_what_a_killed_process_and_its_companion_kept_is_gone_on_from(two, run, tmp_path):
    folder, _, ended = two
    command, batches, expected = run
    assert ended.returncode != 0
    kept = batches_kept(folder / "killed")
    assert 1 < kept < batches
    assert not list((folder / "killed").rglob("result.json"))
    assert len(list((folder / "killed").rglob("*.sqlite"))) == 2
    assert compute(command, folder / "killed") == batches - kept
    assert scores(folder / "killed") == expected


def test_two_processes_write_the_same_bytes_as_one(run, two):
    output, (_, batches, expected) = two[0] / "both", run
    assert scores(output) == expected
    assert batches_kept(output) == batches
    parts = sorted(output.rglob("*.sqlite"))
    assert [path.name.partition(".")[2] for path in parts] == ["part-1.sqlite", "sqlite"]
    assert two[2].stdout.count("kept in") == 1  # rank 0 speaks for all


@slow
def test_the_launched_command_writes_the_same_bytes_as_one_process(run, tmp_path):
    ended = launch(2, "-m", "rmeval", *run[0], "--output", tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert scores(tmp_path) == run[2]
    assert batches_kept(tmp_path) == run[1]
    assert ended.stdout.count("kept in") == 1


@slow
def test_three_processes_go_on_from_what_two_left(run, two, tmp_path):
    command, batches, expected = run
    (tmp_path / "told.py").write_text(TOLD)
    assert launch(2, tmp_path / "told.py", tmp_path, *command).returncode != 0
    kept = batches_kept(tmp_path / "killed")
    assert 1 < kept < batches
    ended = launch(3, "-m", "rmeval", *command, "--output", tmp_path / "killed")
    assert ended.returncode == 0, ended.stderr
    assert scores(tmp_path / "killed") == expected
    assert batches_kept(tmp_path / "killed") == batches
