"""The scripts for a GPU, as far as they go without one."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "scripts"))


@pytest.fixture(params=["bench", "gpu"])
def script(request):
    return importlib.import_module(request.param)


def test_a_script_says_what_it_does(script, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [script.__name__, "--help"])
    with pytest.raises(SystemExit) as ended:
        script.main()
    assert ended.value.code == 0
    assert script.__doc__.splitlines()[0] in capsys.readouterr().out


def test_the_bench_reads_real_rows_and_makes_some_of_the_same_lengths(shared):
    import bench

    rows, _ = bench.read_sequences(shared / "hub" / "reward-bench-standin", 2, 1000)
    made, seconds = bench.read_sequences(Path("/nowhere"), 2, 1000)
    assert (len(rows), len(made), seconds) == (4, 4, 0.0)
    assert all(0 <= row.min() <= row.max() < 1000 for row in [*rows, *made])


def test_the_bench_says_why_a_model_is_not_packed(monkeypatch):
    import bench

    monkeypatch.setattr(bench, "as_network", lambda model: model)
    monkeypatch.setattr(bench, "why_not_packed", lambda network: "no kernel")
    with pytest.raises(SystemExit, match="cannot pack this model here: no kernel"):
        bench.list_ways(None, [], None)


def test_packages_that_a_machine_lacks_are_named_at_once(monkeypatch, capsys):
    import gpu

    monkeypatch.setattr(gpu, "NEEDED", ("torch", "no_such", "nor_this"))
    monkeypatch.setattr(sys, "argv", ["gpu"])
    assert gpu.main() == 2
    assert "pip download --no-deps --dest wheels no_such nor_this" in capsys.readouterr().err


def test_a_step_that_breaks_is_a_finding_and_the_others_go_on(monkeypatch, capsys, tmp_path):
    import gpu

    def broken(options):
        raise RuntimeError("CUDA error")

    def sound(options):
        return gpu.Finding("1 s", "1 s", True)

    monkeypatch.setattr(gpu, "STEPS", [broken, sound])
    monkeypatch.setattr(sys, "argv", ["gpu", "--json", str(tmp_path / "found.json")])
    assert gpu.main() == 1
    assert "not as expected: broken" in capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["wrong"] == ["broken"]
    assert found["steps"]["sound"]["figure"] == "1 s"


def test_a_machine_without_a_gpu_is_told_so(tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    done = subprocess.run(
        [ROOT / "scripts" / "gpu"],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    assert (done.returncode, "has a torch that sees a GPU" in done.stderr) == (2, True)
