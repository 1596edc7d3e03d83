"""Scores that survive a kill: one row per batch, committed before the next batch begins.

sqlite3, because it is on every machine, its transactions survive kill -9 and power loss, and a
batch is found without reading the rest. A file belongs to one setting (weights, dtype, engine,
versions): its name holds their fingerprint, so scores made otherwise are never mixed in.
"""

import hashlib
import json
import sqlite3
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rmeval.errors import OutputFailure

SCHEMA = "CREATE TABLE IF NOT EXISTS batches (digest BLOB PRIMARY KEY, rewards BLOB NOT NULL)"


class ScoreStore:
    """Rewards by batch digest, for one setting, in one file under `folder`."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Opens or creates the store. A damaged file is set aside, and its scores made anew."""
        name = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
        self.path = folder / f"{name}.sqlite"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputFailure(f"cannot make the folder {folder} ({error.strerror})") from error
        self.damaged = False
        try:
            self._database = self._open()
        except sqlite3.OperationalError as error:
            raise OutputFailure(f"{self.path}: {error}; is another run using it?") from error
        except sqlite3.DatabaseError:
            self.path.replace(self.path.with_suffix(".damaged"))
            self.damaged = True
            self._database = self._open()

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, isolation_level=None)
        try:
            database.execute("PRAGMA synchronous = FULL")
            database.execute(SCHEMA)
            if database.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("damaged")
        except sqlite3.DatabaseError:
            database.close()
            raise
        return database

    def get(self, digest: bytes) -> list[float] | None:
        """Returns a batch's rewards, or None if they are not there."""
        query = "SELECT rewards FROM batches WHERE digest = ?"
        row = self._database.execute(query, (digest,)).fetchone()
        return array("d", row[0]).tolist() if row else None

    def put(self, digest: bytes, rewards: list[float]) -> None:
        """Makes a batch's rewards durable."""
        blob = array("d", rewards).tobytes()
        try:
            self._database.execute("INSERT OR REPLACE INTO batches VALUES (?, ?)", (digest, blob))
        except sqlite3.OperationalError as error:  # a full disk, a folder gone read-only
            raise OutputFailure(
                f"{self.path}: {error}; what was scored before is kept: make room, run again"
            ) from error

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM batches").fetchone()[0])

    def close(self) -> None:
        """Closes the file; nothing is pending."""
        self._database.close()
