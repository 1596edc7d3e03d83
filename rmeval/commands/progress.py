"""Progress on stderr: a bar in a terminal, a line now and then in a log."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rmeval.types import Progress

LOG_SECONDS = 15.0


@contextmanager
def show_progress(stream: TextIO | None = None, *, quiet: bool = False) -> Iterator[Progress]:
    """Gives a function to call with tokens done and tokens in all; `quiet` shows nothing."""
    stream = stream or sys.stderr
    if quiet:
        yield lambda done, total: None
    elif stream.isatty():
        with _bar(stream) as report:
            yield report
    else:
        yield _log(stream)


@contextmanager
def _bar(stream: TextIO) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("scoring"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(file=stream), transient=True) as bar:
        task = bar.add_task("scoring", total=None, rate="")
        started = time.perf_counter()

        def report(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, rate=_rate(done, started))

        yield report


def _log(stream: TextIO) -> Progress:
    started = last = time.perf_counter()

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.perf_counter()
        if now - last < LOG_SECONDS and done < total:
            return
        last = now
        left = (now - started) * (total - done) / done
        print(
            f"scored {done:,} of {total:,} tokens, {_rate(done, started)}, {left:.0f} s left",
            file=stream,
            flush=True,
        )

    return report


def _rate(done: int, started: float) -> str:
    seconds = max(time.perf_counter() - started, 1e-9)
    return f"{done / seconds:,.0f} tokens/s"
