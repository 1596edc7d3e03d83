"""What one process of each machine does for all of its processes."""

import platform
from collections.abc import Callable
from typing import TypeVar

from rmeval.engine.workers import Workers

T = TypeVar("T")


def once_a_machine(workers: Workers, what: str, make: Callable[[], T]) -> T:
    """Returns what the first process makes of those that name the same thing on one machine.

    The others wait for it, and are told.
    """
    if workers.count == 1:
        return make()
    from torch import distributed

    named = f"{platform.node()} {what}"
    names, made = [""] * workers.count, [None] * workers.count
    distributed.all_gather_object(names, named)
    first = names.index(named)
    distributed.all_gather_object(made, make() if first == workers.rank else None)
    answer: T = made[first]  # type: ignore[assignment]
    return answer
