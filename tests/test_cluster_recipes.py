"""The recipes for clusters: each one's own command line is run, shard by shard, on this machine."""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "configs/clusters"
sys.path.append(str(ROOT / "tests/commands"))

from command_line import small_model  # noqa: E402
from test_shards import FILES, Job  # noqa: E402

from rmeval.cli import main  # noqa: E402


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


@pytest.fixture
def whole(job: Job) -> dict[str, bytes]:
    """What one process makes, with the options that the recipes give."""
    assert main(["score", "--model", str(job.model), *files(job, "one")]) == 0
    return job.made("one")


def files(job: Job, output: str) -> list[str]:
    return ["--input", f"{job.files}/*.jsonl", "--output", str(job.folder / output)]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which `rmeval` is this one."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    rmeval = bin_folder / "rmeval"
    rmeval.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m rmeval "$@"\n')
    rmeval.chmod(0o755)
    path = f"{bin_folder}:{os.environ['PATH']}"
    python = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PATH": path, "PYTHONPATH": python, "HF_HUB_OFFLINE": "1"}


def test_the_jobs_of_a_slurm_array_make_what_one_process_makes(
    job: Job, whole: dict[str, bytes], environment: dict[str, str]
) -> None:
    script = str(RECIPES / "slurm.sbatch")
    subprocess.run(["bash", "-n", script], check=True)
    for index in range(2):
        array = {"SLURM_ARRAY_TASK_ID": str(index), "SLURM_ARRAY_TASK_COUNT": "2"}
        asked = [str(job.model), f"{job.files}/*.jsonl", str(job.folder / "out")]
        subprocess.run(["bash", script, *asked], check=True, env={**environment, **array})
    assert job.made("out") == whole


def test_the_pods_of_a_kubernetes_job_make_what_one_process_makes(
    job: Job, whole: dict[str, bytes]
) -> None:
    """Kubernetes puts the pod's index in the place of $(JOB_COMPLETION_INDEX)."""
    made: dict[str, Any] = yaml.safe_load((RECIPES / "kubernetes.yaml").read_text())
    spec = made["spec"]
    assert (made["kind"], spec["completionMode"], spec["parallelism"]) == ("Job", "Indexed", 8)
    [container] = spec["template"]["spec"]["containers"]
    [mount], [volume] = container["volumeMounts"], spec["template"]["spec"]["volumes"]
    assert mount["name"] == volume["name"]
    (job.folder / "checkpoint").symlink_to(job.model)
    program, *words = container["command"]
    assert program == "rmeval"
    for index in range(spec["completions"]):
        here = [word.replace("$(JOB_COMPLETION_INDEX)", str(index)) for word in words]
        assert main([word.replace(mount["mountPath"], str(job.folder)) for word in here]) == 0
    assert job.made("out").keys() == whole.keys()
    assert len(whole) == FILES
    assert job.made("out") == whole


def test_the_tasks_of_a_ray_cluster_make_what_one_process_makes(
    job: Job, whole: dict[str, bytes], environment: dict[str, str]
) -> None:
    pytest.importorskip("ray")
    shards = ["--shards", "2", "--gpus", "0", "--", "--model", str(job.model)]
    script = [sys.executable, str(RECIPES / "ray_score.py")]
    subprocess.run([*script, *shards, *files(job, "out")], check=True, env=environment)
    assert job.made("out") == whole


def test_a_shard_that_fails_fails_the_launch(
    job: Job, environment: dict[str, str], tmp_path: Path
) -> None:
    """Without Ray: what it would run is run here, at once."""
    (tmp_path / "ray.py").write_text(
        "init = lambda address: None\n"
        "get = lambda found: found\n"
        "class remote:\n"
        "    def __init__(self, **options): pass\n"
        "    def __call__(self, task): self.remote = task; return self\n"
    )
    python = f"{tmp_path}:{environment['PYTHONPATH']}"
    (job.files / "3.jsonl").write_text("{}\n")
    shards = ["--shards", "3", "--", "--model", str(small_model(tmp_path / "m"))]
    ended = subprocess.run(
        [sys.executable, str(RECIPES / "ray_score.py"), *shards, *files(job, "out")],
        env={**environment, "PYTHONPATH": python},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert "3.jsonl line 1: no field messages" in ended.stderr
    assert ended.stderr.endswith("not whole, for the reasons above: shards 0/3\n")
    assert len(job.made("out")) == 3
