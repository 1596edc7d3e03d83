"""The one door through which all that is printed goes.

Names and texts are anyone's. What a terminal, or a CI that reads the log, would take for a command
is shown as text here: escapes are written as JSON writes them, so that JSON stays what it is. A
stream that cannot be written ends no verb: what it was to be told goes to stderr.
"""

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOBase
from typing import TextIO

# Controls, C1 among them; what turns the direction of text; what is no line's end but looks so.
COMMANDS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]|\r(?!\n)"
)
OF_WORKFLOWS = re.compile(r"^([^\S\n]*)::", re.MULTILINE)  # GitHub: ::error, ::set-output
OF_LOGS = re.compile(r"##(?=\w*\[)")  # ##[error], ##vso[, ##teamcity[, anywhere in a line
OF_BARS = re.compile(r"(\r|\n|\x1b\[A)*")  # how libraries' progress bars move


class Door(TextIOBase):
    """A stream before another; `lost` is why that cannot be written, or None.

    With `bars`, a write may begin as those of progress bars do.
    """

    def __init__(self, stream: TextIO | None, *, bars: bool = False) -> None:
        """Takes a stream; None is one that was closed before Python began."""
        self.stream, self._bars = stream, bars
        self.lost: OSError | None = None if stream else OSError("closed")
        self._unsure: list[str] = []  # written, but not known to have arrived
        self._blank = True  # nothing but white space stands on this line yet
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # ASCII and Latin-1 know few characters

    def write(self, text: str) -> int:
        """Writes text without its commands."""
        moves = OF_BARS.match(text).group() if self._bars else ""  # type: ignore[union-attr]
        self._pass(moves + self._harmless(text[len(moves) :]))
        self._blank = not text.rpartition("\n")[2].strip() and (self._blank or "\n" in text)
        return len(text)

    def write_commands(self, lines: Iterable[str]) -> None:
        """Writes lines that are commands, and whose texts are escaped."""
        self._pass("".join(f"{'' if self._blank else chr(10)}{line}\n" for line in lines))
        self._blank = True

    def flush(self) -> None:
        """Finds out whether what was written has arrived."""
        if self.stream is not None and self.lost is None:
            try:
                self.stream.flush()
            except OSError as error:
                self.lost = error
            else:
                self._unsure.clear()

    def isatty(self) -> bool:
        """Whether a terminal is behind it."""
        return self.stream is not None and self.stream.isatty()

    def fileno(self) -> int:
        """Returns the descriptor of the stream behind it."""
        return self.stream.fileno() if self.stream is not None else super().fileno()

    def writable(self) -> bool:
        """Whether it can be written: always."""
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream behind it."""
        return getattr(self.stream, "encoding", None) or "utf-8"

    def unread(self) -> str:
        """Returns what did not arrive, and keeps Python from trying again at its end."""
        if self.stream is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
        return "".join(self._unsure)

    def _harmless(self, text: str) -> str:
        first = not self._blank

        def apart(found: re.Match[str]) -> str:
            return found.group() if first and found.start() == 0 else f"{found.group(1)}: :"

        text = OF_WORKFLOWS.sub(apart, COMMANDS.sub(_escaped, text))
        return OF_LOGS.sub(r"#\\u0023", text)

    def _pass(self, text: str) -> None:
        self._unsure.append(text)
        if self.stream is not None and self.lost is None:
            try:
                self.stream.write(text)
            except OSError as error:
                self.lost = error


def _escaped(found: re.Match[str]) -> str:
    code = ord(found.group())
    return (
        f"\\u{code:04x}"
        if 0xD800 <= code < 0xE000
        else json.dumps(found.group())[1:-1].replace("\x7f", "\\u007f")
    )


def behind(stream: TextIO) -> TextIO:
    """Returns the stream behind a door, for a progress bar of ours, which holds no one's text."""
    return stream.stream if isinstance(stream, Door) and stream.stream else stream


def print_commands(lines: Iterable[str]) -> None:
    """Prints commands to the CI that runs this."""
    if isinstance(sys.stdout, Door):
        sys.stdout.write_commands(lines)
    else:
        print(*lines, sep="\n")


@contextmanager
def opened() -> Iterator[Door]:
    """Has all that is printed go through doors; gives that of stdout.

    What stdout did not take goes to stderr, unless its reader has gone away.
    """
    was = sys.stdout, sys.stderr
    out, err = Door(was[0]), Door(was[1], bars=True)
    sys.stdout, sys.stderr = out, err
    try:
        yield out
    finally:
        out.flush()
        if out.lost is not None:
            text = out.unread()
            if not isinstance(out.lost, BrokenPipeError):
                err.write(text)
        err.flush()
        if err.lost is not None:
            err.unread()
        sys.stdout, sys.stderr = was
