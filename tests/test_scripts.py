"""The scripts, each run on little; those for a GPU as far as they go without one."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rmeval.cards import find_card

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "scripts"))


@pytest.fixture(
    params=[
        "bench",
        "bench_serve",
        "gate_error_rates",
        "gpu",
        "interval_coverage",
        "train_demo_model",
    ]
)
def script(request):
    return importlib.import_module(request.param)


def test_a_script_says_what_it_does(script, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [script.__name__, "--help"])
    with pytest.raises(SystemExit) as ended:
        script.main()
    assert ended.value.code == 0
    assert script.__doc__.splitlines()[0] in " ".join(capsys.readouterr().out.split())


def test_the_bench_reads_real_rows_and_makes_some_of_the_same_lengths(shared):
    import bench

    rows, _ = bench.read_sequences(shared / "hub" / "reward-bench-standin", 2, 1000)
    made, seconds = bench.read_sequences(Path("/nowhere"), 2, 1000)
    assert (len(rows), len(made), seconds) == (4, 4, 0.0)
    assert all(0 <= row.min() <= row.max() < 1000 for row in [*rows, *made])


def columns_of(out: str, *, between: str = r"  +") -> list[list[str]]:
    """The cells of the first table that was printed, its header first."""
    lines = out[: out.find("\n\n", out.index("--"))].splitlines()
    rule = next(place for place, line in enumerate(lines) if set(line) <= set("-:| ") and line)
    rows = [lines[rule - 1], *lines[rule + 1 :]]
    return [re.split(between, row.strip("| ")) for row in rows]


def test_the_bench_measures_every_way_and_holds_it_to_one_at_a_time(monkeypatch, capsys, tmp_path):
    import bench

    monkeypatch.setitem(bench.SHAPES, "small", (64, 2, 4, 2, 128, 1024))
    few = ["--rows=3", "--rounds=2", "--checked=6", "--peer", "2", "3"]
    bench.main([*few, "--data", str(tmp_path / "none")])
    head, *rows = columns_of(capsys.readouterr().out)
    found = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    assert list(found) == ["peer, batch 2", "peer, batch 3", "rmeval, padded", "rmeval, packed"]
    assert all(float(way["max difference"]) < 1e-5 for way in found.values())
    tokens = [int(way["tokens"].replace(",", "")) for way in found.values()]
    assert min(tokens) == tokens[-1] < tokens[-2]


def test_the_error_rates_of_the_gate_are_none_where_nothing_changes(monkeypatch, capsys):
    import gate_error_rates

    from rmeval.metrics import paired

    monkeypatch.setattr(paired, "FLIPS", paired.FLIPS)  # the script sets it for good
    gate_error_rates.main(["--runs", "5"])
    head, *rows = columns_of(capsys.readouterr().out)
    assert len(rows) == 11
    assert head[-3:] == ["overall", "section", "subset"]
    rates = {(row[0], float(row[1])): [float(cell) for cell in row[-3:]] for row in rows}
    assert rates["losses only", 0.0] == [0, 0, 0]
    assert rates["losses only", 3.0] == rates["both directions", 3.0] == [100, 100, 100]


def test_intervals_of_a_few_drawn_benchmarks_are_told_by_kind(capsys):
    import interval_coverage

    interval_coverage.main(["--runs", "4"])
    _, *rows = columns_of(capsys.readouterr().out, between=r" *\| *")
    assert [row[0] for row in rows] == [design.name for design in interval_coverage.DESIGNS]
    shares = [float(cell) for row in rows for cell in row[1:-1]]
    assert set(shares) <= {0, 25, 50, 75, 100}
    assert sum(shares) / len(shares) > 75


def test_intervals_of_right_answers_are_told_by_what_they_are_of(capsys):
    import interval_coverage

    interval_coverage.main(["--runs", "2", "--answers"])
    head, *rows = columns_of(capsys.readouterr().out, between=r" *\| *")
    assert head[1:4] == ["best of 1", "best of 2", "best of all"]
    assert len(rows) == len(interval_coverage.ANSWERED)
    assert {float(cell) for row in rows for cell in row[1:]} <= {0, 50, 100}


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
        return gpu.Finding("1 s", "1 s", True, {"seconds": 1})

    monkeypatch.setattr(gpu, "STEPS", [broken, sound])
    monkeypatch.setattr(sys, "argv", ["gpu", "--json", str(tmp_path / "found.json")])
    assert gpu.main() == 1
    assert "not as expected: broken" in capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["wrong"] == ["broken"]
    assert found["steps"]["sound"]["figure"] == "1 s"
    assert found["steps"]["sound"]["facts"] == {"seconds": 1}


def test_a_machine_without_a_gpu_is_told_so(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    done = subprocess.run(
        [ROOT / "scripts" / "gpu"],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    assert (done.returncode, "has a torch that sees a GPU" in done.stderr) == (2, True)


def test_the_model_of_a_gpus_seconds_prints_its_assumptions_and_a_table(capsys):
    import gpu_model

    gpu_model.main(["h100-80gb", "l4-24gb"])
    out = capsys.readouterr().out
    assert all(name.lower().replace("_", " ") in out for name in gpu_model.ASSUMPTIONS)
    rows = [line.split() for line in out.splitlines() if line.startswith(("h100", "l4"))]
    assert [row[:2] for row in rows[:5]] == [["h100-80gb", size] for size in gpu_model.SHAPES]
    assert len(rows) == 10
    documented = (ROOT / "docs/large-runs.md").read_text()
    assert all(" ".join(row) in re.sub(" +", " ", documented) for row in [rows[0], *rows[2:5]])
    # 14.36 PFLOP at 85 % of 798 TFLOP/s, and the 7B's and 8B's bodies are of one size
    assert rows[1][2] == rows[2][2] == "21.16"


@pytest.mark.parametrize("size", ["1.8b", "8b", "20b", "70b"])
def test_the_sizes_in_the_model_are_those_of_real_networks(size):
    import bench
    import gpu_model
    import torch
    import transformers as hf

    from rmeval.engine.estimate import shape_of
    from rmeval.engine.memory import flops_per_token
    from rmeval.models.network import Network

    named = {"1.8b": "internlm2-1.8b", "8b": "llama-8b", "20b": "internlm2-20b"}
    sizes = {**bench.SHAPES, "70b": (8192, 80, 64, 8, 28672, 128256)}[named.get(size, size)]
    hidden, layers, heads, kv_heads, feed_forward, vocabulary = sizes
    config = hf.LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        intermediate_size=feed_forward,
    )
    with torch.device("meta"):
        network = Network(hf.AutoModel.from_config(config), None)
    assert shape_of(config) == gpu_model.SHAPES[size]
    assert flops_per_token(network) == 2 * gpu_model.weights(shape_of(config))


@pytest.fixture
def rehearsed(monkeypatch, tmp_path):
    """Runs steps of scripts/gpu on a CPU; returns its status, and what it has written."""
    import gpu

    def run(*steps):
        file = tmp_path / "found.json"
        monkeypatch.setattr(
            sys, "argv", ["gpu", "--rehearse", "--json", str(file), "--only", *steps]
        )
        return gpu.main(), json.loads(file.read_text())

    return run


def test_every_step_for_a_gpu_runs_here_as_far_as_it_can(rehearsed, capsys):
    import gpu_steps

    names = [step.__name__ for step in gpu_steps.STEPS]
    status, kept = rehearsed(*[name for name in names if name not in ("tests", "processes")])
    out = capsys.readouterr().out
    assert (status, kept["wrong"], kept["rehearsed"]) == (0, [], True), out
    assert "all steps run; nothing was measured" in out
    steps = kept["steps"]
    assert len(steps) == len(names) - 2
    assert steps["kernel"]["holds"]
    assert steps["llama-8b"]["facts"]["rmeval, packed"] > 0
    assert steps["llama-8b"]["expected"] == "no card of the table is here: nothing"
    assert 0 <= steps["profile"]["facts"]["idle"] < 1


@pytest.mark.skipif(not os.environ.get("RMEVAL_SLOW_TESTS"), reason="needs RMEVAL_SLOW_TESTS=1")
def test_the_steps_in_processes_of_their_own_run_here(rehearsed):
    status, kept = rehearsed("tests", "processes")
    assert status == 0
    assert kept["steps"]["processes"]["figure"] == "12 rows, the same bytes"


def test_what_a_run_has_written_is_a_table_for_the_documents(rehearsed, monkeypatch, capsys):
    import gpu

    rehearsed("versions")
    file = sys.argv[sys.argv.index("--json") + 1]
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["gpu", "--table", file])
    assert gpu.main() == 0
    out = capsys.readouterr().out
    assert out.startswith("Rehearsed on a CPU: no figure here is a GPU's.")
    assert "| versions" in out


def test_kernels_that_overlap_keep_a_card_busy_once():
    import gpu_steps

    # busy from 0 to 30, waiting until 40, busy until 50
    kernels = [("mm", 0, 20), ("index", 10, 30), ("mm", 12, 18), ("norm", 40, 50)]
    idle, shares = gpu_steps.look_into(kernels)
    assert idle == pytest.approx(0.2)
    in_all = 20 + 20 + 6 + 10
    assert list(shares.items()) == [
        ("mm", pytest.approx(26 / in_all)),
        ("index", pytest.approx(20 / in_all)),
        ("norm", pytest.approx(10 / in_all)),
    ]


@pytest.mark.parametrize(
    ("called", "gib", "name"),
    [
        ("NVIDIA H100 80GB HBM3", 79.2, "h100-80gb"),
        ("NVIDIA H200", 139.8, "h200-141gb"),
        ("NVIDIA A100-SXM4-40GB", 39.5, "a100-40gb"),
        ("NVIDIA GeForce RTX 4090", 23.6, "rtx4090-24gb"),
        ("NVIDIA L40S", 44.5, "l40s-48gb"),
        ("Tesla T4", 14.6, None),
    ],
)
def test_a_card_is_held_to_the_model_of_its_own_name(monkeypatch, called, gib, name):
    import gpu_model
    import gpu_steps
    import torch

    here = type("Here", (), {"total_memory": gib * 2**30})
    monkeypatch.setattr(gpu_steps, "on_gpu", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: called)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: here)
    assert gpu_steps.card_here() == name
    fast = gpu_steps.held_to_the_model("1 s", {"rmeval, packed": 1.0}, "8b")
    slow = gpu_steps.held_to_the_model("9 h", {"rmeval, packed": 32400.0}, "8b")
    assert (fast.holds, slow.holds) == ((True, False) if name else (None, None))
    if name:
        whole = sum(gpu_model.expected("8b", find_card(name)).values())
        assert fast.facts["model"] == pytest.approx(whole, abs=0.01)


def test_the_bench_of_the_server_holds_both_servers_to_the_engine(monkeypatch, capsys, tmp_path):
    import bench
    import bench_serve

    monkeypatch.setitem(bench.SHAPES, "small", (64, 2, 4, 2, 128, 1024))
    few = ["--requests=6", "--clients", "1", "4", "--saturated=9", "--calm=5"]
    bench_serve.main([*few, "--data", str(tmp_path / "none")])
    out = capsys.readouterr().out
    tables = [columns_of(part) for part in out.split("\ndue: ")[1:]]
    assert len(tables) == 2
    for head, *rows in tables:
        found = [dict(zip(head, row, strict=True)) for row in rows]
        assert [(int(row["clients"]), row["server"]) for row in found] == [
            (clients, server) for clients in (1, 4) for server in ("blocking", "rmeval serve")
        ]
        assert all(float(row["max difference"]) < 1e-5 for row in found)
        assert all(float(row["p50"][:-2]) <= float(row["p99"][:-2]) for row in found)
