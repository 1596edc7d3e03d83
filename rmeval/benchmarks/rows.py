"""Rows from parquet, jsonl and csv files, each with the place that an error can name."""

import csv
import gzip
import json
import math
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rmeval.conversations import to_conversation
from rmeval.errors import BadData, first_line, nearest_name, one_line
from rmeval.types import Conversation, Message, Preference

SHOWN = 12  # names in an error that lists what is known
ROWS_AT_ONCE = 1024  # of parquet; message lists are large as objects


@dataclass(frozen=True, slots=True)
class Row:
    """A row's values by column, and where it stands: "file.jsonl line 12"."""

    values: Mapping[str, Any]
    place: str

    def text(self, column: str) -> str:
        """Returns a column as text; an empty text is a value, a missing one is BadData."""
        value = self.values[column]
        if value is None or (isinstance(value, float) and math.isnan(value)):
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
    nearest, more = nearest_name(name[:200], known), ", ..." if len(known) > SHOWN else ""
    hint = f"did you mean {nearest!r}?" if nearest else f"known: {', '.join(known[:SHOWN])}{more}"
    raise BadData(f"{place}: unknown {kind} {one_line(name)[:80]!r}; {hint}")


def files_below(folder: Path) -> list[Path]:
    """Returns the files in a folder and below that can be read, by name; hidden ones are not."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix in READERS
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )


def data_files(path: Path, split: str) -> list[Path]:
    """Returns the data files that `path` stands for: itself, or those found below a folder.

    In a folder, files named after the split win, as the Hub lays data sets out
    (`data/filtered-00000-of-00001.parquet`). Raises BadData when nothing fits.
    """
    if path.is_file():
        if path.suffix not in READERS:
            raise BadData(f"{path}: cannot read {path.suffix or 'this'}; known: {_known()}")
        return [path]
    if not path.is_dir():
        raise BadData(f"{path}: no such file or folder")
    found = files_below(path)
    found = [file for file in found if file.name.startswith(split)] or found
    found = [file for file in found if file.suffix != ".json"] or found  # often about the others
    if not found:
        raise BadData(f"{path}: no {_known()} file in this folder")
    if len({file.suffix for file in found}) > 1:
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
        for row in READERS[file.suffix](_Source(file, name, columns, optional)):
            empty = False
            yield row
    if empty:
        raise BadData(f"{', '.join(map(str, files))}: no rows")


def require_unique_ids(placed: Iterable[tuple[str, Preference]]) -> tuple[Preference, ...]:
    """Returns preferences, each given with its place. Raises BadData where two share an id."""
    preferences, places = [], dict[str, str]()
    for place, preference in placed:
        if preference.id in places:
            name = one_line(preference.id)[:80]
            raise BadData(f"{place}: id {name} is also that of {places[preference.id]}")
        places[preference.id] = place
        preferences.append(preference)
    return tuple(preferences)


class _Source(NamedTuple):
    """A file, what errors call it, and the columns that are wanted of it."""

    file: Path
    name: str
    columns: Sequence[str]
    optional: Sequence[str]


def _read_parquet(source: _Source) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(source.file)
        present = parquet.schema_arrow.names
        _require(source.name, present, source.columns)
        wanted = [*source.columns, *(column for column in source.optional if column in present)]
        number = 0
        for batch in parquet.iter_batches(ROWS_AT_ONCE, columns=wanted):
            for values in batch.to_pylist():
                number += 1
                yield Row(values, f"{source.name} row {number}")
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BadData(
            f"{source.file}: not a readable parquet file ({first_line(error)})"
        ) from error


def _read_jsonl(source: _Source) -> Iterator[Row]:
    for place, values in json_lines(source.file, source.name):
        _require(place, values, source.columns)
        yield Row(values, place)


def _read_jsonl_gz(source: _Source) -> Iterator[Row]:
    try:
        yield from _read_jsonl(source)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadData(f"{source.file}: not a readable .jsonl.gz ({first_line(error)})") from error


def _read_json(source: _Source) -> Iterator[Row]:
    file = source.file
    try:
        text = file.read_text(encoding="utf-8-sig")
        found = json.loads(text)
        _refuse_half_pairs(text, found)
    except (ValueError, RecursionError) as error:
        raise BadData(f"{file}: not readable JSON ({first_line(error)})") from error
    if not isinstance(found, list):
        raise BadData(f"{file}: expected a list of objects, [{{...}}, ...]")
    for number, values in enumerate(found, 1):
        place = f"{source.name} row {number}"
        if not isinstance(values, dict):
            raise BadData(f"{place}: expected an object, {{...}}")
        _require(place, values, source.columns)
        yield Row(values, place)


def _read_csv(source: _Source) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)  # the default refuses responses over 128 KiB
    with source.file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, strict=True)
        try:
            if reader.fieldnames is None:
                return
            _require(source.name, reader.fieldnames, source.columns)
            for values in reader:
                place = f"{source.name} line {reader.line_num}"
                if None in values:
                    raise BadData(f"{place}: more fields than the header has columns")
                yield Row(values, place)
        except (csv.Error, UnicodeDecodeError) as error:
            place = f"{source.name} line {reader.line_num + 1}"
            raise BadData(f"{place}: not a readable row ({first_line(error)})") from error


def json_lines(file: Path, name: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields each line's object with its place, "name line 12"; blank lines are passed over.

    `name` is what errors call the file, where its own name says too little. Raises BadData for a
    line that is not a JSON object in UTF-8.
    """
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            place = f"{name or file.name} line {number}"
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                values = json.loads(text) if text.strip() else None
                _refuse_half_pairs(text, values)
            except (ValueError, RecursionError) as error:
                raise BadData(f"{place}: not a readable row ({first_line(error)})") from error
            if values is None and not text.strip():
                continue
            if not isinstance(values, dict):
                raise BadData(f"{place}: expected an object, {{...}}")
            yield place, values


def _refuse_half_pairs(text: str, values: object) -> None:
    """Raises UnicodeEncodeError for an escape that is half of a surrogate pair: it is no text."""
    if "\\u" in text:
        json.dumps(values, ensure_ascii=False).encode()


def _require(place: str, present: Iterable[str], columns: Sequence[str]) -> None:
    present = list(present)
    missing = [column for column in columns if column not in present]
    if missing:
        raise BadData(
            f"{place}: no column {', '.join(missing)}; found: {one_line(', '.join(present))}"
        )


def _known() -> str:
    return ", ".join(READERS).replace(".gz", ".jsonl.gz")


Reader = Callable[[_Source], Iterator[Row]]
READERS: dict[str, Reader] = {
    ".parquet": _read_parquet,
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
    ".gz": _read_jsonl_gz,
}
