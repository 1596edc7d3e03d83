"""What a user can fix, as a small tree.

Every message is one line: what went wrong, where, and what to do now. The command line prints it
and exits with status 2. Anything that is not an `RmevalError` is a bug and keeps its traceback.
"""

import re
from collections.abc import Iterable
from contextlib import AbstractContextManager
from difflib import get_close_matches

WORD, MESSAGE = 300, 1500  # characters of a word, and of a message, that are shown
NAMES_SHOWN = 24  # names in an error that lists what is known


FOREIGN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SystemError,
    TypeError,
    ValueError,
)
"""What code that is not ours raises of what it cannot take."""


class RmevalError(Exception):
    """Something that the user can fix."""


class UnknownName(RmevalError):
    """A name that no registry, table or option knows; the message offers the nearest one."""

    def __init__(self, kind: str, name: str, known: Iterable[str], advice: str = "") -> None:
        known = list(known)
        nearest = nearest_name(name, known)
        more = f", ... {len(known)} in all" if len(known) > NAMES_SHOWN else ""
        hint = (
            f"did you mean {nearest!r}?"
            if nearest
            else f"known: {', '.join(known[:NAMES_SHOWN])}{more}"
        )
        super().__init__(f"unknown {kind} {name!r}; {hint}{advice}")


class BadOption(RmevalError):
    """An option whose value does not apply on this machine or to this model."""


class BadCheckpoint(RmevalError):
    """A model folder that is incomplete, unsafe, or in no known layout."""


class BadPlugin(RmevalError):
    """Another package's entry that cannot be used: its name is taken, or it fails to import."""


class BadData(RmevalError):
    """Benchmark rows or input lines that cannot be read; the message names file and row."""


class BadConversation(BadData):
    """A conversation that a chat template refuses. `index` is its position in the input."""

    def __init__(self, index: int, reason: str, place: str | None = None) -> None:
        super().__init__(f"{place or f'conversation {index}'}: {reason}")
        self.index = index
        self.reason = reason

    def at(self, place: str) -> "BadConversation":
        """Returns the same error, naming the place by the words of whoever knows it."""
        return BadConversation(self.index, self.reason, place)


class BadReward(RmevalError):
    """A reward that is NaN or infinite. `index` is the position of its sequence in the input."""

    def __init__(self, index: int, value: float, place: str | None = None) -> None:
        where = place or f"sequence {index}"
        super().__init__(f"{where}: the reward is {value}; try `dtype='float32'` or bfloat16")
        self.index = index
        self.value = value

    def at(self, place: str) -> "BadReward":
        """Returns the same error, naming the place by the words of whoever knows it."""
        return BadReward(self.index, self.value, place)


class OutputFailure(RmevalError):
    """A place for results that cannot be written."""


class ServerFailure(RmevalError):
    """A server that gave no answer, or no usable one, after every retry."""


class PeerLost(RmevalError):
    """A process of a launch that is gone, or was; the others end too, and what was scored stays."""


class Unreachable(RmevalError):
    """A file that is not on this machine and cannot be had from the Hub."""


class Blaming(AbstractContextManager[None]):
    """Says of what code that is not ours raises in the block whose fault it is: `kind(what)`.

    Libraries in Rust raise `Exception` itself, and pyo3's PanicException, which no name here is of.
    `also` are further errors, of a library.
    """

    def __init__(self, kind: type[RmevalError], what: str, *also: type[Exception]) -> None:
        self._kind, self._what = kind, what
        self._caught: tuple[type[BaseException], ...] = (*FOREIGN, *also)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if kind is None or error is None or kind.__name__ == "OutOfMemoryError":
            return  # torch's says nothing of whose fault it is
        if kind is Exception or kind.__name__ == "PanicException" or issubclass(kind, self._caught):
            raise self._kind(f"{self._what} ({reason_of(error)})") from error


def reason_of(error: BaseException) -> str:
    """Returns an error's message on one line; that of a bare KeyError says too little alone."""
    text = " ".join(str(error).split())
    named = not text or isinstance(error, (LookupError, MemoryError, RecursionError))
    return f"{type(error).__name__}: {text}".removesuffix(": ") if named else text


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message, for use inside one of ours."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def one_line(text: str) -> str:
    """Returns text that is safe to print on one line: names from data may hold anything."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(text.split()))


def brief(text: str) -> str:
    """Returns a message without the middle of what is too long in it: a value may be a book."""
    text = re.sub(rf"\S{{{WORD + 1},}}", lambda word: _middle_out(word.group(), WORD), text)
    return _middle_out(text, MESSAGE)


def _middle_out(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 4 :]}"


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Returns the known name that looks most like `name`, or None if none is close.

    One of the same letters is nearest: "lsit" is as like "site" as "list", but it is "list".
    """
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)
    same = [match for match in close if sorted(match) == sorted(name.lower())]
    return by_lower[(same or close)[0]] if close else None
