"""Whatever is wrong in a file or on the command line ends in one line and exit status 2.

`RMEVAL_FUZZ=2000 pytest tests/fuzz` makes that many cases; a failure names its kind and seed, and
`RMEVAL_FUZZ_SEED` makes the first of another row of seeds.
"""

import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from random import Random
from types import FrameType

import cases
import pytest

from rmeval.cli import main
from rmeval.models.text import tokenizer

sys.path.append(str(Path(__file__).parents[1] / "commands"))
from worlds import make_worlds

CASES = int(os.environ.get("RMEVAL_FUZZ", "330"))
FIRST = int(os.environ.get("RMEVAL_FUZZ_SEED", "0"))
SECONDS = 30  # of one case; more is as bad as a traceback
Case = Callable[[Path, Random, Path], list[str]]


@pytest.fixture(scope="session")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_worlds(tmp_path_factory.mktemp("worlds"))


@pytest.mark.filterwarnings("ignore")  # of libraries, about what is damaged
@pytest.mark.parametrize("kind", cases.KINDS)
def test_damage_ends_in_one_line(
    kind: str, worlds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tokenizer, "SECONDS", 0.5)
    make, weight = cases.KINDS[kind]
    count = max(1, round(CASES * weight / sum(weight for _, weight in cases.KINDS.values())))
    faults = []
    for seed in range(FIRST, FIRST + count):
        folder = tmp_path / str(seed)
        folder.mkdir()
        before = dict(os.environ)
        fault = _fault(make(folder, Random(f"{kind} {seed}"), worlds))
        os.environ.clear()
        os.environ.update(before)
        if fault is not None:
            faults.append(f"--- {kind}, seed {seed}: {fault}")
    assert not faults, "\n".join([f"{len(faults)} of {count}", *faults])


def _fault(arguments: list[str]) -> str | None:
    """What is wrong with how a command ends, or None."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err), _in_time():
            status = main(arguments)
    except SystemExit as error:
        status = int(error.code or 0)
    except BaseException:  # what is looked for is a traceback, whatever it is of
        return f"{arguments}\n{traceback.format_exc(limit=-6)}"
    said = [line for line in err.getvalue().splitlines() if line.startswith("rmeval: ")]
    if status == 2 and (len(said) != 1 or len(said[0]) < 20):
        return f"{arguments}: status 2 and {err.getvalue()!r}"
    return None if status in (0, 1, 2) else f"{arguments}: status {status}"


@contextmanager
def _in_time() -> Iterator[None]:
    def give_up(_: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"after {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
