"""Several calls to a server at once, left alone when they keep failing."""

import asyncio
from collections import abc
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack, contextmanager
from itertools import islice
from threading import Thread
from typing import Any, TypeVar

from rmeval.errors import ServerFailure
from rmeval.llm.endpoint import Endpoint, RequestRefused

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
    keep: Callable[[Asked, Found], object] = lambda asked, found: None,
) -> abc.Generator[tuple[Asked, Found | ServerFailure], None, None]:
    """Yields what `ask` finds for each, or why it failed, as it comes; then closes the endpoint.

    After GIVE_UP failures in a row nothing more is asked. A request that is refused counts as a
    failure only as long as no other was `served`. `keep` gets what is found first, in this thread,
    and all that came before an interrupt. An event loop may be running here.
    """
    left, failures = iter(waiting), 0
    calls: dict[Future[Found], Asked] = {}
    with _running_loop() as loop:
        try:
            while True:
                free = concurrency - len(calls) if failures < GIVE_UP else 0
                for item in islice(left, free):
                    calls[asyncio.run_coroutine_threadsafe(ask(item), loop)] = item
                if not calls:
                    return
                for call in wait(calls, return_when=FIRST_COMPLETED).done:
                    found = _outcome(call)
                    if not isinstance(found, ServerFailure):
                        failures, served = 0, True
                        keep(calls[call], found)
                    elif not (served and isinstance(found, RequestRefused)):
                        failures += 1
                    yield calls.pop(call), found
        finally:
            asyncio.run_coroutine_threadsafe(_stop(endpoint), loop).result()
            with ExitStack() as late:  # each is kept, whatever becomes of the others
                for call, item in calls.items():
                    if call.done() and not call.cancelled() and call.exception() is None:
                        late.callback(keep, item, call.result())


@contextmanager
def _running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Gives an event loop in a thread of its own.

    So it does not matter whether one is running here, as in a notebook; and an interrupt, which
    only the main thread gets, finds it waiting for the loop, not within it.
    """
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="rmeval-calls", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _outcome(call: Future[Found]) -> Found | ServerFailure:
    try:
        return call.result()
    except ServerFailure as error:
        return error


async def _stop(endpoint: Endpoint) -> None:
    """Ends the calls under way, and closes the endpoint."""
    calls = asyncio.all_tasks() - {asyncio.current_task()}
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await endpoint.close()
