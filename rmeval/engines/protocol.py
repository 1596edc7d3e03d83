"""What is to be known of an engine: where it is asked for what, and how its answers are read.

One subclass, one file for each engine, and a line in `PROTOCOLS` of `client`. A protocol sends
nothing: it makes requests and reads answers, so all of it can be tested with recordings.
"""

import base64
import binascii
import sys
from abc import ABC, abstractmethod
from array import array
from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import isfinite
from typing import Any, ClassVar, NamedTuple

from rmeval.errors import ServerFailure

IDS, TEXTS, MESSAGES = "token ids", "texts", "messages"
REWARD, HIDDEN = "reward", "hidden"
Get = Callable[[str], Awaitable[Any]]
"""Returns the JSON at a path, None where there is no such path."""


class Mode(NamedTuple):
    """One way of asking an engine: its `name` there, and whether rewards or states come back.

    `flag` is what the engine is to be started with, for it to be served.
    """

    name: str
    gives: str
    flag: str = ""


class Asked(NamedTuple):
    """A request: the path, and the JSON that is sent there."""

    path: str
    body: dict[str, Any]


class Read(NamedTuple):
    """The numbers of each input, in the inputs' order, and the tokens that the engine counted."""

    rows: list[list[float]]
    tokens: int | None


class Facts(NamedTuple):
    """What an engine says of itself; None is what it does not say.

    `model` is what requests call its model, `root` the folder or name that it was loaded from,
    `max_model_len` the tokens of its longest sequence, `fingerprint` that of rmeval's own server.
    """

    engine: str
    version: str | None = None
    model: str | None = None
    root: str | None = None
    max_model_len: int | None = None
    dtype: str | None = None
    fingerprint: str | None = None

    @property
    def server(self) -> str:
        """The engine with its version, as results name it."""
        return f"{self.engine} {self.version}" if self.version else self.engine


class Protocol(ABC):
    """How one kind of engine is asked."""

    name: ClassVar[str]
    takes: ClassVar[tuple[str, ...]] = (IDS, TEXTS, MESSAGES)
    modes: ClassVar[tuple[Mode, ...]] = (Mode(REWARD, REWARD),)
    """Ways of asking; the first that an engine serves is taken."""
    most: ClassVar[int] = 64
    """Sequences of a request."""
    activation: ClassVar[str | None] = None
    """The field that asks for raw rewards, where there is one."""
    length_option: ClassVar[str] = "a longer context"
    """What it is started with to take longer sequences."""

    @abstractmethod
    async def facts(self, get: Get) -> Facts:
        """Asks the engine what it is."""

    @abstractmethod
    def ask(
        self, kind: str, inputs: Sequence[Any], mode: Mode, facts: Facts, activation: bool | None
    ) -> Asked:
        """Returns the request for inputs, all of one `kind`: IDS, TEXTS, or one of MESSAGES.

        `activation` False asks for raw numbers, None for what the engine does unasked.
        """

    def is_of_mode(self, refusal: str) -> bool:
        """Whether a refused request (400) says that the engine serves another mode."""
        return False

    @abstractmethod
    def read(self, body: Any, count: int, mode: Mode) -> Read:
        """Returns what an answer to `count` inputs says. Raises ServerFailure."""


def in_order(entries: Any, count: int) -> list[Mapping[str, Any]]:
    """Returns an answer's entries by their `index`. Raises ServerFailure unless all are there."""
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ServerFailure("an answer without a list of rewards")
    by_index = {entry.get("index"): entry for entry in entries}
    if len(entries) != count or by_index.keys() != set(range(count)):
        raise ServerFailure(f"{len(by_index)} answers to {count} sequences")
    return [by_index[index] for index in range(count)]


def numbers(given: Any, what: str = "reward") -> list[float]:
    """Returns a list of finite numbers, also of base64's float32. Raises ServerFailure."""
    if isinstance(given, str):
        given = _decoded(given)
    if not isinstance(given, list) or not given:
        raise ServerFailure(f"an answer without a {what}")
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in given):
        raise ServerFailure(f"an answer whose {what} is no number")
    if not all(map(isfinite, given)):
        raise ServerFailure(f"an answer whose {what} is NaN or infinite")
    return [float(value) for value in given]


def _decoded(text: str) -> list[float]:
    """Returns base64's little-endian float32 as numbers."""
    try:
        values = array("f", base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        raise ServerFailure("an answer in a base64 that is none of float32") from error
    if sys.byteorder == "big":
        values.byteswap()
    return values.tolist()


def counted(body: Mapping[str, Any]) -> int | None:
    """Returns the tokens of `usage`, as OpenAI's protocol has them."""
    usage = body.get("usage")
    told = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return told if isinstance(told, int) and not isinstance(told, bool) else None


def as_object(body: Any) -> Mapping[str, Any]:
    """Returns a JSON object. Raises ServerFailure for another value."""
    if not isinstance(body, dict):
        raise ServerFailure("an answer that is no JSON object")
    return body


def text_of(value: Any) -> str | None:
    """Returns a text, or None for what is none."""
    return value if isinstance(value, str) and value else None


def count_of(value: Any) -> int | None:
    """Returns a whole number above 0, or None for what is none."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and value > 0 else None
