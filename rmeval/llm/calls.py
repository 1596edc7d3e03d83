"""Several calls to a server at once, left alone when they keep failing."""

from collections import abc
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from itertools import islice
from typing import Any, Protocol, TypeVar

from rmeval.errors import ServerFailure
from rmeval.llm.endpoint import RequestRefused

GIVE_UP = 5  # failures in a row, after which a server is not asked again

Asked = TypeVar("Asked")
Found = TypeVar("Found")


class Server(Protocol):
    """What is asked, and closed in the end."""

    async def close(self) -> None:
        """Closes the connections."""


def ask_each(
    endpoint: Server,
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
    and all that came before an interrupt. An event loop may be running here, as in a notebook: the
    calls have one of their own, in a thread, so an interrupt finds this thread waiting for it.
    """
    from anyio.from_thread import start_blocking_portal

    left, failures = iter(waiting), 0
    calls: dict[Future[Found], Asked] = {}
    with start_blocking_portal(name="rmeval-calls") as portal:
        try:
            while True:
                free = concurrency - len(calls) if failures < GIVE_UP else 0
                for item in islice(left, free):
                    calls[portal.start_task_soon(ask, item)] = item
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
            came = [call for call in calls if not call.cancel()]
            portal.call(endpoint.close)
            with ExitStack() as late:  # each is kept, whatever becomes of the others
                for call in came:
                    if call.exception() is None:
                        late.callback(keep, calls[call], call.result())


def _outcome(call: Future[Found]) -> Found | ServerFailure:
    try:
        return call.result()
    except ServerFailure as error:
        return error
