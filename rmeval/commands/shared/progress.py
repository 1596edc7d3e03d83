"""Progress on stderr: a bar in a terminal, a line now and then in a log."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TextIO

from rmeval.door import behind
from rmeval.errors import one_line
from rmeval.records import OnProgress, Progress

LOG_SECONDS = 15.0


@contextmanager
def show_progress(stream: TextIO | None = None, *, quiet: bool = False) -> Iterator[OnProgress]:
    """Gives a function to call with where the run stands; `quiet` shows nothing."""
    stream = stream or behind(sys.stderr)
    if quiet:
        yield lambda now: None
    elif stream.isatty():
        with _bar(stream) as report:
            yield report
    else:
        yield _log(stream)


@contextmanager
def show_step(what: str, *, quiet: bool = False) -> Iterator[None]:
    """Shows what goes on before the first score, in the first of several processes.

    In a terminal it is there while it lasts; in a log a line comes every `LOG_SECONDS`.
    """
    stream = behind(sys.stderr)
    if quiet or os.environ.get("RANK", "0") != "0":
        yield
    elif stream.isatty():
        from rich.console import Console

        with Console(file=stream).status(one_line(what)):
            yield
    else:
        done = Event()
        Thread(target=_say_again, args=(one_line(what), stream, done), daemon=True).start()
        try:
            yield
        finally:
            done.set()


def _say_again(what: str, stream: TextIO, done: Event) -> None:
    started = time.perf_counter()
    while not done.wait(LOG_SECONDS):
        print(f"{what}, {time.perf_counter() - started:.0f} s", file=stream, flush=True)


@contextmanager
def _bar(stream: TextIO) -> Iterator[OnProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("scoring"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}%"),
        TextColumn("{task.fields[facts]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(file=stream), transient=True) as bar:
        task = bar.add_task("scoring", total=None, facts="")
        started = time.perf_counter()

        def report(now: Progress) -> None:
            facts = _facts(now, time.perf_counter() - started)
            bar.update(task, completed=now.computed, total=now.to_compute, facts=facts)

        yield report


def _log(stream: TextIO) -> OnProgress:
    started = last = time.perf_counter()

    def report(now: Progress) -> None:
        nonlocal last
        at = time.perf_counter()
        if at - last < LOG_SECONDS and now.computed < now.to_compute:
            return
        last = at
        left = (now.to_compute - now.computed) / _rate(now, at - started)
        print(
            f"scored {now.computed:,} of {now.to_compute:,} {now.unit}, "
            f"{_facts(now, at - started)}, {left:.0f} s left",
            file=stream,
            flush=True,
        )

    return report


def _rate(now: Progress, seconds: float) -> float:
    """Returns the tokens/s, or calls/s, of this run; what an earlier one kept took it no time."""
    return max(now.computed - now.kept, 1) / max(seconds, 1e-9)


def _facts(now: Progress, seconds: float) -> str:
    """Returns tokens/s, the share of tokens that must be computed at all, and GPU memory.

    Of calls there is only their rate.
    """
    rate = _rate(now, seconds)
    if now.unit != "tokens":
        return f"{rate:,.1f} {now.unit}/s"
    unique = now.to_compute / max(now.in_all, 1)
    memory = f", {now.device_bytes / 2**30:.1f} GiB" if now.device_bytes else ""
    return f"{rate:,.0f} tokens/s, {unique:.0%} of {now.in_all:,} computed{memory}"
