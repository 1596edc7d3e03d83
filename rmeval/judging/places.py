"""Where in an answer a verdict stands: what a pattern captures, a JSON field, an XML tag."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Pairs = list[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Pattern:
    """What the one group of a regular expression captures."""

    pattern: str

    def captured(self, text: str) -> set[str]:
        """Returns all that stands there, without white space around it."""
        return {found.strip() for found in re.findall(self.pattern, text)}


@dataclass(frozen=True, slots=True)
class Tag:
    """What stands between <tag> and </tag>."""

    tag: str

    def captured(self, text: str) -> set[str]:
        """Returns the contents of every such element, without white space around them."""
        tag = re.escape(self.tag)
        return {found.strip() for found in re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.S)}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the JSON objects in an answer, fenced or not; several are joined by commas."""

    names: tuple[str, ...]

    def captured(self, text: str) -> set[str]:
        """Returns what each object has under these names; a name given twice has both."""
        found = set()
        for pairs in json_objects(text):
            values = [[_as_text(v) for k, v in pairs if k == name] for name in self.names]
            if all(values):
                found |= {",".join(column) for column in zip(*_padded(values), strict=True)}
        return found


Place = Pattern | Tag | Field


def json_objects(text: str) -> Iterator[Pairs]:
    """Yields the outermost JSON objects in a text, as pairs in which a name may stand twice."""
    decoder = json.JSONDecoder(object_pairs_hook=_Object)
    at = text.find("{")
    while at >= 0:
        try:
            found, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            yield found
        at = text.find("{", end)


class _Object(list[tuple[str, Any]]):
    """A JSON object as its pairs, told from a list."""


def _as_text(value: Any) -> str:
    """Returns a value as text: a list with commas, anything else that is no text as JSON."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list) and not isinstance(value, _Object):
        return ",".join(map(_as_text, value))
    return json.dumps(value)


def _padded(columns: list[list[str]]) -> list[list[str]]:
    """Returns columns of one length: what stands there once holds for every reading."""
    longest = max(map(len, columns))
    return [column + column[-1:] * (longest - len(column)) for column in columns]
