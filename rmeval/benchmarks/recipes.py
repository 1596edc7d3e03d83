"""Benchmarks that need no code: a data set, and how its rows are read, in a TOML file.

`rmeval/data/benchmarks/*.toml` ship; docs/benchmarks.md says what a file may hold. A recipe makes
rows of our names of the publisher's (`reading/reshaping.py`), which are then read as a user's own.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from rmeval.benchmarks.arithmetic import ANSWERS, ARITHMETIC, BY_PART, BY_SUBSET, OWN
from rmeval.benchmarks.benchmark import Benchmark, what_is_missing
from rmeval.benchmarks.own import UNREAD_ID, Reading, Source, find_source, subset_of
from rmeval.benchmarks.reading.reshaping import Placed, Reshaping
from rmeval.benchmarks.reading.rows import files_below, read_rows, require_unique_ids
from rmeval.errors import BadData, BadOption, UnknownName, one_line
from rmeval.hub import fetch_snapshot, local_path
from rmeval.known import Published, published_in
from rmeval.metrics.scheme import Scheme
from rmeval.records import Preference

SUFFIX = ".toml"
MUST_SAY = ("licence", "meaning", "source")
MAY_SAY = ("unseen", "repository", "revision", "split", "score")
TABLES = ("columns", "joined", "better", "grouped")
KEYS = (*MUST_SAY, *MAY_SAY, "files", "rows", "each", *TABLES, "published")
SCORES = ("rows", "subsets")
OTHERWISE = "pass `data=FOLDER_OR_FILE`"


@dataclass(frozen=True)
class Recipe:
    """A benchmark as a file says it.

    `files` are globs of its files in `repository`, a data set on the Hub, or else in the folder
    that `data` names; without them `split` says which. `rows` is the published number of rows, or
    that of each subset. `score` is that of all rows, or the mean of the subsets. `source` is where
    the layout was read, `unseen` what could not be seen there. `content` is the file as it was.
    """

    name: str
    rows: int | Mapping[str, int]
    licence: str
    meaning: str
    source: str
    reshaping: Reshaping
    unseen: str = ""
    repository: str | None = None
    revision: str | None = None
    split: str | None = None
    score: str = SCORES[0]
    files: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    shipped: bool = False
    content: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def arithmetic(self) -> str:
        """The name of the arithmetic that its score is made by."""
        if "responses" in self.reshaping.columns:
            return ANSWERS
        if self.score == "subsets":
            return BY_SUBSET
        return BY_PART if len(self.reshaping.subset) > 1 else OWN

    @property
    def scheme(self) -> Scheme:
        """The arithmetic that its score is made by."""
        return ARITHMETIC[self.arithmetic]

    @property
    def total(self) -> int:
        """The published number of rows."""
        return self.rows if isinstance(self.rows, int) else sum(self.rows.values())

    def load(self, data: Path | None = None, revision: str | None = None) -> Benchmark:
        """Reads the rows from `data`, or from the Hub. Raises BadOption, BadData or Unreachable."""
        where, reading = self._find(data, revision), Reading({})
        rows = ((s, row, list(row.values)) for s, row in self.reshaping.rows(_rows(where)))
        preferences = reading.clustered(require_unique_ids(reading.preferences(rows), UNREAD_ID))
        if reading.layout is None:
            raise BadData(f"{data or self.repository}: no row in which one response is better")
        left_out = self.reshaping.left_out
        note = f"{left_out:,} rows left out, in which neither is better" if left_out else ""
        partial = [reading.partial(len(preferences)), self._missing(preferences)]
        return Benchmark(
            name=self.name,
            definition=self.name if self.shipped else self.arithmetic,
            preferences=preferences,
            source=str(data or self.repository),
            revision=where.revision,
            scheme=self.scheme,
            partial="; ".join(filter(None, partial)) or None,
            layout="; ".join(filter(None, [reading.describe(), note])),
            reading={"recipe": {"name": self.name, **self.content}},
            published=() if self.shipped else self.published,
        )

    def _find(self, data: Path | None, revision: str | None) -> Source:
        """Returns the files. Raises BadOption, BadData or Unreachable."""
        if data is None and self.repository is None:
            raise BadOption(
                f"{self.name} is not on the Hub: get it from {self.source}; {OTHERWISE}"
            )
        if data is not None and revision is not None:
            raise BadOption(f"a data set's revision applies to the Hub; {data} is on this machine")
        if data is not None and not data.is_dir():
            return find_source(str(data), None, None)
        revision = revision or (None if data else self.revision)
        if not self.files:
            return find_source(str(data or self.repository), self.split, revision)
        if data is not None:
            return Source(self.name, self._files_in(data), data)
        folder = fetch_snapshot(str(self.repository), "dataset", revision, self.files, OTHERWISE)
        return Source(self.name, self._files_in(folder), folder, revision=folder.name)

    def _files_in(self, folder: Path) -> list[Path]:
        paths = {file: file.relative_to(folder) for file in files_below(folder)}
        found = [f for f, path in paths.items() if any(map(path.match, self.files))]
        if not found:
            raise BadData(f"{folder}: no file {' or '.join(self.files)}, as {self.name} needs it")
        return found

    def _missing(self, preferences: tuple[Preference, ...]) -> str | None:
        """Returns how the rows differ from the published number, or None."""
        if not isinstance(self.rows, int):
            return what_is_missing(preferences, self.rows)
        found = self.reshaping.read
        return None if found == self.rows else f"{found:,} rows instead of {self.rows:,}"


@cache
def shipped_recipes() -> dict[str, Recipe]:
    """Returns the recipes that ship, by name."""
    folder = files("rmeval") / "data" / "benchmarks"
    texts = {
        item.name.removesuffix(SUFFIX): item.read_text(encoding="utf-8")
        for item in folder.iterdir()
        if item.name.endswith(SUFFIX)
    }
    return {
        name: recipe_from(tomllib.loads(texts[name]), name, f"{name}{SUFFIX}", shipped=True)
        for name in sorted(texts)
    }


def find_recipe(name: str) -> Recipe | None:
    """Returns the recipe of a shipped name, or of a .toml file, or None.

    Raises BadOption, UnknownName or BadData for a file that is no recipe.
    """
    if not name.endswith(SUFFIX):
        return shipped_recipes().get(name.rstrip("/").lower())
    path = local_path(name)
    return None if path is None else read_recipe(path)


def recipes_in(folder: Path) -> list[Path]:
    """Returns the recipes in a folder that holds nothing else to read, by name."""
    inside = sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []
    return inside if inside and not files_below(folder) else []


def read_recipe(path: Path) -> Recipe:
    """Reads a recipe. Raises BadOption, UnknownName or BadData."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadOption(f"{path}: not a recipe of a benchmark ({reason})") from error
    name = one_line(path.name.removesuffix(SUFFIX))
    if name in shipped_recipes():
        raise BadOption(f"{path}: {name} ships with rmeval; call the file otherwise")
    return recipe_from(content, name, str(path))


def recipe_from(
    content: Mapping[str, Any], name: str, place: str, *, shipped: bool = False
) -> Recipe:
    """Returns the recipe that a file's content is. Raises BadOption, UnknownName or BadData."""
    for key in content:
        if key not in KEYS:
            raise UnknownName(f"key in {place}", key, KEYS)
    for key in (*MUST_SAY, "rows", "columns"):
        if key not in content:
            raise BadOption(f"{place}: no {key}; a recipe has {', '.join(MUST_SAY)}, rows, columns")
    said = {key: _text(content, key, place) for key in (*MUST_SAY, *MAY_SAY) if key in content}
    if said.get("score", SCORES[0]) not in SCORES:
        raise UnknownName(f"score in {place}", said["score"], SCORES)
    return Recipe(
        name=name,
        rows=_counts(content["rows"], place),
        reshaping=Reshaping.of(content, place),
        files=_globs(content, place),
        published=published_in(content, name, place),
        shipped=shipped,
        content={key: value for key, value in content.items() if key != "published"},
        **said,
    )


def _text(content: Mapping[str, Any], key: str, place: str) -> str:
    value = content[key]
    if not isinstance(value, str) or not value.strip():
        raise BadOption(f"{place}: {key} must be a text")
    return value


def _globs(content: Mapping[str, Any], place: str) -> tuple[str, ...]:
    said = content.get("files", [])
    if not isinstance(said, list) or not all(isinstance(one, str) and one for one in said):
        raise BadOption(f'{place}: files must be a list of names, as ["data/test-*.parquet"]')
    if said and "split" in content:
        raise BadOption(f"{place}: files and split both say which files; leave one out")
    return tuple(said)


def _counts(said: Any, place: str) -> int | dict[str, int]:
    counts = list(said.values()) if isinstance(said, dict) else [said]
    if not counts or not all(type(count) is int and count > 0 for count in counts):
        raise BadOption(f"{place}: rows must be the number of rows, or a table of each subset's")
    found: int | dict[str, int] = said
    return found


def _rows(where: Source) -> Iterator[Placed]:
    """Yields every row of the files, with all that it has."""
    for file in where.files:
        yield from _of_file(read_rows([file], (), root=where.root), subset_of(file, where))


def _of_file(rows: Iterable[Any], subset: str) -> Iterator[Placed]:
    return ((subset, row) for row in rows)
