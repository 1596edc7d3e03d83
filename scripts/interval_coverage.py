"""Measures how often rmeval's 95 % intervals hold the truth, of one model and of two.

    python scripts/interval_coverage.py [--runs 2000] [--answers]

Benchmarks are drawn whose truth is known: in each subset a row is won with a probability of its
own, between two ends; rows of a unit (a problem in six languages) are won together more often than
chance would have it. Of two models, a row changes sides with a probability of about 5, 20 or 40 %,
a little more often to the better. Each number is the share of benchmarks whose interval for the
Score holds the true one; `width` is the mean width of one model's, in points. With --answers they
are prompts with right and wrong answers, whose pass rates are uniform.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from rmeval.benchmarks.rewardbench import ROWS
from rmeval.metrics.correctness import ANSWERS, answered, describe_answers
from rmeval.metrics.intervals import effective_interval, metric_intervals
from rmeval.metrics.linear import Codes, Counted, spread
from rmeval.metrics.paired import student_interval
from rmeval.metrics.scheme import Floats
from rmeval.records import Score, ScoredPreference
from rmeval.reports.tables import format_rows

CHANGES = ((0.05, 0.01), (0.2, 0.03), (0.4, 0.1))  # rows that change, and by how much to the better
USUAL, NEAR_1 = (0.6, 0.95), (0.95, 0.999)


ANSWERED = ((20, 4), (60, 6), (200, 8))  # prompts, and answers to each
PAIRED = ("AUC", "pairs", "pairs by prompt")


@dataclass(frozen=True)
class Design:
    """How a benchmark is built: its subsets' rows, and what hangs together in them.

    `sizes` are the rows of each subset, or the units where `crossed`: each has a row in every
    subset. `largest` is how many rows of one subset a unit may have, `together` how alike a unit's
    rows are (the correlation of their latent normals). `weights` names how rows are weighed,
    `equal` says that subsets weigh alike, and `of` how many wins a row's credit is the mean of.
    """

    name: str
    sizes: Sequence[int]
    chances: tuple[float, float] = USUAL
    crossed: bool = False
    largest: int = 1
    together: float = 0.0
    weights: str = "alike"
    equal: bool = False
    of: int = 1


DESIGNS = (
    Design("23 subsets of 6", [6] * 23),
    Design("23 of 6, near 1", [6] * 23, NEAR_1),
    Design("5 of 6", [6] * 5),
    Design("5 of 6, near 1", [6] * 5, NEAR_1),
    Design("30 of 2", [2] * 30),
    Design("60 of 1", [1] * 60),
    Design("3 of 3", [3] * 3, (0.3, 0.9)),
    Design("1, 2 and 3 by turns", [1, 2, 3] * 4, (0.5, 0.95)),
    Design("one of 1, nine of 6, subsets alike", [1, *[6] * 9], equal=True),
    Design("RewardBench's sizes", list(ROWS.values())),
    Design("RewardBench's sizes, near 1", list(ROWS.values()), (0.97, 0.998)),
    Design("40 rows, gamma weights", [40], weights="gamma"),
    Design("40 rows, lognormal weights", [40], weights="lognormal"),
    Design("150 rows, lognormal weights", [150], weights="lognormal"),
    Design("10 of 15, lognormal weights", [15] * 10, weights="lognormal"),
    Design("150 rows, a tenth weigh 10", [150], weights="tenfold"),
    Design("164 problems in 6 subsets", [164] * 6, crossed=True, together=0.6),
    Design("164 in 6, hardly alike", [164] * 6, crossed=True, together=0.1),
    Design("20 in 6", [20] * 6, crossed=True, together=0.6),
    Design("100 rows in 23 subsets", [100] * 23, crossed=True, together=0.6),
    Design("20 in 23", [20] * 23, crossed=True, together=0.6),
    Design("6 in 23, nearly equal", [6] * 23, crossed=True, together=0.9),
    Design("150 rows, prompts of 1 to 9", [150], largest=9, together=0.5),
    Design("40 rows, prompts of 1 to 9", [40], largest=9, together=0.5),
    Design("10 of 15, 1 to 5, lognormal", [15] * 10, largest=5, together=0.5, weights="lognormal"),
    Design("5 of 20, each three wins", [20] * 5, of=3, together=0.4),
)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=2_000, metavar="N")
    parser.add_argument("--answers", action="store_true", help="of right and wrong answers")
    options = parser.parse_args(arguments)
    runs, answers = options.runs, options.answers
    print(f"{runs} benchmarks of each kind; percent whose 95 % interval holds the truth:\n")
    sizes, designs = ANSWERED if answers else (), () if answers else DESIGNS
    found = [measure_answers(prompts, k, runs) for prompts, k in sizes]
    print(format_rows([*found, *(measure(design, runs) for design in designs)], "markdown"))


def measure(design: Design, runs: int, seed: int = 0) -> dict[str, Any]:
    """Returns a row of the table."""
    draw = np.random.default_rng([seed, *design.name.encode()])
    held, widths = np.zeros(1 + len(CHANGES)), []
    for _ in range(runs):
        for number, (rows, truth) in enumerate(benchmarks(design, draw)):
            if number:
                low, high, _ = student_interval(rows.value, rows)
            else:
                low, high, _ = effective_interval(rows.value, spread(rows))
                widths.append(100 * (high - low))
            held[number] += low - 1e-12 <= truth <= high + 1e-12
    shares = (f"{100 * share:.1f}" for share in held / runs)
    columns = ("one model", *(f"{100 * change:g} % change" for change, _ in CHANGES))
    named = dict(zip(columns, shares, strict=True))
    return {"subsets": design.name, **named, "width": f"{np.mean(widths):.1f}"}


def measure_answers(prompts: int, k: int, runs: int) -> dict[str, Any]:
    """Returns a row of the table of right and wrong answers.

    A prompt's pass rate is uniform; rewards are normal, by 1 higher where the answer is right.
    """
    draw, sizes = np.random.default_rng(prompts), sorted({1, 2, k})
    pair = float(norm.cdf(0.5**0.5))  # that a right answer has a higher reward than a wrong one
    truth = {f"best of {n}": best_of(n) for n in sizes} | dict.fromkeys(PAIRED, pair)
    held = dict.fromkeys(truth, 0)
    for _ in range(runs):
        rows = [answers_to(str(number), k, draw) for number in range(prompts)]
        found = describe_answers([*map(answered, rows)])
        tally = metric_intervals(ANSWERS.tally(rows))
        ends = {f"best of {p['n']}": (p["low"], p["high"]) for p in found["curve"]}
        ends |= {name: tally[f"overall/{name}"][:2] for name in PAIRED[1:]}
        ends["AUC"] = (found["auc"]["low"], found["auc"]["high"])
        for name, value in truth.items():
            held[name] += ends[name][0] <= value <= ends[name][1]
    names = ("best of 1", "best of 2", f"best of {k}", *PAIRED)
    shown = ("best of 1", "best of 2", "best of all", *PAIRED)
    shares = {s: f"{100 * held[n] / runs:.1f}" for n, s in zip(names, shown, strict=True)}
    return {"prompts": f"{prompts}, {k} answers each", **shares}


def answers_to(name: str, k: int, draw: np.random.Generator) -> ScoredPreference:
    """Returns a prompt with k answers, the right ones first."""
    right = int(draw.binomial(k, draw.random()))
    rewards = draw.normal(size=k) + (np.arange(k) < right)
    return ScoredPreference(name, "all", right, tuple(Score(r, 1, False) for r in rewards.tolist()))


def best_of(n: int) -> float:
    """Returns how often the best of n is right, by integration over pass rates and rewards."""
    rates, rewards = (np.arange(400) + 0.5) / 400, np.linspace(-6, 8, 2001)
    p = rates[:, None]
    below = (1 - p) * norm.cdf(rewards) + p * norm.cdf(rewards - 1)
    density = n * p * norm.pdf(rewards - 1) * below ** (n - 1)
    return float(np.trapezoid(density, rewards, axis=1).mean())


def benchmarks(design: Design, draw: np.random.Generator) -> Iterator[tuple[Counted, float]]:
    """Yields one model's benchmark with its true Score, then two models' differences."""
    strata, units = build(design, draw)
    shares = shares_of(design, strata, draw)
    chance = draw.uniform(*design.chances, strata.max() + 1)[strata]
    won = [latent(design, units, draw) < chance for _ in range(design.of)]
    yield Counted(shares, np.mean(won, axis=0), strata, units), float(shares @ chance)
    for change, better in CHANGES:
        changes = change * draw.uniform(0.5, 1.5, strata.max() + 1)[strata]
        up, down = (changes + better) / 2, np.maximum(changes - better, 0) / 2
        place = latent(design, units, draw)
        moved = 1.0 * (place < up) - (place > 1 - down)
        yield Counted(shares, moved, strata, units), float(shares @ (up - down))


def build(design: Design, draw: np.random.Generator) -> tuple[Codes, Codes]:
    """Returns the subset and the unit of every row."""
    strata = np.repeat(np.arange(len(design.sizes)), design.sizes)
    if design.crossed:
        return strata, np.concatenate([np.arange(size) for size in design.sizes])
    begins = np.cumsum(draw.integers(1, design.largest + 1, len(strata)))
    return strata, np.searchsorted(begins, np.arange(len(strata)), side="right")


def shares_of(design: Design, strata: Codes, draw: np.random.Generator) -> Floats:
    """Returns how much each row counts; a subset counts by its rows, or all alike."""
    rows = len(strata)
    weights = {
        "alike": np.ones(rows),
        "gamma": draw.gamma(1.0, size=rows),
        "lognormal": draw.lognormal(size=rows),
        "tenfold": np.where(draw.random(rows) < 0.1, 10.0, 1.0),
    }[design.weights]
    sizes = np.bincount(strata)
    subsets = np.ones(len(sizes)) if design.equal else sizes
    shares: Floats = weights / np.bincount(strata, weights)[strata] * subsets[strata]
    shares /= shares.sum()
    return shares


def latent(design: Design, units: Codes, draw: np.random.Generator) -> Floats:
    """Returns a number from 0 to 1 for each row, alike within a unit."""
    shared, own = draw.normal(size=units.max() + 1)[units], draw.normal(size=len(units))
    mixed: Floats = norm.cdf(np.sqrt(design.together) * shared + np.sqrt(1 - design.together) * own)
    return mixed


if __name__ == "__main__":
    main()
