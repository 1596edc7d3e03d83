"""Files written whole or not at all, and what only one process may write at a time.

A lock is the kernel's (flock): it ends with its process, however that ends.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from tempfile import NamedTemporaryFile

from rmeval.errors import BadData, OutputFailure, RmevalError, first_line

NO_LOCKS = "%s: this file system or machine has no locks; do not start a second run into it"
logger = logging.getLogger("rmeval")


def prepare_folder(folder: Path) -> Path:
    """Makes a folder and proves that it can be written, before hours are spent. Returns it.

    Raises OutputFailure.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder, prefix=".write-test-") as probe:
            probe.write(b"0" * 4096)
            probe.flush()
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputFailure(
            f"cannot write to {folder} ({reason}); choose another `output=`"
        ) from error
    return folder


@contextmanager
def prepared(*folders: Path) -> Iterator[None]:
    """Prepares folders for the block; of those that it made, the empty ones are gone after it."""
    ways = [way for folder in folders for way in (folder, *folder.parents)]
    missing = {way for way in ways if not way.exists()}
    try:
        for folder in folders:
            prepare_folder(folder)
        yield
    finally:
        for way in sorted(missing, key=lambda way: -len(way.parts)):
            with suppress(OSError):  # it holds something
                way.rmdir()


def prepare_file(path: Path) -> None:
    """Proves that `replacing` can write a file, before the work. Raises OutputFailure."""
    if path.is_dir():
        raise OutputFailure(f"{path} is a folder; name a file")
    if not is_special(path):
        prepare_folder(real(path).parent)


def is_special(path: Path) -> bool:
    """Whether a device or a pipe has this name: what is written to, and never replaced."""
    return path.exists() and not path.is_file() and not path.is_dir()


def real(path: Path) -> Path:
    """Returns what a link stands for, whether it is there or not."""
    return Path(os.path.realpath(path))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Says of an OSError in the block that `path` cannot be written. Raises OutputFailure."""
    try:
        yield
    except BrokenPipeError:  # whoever read what is written has enough
        raise
    except OSError as error:
        reason = error.strerror or first_line(error)
        raise OutputFailure(f"cannot write {path} ({reason})") from error


@contextmanager
def reading(path: Path | None = None, kind: type[RmevalError] = BadData) -> Iterator[None]:
    """Says of an OSError in the block that a file cannot be read: the one it names, or `path`.

    Without either it is passed on. Raises an error of a `kind`.
    """
    try:
        yield
    except OSError as error:
        named = error.filename or path
        if named is None:
            raise
        reason = error.strerror or first_line(error)
        raise kind(
            f"{named}: cannot be read ({reason}); pass another, or fix its permissions"
        ) from error


@contextmanager
def replacing(path: Path) -> Iterator[TextIOWrapper]:
    """Opens what takes the place of a file when the block ends well, and else is gone.

    Readers see the old file or the new one, whole. A link stays one: its target is replaced.
    Raises OutputFailure.
    """
    with writing(path), _Unfinished(path) as unfinished:
        yield unfinished.stream
        unfinished.sync()
        unfinished.replace()


def write_atomically(path: Path, text: str) -> None:
    """Writes a file that other readers see whole or not at all. Raises OutputFailure."""
    with replacing(path) as stream:
        stream.write(text)


def write_together(texts: Mapping[Path, str]) -> None:
    """Writes files of which the last speaks of the others: it never stands beside older ones.

    The old files stay until every new one is whole on the disk. Raises OutputFailure.
    """
    *_, last = texts
    with ExitStack() as stack:
        stack.enter_context(writing(last))
        new = [stack.enter_context(_Unfinished(path)) for path in texts]
        for unfinished, text in zip(new, texts.values(), strict=True):
            unfinished.stream.write(text)
            unfinished.sync()
        _swap(new, last, _beside(last, "old"))


def _swap(new: "Sequence[_Unfinished]", last: Path, aside: Path) -> None:
    with suppress(FileNotFoundError):
        last.replace(aside)
    try:
        new[0].replace()
    except OSError:
        with suppress(FileNotFoundError):
            aside.replace(last)  # beside its own, as before
        raise
    for unfinished in new[1:]:
        unfinished.replace()
    aside.unlink(missing_ok=True)


@contextmanager
def only_owner(lock: Path, of: Path) -> Iterator[None]:
    """Holds the lock file of `of` during the block. Raises OutputFailure where another does."""
    with writing(lock):
        stream, locked = _take(lock, wait=False)
    if stream is None:
        raise OutputFailure(f"another run is writing {of}; wait for it to end, or choose another")
    if not locked:
        logger.warning(NO_LOCKS, of)
    try:
        yield
    finally:
        _drop(lock, stream, locked)


def has_locks(folder: Path) -> bool:
    """Whether sqlite can lock files in a folder; says so where it cannot. Raises OutputFailure."""
    with writing(folder), NamedTemporaryFile(dir=folder, prefix=".lock-test-") as probe:
        locks = can_lock(Path(probe.name))
    if not locks:
        logger.warning(NO_LOCKS, folder)
    return locks


def can_lock(path: Path) -> bool:
    """Whether sqlite can lock a file: not so on Lustre without -o flock, on NFS without lockd.

    Raises OSError for one that is not to be read. It ends what locks this process has there.
    """
    try:
        from fcntl import LOCK_NB, LOCK_SH, lockf
    except ImportError:  # Windows, where sqlite locks in another way
        return True
    with path.open("rb") as stream:
        try:
            lockf(stream, LOCK_SH | LOCK_NB)
        except BlockingIOError:  # another has it
            return True
        except OSError:
            return False
    return True


class _Unfinished:
    """The new content of a file, beside it under a name that a later run takes over.

    Where there are no locks its name is this process's. A device or a pipe is written directly.
    """

    def __init__(self, path: Path) -> None:
        self._target = None if is_special(path) else real(path)
        self._path = path if self._target is None else _beside(self._target, "unfinished")
        self._whole = self._locked = False
        if self._target is None:
            self.stream = path.open("w", encoding="utf-8", newline="\n")
            return
        stream, self._locked = _take(self._path, wait=True)
        if not self._locked or stream is None:
            if stream is not None:
                _drop(self._path, stream, False)
            self._path = _beside(self._target, str(os.getpid()))
            stream = self._path.open("w", encoding="utf-8")
        stream.truncate(0)
        stream.reconfigure(newline="\n")
        self.stream = stream

    def __enter__(self) -> "_Unfinished":
        return self

    def __exit__(self, *_: object) -> None:
        if self._target is None or self._whole:
            self.stream.close()
        else:
            _drop(self._path, self.stream, self._locked)

    def sync(self) -> None:
        """Brings it to the disk."""
        self.stream.flush()
        if self._target is not None:
            os.fsync(self.stream.fileno())

    def replace(self) -> None:
        """Puts it in the place of what was there."""
        if self._target is not None:
            if not self._locked:
                self.stream.close()  # Windows moves no open file
            self._path.replace(self._target)
            self._whole = True


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}.{suffix}")


def _take(path: Path, *, wait: bool) -> tuple[TextIOWrapper | None, bool]:
    """Opens a file and locks it; returns it, None where another has it, and whether it is locked.

    A file that was moved or deleted while this waited for its lock is not the one of this name.
    """
    while True:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        stream = open(os.open(path, flags, 0o666), "r+", encoding="utf-8")  # noqa: SIM115
        locked = _lock(stream, wait)
        if locked is False:
            stream.close()
            return None, False
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(stream.fileno()), path.lstat()):
                return stream, bool(locked)
        stream.close()


def _lock(stream: TextIOWrapper, wait: bool) -> bool | None:
    """Returns whether the file is locked now; False: another has it; None: there are no locks."""
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock
    except ImportError:  # Windows
        return None
    try:
        flock(stream, LOCK_EX if wait else LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # file systems on a network may have none
        return None
    return True


def _drop(path: Path, stream: TextIOWrapper, locked: bool) -> None:
    """Deletes a file that was taken, before another can take it; what is buffered is lost."""
    if not locked:
        _close(stream)
    with suppress(OSError):
        path.unlink()
    if locked:
        _close(stream)


def _close(stream: TextIOWrapper) -> None:
    with suppress(OSError):  # what is buffered and has no room: the file goes
        stream.close()
