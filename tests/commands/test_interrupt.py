"""Ctrl-C in a real process: status 130, one line, and nothing lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from command_line import small_model

SLOWLY = """
import sys, time
from rmeval.cli import main
from rmeval.engine.store import ScoreStore
put = ScoreStore.put
def slow(store, *batch):
    put(store, *batch)
    time.sleep(0.2)
ScoreStore.put = slow
sys.exit(main(sys.argv[1:]))
"""


def test_control_c_stops_a_process_at_once_and_keeps_what_was_scored(tmp_path: Path) -> None:
    model, output = small_model(tmp_path / "lab/small"), tmp_path / "out"
    run = ["run", "--benchmark", "demo", "--device", "cpu", "--batch-tokens", "256"]
    process = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, *run, "--model", str(model), "--output", str(output)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )
    patience = time.monotonic() + 60
    while not list(output.rglob("*.sqlite")) and time.monotonic() < patience:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "rmeval: interrupted; run the same command again to resume"
    assert "Traceback" not in err
    assert not list(output.rglob("result.json"))
    assert list(output.rglob("*.sqlite"))
