"""Rows of data files, each with the place that an error can name."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmeval.benchmarks.reading.files import (
    Source,
    is_readable,
    known_endings,
    read_file,
    require_file,
    without_metadata,
)
from rmeval.benchmarks.reading.unpacking import ending
from rmeval.conversations import is_missing, to_conversation
from rmeval.errors import BadData, nearest_name, one_line
from rmeval.records import Conversation, Message, Preference

NAMES_SHOWN = 12  # names in an error that lists what is known


@dataclass(frozen=True, slots=True)
class Row:
    """A row's values by column, and where it stands: "file.jsonl line 12"."""

    values: Mapping[str, Any]
    place: str

    def text(self, column: str) -> str:
        """Returns a column as text; an empty text is a value, a missing one is BadData."""
        value = self.values[column]
        if is_missing(value):
            raise BadData(f"{self.place}: column {column!r} has no value")
        if isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise self._wrong(column, value, "text")

    def texts(self, column: str) -> tuple[str, ...]:
        """Returns a column as a list of texts, of at least one. Raises BadData."""
        values = self.values[column]
        if not isinstance(values, list):
            raise self._wrong(column, values, "a list of texts")
        if not values:
            raise BadData(f"{self.place}: column {column!r} is an empty list")
        for number, value in enumerate(values, 1):
            if not isinstance(value, str):
                raise self._wrong(f"{column}[{number}]", value, "text")
        return tuple(values)

    def flags(self, column: str, count: int) -> tuple[bool, ...]:
        """Returns a column as a list of `count` times true or false, or 1 or 0. Raises BadData."""
        values = self.values[column]
        if not isinstance(values, list | tuple):
            raise self._wrong(column, values, "a list of true and false, or of 1 and 0")
        if len(values) != count:
            raise BadData(f"{self.place}: {len(values)} in {column!r} for {count} responses")
        for number, value in enumerate(values, 1):
            if not isinstance(value, bool | int | float) or value not in (0, 1):
                shown = one_line(repr(value))[:40]
                raise BadData(
                    f"{self.place}: column {column!r}[{number}] is {shown}; it must be true or "
                    "false, 1 or 0"
                )
        return tuple(map(bool, values))

    def number(self, column: str) -> int:
        """Returns a column as a whole number. Raises BadData."""
        value = self.values[column]
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(column, value, "a whole number")
        return value

    def messages(self, column: str) -> Conversation:
        """Returns a column as a conversation of messages. Raises BadData."""
        return to_conversation(self.values[column], f"{self.place}: column {column!r}")

    def prompt(self, column: str) -> Conversation:
        """Returns a column as a prompt: a list of messages, or the text of one user turn."""
        if isinstance(self.values[column], list):
            return self.messages(column)
        return (Message("user", self.text(column)),)

    def one_of(self, column: str, known: Iterable[str]) -> str:
        """Returns a column as one of the known names. Raises BadData with the nearest."""
        return require_known(self.text(column), known, column, self.place)

    def _wrong(self, column: str, value: object, wanted: str) -> BadData:
        kind = type(value).__name__
        return BadData(f"{self.place}: column {column!r} holds {kind}, not {wanted}")


def require_known(name: str, known: Iterable[str], kind: str, place: str) -> str:
    """Returns a name that is known. Raises BadData with the nearest, or with what is known."""
    known = list(known)
    if name in known:
        return name
    nearest, more = nearest_name(name[:200], known), ", ..." if len(known) > NAMES_SHOWN else ""
    hint = (
        f"did you mean {nearest!r}?"
        if nearest
        else f"known: {', '.join(known[:NAMES_SHOWN])}{more}"
    )
    raise BadData(f"{place}: unknown {kind} {one_line(name)[:80]!r}; {hint}")


def files_below(folder: Path) -> list[Path]:
    """Returns the files in a folder and below that can be read, by name; hidden ones are not."""
    return sorted(
        file
        for file in folder.rglob("*")
        if is_readable(file.name)
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )


def data_files(path: Path, split: str) -> list[Path]:
    """Returns the data files that `path` stands for: itself, or those found below a folder.

    In a folder, files named after the split win, as the Hub lays data sets out
    (`data/filtered-00000-of-00001.parquet`). Raises BadData when nothing fits.
    """
    if not path.is_dir():
        require_file(path, " or folder")
        if not is_readable(path.name):
            raise BadData(
                f"{path}: cannot read {ending(path.name) or 'this'}; known: {known_endings()}"
            )
        return [path]
    found = files_below(path)
    found = [file for file in found if file.name.startswith(split)] or found
    found = without_metadata(found)
    if not found:
        raise BadData(f"{path}: no {known_endings()} file in this folder")
    if len({ending(file.name) for file in found}) > 1:
        names = ", ".join(file.name for file in found[:4])
        raise BadData(f"{path}: which of {names}? Pass the file itself")
    return found


def read_rows(
    files: Iterable[Path],
    columns: Sequence[str],
    optional: Sequence[str] = (),
    root: Path | None = None,
) -> Iterator[Row]:
    """Yields the rows of all files in order; each has `columns`, whatever else it holds.

    `optional` columns are read where they are. Files are named by their path below `root`, for
    layouts in which all are called alike. Raises BadData for an unreadable or empty file, or a
    missing column, naming file and row.
    """
    files = list(files)
    empty = True
    for file in files:
        name = file.name if root is None else file.relative_to(root).as_posix()
        for place, values in read_file(Source(file, name, columns, optional)):
            empty = False
            yield Row(values, place)
    if empty:
        raise BadData(f"{', '.join(map(str, files))}: no rows")


def require_unique_ids(
    placed: Iterable[tuple[str, Preference]], advice: str = ""
) -> tuple[Preference, ...]:
    """Returns preferences, each given with its place. Raises BadData where two share an id."""
    preferences, places = [], dict[str, str]()
    for place, preference in placed:
        if preference.id in places:
            name = one_line(preference.id)[:80]
            raise BadData(f"{place}: id {name} is also that of {places[preference.id]}{advice}")
        places[preference.id] = place
        preferences.append(preference)
    return tuple(preferences)
