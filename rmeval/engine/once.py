"""What one process of each machine does for all of its processes."""

import platform
from collections.abc import Callable
from typing import TypeVar

from rmeval.engine.workers import Workers

T = TypeVar("T")


def once_a_machine(workers: Workers, what: str, make: Callable[[], T]) -> T:
    """Returns what the first process makes of those that name the same thing on one machine.

    The others wait for it, and are told: what JSON can hold. Raises PeerLost.
    """
    named = f"{platform.node()} {what}"
    first = workers.gather(named).index(named)
    made: T = workers.gather(make() if first == workers.rank else None)[first]
    return made
