"""The measurement behind docs/intervals.md still runs, on few benchmarks."""

import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "coverage.py"


def test_a_few_benchmarks_are_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--runs", "4"])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split("|")[1:3] == [" subsets                            ", " one model   "]
    shares = [float(cell) for line in lines[4:] for cell in line.split("|")[2:6]]
    assert len(shares) == 4 * 26
    assert sum(shares) / len(shares) > 90
