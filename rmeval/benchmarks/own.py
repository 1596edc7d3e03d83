"""A user's own preference data: a file, a folder, or a data set on the Hub, as a benchmark.

Every row that is one prompt with preferred and other replies becomes a preference; the score is
that of pairs, wins / rows. How the columns were read, and how many rows are no such preference,
is said with the result: `layout` and `partial`.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from typing import NamedTuple

from rmeval.benchmarks import BENCHMARKS
from rmeval.benchmarks.arithmetic import ANSWERS, ARITHMETIC, OWN
from rmeval.benchmarks.benchmark import Benchmark
from rmeval.benchmarks.clusters import by_prompt, with_clusters
from rmeval.benchmarks.reading.columns import FIELDS, SCORES, check_fields, find_columns
from rmeval.benchmarks.reading.files import (
    column_names,
    is_readable,
    known_endings,
    require_file,
    without_metadata,
)
from rmeval.benchmarks.reading.layouts import Answers, Layout, recognise
from rmeval.benchmarks.reading.rows import (
    Row,
    data_files,
    files_below,
    read_rows,
    require_unique_ids,
)
from rmeval.benchmarks.reading.splits import choose_split, split_name
from rmeval.benchmarks.reading.unpacking import ending
from rmeval.errors import BadData, BadOption, one_line
from rmeval.hub import fetch_snapshot, local_path
from rmeval.records import Preference

UNREAD_ID = "; pass `columns={'id': ''}` to number the rows instead"
OTHERWISE = "download it elsewhere and pass the folder"

PlacedRow = tuple[str, Row, Sequence[str]]
"""What the rows of its file are called, a row, and the names of all columns."""


class Source(NamedTuple):
    """Where rows are: the files, below which folder, and what the benchmark is called."""

    name: str
    files: list[Path]
    root: Path
    split: str | None = None
    revision: str | None = None


def load_own(
    source: str,
    *,
    columns: Mapping[str, str] | None = None,
    split: str | None = None,
    revision: str | None = None,
) -> Benchmark:
    """Loads preferences of the user's own.

    Args:
        source: a local file or folder (parquet, jsonl, json, csv), or "organisation/name".
        columns: their column for our name; an empty one leaves a column unread.
        split: which files of several. By default those of the test split, else of validation,
            else all there are: of a folder all files, of the Hub the only split.
        revision: the data set's branch, tag or commit on the Hub.

    Raises:
        BadOption, UnknownName: columns, a split or a revision that do not apply.
        BadData: rows of no layout, of several, or with values that are none, with file and row.
        Unreachable: the Hub cannot be reached, or has no such data set.
    """
    asked = dict(columns or {})
    check_fields(asked)
    where = find_source(source, split, revision)
    reading = Reading(asked)
    preferences = reading.clustered(
        require_unique_ids(reading.preferences(_rows(where, asked)), UNREAD_ID)
    )
    layout = reading.describe()
    return Benchmark(
        name=where.name,
        definition=reading.definition,
        preferences=preferences,
        source=source,
        revision=where.revision,
        scheme=ARITHMETIC[reading.definition],
        partial=reading.partial(len(preferences)),
        layout=f"split {where.split}; {layout}" if where.split else layout,
        reading={"columns": asked, "split": split},
    )


@dataclass
class Reading:
    """Turns rows into preferences, and keeps what it learns about them."""

    asked: Mapping[str, str]
    layout: Layout | None = None
    left_out: list[str] = field(default_factory=list)

    def preferences(self, rows: Iterable[PlacedRow]) -> Iterator[tuple[str, Preference]]:
        """Yields each preference with its place; rows that are none are counted."""
        for number, (subset, row, found) in enumerate(rows, 1):
            columns = find_columns(found, self.asked, row.place)
            if self.layout is None:
                self.layout = recognise(row, columns, found)
            self.layout = self.layout.joined(columns)
            preference = self.layout.preference(row, columns, number, subset)
            if preference is None:
                self.left_out.append(row.place)
            else:
                yield row.place, preference

    @property
    def definition(self) -> str:
        """What the rows are counted as: a name of ARITHMETIC."""
        return ANSWERS if isinstance(self.layout, Answers) else OWN

    def describe(self) -> str:
        """Returns the layout; read_rows raises where there is no row to have one."""
        assert self.layout is not None
        return self.layout.describe()

    def clustered(self, preferences: tuple[Preference, ...]) -> tuple[Preference, ...]:
        """Returns the rows with the clusters that a column says, or else those of equal prompts.

        A prompt that all rows share is a heading, not a prompt.
        """
        told = self.layout is not None and "cluster" in self.layout.columns
        if told or len({item.prompt for item in preferences}) == 1:
            return preferences
        return with_clusters(preferences, by_prompt)

    def partial(self, kept: int) -> str | None:
        """Returns what was left out. Raises BadData where nothing else is left."""
        if not self.left_out:
            return None
        left_out, first = len(self.left_out), self.left_out[0]
        reason = f"that differ in more than the last reply, the first at {first}"
        if not kept:
            raise BadData(f"nothing to compare: {left_out:,} rows {reason}")
        return f"{kept:,} of {kept + left_out:,} rows; left out {left_out:,} {reason}"


def _rows(where: Source, asked: Mapping[str, str]) -> Iterator[PlacedRow]:
    """Yields every row of the files. Raises BadData."""
    wanted = {SCORES, *(asked.get(name, name) for name in FIELDS)} - {""}
    for file in where.files:
        subset, names = subset_of(file, where), list[str]()
        for row in read_rows([file], (), optional=sorted(wanted), root=where.root):
            names = names or column_names(file)
            yield subset, row, names or list(row.values)


def subset_of(file: Path, where: Source) -> str:
    """Returns what the rows of a file are called: its path, less what the Hub's layout adds."""
    path = file.relative_to(where.root)
    name = split_name(path.as_posix())
    folder = (path.parent if name == split_name(path.name) else path.parent.parent).as_posix()
    return name if folder in (".", "data") else f"{folder}/{name}"


def find_source(source: str, split: str | None, revision: str | None) -> Source:
    """Returns where rows are: in a local file or folder, or in a data set on the Hub.

    Raises BadOption, UnknownName, BadData or Unreachable.
    """
    path = local_path(source) if source else None
    if path is None:
        if os.path.exists(source):  # whatever it is, without an error
            require_file(Path(source))
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", source) or is_readable(source):
            raise BadData(f"{source}: no such file or folder, and not a data set ORGANISATION/NAME")
        return _find_on_hub(source, split, revision)
    if revision is not None:
        raise BadOption(f"a data set's revision applies to the Hub; {source} is on this machine")
    files = data_files(path, "")
    if path.is_file():
        if split is not None:
            raise BadOption(f"`split={split!r}`: {source} is one file, not a folder of splits")
        return Source(_safe(split_name(path.name)), files, path.parent)
    names = {file.relative_to(path).as_posix(): file for file in files}
    _require_splits(path, names)
    chosen, wanted = choose_split(list(names), split, source, or_all=True)
    return Source(_safe(path.resolve().name), [names[name] for name in wanted], path, chosen)


def _require_splits(folder: Path, files: Iterable[str]) -> None:
    """Raises BadData where a folder of save_to_disk lacks a split that it lists."""
    listed = folder / "dataset_dict.json"
    if not listed.is_file():
        return
    try:
        splits = set(json.loads(listed.read_text(encoding="utf-8"))["splits"])
    except (ValueError, TypeError, KeyError) as error:
        raise BadData(f"{listed}: does not say which splits there are") from error
    if missing := splits - {split_name(file) for file in files}:
        raise BadData(f"{folder}: split {one_line(', '.join(map(str, missing)))} is missing")


def _find_on_hub(repository: str, split: str | None, revision: str | None) -> Source:
    names = _names_on_hub(repository, revision)
    if names is None:  # without a network, what is in the cache; or else it says what is wrong
        folder = fetch_snapshot(repository, "dataset", revision, ["*"], OTHERWISE)
        names = [file.relative_to(folder).as_posix() for file in files_below(folder)]
    names = without_metadata(sorted(name for name in names if is_readable(name)))
    if not names:
        raise BadData(f"data set {repository} has no {known_endings()} file; {OTHERWISE}")
    chosen, wanted = choose_split(names, split, repository)
    if len({ending(name) for name in wanted}) > 1:
        raise BadData(f"{repository}: which of {', '.join(wanted[:4])}? {OTHERWISE}")
    patterns = [escape(name) for name in wanted]
    folder = fetch_snapshot(repository, "dataset", revision, patterns, OTHERWISE)
    files = [folder / name for name in wanted]
    return Source(_safe(repository.replace("/", "__")), files, folder, chosen, folder.name)


def _names_on_hub(repository: str, revision: str | None) -> list[str] | None:
    """Returns the files of a data set, or None where the Hub does not say."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, HTTPError

    try:
        names = HfApi().list_repo_files(repository, repo_type="dataset", revision=revision)
    except (HFValidationError, HTTPError, ConnectionError):
        return None
    return list(names)


def _safe(name: str) -> str:
    """Returns a name that is safe for a folder and is not a published benchmark's."""
    safe = re.sub(r"[^\w.-]+", "-", name).lstrip(".") or "data"
    return f"own-{safe}" if safe in BENCHMARKS else safe
