"""Scores that survive a kill: one row per group, committed before the next group begins.

sqlite3, because it is on every machine, its transactions survive kill -9 and power loss, and a
group is found without reading the rest. A file belongs to one setting (weights, dtype, engine,
versions): its name holds their fingerprint, so scores made otherwise are never mixed in. Each
process of a run writes a part of its own and reads the others'.
"""

import hashlib
import json
import logging
import sqlite3
from array import array
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from rmeval.errors import OutputFailure
from rmeval.files import can_lock, has_locks

EMPTY = "it holds nothing yet"
SCHEMA = 1  # kept in each file's user_version
SMALLEST_ROW = 40  # bytes of a file, at least, for each row: its digest twice
COUNT = "SELECT count(*) FROM batches"
TABLES = (
    "CREATE TABLE IF NOT EXISTS batches"
    " (digest BLOB PRIMARY KEY, rewards BLOB NOT NULL, checksum INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS settings (json TEXT NOT NULL)",
)
logger = logging.getLogger("rmeval")


class ScoreStore:
    """Rewards by group digest, for one setting, in files under `folder`."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], *, part: int = 0) -> None:
        """Opens or creates this process's part.

        A damaged file is set aside, and what of it is sound is taken over. Raises OutputFailure.
        """
        self._settings, self._name = _describe(settings)
        self.folder = folder
        self.path = folder / f"{self._name}{f'.part-{part}' if part else ''}.sqlite"
        self.damaged = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputFailure(f"cannot make the folder {folder} ({error.strerror})") from error
        self._locks = has_locks(folder)
        self._database = self._open_or_mend()
        self._others: dict[Path, sqlite3.Connection] = {}
        self._passed_over: set[Path] = set()
        self.refresh()

    def get(self, digest: bytes) -> list[float] | None:
        """Returns a group's rewards from any part, or None if they are not there or damaged."""
        blob = self.get_bytes(digest)
        return None if blob is None else array("d", blob).tolist()

    def put(self, digest: bytes, rewards: list[float]) -> None:
        """Makes a group's rewards durable. Raises OutputFailure."""
        self.put_bytes(digest, array("d", rewards).tobytes())

    def get_bytes(self, digest: bytes) -> bytes | None:
        """Returns what is kept under a digest, in any part, or None: not there, or damaged."""
        query = "SELECT digest, rewards, checksum FROM batches WHERE digest = ?"
        for path in (self.path, *self._others):
            database = self._others.get(path, self._database)
            try:
                row = database.execute(query, (digest,)).fetchone()
            except sqlite3.DatabaseError as error:
                self._leave_out(path, error)
                return self.get_bytes(digest)
            if row and _is_sound(*row):
                return bytes(row[1])
        return None

    def put_bytes(self, digest: bytes, blob: bytes) -> None:
        """Makes something durable under a digest. Raises OutputFailure."""
        try:
            try:
                _insert(self._database, digest, blob)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._leave_out(self.path, error)
                _insert(self._database, digest, blob)
        except sqlite3.DatabaseError as error:  # a full disk, a folder gone read-only
            raise OutputFailure(
                f"{self.path}: {error}; earlier scores are kept: free some space and run again"
            ) from error

    def _leave_out(self, path: Path, error: sqlite3.DatabaseError) -> None:
        """Goes on without what was found damaged; of this process's part, with what is sound."""
        if path in self._others:
            self._pass_over(path, error)
            self._others.pop(path).close()
        elif _is_damage(error):
            self._database.close()
            self._database = self._mend()
        else:
            raise OutputFailure(f"{path}: {error}; run again to continue") from error

    def refresh(self) -> None:
        """Opens the parts of other processes as they are now."""
        for database in self._others.values():
            database.close()
        self._others = {}
        for path in sorted(self.folder.glob(f"{self._name}*.sqlite")):
            if path != self.path:
                try:
                    self._others[path] = self._open(path, ours=False)
                except sqlite3.DatabaseError as error:
                    self._pass_over(path, error)

    def _pass_over(self, path: Path, error: sqlite3.DatabaseError) -> None:
        if path not in self._passed_over and str(error) != EMPTY:
            logger.warning("%s is skipped: %s", path, error)
        self._passed_over.add(path)

    def __len__(self) -> int:
        try:
            return int(self._database.execute(COUNT).fetchone()[0])
        except sqlite3.DatabaseError as error:
            self._leave_out(self.path, error)
            return int(self._database.execute(COUNT).fetchone()[0])

    def close(self) -> None:
        """Closes the files; nothing is pending."""
        for database in (self._database, *self._others.values()):
            database.close()

    def _open_or_mend(self) -> sqlite3.Connection:
        try:
            return self._open(self.path, ours=True)
        except sqlite3.DatabaseError as error:
            if _is_damage(error):
                return self._mend()
            busy = error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            advice = "; another run is using it" if busy else ""
            raise OutputFailure(f"{self.path}: {error}{advice}") from error

    def _mend(self) -> sqlite3.Connection:
        """Puts what is sound of this process's part in its place, which it keeps as .damaged."""
        aside, new = (self.path.with_suffix(suffix) for suffix in (".damaged", ".mended"))
        self.damaged, kept = True, 0
        try:
            new.unlink(missing_ok=True)
            with closing(self._open(new, ours=True)) as database:
                database.execute("BEGIN")
                for row in _sound_rows(self.path, "" if self._locks else "nolock=1"):
                    _insert(database, *row)
                    kept += 1
                database.execute("COMMIT")
            _move(self.path, aside)
            new.replace(self.path)
        except (OSError, sqlite3.DatabaseError) as error:
            raise OutputFailure(
                f"{self.path} is damaged and cannot be repaired: {error}"
            ) from error
        logger.warning(
            "%s was damaged: %d groups recovered, the rest is computed again; the old file is %s",
            self.path,
            kept,
            aside.name,
        )
        return self._open(self.path, ours=True)

    def _open(self, path: Path, *, ours: bool) -> sqlite3.Connection:
        # without locks, what others may be writing is read as it stands, and never written
        how = "" if self._locks else "nolock=1" if ours else "immutable=1"
        database = _connect(path, how)
        database.text_factory = partial(str, encoding="utf-8", errors="replace")  # it may be damage
        try:
            database.execute("PRAGMA synchronous = FULL")
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA:
                raise OutputFailure(
                    f"{path}: written by a newer rmeval; update, or start over with `fresh=True`"
                )
            if database.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("damaged")
            if version < SCHEMA and not ours:
                raise sqlite3.DatabaseError(EMPTY)
            if version < SCHEMA:
                for statement in TABLES:
                    database.execute(statement)
                database.execute("INSERT INTO settings VALUES (?)", (self._settings,))
                database.execute(f"PRAGMA user_version = {SCHEMA}")
        except (sqlite3.DatabaseError, OutputFailure):
            database.close()
            raise
        return database


def drop_store(folder: Path, settings: Mapping[str, Any]) -> None:
    """Deletes every part of the store of one setting, and what was set aside of it."""
    for path in folder.glob(f"{_describe(settings)[1]}*"):
        path.unlink()


class StoreFile(NamedTuple):
    """What is in one file of a store: how much, and under which settings it was made."""

    path: Path
    groups: int
    rewards: int
    settings: dict[str, Any]


def store_files(folder: Path) -> Iterator[StoreFile]:
    """Yields every readable store file below a folder, sorted by path."""
    query = "SELECT count(*), coalesce(sum(length(rewards)), 0) / 8 FROM batches"
    for path in sorted(folder.rglob("store/*.sqlite")):
        try:
            with closing(_connect(path, "" if can_lock(path) else "immutable=1")) as database:
                groups, rewards = database.execute(query).fetchone()
                (text,) = database.execute("SELECT json FROM settings").fetchone()
            settings = json.loads(text)
            if not isinstance(settings, dict):
                raise ValueError("no settings")
            yield StoreFile(path, groups, rewards, settings)
        except (sqlite3.DatabaseError, OSError, ValueError, TypeError) as error:
            logger.warning("%s is skipped: %s", path, error)


def _connect(path: Path, how: str) -> sqlite3.Connection:
    """Opens a file, `how` being a parameter of sqlite's addresses, or nothing."""
    address = f"{path.absolute().as_uri()}?{how}"
    return sqlite3.connect(address, uri=True, isolation_level=None, timeout=60)


def _describe(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Returns the settings as JSON, and the name that follows from it."""
    described = json.dumps(settings, sort_keys=True)
    return described, hashlib.sha256(described.encode()).hexdigest()[:16]


def _insert(database: sqlite3.Connection, digest: bytes, blob: bytes) -> None:
    row = (digest, blob, crc32(digest + blob))
    database.execute("INSERT OR REPLACE INTO batches VALUES (?, ?, ?)", row)


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether a file is no sound database, which is none of a full disk or of another run."""
    return type(error) is sqlite3.DatabaseError or "no such" in str(error)


def _is_sound(digest: object, blob: object, checksum: object) -> bool:
    """Whether a row is what was kept: a damaged file may hold anything, or nothing."""
    if not isinstance(digest, bytes) or not isinstance(blob, bytes):
        return False
    return checksum == crc32(digest + blob)


def _move(path: Path, to: Path) -> None:
    """Moves a database, with the journal of a change that a kill has broken off."""
    for name, target in ((path, to), (Path(f"{path}-journal"), Path(f"{to}-journal"))):
        target.unlink(missing_ok=True)
        if name.exists():
            name.replace(target)


def _sound_rows(path: Path, how: str) -> Iterator[tuple[bytes, bytes]]:
    """Yields the rows of a damaged file whose checksums hold, on both sides of each damage.

    writable_schema lets sqlite read a file that is shorter than its first page says.
    """
    least, most = 0, path.stat().st_size // SMALLEST_ROW
    query = "SELECT rowid, digest, rewards, checksum FROM batches WHERE rowid > ? ORDER BY rowid"
    with closing(_connect(path, how)) as database:
        database.execute("PRAGMA writable_schema = ON")
        try:
            database.execute("PRAGMA table_info(batches)")
        except sqlite3.DatabaseError:  # no database at all
            return
        while least < most:
            try:
                for rowid, *row in database.execute(query, (least,)):
                    least = rowid
                    if _is_sound(*row):
                        yield row[0], row[1]
                return
            except sqlite3.DatabaseError as error:
                if not _is_damage(error) or "no such" in str(error):
                    return
                least += 1
