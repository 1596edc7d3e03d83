"""Rows from parquet, jsonl and csv files, each with the place that an error can name."""

import csv
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmeval.errors import BadData, first_line


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
        raise BadData(f"{self.place}: column {column!r} holds {type(value).__name__}, not text")


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
    found = sorted(file for file in path.rglob("*") if file.suffix in READERS and file.is_file())
    found = [file for file in found if file.name.startswith(split)] or found
    if not found:
        raise BadData(f"{path}: no {_known()} file in this folder")
    if len({file.suffix for file in found}) > 1:
        names = ", ".join(file.name for file in found[:4])
        raise BadData(f"{path}: which of {names}? Pass the file itself")
    return found


def read_rows(files: Iterable[Path], columns: Sequence[str]) -> Iterator[Row]:
    """Yields the rows of all files in order; each has `columns`, whatever else it holds.

    Raises BadData for an unreadable or empty file, or a missing column, naming file and row.
    """
    files = list(files)
    empty = True
    for file in files:
        for row in READERS[file.suffix](file, columns):
            empty = False
            yield row
    if empty:
        raise BadData(f"{', '.join(map(str, files))}: no rows")


def _read_parquet(file: Path, columns: Sequence[str]) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(file)
        _require(file.name, parquet.schema_arrow.names, columns)
        number = 0
        for batch in parquet.iter_batches(columns=list(columns)):
            for values in batch.to_pylist():
                number += 1
                yield Row(values, f"{file.name} row {number}")
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise BadData(f"{file}: not a readable parquet file ({first_line(error)})") from error


def _read_jsonl(file: Path, columns: Sequence[str]) -> Iterator[Row]:
    for place, values in json_lines(file):
        _require(place, values, columns)
        yield Row(values, place)


def _read_csv(file: Path, columns: Sequence[str]) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)  # the default refuses responses over 128 KiB
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, strict=True)
        try:
            if reader.fieldnames is None:
                return
            _require(file.name, reader.fieldnames, columns)
            for values in reader:
                place = f"{file.name} line {reader.line_num}"
                if None in values:
                    raise BadData(f"{place}: more fields than the header has columns")
                yield Row(values, place)
        except (csv.Error, UnicodeDecodeError) as error:
            place = f"{file.name} line {reader.line_num + 1}"
            raise BadData(f"{place}: not a readable row ({first_line(error)})") from error


def json_lines(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields each line's object with its place, "name line 12"; blank lines are passed over.

    Raises BadData for a line that is not a JSON object in UTF-8.
    """
    with file.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            place = f"{file.name} line {number}"
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                values = json.loads(text) if text.strip() else None
                if b"\\u" in line:  # an escape may be half of a pair, which is no text
                    json.dumps(values, ensure_ascii=False).encode()
            except (ValueError, RecursionError) as error:
                raise BadData(f"{place}: not a readable row ({first_line(error)})") from error
            if values is None and not text.strip():
                continue
            if not isinstance(values, dict):
                raise BadData(f"{place}: expected an object, {{...}}")
            yield place, values


def _require(place: str, present: Iterable[str], columns: Sequence[str]) -> None:
    present = list(present)
    missing = [column for column in columns if column not in present]
    if missing:
        raise BadData(f"{place}: no column {', '.join(missing)}; found: {', '.join(present)}")


def _known() -> str:
    return ", ".join(READERS)


Reader = Callable[[Path, Sequence[str]], Iterator[Row]]
READERS: dict[str, Reader] = {
    ".parquet": _read_parquet,
    ".jsonl": _read_jsonl,
    ".csv": _read_csv,
}
