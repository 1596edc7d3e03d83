"""Evaluation during training, in transformers' Trainer and whatever is made from it (TRL).

>>> trainer = RewardTrainer(..., callbacks=[TrainerEvaluation("rewardbench", every=200, limit=400)])
"""

import logging
from typing import Any, NamedTuple

from rmeval.benchmarks import Benchmark, load_benchmark
from rmeval.errors import BadOption
from rmeval.evaluation import evaluate
from rmeval.metrics.names import Metric
from rmeval.models.live.trainers import (
    TrainerCallback,
    agree_to_stop,
    calling_trainer,
    log_through,
    scorer_of,
)
from rmeval.models.reward_model import RewardModel
from rmeval.records import Result
from rmeval.results.baselines import Baseline, baseline_of
from rmeval.results.regression import LEVELS, Outcome, gate_result

logger = logging.getLogger("rmeval")


class _Test(NamedTuple):
    """What `gate_result` takes beside the two results."""

    max_drop: float
    alpha: float
    per: str


class TrainerEvaluation(TrainerCallback):  # type: ignore[misc]
    """Evaluates the model that is trained, before training and after every so many steps.

    `rmeval/Score` and `rmeval/<section>` are logged through the Trainer, as fractions of one, and
    so reach what it reports to. `results` holds each evaluation by its step. Rank 0 evaluates, and
    the others wait for it.

    Args:
        benchmark: what `rmeval.load_benchmark` returns, or its name.
        every: optimiser's steps between two evaluations.
        limit: score only this many rows, evenly spread.
        weighting: how subsets make a section.
        stop_if_worse: end the training where the model is worse than the best so far by more than
            `max_drop` points of a hundred and more than chance, at the level `alpha`, in what `per`
            holds: the test of `rmeval check`.
        options: what `rmeval.wrap` takes, such as max_length or batch_tokens.

    Raises BadOption for what does not go together, at once; for a model that cannot be scored as it
    is (FSDP, ZeRO-3), when training begins.
    """

    def __init__(
        self,
        benchmark: Benchmark | str,
        *,
        every: int,
        limit: int | None = None,
        weighting: str | None = None,
        stop_if_worse: bool = False,
        max_drop: float = 0.5,
        alpha: float = 0.05,
        per: str = "overall",
        **options: Any,
    ) -> None:
        if every < 1:
            raise BadOption(f"TrainerEvaluation: every={every}; at least one step is needed")
        if per not in LEVELS:
            raise BadOption(f"TrainerEvaluation: per={per!r}; it is one of {', '.join(LEVELS)}")
        whole = load_benchmark(benchmark) if isinstance(benchmark, str) else benchmark
        self.benchmark = whole if limit is None else whole.limited(limit)
        self.every = every
        self.weighting = self.benchmark.scheme.check_weighting(weighting)
        self.stop_if_worse = stop_if_worse
        self.results: dict[int, Result] = {}
        self._test = _Test(max_drop, alpha, per)
        self._options = options
        self._scorer: RewardModel | None = None
        self._evaluated_at: int | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Evaluates what training begins from."""
        self._scorer = scorer_of(calling_trainer(), **self._options)
        self._evaluate(state, control)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Evaluates where it is time."""
        if state.global_step % self.every == 0:
            self._evaluate(state, control)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Evaluates what came out, unless that has just been done."""
        if state.global_step != self._evaluated_at:  # which all ranks know, unlike `results`
            self._evaluate(state, control)

    def _evaluate(self, state: Any, control: Any) -> None:
        assert self._scorer is not None
        stop, self._evaluated_at = False, state.global_step
        if state.is_world_process_zero:
            result = evaluate(self._scorer, self.benchmark, weighting=self.weighting)
            stop = self.stop_if_worse and self._is_worse(result, state.global_step)
            self.results[state.global_step] = result
            log_through(calling_trainer(), metrics_to_log(result))
        if agree_to_stop(stop, self._scorer.device):
            control.should_training_stop = True

    def _is_worse(self, result: Result, step: int) -> bool:
        if not self.results:
            return False
        best = max(self.results, key=lambda at: self.results[at].overall or 0.0)
        baseline: Baseline = baseline_of(self.results[best], f"step {best}")
        gate = gate_result(result, baseline, **self._test._asdict())
        if gate.outcome is not Outcome.REGRESSED:
            return False
        worst = max((held for held in gate.held if held.regressed), key=lambda held: held.drop)
        logger.warning(
            "step %d: %s fell to %.3f from %.3f at step %d; training stops",
            step,
            worst.metric,
            worst.measured,
            worst.baseline,
            best,
        )
        return True


def metrics_to_log(result: Result) -> dict[str, float]:
    """Returns the Score and the sections of a result, as a Trainer logs them."""
    sections = {
        f"rmeval/{Metric(name).rest}": value
        for name, value in result.metrics.values.items()
        if Metric(name).kind == "section"
    }
    score = {} if result.overall is None else {"rmeval/Score": result.overall}
    return {**score, **sections}
