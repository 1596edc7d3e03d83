"""One model over time: the results of its checkpoints, in order, each held to one before it.

Which results are one model's is read from what it is called: `./checkpoints/step-2000` and
`./checkpoints/step-4000` are called the same but for the step. Where every result has a step, they
stand in the order of their steps, otherwise in that of the dates on which they were run.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Literal

from rmeval.benchmarks import scheme_of
from rmeval.errors import BadData, one_line
from rmeval.metrics.summary import describe_scores
from rmeval.records import Metrics, Result
from rmeval.results.baselines import Baseline, baseline_of
from rmeval.results.regression import Gate, gate_result
from rmeval.results.standings import find_entries

PREVIOUS, FIRST = "previous", "first"
Order = Literal["step", "date"]

# The words before a number that make it a step, those that count finest first.
WORDS = ("global_step|step|steps", "iter|iters|iteration", "checkpoint|ckpt", "epoch")
STEPS = [
    re.compile(rf"(?<![^\W_])({words})[-_=. ]?(\d{{1,15}})(k?)(?![^\W_])", re.IGNORECASE)
    for words in WORDS
]
AROUND = "-_=@./ "  # what joins a step to the rest of a name


@dataclass(frozen=True)
class Checkpoint:
    """A result in its place in a history.

    `metrics` are under the history's weighting. `score` is a fraction, None where there is none.
    `gate` is the verdict against the one before it, or another baseline; None where there is none
    to be held to. `remarks` say what is not like the history's other results.
    """

    result: Result
    step: int | None
    metrics: Metrics
    score: float | None
    gate: Gate | None
    remarks: tuple[str, ...]

    @property
    def date(self) -> datetime:
        """When it was run."""
        return date_of(self.result)


@dataclass(frozen=True)
class History:
    """The results of one model on one benchmark, two at least, in order.

    `run` is what their names have in common. `baseline` says what each was held to.
    """

    run: str
    benchmark: str
    order: Order
    weighting: str
    baseline: str
    checkpoints: tuple[Checkpoint, ...]

    def __repr__(self) -> str:
        ends = [f"{label_of(self, c)}" for c in (self.checkpoints[0], self.checkpoints[-1])]
        run = one_line(self.run)
        return f"<{run} on {self.benchmark}: {len(self.checkpoints)} results, {' to '.join(ends)}>"


def find_histories(
    results: Iterable[Result],
    baseline: Baseline | str = PREVIOUS,
    *,
    max_drop: float = 0.5,
    alpha: float = 0.05,
    per: str = "section",
) -> list[History]:
    """Returns a history for each model and benchmark with two results or more, by name.

    Args:
        baseline: what each is held to: "previous", "first", or a baseline.
        max_drop: the loss that is allowed, in points of a hundred.
        alpha: the level of each gate's test.
        per: what is held, as `gate_result` has it.

    Raises BadData for a baseline that is damaged, or a result without a date.
    """
    runs: dict[tuple[str, str, str], list[Result]] = {}
    for result in results:
        runs.setdefault((run_of(result), result.benchmark, result.definition), []).append(result)
    found = []
    for (run, benchmark, _), several in sorted(runs.items()):
        if len(several) > 1:
            order, ordered = _in_order(several)
            weighting = _common_weighting(ordered)
            held = [
                None
                if against is None
                else gate_result(result, against, max_drop=max_drop, alpha=alpha, per=per)
                for result, against in _with_baselines(ordered, baseline)
            ]
            name = baseline if isinstance(baseline, str) else baseline.source
            checkpoints = tuple(_checkpoints(ordered, held, weighting))
            found.append(History(run, benchmark, order, weighting, name, checkpoints))
    return found


def step_of(result: Result) -> int | None:
    """Returns the step that a result's names give, or None.

    That is the number behind `step`, `iter`, `checkpoint`, `ckpt` or `epoch`, the first of these
    words that is there; 2k is 2000. It is looked for in the name it was given, in what was
    loaded, and in its folder's name, which has the revision that was asked for.
    """
    folder = result.folder.name if result.folder else ""
    for name in (result.name or "", result.model, folder):
        for pattern in STEPS:
            found = _last(pattern, name)
            if found:
                return int(found[2]) * (1000 if found[3] else 1)
    return None


def run_of(result: Result) -> str:
    """Returns what a result's model is called without its step: the same for one run's results."""
    name = result.shown_name
    for pattern in STEPS:
        found = _last(pattern, name)
        if found:
            before, after = name[: found.start()].rstrip(AROUND), name[found.end() :]
            return before + after if before else after.lstrip(AROUND) or found[1]
    return name


def label_of(history: History, checkpoint: Checkpoint) -> str:
    """Returns what stands beside a checkpoint: its step, or the minute of its run."""
    if history.order == "step":
        return f"{checkpoint.step}"
    return f"{checkpoint.date:%Y-%m-%d %H:%M}"


def date_of(result: Result) -> datetime:
    """Returns when a result was run. Raises BadData where its record has no date."""
    started = result.provenance["started"]
    try:
        return datetime.fromisoformat(started).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        where = result.folder or result.model
        raise BadData(f"{where}: it was started at {started!r}, which is no date") from error


def _last(pattern: re.Pattern[str], name: str) -> re.Match[str] | None:
    *_, last = [None, *pattern.finditer(name)]
    return last


def _in_order(results: Sequence[Result]) -> tuple[Order, list[Result]]:
    """Returns results by step where each has one, otherwise by date."""
    steps = [step_of(result) for result in results]
    dated = sorted(zip(steps, results, strict=True), key=lambda pair: date_of(pair[1]))
    if None in steps:
        return "date", [result for _, result in dated]
    return "step", [result for _, result in sorted(dated, key=lambda pair: pair[0] or 0)]


def _with_baselines(
    results: Sequence[Result], baseline: Baseline | str
) -> Iterator[tuple[Result, Baseline | None]]:
    """Yields each result with what it is held to."""
    if isinstance(baseline, Baseline):
        yield from ((result, baseline) for result in results)
        return
    yield results[0], None
    first = baseline_of(results[0], results[0].shown_name)
    for before, result in pairwise(results):
        yield result, first if baseline == FIRST else baseline_of(before, before.shown_name)


def _common_weighting(results: Sequence[Result]) -> str:
    """Returns the weighting of all results, or the benchmark's default where they differ."""
    used = {result.weighting for result in results}
    return used.pop() if len(used) == 1 else scheme_of(results[0].definition).check_weighting(None)


def _checkpoints(
    results: Sequence[Result], gates: Sequence[Gate | None], weighting: str
) -> Iterator[Checkpoint]:
    scheme = scheme_of(results[0].definition)
    entries = find_entries(results, [], weighting)
    steps = [step_of(result) for result in results]
    for result, gate, entry, step in zip(results, gates, entries, steps, strict=True):
        metrics = result.metrics
        if result.weighting != weighting:
            metrics = describe_scores(scheme, result.scored, weighting)
        score = None if entry.score is None else entry.score / 100
        twice = () if step is None or steps.count(step) == 1 else ("a step that is here twice",)
        yield Checkpoint(result, step, metrics, score, gate, (*entry.remarks, *twice))
