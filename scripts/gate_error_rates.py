"""Measures how often `rmeval check` fails a model that is truly worse by so much, or not at all.

    python scripts/gate_error_rates.py [--runs 200]

A gate sees verdicts only, so verdicts are what is drawn. The baseline has the accuracies that a
published model has on RewardBench v1's 2,985 rows. A later checkpoint loses some rows that were
won and wins some that were lost; the probabilities of both are set so that the Score is
expected to drop by exactly what the table says. Then `gate_result` decides, with its
defaults, at each level.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np

from rmeval.benchmarks.rewardbench import DEFAULT_WEIGHTING, REWARDBENCH, ROWS, SECTIONS
from rmeval.metrics import paired
from rmeval.records import Metrics, Result, Score, ScoredPreference
from rmeval.reports.tables import format_rows
from rmeval.results.baselines import Baseline, read_baseline, write_baseline
from rmeval.results.regression import LEVELS, Outcome, gate_result
from rmeval.results.schema import Provenance

# Rows won, in the order of ROWS, by general-preference/GPM-Llama-3.1-8B-Instruct (91.6), as
# allenai/reward-bench published it.
WINS = (
    *(89, 90, 88, 28, 39),  # Chat
    *(30, 87, 114, 87, 38, 37),  # Chat Hard
    *(95, 99, 144, 240, 97),  # Safety
    *(428, 151, 158, 161, 158, 160, 153),  # Reasoning
)
DROPS = (0.0, 0.3, 1.0, 3.0)  # points of the Score
MAX_DROP, ALPHA = 0.5, 0.05  # the defaults of `rmeval check`
CHURN = 0.045  # of the verdicts that change between two checkpoints that are equally good
HIGH, LOW = Score(1.0, 1, False), Score(0.0, 1, False)
WON, LOST = (HIGH, LOW), (LOW, HIGH)

MADE_BY = {"fingerprint": None, "dtype": None, "revision": None}
PROVENANCE = cast(Provenance, {"model": MADE_BY, "data": MADE_BY, "versions": {}})
CHAT_HARD = "both, drop in Chat Hard"
# What is lost: the share of rows that change sides in either direction, and where the drop is.
WAYS = {
    "both directions": (CHURN, tuple(ROWS)),
    "losses only": (0.0, tuple(ROWS)),
    CHAT_HARD: (CHURN, tuple(SECTIONS["Chat Hard"])),
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=200, metavar="N")
    runs = parser.parse_args(arguments).runs
    paired.FLIPS = 2_000  # only a question of precision; a test keeps its level at any number
    before = np.concatenate([np.arange(ROWS[s]) < w for s, w in zip(ROWS, WINS, strict=True)])
    with TemporaryDirectory() as folder:
        metrics = REWARDBENCH.metrics(as_result(before).scored)
        write_baseline(Path(folder, "baseline.json"), as_result(before, metrics))
        baseline = read_baseline(Path(folder, "baseline.json"))
    cases = [(way, drop) for way in WAYS for drop in DROPS if drop or way != CHAT_HARD]
    rows = [measure(baseline, before, way, drop, runs) for way, drop in cases]
    print(f"{runs} models each, max_drop {MAX_DROP}, alpha {ALPHA}; percent that fail:\n")
    print(format_rows(rows, "table"))


def measure(
    baseline: Baseline, before: np.ndarray, way: str, drop: float, runs: int
) -> dict[str, Any]:
    """Returns a row of the table: what was drawn, and the share that failed at each level."""
    lose, win = chances(*WAYS[way], drop / 100)
    chance = np.where(before, 1 - lose, win)
    failed, measured, changed = dict.fromkeys(LEVELS, 0), [], []
    for seed in range(runs):
        verdicts = np.random.default_rng(seed).random(len(before)) < chance
        result = as_result(verdicts)
        for level in LEVELS:
            gate = gate_result(result, baseline, max_drop=MAX_DROP, alpha=ALPHA, per=level)
            failed[level] += gate.outcome is Outcome.REGRESSED
        measured.append(100 * next(held.drop for held in gate.held if held.metric == "overall"))
        changed.append(100 * (verdicts != before).mean())
    return {
        "verdicts change": way,
        "true drop": drop,
        "drawn": f"{np.mean(measured):.2f} ± {np.std(measured):.2f}",
        "changed": float(np.mean(changed)),
        **{level: 100 * failed[level] / runs for level in sorted(LEVELS)},
    }


def chances(churn: float, subsets: tuple[str, ...], drop: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns each row's chance to be lost if it was won, and to be won if it was lost.

    A subset in which all changes is expected to fall by the same share, whatever its weight, and
    so are its section and, a section's share of 1 in 4, the Score.
    """
    shift = drop * (1.0 if len(subsets) == len(ROWS) else len(SECTIONS))
    lose, win = [], []
    for (subset, rows), won in zip(ROWS.items(), WINS, strict=True):
        accuracy = won / rows
        swapped = min(churn, 1 - accuracy) / 2  # as many each way; few can win where few are lost
        fall = shift if subset in subsets else 0.0
        lose += [(swapped + fall) / accuracy] * rows
        win += [swapped / (1 - accuracy) if won < rows else 0.0] * rows
    return np.array(lose), np.array(win)


def as_result(verdicts: np.ndarray, metrics: Metrics | None = None) -> Result:
    subsets = [subset for subset, rows in ROWS.items() for _ in range(rows)]
    scored = tuple(
        ScoredPreference(str(number), subset, 1, WON if won else LOST, "text")
        for number, (subset, won) in enumerate(zip(subsets, verdicts.tolist(), strict=True))
    )
    named = ("rewardbench", "rewardbench", "simulated", DEFAULT_WEIGHTING)
    return Result(*named, metrics or Metrics({}, {}), scored, None, PROVENANCE)


if __name__ == "__main__":
    main()
