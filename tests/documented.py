"""Whether all that a result holds is in rmeval.results.schema, and so in docs/results.md."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, NotRequired, get_args, get_origin

from pydantic import TypeAdapter
from typing_extensions import get_type_hints, is_typeddict

from rmeval.results.schema import ResultDocument, ScoreLine, VersionsRecord, wrong_field


def bare(hint: Any) -> Any:
    """A field's kind without what is said about it, and without None."""
    if get_origin(hint) in (Annotated, NotRequired):
        return bare(get_args(hint)[0])
    return bare(get_args(hint)[0]) if isinstance(hint, UnionType) else hint


def unknown_fields(record: Any, values: Any, path: str = "") -> Iterator[str]:
    """Yields what stands in `values` and in no record."""
    hints = get_type_hints(record, include_extras=True)
    for key, value in values.items():
        if key not in hints:
            if record is not VersionsRecord:  # one for each package
                yield f"{path}{key}"
            continue
        kind = bare(hints[key])
        if value is not None and is_typeddict(kind):
            yield from unknown_fields(kind, value, f"{path}{key}.")
        elif get_origin(kind) is list and is_typeddict(bare(get_args(kind)[0])):
            for item in value:
                yield from unknown_fields(bare(get_args(kind)[0]), item, f"{path}{key}[].")


def assert_documented(folder: Path) -> None:
    """Every field of a folder's result.json and scores.jsonl is known, and of its kind."""
    document = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert wrong_field(document) is None
    assert not list(unknown_fields(ResultDocument, document))
    for text in (folder / "scores.jsonl").read_text(encoding="utf-8").splitlines():
        line = TypeAdapter(ScoreLine).validate_python(json.loads(text), strict=True)
        assert not list(unknown_fields(ScoreLine, line))
