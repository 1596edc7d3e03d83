"""What a checkpoint won and lost against its predecessor, by subset, with rows that show it."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from rmeval.metrics.accuracy import margin, win_credit
from rmeval.metrics.names import Metric
from rmeval.metrics.paired import Difference
from rmeval.metrics.scheme import Tally
from rmeval.records import ScoredPreference
from rmeval.reports.labels import metric_label
from rmeval.reports.weaknesses import Example
from rmeval.results.comparison import Comparison, rows_in_order_of

LEVELS = ("overall", "section", "subset")
Both = tuple[ScoredPreference, ScoredPreference]


class Change(NamedTuple):
    """How a metric changed: its values and `value`, b minus a, as fractions.

    `lost` and `won` are the rows of a subset that changed hands by most; `subset` is its name, ""
    of other metrics.
    """

    label: str
    level: str
    subset: str
    difference: Difference
    adjusted: float
    real: bool
    lost: Example | None
    won: Example | None

    @property
    def value(self) -> float:
        """The change, as a fraction."""
        return self.difference.value

    @property
    def ends(self) -> str:
        """The interval of the change, in points."""
        ends = self.difference.interval
        return f"{100 * ends.low:+.1f} to {100 * ends.high:+.1f}"


def find_changes(comparison: Comparison, tally: Tally) -> list[Change]:
    """Returns the change of the Score, the sections, and the subsets with rows that changed hands.

    Within each of these levels what was lost most surely comes first. `tally` is of either
    result.
    """
    subset_of = {leaf: name for name, s in tally.strata.items() for leaf in s.leaves}
    a, b = comparison.a, comparison.b
    both = list(zip(a.scored, rows_in_order_of(a, b), strict=True))
    found = [
        _change(item, comparison, subset_of.get(Metric(item.metric), ""), both)
        for item in comparison.differences
        if item.only_a or item.only_b or Metric(item.metric).kind != "subset"
    ]
    return sorted(found, key=lambda c: (LEVELS.index(c.level), c.difference.interval.high))


def _change(item: Difference, comparison: Comparison, subset: str, both: Iterable[Both]) -> Change:
    mine = [(x, y) for x, y in both if subset and x.subset == subset]
    return Change(
        metric_label(item.metric).removesuffix(" (subset)"),
        Metric(item.metric).kind,
        subset,
        item,
        comparison.adjusted[item.metric],
        comparison.is_real(item),
        _example((y for x, y in mine if win_credit(y) < win_credit(x)), lost=True),
        _example((y for x, y in mine if win_credit(y) > win_credit(x)), lost=False),
    )


def _example(rows: Iterable[ScoredPreference], *, lost: bool) -> Example | None:
    """Returns the row that changed hands by most, as the later model scores it."""
    worst = min(rows, key=lambda item: margin(item) if lost else -margin(item), default=None)
    return None if worst is None else Example(worst.id, worst.subset, margin(worst))


def change_rows(changes: Iterable[Change]) -> Iterator[dict[str, Any]]:
    """Yields a table's row for each change; `lost` and `won` are examples."""
    for change in changes:
        item = change.difference
        yield {
            "metric": change.label,
            "A": f"{100 * item.a:.1f}",
            "B": f"{100 * item.b:.1f}",
            "B - A": f"{100 * item.value:+.1f} ({change.ends})",
            "p": f"{item.p:.2g}",
            "Holm": f"{change.adjusted:.2g}",
            "real": "yes" if change.real else "no",
            "rows lost": item.only_a,
            "rows won": item.only_b,
            "lost": change.lost or "",
            "won": change.won or "",
        }
