"""The metrics of a result as rows of a table, whatever the benchmark is built like."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rmeval.metrics.intervals import counts_wins
from rmeval.metrics.names import OVERALL, Metric
from rmeval.metrics.scheme import Part, Scheme, Tally
from rmeval.records import Metrics, Result
from rmeval.reports.labels import shown_metric

Row = dict[str, Any]


class MetricTables:
    """The sections and subsets of a result; needs the scheme that its numbers were made by."""

    def __init__(self, result: Result, scheme: Scheme) -> None:
        self._metrics: Metrics = result.metrics
        self.tally = scheme.tally(result.scored, result.weighting)
        self._strata, self._parts = self.tally.strata, self.tally.parts
        self._subset_of: dict[str, str] = {
            leaf: name for name, s in self._strata.items() for leaf in s.leaves
        }

    def sections(self) -> list[Row]:
        """Returns a row per section and one for the Score, with intervals.

        Where sections have parts of their own, such as RM-Bench's hard, normal and easy, these
        are columns.
        """
        names = [Metric(part.name) for part in self._parts]
        sections = [name for name in names if name.level == ("section", False)]
        heads = [*sections, OVERALL]
        inner = dict.fromkeys(n.part for head in heads for n in names if n.part and n.whole == head)
        return [self._section_row(name, list(inner)) for name in heads]

    def subsets(self) -> list[Row]:
        """Returns a row per subset: its section, accuracy and, where rows are won, how many."""
        levels = dict.fromkeys(
            level for name, s in self._strata.items() for level in _levels(name, s.leaves)
        )
        return [self._subset_row(name, list(levels)) for name in self._ordered_subsets()]

    def section_of(self, subset: str) -> str:
        """Returns the section that a subset belongs to, or the subset itself."""
        return self._owner(subset) or subset

    def _owner(self, subset: str) -> str | None:
        leaf = self._strata[subset].leaves[0]
        owner = next((part.name for part in self._parts if leaf in part.weights), OVERALL)
        return Metric(owner).whole.rest or None

    def _section_row(self, name: Metric, inner: Sequence[str]) -> Row:
        return {
            "section": name.column,
            "accuracy": self._shown(name),
            **{part: self._shown(name.with_part(part)) for part in inner},
            "rows": sum(self._metrics.rows.get(subset, 0) for subset in self._below(name)),
        }

    def _subset_row(self, subset: str, levels: Sequence[str]) -> Row:
        stratum = self._strata[subset]
        section = self._owner(subset)
        row: Row = {"subset": subset} if section is None else {"section": section, "subset": subset}
        if Metric.subset(subset) in stratum.leaves:
            row["accuracy"] = self._shown(Metric.subset(subset))
        if levels:
            return row | {level: self._shown(Metric.subset(subset, level)) for level in levels}
        counted = stratum.weights[:, 0] > 0
        wins, rows = counts_wins(stratum, halves=True), counted.sum()
        won = f"{stratum.credits[counted].sum():g}/{rows}" if wins else f"of {rows}"
        return row | {"won": won}

    def _ordered_subsets(self) -> Iterator[str]:
        """Yields the subsets in the order of the parts, then those that no part has."""
        leaves = (leaf for part in self._parts for leaf in part.weights)
        ordered = (self._subset_of[leaf] for leaf in leaves if leaf in self._subset_of)
        yield from dict.fromkeys([*ordered, *self._strata])

    def _below(self, name: str) -> set[str]:
        """Returns the subsets that a metric is made of."""
        weights = next((part.weights for part in self._parts if part.name == name), None)
        if weights is None:
            return {self._subset_of[name]} if name in self._subset_of else set()
        return {subset for item in weights for subset in self._below(item)}

    def _shown(self, name: str) -> str:
        section = Metric(name).kind == "section"
        partial = section and Metric(name).rest in self._metrics.partial_sections
        return shown_metric(self._metrics, name) + (" (partial)" if partial else "")


def _levels(subset: str, leaves: Sequence[str]) -> Iterator[str]:
    for leaf in leaves:
        if leaf != Metric.subset(subset):
            yield leaf.removeprefix(f"{Metric.subset(subset)}/")


def explain(tally: Tally) -> list[str]:
    """Returns the arithmetic of every metric as lines: rows, weights, sums and quotients."""
    lines, values = [], tally.values
    for stratum in tally.strata.values():
        for column, leaf in enumerate(stratum.leaves):
            weights = stratum.weights[:, column]
            earned, weight = weights @ stratum.credits[:, column], weights.sum()
            unit = "rows" if (weights == 1).all() else "weight"
            made = _percent(values[leaf]) if leaf in values else "not available"
            lines.append(f"{leaf} = {earned:g} / {weight:g} {unit} = {made}")
    for part in tally.parts:
        if part.name not in values:
            lines.append(f"{part.name}: not available, {_lacking(part, values)}")
            continue
        used = {item: weight for item, weight in part.weights.items() if item in values}
        lines.append(f"{part.name} = {_percent(values[part.name])}")
        lines += [
            f"    {_percent(values[item])} x {weight:g}   {item}" for item, weight in used.items()
        ]
        total, weight = sum(values[i] * w for i, w in used.items()), sum(used.values())
        lines.append(f"    sum {100 * total:.4f} / {weight:g} = {_percent(values[part.name])}")
    return [_on_one_line(line) for line in lines]


def _on_one_line(line: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def _percent(value: float) -> str:
    return f"{100 * value:.4f}"


def _lacking(part: Part, values: Mapping[str, float]) -> str:
    missing = [item for item in part.weights if item not in values]
    return f"it needs {missing[0]}" if missing else "a part of it is not whole"
