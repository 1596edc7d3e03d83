"""Names on the command line, and the code behind them, which is imported only when used."""

import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, NamedTuple

from rmeval.errors import BadPlugin, UnknownName


class Entry(NamedTuple):
    """One line of a registry. `target` is "module:attribute".

    `package` says where an entry that is not rmeval's own is from, as "name version".
    """

    name: str
    target: str
    summary: str
    package: str = ""

    @property
    def origin(self) -> str:
        """The entry's code and, where it is not rmeval's own, its package."""
        return f"{self.target} of {self.package}" if self.package else self.target


class Registry:
    """An ordered table of named things of one kind; two of the same name are refused.

    With a `group`, other packages add to it by entry points of that name. They are looked up
    when the table is used, and imported when an entry is.
    """

    def __init__(self, kind: str, entries: Iterable[Entry], group: str | None = None) -> None:
        self.kind = kind
        self.group = group
        self._entries: dict[str, Entry] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Adds an entry. Raises ValueError when its name is taken."""
        if entry.name in self._entries:
            raise ValueError(f"two {self.kind}s are called {entry.name!r}")
        self._entries[entry.name] = entry

    def find(self, name: str) -> Entry:
        """Returns the entry of a name. Raises UnknownName."""
        known = self._all()
        if name not in known:
            raise UnknownName(self.kind, name, known)
        return known[name]

    def load(self, name: str) -> Any:
        """Imports and returns what `name` stands for.

        Raises UnknownName, and BadPlugin for another package's entry that cannot be imported.
        """
        entry = self.find(name)
        if not entry.package:
            return _imported(entry.target)
        try:
            return _imported(entry.target)
        except (ImportError, AttributeError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise BadPlugin(
                f"the {self.kind} {name!r} cannot be imported from {entry.origin} ({reason}); "
                "fix or uninstall that package"
            ) from error

    def __contains__(self, name: object) -> bool:
        return name in self._all()

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._all().values())

    def _all(self) -> dict[str, Entry]:
        """Returns rmeval's own entries, then other packages'. Raises BadPlugin for a taken name."""
        found = dict(self._entries)
        for entry in _of_packages(self.group, tuple(sys.path)) if self.group else ():
            if entry.name in found:
                raise BadPlugin(
                    f"two {self.kind}s are called {entry.name!r}: {found[entry.name].origin} and "
                    f"{entry.origin}; uninstall one of them"
                )
            found[entry.name] = entry
        return found


@cache
def _of_packages(group: str, path: tuple[str, ...]) -> tuple[Entry, ...]:
    """Returns the entry points of a group, by name; `path` is sys.path, on which they depend."""
    found = []
    for point in sorted(entry_points(group=group)):
        package = f"{point.dist.name} {point.dist.version}" if point.dist else "an unnamed package"
        found.append(Entry(point.name, point.value, f"from {package}", package))
    return tuple(found)


def _imported(target: str) -> Any:
    module, attribute = target.split(":")
    return getattr(import_module(module), attribute)
