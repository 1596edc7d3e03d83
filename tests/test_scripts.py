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

import rmeval

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "scripts"))


@pytest.fixture(
    params=["bench", "gate_error_rates", "gpu", "interval_coverage", "train_demo_model"]
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


def write_known_pairs(folder: Path) -> Path:
    """Prompts with a good answer and a poor one, in the two files of real pairs."""
    for name, end in (("hh_rlhf_harmless", "Gladly."), ("gsm8k_pairs", "\nA: {}")):
        rows = [
            {
                "prompt": [{"role": "user", "content": f"{name}: what is {n} and {n}?"}],
                "chosen": [f"Let me add {n} to {n}. " + end.format(2 * n)],
                "rejected": ["That is no question. " + end.format(n)],
            }
            for n in range(60)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_the_demonstration_model_is_trained_and_its_export_scores_alike(
    tmp_path, capsys, monkeypatch
):
    import train_demo_model

    trained, build = [], train_demo_model.TinyRewardModel
    monkeypatch.setattr(
        train_demo_model,
        "TinyRewardModel",
        lambda config: trained.append(build(config)) or trained[0],
    )
    out = tmp_path / "model"
    out.mkdir()
    (out / "old").touch()
    few = ["--updates=3", "--epochs=1", "--generated=20", "--data"]
    train_demo_model.main([*few, str(write_known_pairs(tmp_path)), "--out", str(out)])
    card = (out / "README.md").read_text(encoding="utf-8")
    assert card in capsys.readouterr().out
    assert "seed 0: 3 updates" in card
    assert re.search(r"^\| all \| \d+ \| \d+\.\d \|", card, re.M)
    assert not (out / "old").exists()
    model = rmeval.load_model(out, device="cpu")
    assert model.family.name == "internlm2"
    ids = [[1, 40, 50, 4096], [1, 4, 3, 2, 4096]]
    own = [trained[0](torch.tensor([row]), torch.tensor([len(row) - 1])).item() for row in ids]
    assert model.score_tokens(ids) == pytest.approx(own, abs=3e-3)  # written in half precision
    assert abs(own[0] - own[1]) > 0.01


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
    if torch.cuda.is_available():
        pytest.skip("there is one")
    done = subprocess.run(
        [ROOT / "scripts" / "gpu"],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    assert (done.returncode, "has a torch that sees a GPU" in done.stderr) == (2, True)
