"""What an engine is held to, in a file: made where the model fits, compared where it does not."""

import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

from rmeval.conversations import parse_json, to_conversation
from rmeval.errors import BadData, one_line
from rmeval.files import reading, write_atomically
from rmeval.models.doctor.mistakes import RIGHT, Expected, Mistake, Row

if TYPE_CHECKING:
    from pydantic import TypeAdapter

KIND, SCHEMA = "rmeval parity record", 1


class RowRecord(TypedDict):
    """A conversation: its messages, its text, and its ids under each mistake of text."""

    messages: list[dict[str, Any]]
    text: str
    ids: dict[str, list[int]]


class RewardsRecord(TypedDict):
    """The reward of each row under a mistake, by dtype. An empty part is nothing that is wrong."""

    text: str
    kept: int
    lost: str
    state: str
    rewards: dict[str, list[float]]


class ParityRecord(TypedDict):
    """The whole file; `model` and `versions` are as in a result's provenance."""

    kind: Literal["rmeval parity record"]
    schema: Literal[1]
    model: dict[str, Any]
    versions: dict[str, str]
    dtype: str
    rows: list[RowRecord]
    mistakes: list[RewardsRecord]


def write_record(path: Path, expected: Expected, versions: Mapping[str, str]) -> None:
    """Writes what a model gives rightly and under each mistake. Raises OutputFailure."""
    rows = [
        {"messages": [m.fields() for m in row.conversation], "text": row.text, "ids": dict(row.ids)}
        for row in expected.rows
    ]
    mistakes = [
        {
            **{name: getattr(mistake, name) for name in ("text", "kept", "lost", "state")},
            "rewards": {dtype: found[mistake] for dtype, found in expected.rewards.items()},
        }
        for mistake in expected.rewards[expected.dtype]
    ]
    document = {
        "kind": KIND,
        "schema": SCHEMA,
        "model": dict(expected.model),
        "versions": dict(versions),
        "dtype": expected.dtype,
        "rows": rows,
        "mistakes": mistakes,
    }
    write_atomically(path, json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n")


def read_record(path: Path) -> Expected:
    """Returns what `write_record` wrote. Raises BadData for anything else."""
    with reading(path):
        text = path.read_text(encoding="utf-8", errors="replace")
    try:
        document = parse_json(text)
    except (ValueError, RecursionError) as error:
        raise BadData(f"{path}: not valid JSON; make it with `rmeval doctor --record`") from error
    _require_valid(path, document)
    rows = tuple(
        Row(to_conversation(row["messages"], f"{path}: row {i}"), row["text"], row["ids"])
        for i, row in enumerate(document["rows"])
    )
    rewards: dict[str, dict[Mistake, list[float]]] = {}
    for told in document["mistakes"]:
        mistake = Mistake(told["text"], told["kept"], told["lost"], told["state"])
        for dtype, values in told["rewards"].items():
            rewards.setdefault(dtype, {})[mistake] = values
    expected = Expected(rows, document["dtype"], rewards, document["model"])
    _require_whole(path, expected)
    return expected


def _require_valid(path: Path, document: Any) -> None:
    from pydantic import ValidationError

    try:
        _record().validate_python(document, strict=True)
    except ValidationError as error:
        first, *_ = error.errors(include_url=False, include_context=False, include_input=False)
        place = one_line(".".join(map(str, first["loc"])))[:80] or "the file"
        raise BadData(
            f"{path}: {place} is missing or no part of a {KIND}; make it with "
            "`rmeval doctor --record`"
        ) from error


def _require_whole(path: Path, expected: Expected) -> None:
    """Raises BadData for a record of which a part is missing."""
    own, count = expected.rewards.get(expected.dtype, {}), len(expected.rows)
    whole = RIGHT in own and all(
        found.keys() == own.keys()
        and all(
            len(values) == count and all(map(math.isfinite, values)) for values in found.values()
        )
        for found in expected.rewards.values()
    )
    if not whole or not count or any(not row.ids.get(RIGHT.text) for row in expected.rows):
        raise BadData(f"{path}: not every row has its rewards; make it again")


@cache
def _record() -> "TypeAdapter[ParityRecord]":
    from pydantic import TypeAdapter

    return TypeAdapter(ParityRecord)
