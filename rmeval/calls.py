"""Several calls to a server at once, left alone when they keep failing."""

import asyncio
from collections import abc
from collections.abc import Callable, Collection, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar, cast

from rmeval.endpoint import Endpoint, RequestRefused
from rmeval.errors import ServerFailure

GIVE_UP = 5  # failures in a row, after which a server is not asked again

Asked = TypeVar("Asked")
Found = TypeVar("Found")
Yielded = TypeVar("Yielded")
END = object()


def ask_each(
    endpoint: Endpoint,
    waiting: Iterable[Asked],
    ask: Callable[[Asked], Coroutine[Any, Any, Found]],
    concurrency: int,
    *,
    served: bool = False,
) -> abc.Generator[tuple[Asked, Found | ServerFailure], None, None]:
    """Yields what `ask` finds for each, or why it failed, as it comes; then closes the endpoint.

    After GIVE_UP failures in a row nothing more is asked. A request that is refused counts as a
    failure only as long as no other was `served`.
    """
    if _in_a_loop():
        yield from _elsewhere(ask_each(endpoint, waiting, ask, concurrency, served=served))
        return
    left, failures = iter(waiting), 0
    calls: dict[asyncio.Task[Found], Asked] = {}
    with asyncio.Runner() as runner:
        try:
            while True:
                free = concurrency - len(calls) if failures < GIVE_UP else 0
                for item in islice(left, free):
                    calls[runner.get_loop().create_task(ask(item))] = item
                if not calls:
                    return
                for call in runner.run(_done(calls)):
                    found = _outcome(call)
                    if not isinstance(found, ServerFailure):
                        failures, served = 0, True
                    elif not (served and isinstance(found, RequestRefused)):
                        failures += 1
                    yield calls.pop(call), found
        finally:
            _drain(runner.get_loop())
            runner.run(_stop(endpoint, calls))


def _in_a_loop() -> bool:
    """Whether this thread runs a loop already, as a notebook's does; another cannot run in it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _elsewhere(found: abc.Generator[Yielded, None, None]) -> abc.Generator[Yielded, None, None]:
    """Yields what a generator does, all of whose steps are made in one thread of its own."""
    with ThreadPoolExecutor(1) as thread:
        try:
            while (item := thread.submit(next, found, END).result()) is not END:
                yield cast(Yielded, item)
        finally:
            thread.submit(found.close).result()


def _drain(loop: asyncio.AbstractEventLoop) -> None:
    """Runs what is ready: an interrupt may leave a stop behind, which would end the next run."""
    loop.call_soon(loop.stop)
    loop.run_forever()


async def _done(calls: Collection[asyncio.Task[Found]]) -> set[asyncio.Task[Found]]:
    """Returns the calls that are done, as soon as one is."""
    return (await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED))[0]


def _outcome(call: asyncio.Task[Found]) -> Found | ServerFailure:
    try:
        return call.result()
    except ServerFailure as error:
        return error


async def _stop(endpoint: Endpoint, calls: Collection[asyncio.Task[Any]]) -> None:
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await endpoint.close()
