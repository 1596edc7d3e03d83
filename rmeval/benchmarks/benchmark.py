"""A benchmark in memory: its rows, where they came from, and how its numbers are made."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from rmeval.errors import BadOption, UnknownName
from rmeval.types import Metrics, Preference, ScoredPreference


@dataclass(frozen=True)
class Benchmark:
    """Rows of a benchmark, in their published order, with their aggregation.

    `aggregate(scored, weighting)` turns scored rows into metrics. `revision` is the commit of
    the data set on the Hub, or None for local rows. `partial` says why the rows are not the
    whole benchmark, or is None.
    """

    name: str
    preferences: tuple[Preference, ...]
    source: str
    revision: str | None
    aggregate: Callable[[Sequence[ScoredPreference], str], Metrics]
    weightings: tuple[str, ...]
    partial: str | None = None

    def __len__(self) -> int:
        return len(self.preferences)

    def check_weighting(self, weighting: str | None) -> str:
        """Returns `weighting`, or the default for None. Raises UnknownName."""
        if weighting is None:
            return self.weightings[0]
        if weighting not in self.weightings:
            raise UnknownName("weighting", weighting, self.weightings)
        return weighting

    def limited(self, limit: int) -> "Benchmark":
        """Returns `limit` rows, evenly spread so that every subset is seen, marked partial."""
        if limit < 1:
            raise BadOption(f"--limit {limit}: at least one row is needed")
        total = len(self.preferences)
        if limit >= total:
            return self
        chosen = tuple(self.preferences[i * total // limit] for i in range(limit))
        return replace(self, preferences=chosen, partial=f"{limit} of {total} rows (--limit)")

    def provenance(self) -> dict[str, Any]:
        """Returns what a reader needs to find exactly these rows again."""
        return {
            "source": self.source,
            "revision": self.revision,
            "rows": len(self.preferences),
            "empty_responses": sum(not r.strip() for p in self.preferences for r in p.responses),
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
            sha.update(
                repr((item.id, item.subset, item.num_chosen, item.prompt, item.responses)).encode()
            )
        return sha.hexdigest()
