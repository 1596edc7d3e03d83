"""What the processes of a launch tell each other, and which of them is still there.

They meet at a store of torch's: a server of the launcher's, or of rank 0. In each process one
thread says every few seconds that it lives, and listens to the others; nobody else uses the store.
So no process ever stands in a call that a dead one does not answer: who waits, waits here, and is
told who is gone. A process that was stopped counts itself out in half the time after which the
others do, so that it writes nothing beside those that have begun again.
"""

import atexit
import json
import os
import socket
from dataclasses import dataclass
from threading import Condition, Event, Thread
from time import monotonic
from typing import Any, Protocol

from rmeval.errors import PeerLost, first_line

PATIENCE = 300.0  # seconds without a word after which a process counts as gone
JOINING = 900.0  # seconds that a launch may take to come together
BEATS = 60  # words in PATIENCE
SOONEST, LATEST = 0.01, 1.0  # seconds between two looks for what the others say
ADVICE = "what was scored is kept: start the launch again to go on"


class Board(Protocol):
    """What of torch's stores is used: texts by key, which all processes see."""

    def set(self, key: str, value: str) -> None:
        """Writes a text."""

    def check(self, keys: list[str]) -> bool:
        """Whether all keys are there."""

    def get(self, key: str) -> bytes:
        """Returns the text of a key that is there."""


@dataclass
class _Other:
    """What is known of another process: its last word, and since when it has said no other."""

    since: float
    word: bytes = b"{}"

    def said(self, name: str) -> Any:
        return json.loads(self.word).get(name)


class Peers:
    """One process's line to the others of its launch."""

    def __init__(
        self, board: Board, rank: int, count: int, where: str, patience: float = PATIENCE
    ) -> None:
        """Begins to talk. `where` names the store, for the case that it does not answer."""
        self.rank, self.count = rank, count
        self._board, self._where, self._patience = board, where, patience
        self._begun = self._answered = monotonic()
        self._others = {i: _Other(self._begun) for i in range(count) if i != rank}
        self._turn, self._out = 0, dict[str, str]()
        self._wanted, self._got = list[str](), list[bytes]()
        self._out_of_touch = self._gone = ""  # why, in words
        self._leaving = False
        self._news, self._call = Condition(), Event()
        self._thread = Thread(target=self._talk, name="rmeval-peers", daemon=True)
        self._thread.start()
        atexit.register(self.leave)

    def gather(self, said: Any) -> list[Any]:
        """Returns what each process says here, by rank: values that JSON has.

        Raises PeerLost where one is gone, or ends without coming here.
        """
        with self._news:
            self._wanted = [f"said/{self._turn}/{rank}" for rank in range(self.count)]
            self._turn, self._out = self._turn + 1, {self._wanted[self.rank]: json.dumps(said)}
            while self._wanted:
                self._call.set()
                self._require_all()
                self._news.wait(self._patience / BEATS)
            return [json.loads(text) for text in self._got]

    def require_all(self) -> None:
        """Raises PeerLost where a process is gone, or this one was out of touch."""
        with self._news:
            self._require_all()

    def require_in_touch(self) -> None:
        """Raises PeerLost where this process was out of touch, and others may have begun anew."""
        with self._news:
            self._require_in_touch()

    def leave(self) -> None:
        """Says goodbye. Rank 0 stays until the others have: the store may end with it."""
        atexit.unregister(self.leave)
        with self._news:
            self._leaving = True
        self._call.set()
        self._thread.join(2 * self._patience if self.rank == 0 else 2 * self._patience / BEATS)

    def _require_in_touch(self) -> None:
        if not self._out_of_touch and self._is_late():
            # the thread says that it was stopped, if the store still answers
            self._news.wait_for(lambda: self._out_of_touch, 2 * self._patience / BEATS)
            self._out_of_touch = self._out_of_touch or f"{self._where} does not answer"
        if self._out_of_touch:
            raise PeerLost(f"rank {self.rank} of {self.count}: {self._out_of_touch}; {ADVICE}")

    def _is_late(self) -> bool:
        return monotonic() - self._answered > self._patience / 2

    def _require_all(self) -> None:
        self._require_in_touch()
        for rank, other in self._others.items():
            named = f"rank {rank} of {self.count}"
            if other.said("who"):
                named += f" ({other.said('who')})"
            if other.said("left"):
                found = f"{named} has ended before the others, and its own message says why"
                self._gone = other.said("gone") or found
            elif self._is_silent(other):
                silent = _in_words(monotonic() - other.since)
                self._gone = (
                    f"{named} has not been heard of for {silent}: it was killed or stopped, or its "
                    "machine is gone"
                )
            if self._gone:
                raise PeerLost(f"{self._gone}; {ADVICE}")

    def _is_silent(self, other: _Other) -> bool:
        patience = self._patience if other.said("who") else max(JOINING, self._patience)
        return monotonic() - other.since > patience

    def _talk(self) -> None:
        """The thread: exchanges words with the store until this process leaves."""
        beat, pause = 0, SOONEST
        while not self._out_of_touch:
            self._call.clear()
            beat, leaving = beat + 1, self._leaving
            try:
                self._exchange(beat, leaving)
            except (RuntimeError, OSError) as error:  # torch's errors of a store are RuntimeErrors
                self._note(f"{self._where} does not answer ({first_line(error)})")
            else:
                self._note("")
            if leaving and (self.rank > 0 or self._all_left()):
                return
            hurried = bool(self._wanted) or leaving
            pause = min(2 * pause, LATEST) if hurried else SOONEST
            self._call.wait(
                min(pause, self._patience / BEATS) if hurried else self._patience / BEATS
            )

    def _exchange(self, beat: int, leaving: bool) -> None:
        with self._news:
            out, wanted = self._out, self._wanted
            self._out = {}
        for key, text in out.items():
            self._board.set(key, text)
        who = f"{socket.gethostname()}, process {os.getpid()}"
        word = {"beat": beat, "who": who, "left": leaving, "gone": self._gone}
        self._board.set(f"word/{self.rank}", json.dumps(word))
        heard = {rank: self._read(f"word/{rank}") for rank in self._others}
        there = wanted and self._board.check(wanted)
        got = [self._board.get(key) for key in wanted] if there else []
        with self._news:
            for rank, said in heard.items():
                if said is not None and said != self._others[rank].word:
                    self._others[rank] = _Other(monotonic(), said)
            if got and wanted is self._wanted:
                self._wanted, self._got = [], got

    def _read(self, key: str) -> bytes | None:
        return self._board.get(key) if self._board.check([key]) else None

    def _note(self, trouble: str) -> None:
        """Wakes those who wait. A process that was away for long counts itself out."""
        with self._news:
            if self._is_late() and not trouble:
                away = _in_words(monotonic() - self._answered)
                trouble = f"this process was stopped, or cut off from the others, for {away}"
            self._out_of_touch = self._out_of_touch or trouble
            self._answered = monotonic()
            self._news.notify_all()

    def _all_left(self) -> bool:
        return all(other.said("left") or self._is_silent(other) for other in self._others.values())


def _in_words(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"
