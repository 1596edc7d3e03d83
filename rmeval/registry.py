"""Names on the command line, and the code behind them, which is imported only when used."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, NamedTuple

from rmeval.errors import UnknownName


class Entry(NamedTuple):
    """One line of a registry. `target` is "module:attribute"."""

    name: str
    target: str
    summary: str


class Registry:
    """An ordered table of named things of one kind; two of the same name are refused."""

    def __init__(self, kind: str, entries: Iterable[Entry]) -> None:
        self.kind = kind
        self._entries: dict[str, Entry] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Adds an entry. Raises ValueError when its name is taken."""
        if entry.name in self._entries:
            raise ValueError(f"two {self.kind}s are called {entry.name!r}")
        self._entries[entry.name] = entry

    def load(self, name: str) -> Any:
        """Imports and returns what `name` stands for. Raises UnknownName."""
        if name not in self._entries:
            raise UnknownName(self.kind, name, self._entries)
        module, attribute = self._entries[name].target.split(":")
        return getattr(import_module(module), attribute)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())
