"""What waits for the model: requests of several sequences, first come, first served."""

import asyncio
from array import array
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Condition, Lock

from rmeval.engine.truncation import Encoded
from rmeval.errors import RmevalError
from rmeval.records import Score

KEPT = 200_000  # rewards that are remembered, of about 300 bytes each


class Overloaded(RmevalError):
    """More waits than can be answered in time; `seconds` from now it may be less."""

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


class ModelEnded(RmevalError):
    """The model's thread has ended, or its model could not be loaded."""


def digest_of(item: Encoded) -> bytes:
    """Returns a name for exactly this sequence."""
    return sha256(array("q", item.ids)).digest()


@dataclass(eq=False)
class Request:
    """Sequences that are answered together, by whoever waits for `answer` in the event loop."""

    sequences: Sequence[Encoded]
    answer: "asyncio.Future[list[Score]]"
    found: dict[int, Score] = field(default_factory=dict)
    begun: bool = False

    @property
    def whole(self) -> bool:
        """Whether all of it was found."""
        return len(self.found) == len(self.sequences)

    def tell(self, found: Mapping[int, Score | RmevalError]) -> None:
        """Has the event loop take what was found; from any thread."""
        self.answer.get_loop().call_soon_threadsafe(self.take, found)

    def take(self, found: Mapping[int, Score | RmevalError]) -> None:
        """Takes what was found, by place; all of it is the answer, and one error is. In the loop.

        What nobody waits for any more is let go.
        """
        if self.answer.done():
            return
        for place, score in found.items():
            if isinstance(score, RmevalError):
                self.answer.set_exception(score)
                return
            self.found[place] = score
        if self.whole:
            self.answer.set_result([self.found[place] for place in range(len(self.sequences))])


@dataclass(frozen=True)
class Item:
    """One sequence that waits, with its place in its request."""

    request: Request
    place: int
    digest: bytes

    @property
    def sequence(self) -> Encoded:
        """The sequence itself."""
        return self.request.sequences[self.place]


class Queue:
    """Items in the order in which they came. One thread takes them, another puts them there."""

    def __init__(self) -> None:
        """Makes an empty one."""
        self._items: deque[Item] = deque()
        self._changed = Condition(Lock())
        self._closed = False
        self.tokens = 0  # of all that waits

    def __len__(self) -> int:
        return len(self._items)

    def put(self, items: Sequence[Item]) -> None:
        """Adds items at the end."""
        with self._changed:
            self._items.extend(items)
            self.tokens += _tokens(items)
            self._changed.notify()

    def take(self, most: int) -> list[Item]:
        """Waits for items, and takes as many as have at most so many tokens, or one.

        Returns none when the queue is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._items)
            taken: list[Item] = []
            tokens = 0
            while self._items and not self._closed:
                tokens += len(self._items[0].sequence.ids)
                if taken and tokens > most:
                    break
                taken.append(self._items.popleft())
                taken[-1].request.begun = True
            self.tokens -= _tokens(taken)
            return taken

    def drop(self, request: Request) -> int:
        """Takes out what waits of a request; returns how many sequences that were."""
        with self._changed:
            kept = deque(item for item in self._items if item.request is not request)
            dropped = len(self._items) - len(kept)
            self._items = kept
            self.tokens = _tokens(kept)
            return dropped

    def close(self) -> None:
        """Has nobody wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Remembered:
    """The scores that were computed last, by digest: the same sequence has always the same one."""

    def __init__(self, most: int = KEPT) -> None:
        """Remembers so many."""
        self._scores: OrderedDict[bytes, Score] = OrderedDict()
        self._most, self._lock = most, Lock()

    def get(self, digest: bytes, sequence: Encoded) -> Score | None:
        """Returns the score of a sequence, if it is remembered."""
        with self._lock:
            score = self._scores.get(digest)
            if score is None:
                return None
            self._scores.move_to_end(digest)
        return score._replace(truncated=sequence.truncated)

    def put(self, scores: Mapping[bytes, Score]) -> None:
        """Remembers scores, and forgets those that were not asked for longest."""
        with self._lock:
            self._scores.update(scores)
            while len(self._scores) > self._most:
                self._scores.popitem(last=False)


def _tokens(items: Sequence[Item] | deque[Item]) -> int:
    return sum(len(item.sequence.ids) for item in items)
