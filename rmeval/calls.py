"""Several calls to a server at once, left alone when they keep failing."""

import asyncio
from collections import abc
from collections.abc import Callable, Collection, Coroutine, Iterable
from itertools import islice
from typing import Any, TypeVar

from rmeval.endpoint import Endpoint, RequestRefused
from rmeval.errors import ServerFailure

GIVE_UP = 5  # failures in a row, after which a server is not asked again

Asked = TypeVar("Asked")
Found = TypeVar("Found")


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
