"""Rows of a publisher's layout made rows of our names, as a recipe says: no code, only words.

What can be said: which column is which (`columns`, a path such as `chosen.response` where one
stands within another); that each item of a list is a row (`each`); that a list of texts is one
text (`joined`); which value of a column says which of two responses is better (`better`); that the
responses to one prompt are rows of their own (`grouped`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rmeval.benchmarks.reading.columns import FIELDS
from rmeval.benchmarks.reading.rows import Row
from rmeval.errors import BadData, BadOption, UnknownName, one_line

COLUMN, NEITHER = "column", "neither"
ANSWERS = ("chosen", "rejected")
GROUPED = ("by", COLUMN, "response", *ANSWERS)
MANY = ("subset", "id")  # fields that may be made of several columns, joined by a slash
SHOWN = 40  # characters of a value in an error

Placed = tuple[str, Row]
"""What the rows of a file are called, and one of them."""


@dataclass
class Reshaping:
    """What a recipe says of its rows.

    `columns` are those that each of our fields is made of; the others are the recipe's tables.
    `read` counts the rows that were read, a group as one, and `left_out` those without an answer.
    """

    columns: Mapping[str, tuple[str, ...]]
    each: str = ""
    joined: Mapping[str, str] = field(default_factory=dict)
    better: Mapping[str, Any] = field(default_factory=dict)
    grouped: Mapping[str, Any] = field(default_factory=dict)
    read: int = 0
    left_out: int = 0

    @classmethod
    def of(cls, content: Mapping[str, Any], place: str) -> "Reshaping":
        """Returns what a recipe's content says. Raises BadOption or UnknownName."""
        columns, joined, better, grouped = (
            _table(content, key, place) for key in ("columns", "joined", "better", "grouped")
        )
        each = content.get("each", "")
        if not isinstance(each, str) or not all(isinstance(one, str) for one in joined.values()):
            raise BadOption(f"{place}: each, and what is joined, must be texts")
        _check_better(better, place)
        _check_grouped(grouped, place)
        _check_columns(columns, bool(better or grouped), place)
        made_of = {name: _several(given) for name, given in columns.items()}
        return cls(made_of, each, joined, better, grouped)

    @property
    def subset(self) -> tuple[str, ...]:
        """The columns that a row's subset is made of."""
        return self.columns.get("subset", ())

    def rows(self, placed: Iterable[Placed]) -> Iterator[Placed]:
        """Yields rows of our names. Raises BadData for one that lacks what the recipe names."""
        self.read = self.left_out = 0
        return self._grouped_rows(placed) if self.grouped else self._single_rows(placed)

    def _single_rows(self, placed: Iterable[Placed]) -> Iterator[Placed]:
        for subset, row in placed:
            self.read += 1
            items = self._items(row)
            for number, item in enumerate(items, 1):
                made = self._named(item)
                made.setdefault("id", f"{self.read}/{number}" if self.each else str(self.read))
                if self.each:  # so that the row counts once
                    made["weight"] = 1 / len(items)
                if not self.better or self._choose(item, made):
                    yield subset, Row(made, item.place)

    def _items(self, row: Row) -> list[Row]:
        """Returns a row, or the items of its list, each with all that the row has beside it."""
        if not self.each:
            return [row]
        items = _value(row, self.each)
        if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
            raise BadData(f"{row.place}: column {self.each!r} is not a list of objects")
        return [Row({**row.values, **item}, row.place) for item in items]

    def _named(self, row: Row) -> dict[str, Any]:
        """Returns the values that the recipe names, by our names."""
        made = {}
        for name, columns in self.columns.items():
            values = [self._joined(row, column) for column in columns]
            texts = [Row({name: value}, row.place).text(name) for value in values[1:] and values]
            made[name] = "/".join(texts) if texts else values[0]
        return made

    def _joined(self, row: Row, column: str) -> Any:
        value = _value(row, column)
        if column not in self.joined:
            return value
        return self.joined[column].join(Row({column: value}, row.place).texts(column))

    def _choose(self, row: Row, made: dict[str, Any]) -> bool:
        """Puts the better response before the other; False where neither is."""
        column = self.better[COLUMN]
        label = _value(row, column)
        sides = {name: said for name, said in self.better.items() if name != COLUMN}
        better = next((name for name, said in sides.items() if label in said), None)
        if better is None:
            raise _unknown(row, column, label)
        if better == NEITHER:
            self.left_out += 1
            return False
        (other,) = sides.keys() - {NEITHER, better}
        made |= zip(ANSWERS, (self._joined(row, name) for name in (better, other)), strict=True)
        return True

    def _grouped_rows(self, placed: Iterable[Placed]) -> Iterator[Placed]:
        """Yields a row for each group, with its chosen and its rejected responses."""
        groups: dict[str, tuple[Placed, dict[str, list[Any]]]] = {}
        for subset, row in placed:
            key, kind = (_value(row, self.grouped[name]) for name in ("by", COLUMN))
            side = next((name for name in ANSWERS if kind in self.grouped[name]), None)
            if side is None:
                raise _unknown(row, self.grouped[COLUMN], kind)
            found = groups.setdefault(repr(key), ((subset, row), {name: [] for name in ANSWERS}))
            found[1][side].append(self._joined(row, self.grouped["response"]))
        self.read = len(groups)
        for number, ((subset, row), answers) in enumerate(groups.values(), 1):
            if not all(answers.values()):
                raise BadData(f"{row.place}: its {self.grouped['by']} has no response of one kind")
            yield subset, Row({"id": str(number), **self._named(row), **answers}, row.place)


def _check_columns(columns: Mapping[str, Any], answered: bool, place: str) -> None:
    for name, given in columns.items():
        if name not in FIELDS:
            raise UnknownName(f"field in {place} [columns]", name, FIELDS)
        several = name in MANY and isinstance(given, list) and len(given) > 0
        if not all(isinstance(one, str) and one for one in (given if several else [given])):
            raise BadOption(f"{place}: {name} in [columns] must be the name of a column")
    if "prompt" not in columns and "messages" not in columns:
        raise BadOption(f"{place}: [columns] names no prompt")
    for name in () if answered or "responses" in columns else ANSWERS:
        if name not in columns:
            raise BadOption(f"{place}: [columns] names no {name}, and nothing says which it is")


def _check_better(better: Mapping[str, Any], place: str) -> None:
    if not better:
        return
    sides = [name for name in better if name not in (COLUMN, NEITHER)]
    values = [said for name, said in better.items() if name != COLUMN]
    if not isinstance(better.get(COLUMN), str) or len(sides) != 2:
        raise BadOption(f"{place}: [better] needs a column, and the values for two responses")
    if not all(map(_are_values, values)):
        raise BadOption(f"{place}: [better] needs lists of values, as response1 = [-2, -1]")


def _check_grouped(grouped: Mapping[str, Any], place: str) -> None:
    for name in grouped:
        if name not in GROUPED:
            raise UnknownName(f"key in {place} [grouped]", name, GROUPED)
    for name in GROUPED if grouped else ():
        said, listed = grouped.get(name), name in ANSWERS
        if not (_are_values(said) if listed else isinstance(said, str)):
            wanted = "a list of values" if listed else "the name of a column"
            raise BadOption(f"{place}: {name} in [grouped] must be {wanted}")


def _are_values(said: object) -> bool:
    return isinstance(said, list) and all(isinstance(value, str | int) for value in said)


def _several(given: str | list[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _value(row: Row, path: str) -> Any:
    """Returns a column, or what stands in one at the end of a path. Raises BadData."""
    if path in row.values:
        return row.values[path]
    value: Any = row.values
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            found = one_line(", ".join(map(str, row.values)))[:300] or "none"
            raise BadData(f"{row.place}: no column {path!r}, as the recipe says; found: {found}")
        value = value[name]
    return value


def _unknown(row: Row, column: str, value: object) -> BadData:
    shown = one_line(repr(value))[:SHOWN]
    return BadData(
        f"{row.place}: column {column!r} holds {shown}, of which the recipe says nothing"
    )


def _table(content: Mapping[str, Any], key: str, place: str) -> dict[str, Any]:
    value = content.get(key, {})
    if not isinstance(value, dict):
        raise BadOption(f"{place}: {key} must be a table, [{key}]")
    return value
