"""All that is computed from the scores of one model on one benchmark."""

from collections.abc import Sequence
from dataclasses import replace

from rmeval.metrics.bias import baselines, length_bias
from rmeval.metrics.calibration import all_pairs, calibration
from rmeval.metrics.correctness import answered, describe_answers
from rmeval.metrics.intervals import metric_intervals
from rmeval.metrics.scheme import Scheme, metrics_of
from rmeval.records import Metrics, ScoredPreference


def describe_scores(
    scheme: Scheme, scored: Sequence[ScoredPreference], weighting: str | None = None
) -> Metrics:
    """Returns a scheme's metrics with their intervals, calibration, length bias and baselines.

    Raises BadData when there is nothing to average, UnknownName for an unknown weighting.
    """
    tally, pairs = scheme.tally(scored, weighting), all_pairs(scored)
    return replace(
        metrics_of(tally, scored),
        intervals=metric_intervals(tally),
        statistics={
            "calibration": calibration(pairs),
            "length": length_bias(pairs),
            "baselines": baselines(scheme, scored, tally),
            **({"answers": describe_answers([*map(answered, scored)])} if scheme.answers else {}),
        },
    )
