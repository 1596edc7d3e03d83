"""`rmeval list`."""

from command_line import Capture, done

from rmeval.benchmarks import BENCHMARKS
from rmeval.known import known_checkpoints
from rmeval.models import FAMILIES


def test_list_shows_adapters_benchmarks_and_checkpoints(capsys: Capture) -> None:
    out, err = done(capsys, "list")
    names = [entry.name for registry in (FAMILIES, BENCHMARKS) for entry in registry]
    for name in [*names, *known_checkpoints()]:
        assert any(line.startswith(f"{name} ") for line in out.splitlines()), name
    assert err == ""


def test_a_published_score_stands_with_its_weighting(capsys: Capture) -> None:
    out, _ = done(capsys, "list")
    line = next(line for line in out.splitlines() if line.startswith("internlm/internlm2-1_8b"))
    assert line.split()[1:] == ["internlm2", "1.8B", "80.6", "rewardbench-v1-2024-07"]
