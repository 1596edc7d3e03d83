"""What is known of a site's models by their names: what they are called, and of which size."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmeval.errors import BadOption, UnknownName
from rmeval.files import reading
from rmeval.known import find_known

SIZE = re.compile(r"(?<![A-Za-z0-9._])(\d+(?:[._]\d+)?)[bB](?![A-Za-z0-9])")
TEXTS = ("name", "type", "family", "licence", "url")
SCHEMES = ("https://", "http://")


@dataclass(frozen=True)
class Facts:
    """What people are told of a model besides its figures; None is not known.

    `size` is in billions of parameters, `url` where it is described.
    """

    name: str | None = None
    type: str | None = None
    family: str | None = None
    size: float | None = None
    licence: str | None = None
    url: str | None = None


def read_facts(path: Path) -> dict[str, Facts]:
    """Returns the facts of a TOML file: a table for each model, by its name in results.

    Raises BadOption for what is no such file, UnknownName for a fact that is none.
    """
    with reading(path, BadOption):
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise BadOption(f"{path}: not TOML ({error})") from error
    return {name.casefold(): _facts(table, f"{path}: {name}") for name, table in tables.items()}


def _facts(table: Any, place: str) -> Facts:
    if not isinstance(table, dict):
        raise BadOption(f'{place}: must be a table of facts, ["org/model"]')
    for key, value in table.items():
        if key == "size":
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise BadOption(f"{place}: size must be a number of billions, such as 7 or 1.8")
        elif key not in TEXTS:
            raise UnknownName(f"fact in {place}", key, [*TEXTS, "size"])
        elif not isinstance(value, str) or not value.strip():
            raise BadOption(f"{place}: {key} must be a text")
    if not table.get("url", SCHEMES[0]).startswith(SCHEMES):
        raise BadOption(f"{place}: url must begin with https:// or http://")
    return Facts(**table)


def facts_of(name: str, told: Mapping[str, Facts]) -> Facts:
    """Returns what is told of a model, and where it is not, what rmeval or its name says."""
    own, known = told.get(name.casefold(), Facts()), find_known(name)
    size = float(known.parameters.removesuffix("B")) if known else size_in(name)
    return Facts(
        name=own.name,
        type=own.type,
        family=own.family or (known.family if known else None),
        size=own.size or size,
        licence=own.licence,
        url=own.url,
    )


def size_in(name: str) -> float | None:
    """Returns the billions of parameters that a model's name says, the first; None of "8x7B"."""
    found = SIZE.search(name)
    return float(found[1].replace("_", ".")) if found else None
