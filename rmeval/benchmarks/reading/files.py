"""Files of data, read row by row, each row with the place that an error can name."""

import codecs
import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from rmeval.benchmarks.reading.unpacking import ending, open_data, refuse_bomb
from rmeval.conversations import parse_json
from rmeval.errors import FOREIGN, BadData, first_line, one_line

ROWS_AT_ONCE = 1024  # of parquet; message lists are large as objects
BLANK = codecs.BOM_UTF8 + b" \t\r\n"  # what may stand before the first row of text
EXTENSION, JSON = b"ARROW:extension:name", "arrow.json"  # how arrow marks text that is JSON
ARROW_FILE = b"ARROW1"  # what the other kind of .arrow, that is no stream, begins with

File = TypeVar("File", str, Path)
Placed = tuple[str, dict[str, Any]]
"""A place, such as "file.jsonl line 12", and the values of the row that stands there."""


class Source(NamedTuple):
    """A file, what errors call it, the columns it must have, and those read where they are.

    Where neither are named, all are read.
    """

    file: Path
    name: str
    columns: Sequence[str] = ()
    optional: Sequence[str] = ()

    def wanted(self, present: Sequence[str]) -> list[str]:
        """Returns which of the columns of a table are read. Raises BadData for a missing one."""
        _require(self.name, present, self.columns)
        _require_once(present, self.name)
        either = (*self.columns, *self.optional)
        return [column for column in present if column in either or not either]


def is_readable(name: str) -> bool:
    """Whether a file of this name holds rows, by its ending; a cache of `datasets` does not."""
    cached = name.endswith(".arrow") and Path(name).name.startswith("cache-")
    return ending(name) in READERS and not cached


def known_endings() -> str:
    """Returns the endings that can be read, for the message of an error."""
    return ", ".join(READERS)


def without_metadata(files: Sequence[File]) -> list[File]:
    """Returns a folder's files without .json, which is often about the others, if there are any."""
    return [file for file in files if not str(file).endswith(".json")] or list(files)


def column_names(file: Path) -> list[str]:
    """Returns all columns of a file whose rows have only those that were wanted, else none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if file.suffix == ".parquet":
        return list(pq.read_schema(file).names)
    if file.suffix != ".arrow":
        return []
    with pa.memory_map(str(file)) as mapped:
        return list(_batches(file, mapped)[0].names)


def require_file(path: Path, advice: str = "") -> None:
    """Raises BadData for what is no file: nothing, a folder, or a pipe, which ends when read."""
    if path.is_file():
        return
    if path.exists() and not path.is_dir():
        raise BadData(f"{path}: a pipe can be read only once; save it to a file and pass that")
    raise BadData(f"{path}: no such file{advice}")


def read_file(source: Source) -> Iterator[Placed]:
    """Yields the rows of a file. Raises BadData for a row or a file that cannot be read."""
    return READERS[ending(source.file.name)](source)


def json_lines(file: Path, name: str | None = None) -> Iterator[Placed]:
    """Yields each line's object with its place, "name line 12"; blank lines are passed over.

    `name` is what errors call the file, where its own name says too little. Raises BadData for a
    line that is not a JSON object in UTF-8.
    """
    with open_data(file) as stream:
        for number, line in enumerate(stream, 1):
            place = f"{name or file.name} line {number}"
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                values = parse_json(text) if text.strip() else None
                _refuse_half_pairs(text, values)
            except (ValueError, RecursionError) as error:
                raise BadData(f"{place}: not a readable row ({first_line(error)})") from error
            if values is None and not text.strip():
                continue
            if not isinstance(values, dict):
                raise BadData(f"{place}: expected an object, {{...}}")
            yield place, values


def _read_jsonl(source: Source) -> Iterator[Placed]:
    for place, values in json_lines(source.file, source.name):
        _require(place, values, source.columns)
        yield place, values


def _read_json(source: Source) -> Iterator[Placed]:
    """Reads a list of objects, or JSON Lines, which begins with an object that ends on its line."""
    with open_data(source.file) as stream:
        first = next((found for line in stream if (found := line.strip(BLANK))), b"")
    if first.startswith(b"{") and first.endswith(b"}"):
        yield from _read_jsonl(source)
        return
    try:
        with open_data(source.file) as stream:
            text = stream.read().decode("utf-8-sig")
        found = parse_json(text)
        _refuse_half_pairs(text, found)
    except (ValueError, RecursionError) as error:
        raise BadData(f"{source.file}: not readable JSON ({first_line(error)})") from error
    if not isinstance(found, list):
        raise BadData(f"{source.file}: expected a list of objects, [{{...}}, ...], or one a line")
    for number, values in enumerate(found, 1):
        place = f"{source.name} row {number}"
        if not isinstance(values, dict):
            raise BadData(f"{place}: expected an object, {{...}}")
        _require(place, values, source.columns)
        yield place, values


def _read_csv(source: Source) -> Iterator[Placed]:
    csv.field_size_limit(sys.maxsize)  # the default refuses responses over 128 KiB
    with (
        open_data(source.file) as stream,
        io.TextIOWrapper(stream, "utf-8-sig", newline="") as lines,
    ):
        reader = csv.DictReader(lines, strict=True)
        try:
            if reader.fieldnames is None:
                return
            source.wanted([name for name in reader.fieldnames if name])
            for values in reader:
                place = f"{source.name} line {reader.line_num}"
                if None in values:
                    raise BadData(f"{place}: more fields than the header has columns")
                yield place, values
        except (csv.Error, UnicodeDecodeError) as error:
            place = f"{source.name} line {reader.line_num + 1}"
            raise BadData(f"{place}: not a readable row ({first_line(error)})") from error


def _read_parquet(source: Source) -> Iterator[Placed]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(source.file) as parquet:
            refuse_bomb(source.file, parquet.metadata)
            wanted = source.wanted(parquet.schema_arrow.names)
            yield from rows_of(parquet.iter_batches(ROWS_AT_ONCE, columns=wanted), source.name)
    except (pa.ArrowException, *FOREIGN) as error:
        raise BadData(
            f"{source.file}: not a readable parquet file ({first_line(error)})"
        ) from error


def _read_arrow(source: Source) -> Iterator[Placed]:
    """Reads the stream that `datasets` writes as save_to_disk, or an arrow file."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(source.file)) as mapped:
            schema, batches = _batches(source.file, mapped)
            wanted = source.wanted(schema.names)
            sound = (_sound(batch.select(wanted)) for batch in batches)
            yield from rows_of(sound, source.name)
    except (pa.ArrowException, *FOREIGN) as error:
        raise BadData(f"{source.file}: not a readable arrow file ({first_line(error)})") from error


def _sound(batch: Any) -> Any:
    """Returns a batch that leads nowhere outside the file: arrow reads wherever it is pointed."""
    batch.validate(full=True)
    return batch


def _batches(file: Path, mapped: Any) -> tuple[Any, Iterable[Any]]:
    """Returns the schema and the batches of rows of an opened .arrow file."""
    import pyarrow as pa

    with file.open("rb") as start:
        if start.read(len(ARROW_FILE)) != ARROW_FILE:
            stream = pa.ipc.open_stream(mapped)
            return stream.schema, stream
    whole = pa.ipc.open_file(mapped)
    return whole.schema, map(whole.get_batch, range(whole.num_record_batches))


def rows_of(batches: Iterable[Any], name: str) -> Iterator[Placed]:
    """Yields the rows of arrow's batches, or tables."""
    number = 0
    for batch in batches:
        fields = {field.name: field for field in batch.schema}
        for first in range(0, batch.num_rows, ROWS_AT_ONCE):
            for row in batch.slice(first, ROWS_AT_ONCE).to_pylist():
                number += 1
                yield f"{name} row {number}", {key: _given(row[key], fields[key]) for key in row}


def _given(value: Any, field: Any) -> Any:
    """Returns a value as it was before it became a column's: objects had only keys of their own.

    A null in one is a key that only other rows have, but for a message's content. What `datasets`
    keeps as JSON text is an object. Raises ValueError for JSON that is none.
    """
    kind, told = field.type, field.metadata or {}
    extension = getattr(kind, "extension_name", told.get(EXTENSION, b"").decode())
    if value is None or isinstance(value, str):
        return parse_json(value) if value is not None and extension == JSON else value
    if isinstance(value, dict):
        return {
            inner.name: _given(value[inner.name], inner)
            for inner in kind
            if value[inner.name] is not None or inner.name == "content"
        }
    item = getattr(kind, "value_field", None)
    return value if item is None else [_given(held, item) for held in value]


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


def _require_once(names: Sequence[str], place: str) -> None:
    """Raises BadData for a column that a file has twice."""
    for name in names:
        if names.count(name) > 1:
            raise BadData(f"{place}: column {one_line(name)[:80]!r} appears twice")


Reader = Callable[[Source], Iterator[Placed]]
READERS: dict[str, Reader] = {
    ".parquet": _read_parquet,
    ".arrow": _read_arrow,
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
    ".jsonl.gz": _read_jsonl,
    ".json.gz": _read_json,
    ".csv.gz": _read_csv,
}
