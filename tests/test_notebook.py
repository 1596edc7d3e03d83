"""In a notebook, a real kernel: a bar, an interrupt that loses nothing, a judge on a server."""

import pytest
from loopback import Loopback, choices

from rmeval.notebook import notebook_progress, progress_bar
from rmeval.records import Progress

EVALUATE = """
import rmeval
from rmeval.records import Progress

class Slow:
    name = "slow"
    stop = True

    def provenance(self):
        return {"version": 1}

    def score_preferences(self, rows, store=None, on_progress=None, **how):
        from rmeval.duels import scored_row
        done = []
        for number, row in enumerate(rows, 1):
            digest = row.digest.encode()
            if (kept := store.get_bytes(digest)) is None:
                if number == 4 and self.stop:
                    import signal
                    signal.raise_signal(signal.SIGINT)
                kept = str(number).encode()
                store.put_bytes(digest, kept)
                computed.append(number)
            scores = [rmeval.Score(value, 1, False) for value in (float(kept), 0.0)]
            done.append(scored_row(row, scores))
            on_progress(Progress(number, len(rows), len(rows)))
        return done

computed = []
model, benchmark = Slow(), rmeval.load_benchmark("demo")
rmeval.evaluate(model, benchmark, limit=6, output="results").overall
"""
AGAIN = """
model.stop = False
rmeval.evaluate(model, benchmark, limit=6, output="results")
computed
"""
JUDGE = """
import asyncio
assert asyncio.get_running_loop().is_running()
rmeval.load_judge("tiny", endpoint=URL).compare("Why?", "because", "so")
"""


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    return tmp_path


def outputs(cell, kind):
    return [output for output in cell.outputs if output.output_type == kind]


@pytest.mark.filterwarnings("ignore")  # of Jupyter's own libraries
def test_a_notebook_shows_a_bar_loses_nothing_and_asks_a_server(kernel):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    pytest.importorskip("openai")
    with Loopback().run() as server:
        server.answer = lambda asked: choices("I say [[A]]")
        cells = [EVALUATE, AGAIN, f"URL = {server.url!r}\n{JUDGE}"]
        notebook = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, cells)])
        resources = {"metadata": {"path": str(kernel)}}
        nbclient.NotebookClient(
            notebook, timeout=60, allow_errors=True, resources=resources
        ).execute()
    first, again, judged = notebook.cells
    assert [output.ename for output in outputs(first, "error")] == ["KeyboardInterrupt"]
    assert '<progress value="1"' in outputs(first, "display_data")[0].data["text/html"]
    assert outputs(again, "error") == []
    assert '<progress value="6" max="6">' in outputs(again, "display_data")[0].data["text/html"]
    assert outputs(again, "execute_result")[0].data["text/plain"] == "[1, 2, 3, 4, 5, 6]"
    assert outputs(judged, "execute_result")[0].data["text/plain"] == "0.5"


def test_outside_of_a_notebook_there_is_no_bar(monkeypatch):
    assert notebook_progress() is None
    told = progress_bar(Progress(1200, 3000, 9000, kept=100, unit="calls"))
    assert "1,200 of 3,000 calls, 100 kept by an earlier run" in told
