"""docs/results.md says what result.json and scores.jsonl hold, as `rmeval.results.schema` does."""

from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, NotRequired, get_args, get_origin

from typing_extensions import Doc, get_type_hints, is_typeddict

from rmeval.results import schema

PAGE = Path(__file__).parents[1] / "docs" / "results.md"
KINDS = {str: "text", bool: "true or false", int: "count", float: "number"}


def kind(hint: Any) -> str:
    """What a field holds, in words."""
    if get_origin(hint) in (Annotated, NotRequired):
        return kind(get_args(hint)[0])
    if isinstance(hint, UnionType):
        first, nothing = get_args(hint)
        assert nothing is NoneType
        return f"{kind(first)} or null"
    if get_origin(hint) is list:
        return f"list of {kind(get_args(hint)[0])}"
    if get_origin(hint) is dict:
        inner = get_args(hint)[1]
        return "object" if inner is Any else f"object of {kind(inner)}"
    if is_typeddict(hint):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    return KINDS.get(hint, "object")


def rows(record: Any) -> Iterator[str]:
    for name, hint in get_type_hints(record, include_extras=True).items():
        may_lack = get_origin(hint) is NotRequired
        annotated = get_args(hint)[0] if may_lack else hint
        doc = next(item for item in get_args(annotated) if isinstance(item, Doc))
        yield f"| `{name}`{'?' if may_lack else ''} | {kind(hint)} | {doc.documentation} |"


def section(record: Any) -> str:
    """A record's table, as the page has it."""
    head = "| field | holds | meaning |\n|---|---|---|"
    return f"## {record.__name__}\n\n{record.__doc__}\n\n{head}\n" + "\n".join(rows(record)) + "\n"


def records() -> list[Any]:
    found = [item for item in vars(schema).values() if is_typeddict(item)]
    first = [schema.ResultDocument, schema.Provenance]
    return [*first, *(item for item in found if item not in first)]


def test_every_field_is_documented_as_it_is_checked() -> None:
    text = PAGE.read_text(encoding="utf-8")
    tables = "\n".join(map(section, records()))
    assert text.endswith(tables), f"docs/results.md must end with\n{tables}"
