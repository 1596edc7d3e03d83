"""Small files in the publishers' layouts, and what loading them gives."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rmeval import Preference, load_benchmark
from rmeval.errors import BadData

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Rows = Sequence[dict[str, Any]]


def write(path: Path, rows: Rows) -> Path:
    """Writes rows as parquet, jsonl or a JSON list, as the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(list(rows)), encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(name: str, path: Path) -> tuple[Preference, ...]:
    return load_benchmark(name, path).preferences


def refused(name: str, path: Path) -> str:
    """The one line that a user reads."""
    with pytest.raises(BadData) as caught:
        load_benchmark(name, path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def without(row: dict[str, Any], column: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != column}


def turns(*contents: str) -> list[dict[str, str]]:
    """Messages of the user and the assistant by turns."""
    return [
        {"content": content, "role": "assistant" if number % 2 else "user"}
        for number, content in enumerate(contents)
    ]
