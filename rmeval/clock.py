"""Where a command's seconds go: what each part takes, without what is done for others inside it."""

import gc
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

STARTED = time.perf_counter()
SCORING = "scoring"
_spent: dict[str, float] = {}
_inside: ContextVar[list[float]] = ContextVar("inside")  # seconds of parts within the open one


@contextmanager
def spending(part: str) -> Iterator[None]:
    """Counts what passes as spent on a part; a part within another counts for itself alone.

    What another thread does meanwhile takes no time of the command's.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    started, inside = time.perf_counter(), [0.0]
    token = _inside.set(inside)
    try:
        yield
    finally:
        _inside.reset(token)
        whole = time.perf_counter() - started
        _spent[part] = _spent.get(part, 0.0) + whole - inside[0]
        _inside.get([0.0])[0] += whole


@contextmanager
def importing() -> Iterator[None]:
    """Counts as spent on imports, in which nothing becomes garbage that is worth looking for.

    Nor does it later, so the collector is told to leave alone what was imported, also at the
    process's end. For the command line, whose process is its own.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        with spending("importing"):
            yield
    finally:
        if not gc.get_freeze_count():  # once: what comes later may become garbage
            gc.freeze()
        if collecting:
            gc.enable()


def spent() -> Mapping[str, float]:
    """Returns the seconds of each part until now, those that no part has as "the rest"."""
    rest = time.perf_counter() - STARTED - sum(_spent.values())
    return {**_spent, "the rest": rest}


def describe_spent(seconds: Mapping[str, float]) -> str:
    """Returns in one line what a command took and the share of it that was not scoring."""
    whole = sum(seconds.values())
    others = sorted(seconds.items(), key=lambda item: -item[1])
    named = ", ".join(f"{part} {took:.1f}" for part, took in others if part != SCORING)
    share = 1 - seconds.get(SCORING, 0.0) / whole
    return f"{whole:.1f} s in all; {share:.0%} is not scoring: {named}"
