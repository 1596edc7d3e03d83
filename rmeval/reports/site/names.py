"""File names for things that may be called anything: no path, no collision, on any disk."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

LONGEST = 60  # letters of a name that are kept
# What Windows keeps for devices, whatever the ending.
RESERVED = {"con", "prn", "aux", "nul", *(f"{p}{n}" for p in ("com", "lpt") for n in range(10))}


def file_names(names: Iterable[str]) -> dict[str, str]:
    """Returns a file's name, without an ending, for each name; equal input gives equal output.

    Where two would be the same file on a disk that tells no case apart, each has a hash behind it.
    """
    names = list(dict.fromkeys(names))
    plain = {name: _plain(name) for name in names}
    taken = Counter(found.casefold() for found in plain.values())
    return {
        name: found
        if taken[found.casefold()] == 1 and found.split(".")[0].casefold() not in RESERVED
        else f"{found}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        for name, found in plain.items()
    }


def _plain(name: str) -> str:
    """Returns the letters of a name that every file system and address takes."""
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", name.replace("/", "--")).strip(".-")
    return kept[:LONGEST].rstrip(".-") or "_"
