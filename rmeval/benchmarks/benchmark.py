"""What is known of a benchmark, and a benchmark in memory."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from rmeval.benchmarks.clusters import Keys, by_prompt, with_clusters
from rmeval.errors import BadData, BadOption, UnknownName, one_line
from rmeval.hub import fetch_snapshot
from rmeval.known import Published
from rmeval.metrics.accuracy import subset_rows
from rmeval.metrics.scheme import Scheme
from rmeval.records import Preference


@dataclass(frozen=True)
class Definition:
    """A benchmark before its rows are read: where they are, and how its numbers are made.

    `read` turns a folder or file in the publisher's layout into preferences. The rows come from
    `repository`, a data set on the Hub of which the files `patterns` are wanted, or else ship
    with rmeval at `shipped`. `meaning` says in one line what its score is, `remark` what stands
    under every result. Rows that share one of their `clusters` are one unit of chance. How many
    rows there are, and which subsets, its scheme says. See docs/adding-a-benchmark.md.
    """

    name: str
    read: Callable[[Path], tuple[Preference, ...]]
    scheme: Scheme
    licence: str
    meaning: str
    remark: str = ""
    repository: str | None = None
    patterns: tuple[str, ...] = ()
    shipped: str | None = None
    clusters: Keys = by_prompt

    @property
    def rows(self) -> int | None:
        """How many rows were published, or None where the scheme does not say."""
        return sum(self.scheme.rows.values()) if self.scheme.rows else None

    def load(self, data: Path | None, revision: str | None) -> "Benchmark":
        """Reads the rows from `data`, or from where they are published.

        Raises BadOption, BadData or Unreachable.
        """
        if self.shipped is not None:
            return self._load_shipped(data, revision)
        if data is not None and revision is not None:
            raise BadOption(f"a data set's revision applies to the Hub; {data} is on this machine")
        if data is not None:
            return self._benchmark(self.read(data), str(data), None)
        if self.repository is None:
            raise BadOption(f"{self.name} is not on the Hub: pass `data=FOLDER_OR_FILE`")
        folder = fetch_snapshot(
            self.repository, "dataset", revision, self.patterns, "pass `data=FOLDER_OR_FILE`"
        )
        return self._benchmark(self.read(folder), self.repository, folder.name)

    def _load_shipped(self, data: Path | None, revision: str | None) -> "Benchmark":
        if data is not None or revision is not None:
            raise BadOption(
                f"the {self.name} benchmark ships with rmeval and takes neither other data nor "
                "a revision"
            )
        with as_file(files("rmeval") / "data" / str(self.shipped)) as path:
            return self._benchmark(self.read(path), "shipped with rmeval", None)

    def _benchmark(
        self, preferences: tuple[Preference, ...], source: str, revision: str | None
    ) -> "Benchmark":
        if not preferences:
            raise BadData(f"{source}: no rows")
        for item in preferences:
            self.scheme.check_sides(
                f"{source}: row {item.id}", item.num_chosen, len(item.responses)
            )
        missing = what_is_missing(preferences, self.scheme.rows) if self.scheme.rows else None
        rows = with_clusters(preferences, self.clusters)
        return Benchmark(self.name, self.name, rows, source, revision, self.scheme, partial=missing)


@dataclass(frozen=True)
class Benchmark:
    """Rows of a benchmark, in their published order, with the arithmetic of its numbers.

    `definition` is the registered benchmark that the arithmetic is from. `revision` is the commit
    of the data set on the Hub, or None for local rows. `partial` says why the rows are not the
    whole benchmark, or is None; `layout` how the columns of a user's own data were read,
    and `reading` the options by which they can be read again. `published` are rows of it that a
    recipe of the user's own has.
    """

    name: str
    definition: str
    preferences: tuple[Preference, ...]
    source: str
    revision: str | None
    scheme: Scheme
    partial: str | None = None
    layout: str | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)
    published: tuple[Published, ...] = ()

    def __len__(self) -> int:
        return len(self.preferences)

    def __repr__(self) -> str:
        partial = ", partial" if self.partial else ""
        return one_line(f"<{self.name}: {len(self):,} rows from {self.source}{partial}>")

    def limited(self, limit: int) -> "Benchmark":
        """Returns `limit` rows, evenly spread so that every subset is seen, marked partial."""
        if limit < 1:
            raise BadOption(f"`limit={limit}`: at least one row is needed")
        total = len(self.preferences)
        if limit >= total:
            return self
        chosen = tuple(self.preferences[i * total // limit] for i in range(limit))
        return self._part(chosen, f"{limit} of {total} rows, evenly spread")

    def only(self, subsets: Sequence[str]) -> "Benchmark":
        """Returns the rows of these subsets, marked partial.

        A name stands for a subset, for all below it (`deu_Latn` for `deu_Latn/hep-go`), or, with
        `*`, for those that it matches. Raises UnknownName for one that stands for nothing.
        """
        known = list(dict.fromkeys(item.subset for item in self.preferences))
        wanted: set[str] = set()
        for name in subsets:
            found = {s for s in known if fnmatchcase(s, name) or s.startswith(f"{name}/")}
            if not found:
                tops = dict.fromkeys(subset.partition("/")[0] for subset in known)
                raise UnknownName(f"subset of {self.name}", name, dict.fromkeys([*tops, *known]))
            wanted |= found
        chosen = tuple(item for item in self.preferences if item.subset in wanted)
        if len(chosen) == len(self.preferences):
            return self
        total = len(self.preferences)
        return self._part(chosen, f"{len(chosen)} of {total} rows, only {', '.join(subsets)}")

    def _part(self, chosen: tuple[Preference, ...], reason: str) -> "Benchmark":
        reasons = "; ".join(filter(None, [self.partial, reason]))
        return replace(self, preferences=chosen, partial=reasons)

    def without_refused(self, answered: Collection[str]) -> "Benchmark":
        """Returns the rows that a judge could be asked, marked partial where some are missing."""
        chosen = tuple(item for item in self.preferences if item.id in answered)
        refused = len(self.preferences) - len(chosen)
        if not refused:
            return self
        reason = f"{refused} of {len(self.preferences)} rows were refused by the judge"
        return self._part(chosen, reason)

    def find(self, row_id: str) -> Preference:
        """Returns the row of this id. Raises UnknownName."""
        by_id = {item.id: item for item in self.preferences}
        if row_id not in by_id:
            raise UnknownName(f"row of {self.name}", row_id, list(by_id)[:1000])
        return by_id[row_id]

    def provenance(self) -> dict[str, Any]:
        """Returns what a reader needs to find exactly these rows again."""
        return {
            "source": self.source,
            "revision": self.revision,
            "layout": self.layout,
            "reading": dict(self.reading),
            "rows": len(self.preferences),
            "empty_responses": sum(
                isinstance(r, str) and not r.strip() for p in self.preferences for r in p.responses
            ),
            "identical_responses": sum(
                len(set(p.responses)) < len(p.responses) for p in self.preferences
            ),
            "sha256": self.digest,
        }

    @cached_property
    def digest(self) -> str:
        """A fingerprint of every id, subset and text: equal only for the same questions."""
        sha = hashlib.sha256()
        for item in self.preferences:
            sha.update(repr((item.id, item.subset, item.digest)).encode())
        return sha.hexdigest()


def what_is_missing(preferences: Sequence[Preference], expected: Mapping[str, int]) -> str | None:
    """Returns how the rows differ from the published numbers, or None. Raises UnknownName.

    A subset that is not the benchmark's is an error, not a difference.
    """
    counts = dict.fromkeys(expected, 0) | subset_rows(preferences)
    for subset in counts:
        if subset not in expected:
            raise UnknownName("subset", subset, expected)
    wrong = [subset for subset, rows in expected.items() if counts[subset] != rows]
    if not wrong:
        return None
    first = f"{wrong[0]} has {counts[wrong[0]]} of {expected[wrong[0]]}"
    more = f" and {len(wrong) - 1} more subsets differ" if len(wrong) > 1 else ""
    return f"{len(preferences)} rows instead of {sum(expected.values())}: {first}{more}"
