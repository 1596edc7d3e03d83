"""A limit of time for what may never end: a chat template is a program that somebody else wrote."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raises TimeoutError in a block that takes longer. Only the main thread can be stopped so.

    An alarm that was set before goes on, and its handler stands again after the block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise TimeoutError(f"it was still running after {seconds:g} seconds")

    begun, before = monotonic(), signal.signal(signal.SIGALRM, stop)
    # jinja, which works out constants first, swallows what is raised there: so once more
    left, every = signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (monotonic() - begun), 1e-6), every)
