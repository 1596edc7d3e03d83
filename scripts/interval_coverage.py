"""Measures how often rmeval's 95 % intervals hold the truth, of one model and of two.

    python scripts/interval_coverage.py [--runs 2000]

Benchmarks are drawn whose truth is known: in each subset a row is won with a probability of its
own, between two ends; rows of a unit (a problem in six languages) are won together more often than
chance would have it. Of two models, a row changes sides with a probability of about 5, 20 or 40 %,
a little more often to the better. Each number is the share of benchmarks whose interval for the
Score holds the true one; `width` is the mean width of one model's, in points.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from rmeval.benchmarks.rewardbench import ROWS
from rmeval.metrics.intervals import effective_interval
from rmeval.metrics.linear import Codes, Counted, spread
from rmeval.metrics.paired import student_interval
from rmeval.metrics.scheme import Floats
from rmeval.reports.tables import format_rows

CHANGES = ((0.05, 0.01), (0.2, 0.03), (0.4, 0.1))  # rows that change, and by how much to the better
USUAL, NEAR_1 = (0.6, 0.95), (0.95, 0.999)


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
    runs = parser.parse_args(arguments).runs
    print(f"{runs} benchmarks of each kind; percent whose 95 % interval holds the truth:\n")
    print(format_rows([measure(design, runs) for design in DESIGNS], "markdown"))


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
