"""The gate: is a result worse than its baseline, and is that more than noise?

A metric has regressed when it dropped by more than is allowed, and so large a drop would be
unlikely if nothing had changed: what `rmeval compare` calls real, by the same function. A baseline
without rows leaves only the first question.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from rmeval.benchmarks import scheme_of
from rmeval.errors import BadData
from rmeval.metrics.names import OVERALL, Metric
from rmeval.metrics.paired import adjusted, is_real, paired_differences
from rmeval.metrics.scheme import Tally
from rmeval.records import Result
from rmeval.results.baselines import Baseline, fingerprint_items

ROUNDING = 1e-9  # a drop of just what is allowed is allowed
LEVELS = ("section", "subset", "overall")


class Outcome(IntEnum):
    """What a gate says; the number is its exit status."""

    PASSED = 0
    REGRESSED = 1
    COULD_NOT_TELL = 2


@dataclass(frozen=True, slots=True)
class HeldMetric:
    """One metric held to its baseline, as fractions. `p` is Holm's, or None without rows."""

    metric: str
    baseline: float
    measured: float
    p: float | None
    regressed: bool

    @property
    def drop(self) -> float:
        """How much was lost; negative for a gain."""
        return self.baseline - self.measured


@dataclass(frozen=True)
class Gate:
    """A gate's outcome, the metrics that it held, and in words what it could not do."""

    outcome: Outcome
    held: tuple[HeldMetric, ...]
    weighting: str
    remark: str

    def __repr__(self) -> str:
        worse = [item.metric for item in self.held if item.regressed]
        return f"<{self.outcome.name}: {', '.join(worse) or self.remark or 'nothing is worse'}>"


def gate_result(
    result: Result, baseline: Baseline, *, max_drop: float, alpha: float, per: str
) -> Gate:
    """Returns whether a result is worse than its baseline.

    Raises BadData for a baseline that is damaged.

    Args:
        max_drop: the loss that is allowed, in points of a hundred.
        alpha: the level of the two-sided test; of false alarms, half as much is allowed.
        per: "overall" holds the Score, "section" the sections too, "subset" all.
    """
    if baseline.definition != result.definition:
        return _unknown(baseline, f"the baseline is of {baseline.benchmark}")
    if baseline.items is not None and baseline.items != fingerprint_items(result):
        return _unknown(baseline, "the baseline was made from other rows or other texts")
    if baseline.items is None and result.partial:
        return _unknown(baseline, f"the result is partial: {result.partial}")
    scheme = scheme_of(result.definition)
    if baseline.weighting not in scheme.weightings:
        return _unknown(baseline, f"the baseline has an unknown weighting, {baseline.weighting}")
    tally = scheme.tally(result.scored, baseline.weighting)
    measured = tally.values
    known = {**baseline.metrics, **(measured if baseline.credits is not None else {})}
    names = [name for name in known if _is_held(name, per)]
    for which, has in (("result", measured), ("baseline", baseline.metrics)):
        missing = [name for name in names if name not in has]
        if missing or not names:
            return _unknown(baseline, f"the {which} has no {missing[0] if missing else per}")
    p_values = _p_values(tally, baseline, names)
    held = tuple(
        HeldMetric(
            name,
            baseline.metrics[name],
            measured[name],
            p_values.get(name),
            100 * (baseline.metrics[name] - measured[name]) > max_drop + ROUNDING
            and (not p_values or is_real(p_values[name], alpha)),
        )
        for name in names
    )
    outcome = Outcome.REGRESSED if any(item.regressed for item in held) else Outcome.PASSED
    remark = "" if p_values else (
        "the baseline has no rows of its own: a drop counts even where it could be noise"
    )  # fmt: skip
    return Gate(outcome, held, baseline.weighting, remark)


def _p_values(tally: Tally, baseline: Baseline, names: Sequence[str]) -> dict[str, float]:
    """Returns the adjusted p of each metric's difference; none where the baseline has no rows.

    Raises BadData for a baseline whose metrics are not those of its rows.
    """
    before = baseline.tally(tally)
    if before is None:
        return {}
    found = paired_differences(before, tally, names)
    for difference in found:
        # Written so that NaN is refused too.
        if not abs(difference.a - baseline.metrics[difference.metric]) < ROUNDING:
            raise BadData(
                f"{baseline.source}: {difference.metric} does not follow from its own rows; "
                "make it again"
            )
    return adjusted(found)


def _unknown(baseline: Baseline, reason: str) -> Gate:
    return Gate(Outcome.COULD_NOT_TELL, (), baseline.weighting, reason)


def _is_held(name: str, per: str) -> bool:
    if name == OVERALL or per == "subset":
        return True
    return per == "section" and Metric(name).level == ("section", False)
