"""Does the model reward length? And what would length alone, or a coin, score on these rows?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rmeval.metrics.calibration import Pairs
from rmeval.metrics.scheme import Floats, Scheme, Tally
from rmeval.records import Score, ScoredPreference


def length_bias(pairs: Pairs) -> dict[str, Any]:
    """Returns how the margin goes with the difference in length, in tokens, over all pairs.

    `pearson` is the correlation, or None where either never varies. `accuracy_when_longer` and
    `accuracy_when_shorter` are the shares of pairs won whose chosen response is the longer or the
    shorter one, with the number of each; None where there are none.
    """
    won, longer, shorter = pairs.credits, pairs.lengths > 0, pairs.lengths < 0
    return {
        "pearson": _pearson(pairs.lengths, pairs.margins, pairs.weights),
        "accuracy_when_longer": _share(won, longer, pairs.weights),
        "accuracy_when_shorter": _share(won, shorter, pairs.weights),
        "pairs": len(won),
        "pairs_longer": int(longer.sum()),
        "pairs_shorter": int(shorter.sum()),
        "method": "weighted Pearson of margin and difference in tokens",
    }


def baselines(
    scheme: Scheme, scored: Sequence[ScoredPreference], tally: Tally
) -> dict[str, dict[str, float]]:
    """Returns the metrics of "longer wins", "shorter wins" and "coin" on the rows of a tally.

    Length is in tokens as the model read them; equal lengths are a tie, and so a loss, for both.
    A coin has the expected value of random rewards, where there is a formula for it.
    """
    return {
        "longer": scheme.tally(_by_length(scored, 1), tally.weighting).values,
        "shorter": scheme.tally(_by_length(scored, -1), tally.weighting).values,
        "coin": tally.chance(),
    }


def _by_length(scored: Sequence[ScoredPreference], sign: int) -> list[ScoredPreference]:
    return [
        ScoredPreference(
            item.id,
            item.subset,
            item.num_chosen,
            tuple(Score(float(sign * s.tokens), s.tokens, s.truncated) for s in item.scores),
            item.digest,
            item.magnitude,
            item.weight,
        )
        for item in scored
    ]


def _share(won: Floats, among: np.ndarray, weights: Floats) -> float | None:
    return float(np.average(won[among], weights=weights[among])) if among.any() else None


def _centred(column: Floats, weights: Floats) -> Floats:
    """Returns a column less its mean, in units in which neither squares nor sums overflow."""
    column = column / (np.abs(column).max(initial=0.0) or 1.0)
    centred: Floats = column - np.average(column, weights=weights)
    return centred / (np.abs(centred).max(initial=0.0) or 1.0)


def _pearson(x: Floats, y: Floats, weights: Floats) -> float | None:
    if not len(weights):
        return None
    x, y = (_centred(column, weights) for column in (x, y))
    spread = np.sqrt(np.average(x * x, weights=weights) * np.average(y * y, weights=weights))
    return float(np.average(x * y, weights=weights) / spread) if spread > 0 else None
