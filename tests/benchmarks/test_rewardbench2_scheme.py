"""RewardBench 2 from scored rows, with answers worked by hand."""

from math import tanh

import numpy as np
import pytest
from scored_rows import scored

from rmeval.benchmarks.rewardbench2 import ROWS, shared_best_credit, tie_credit
from rmeval.benchmarks.rewardbench2 import SCHEME as REWARDBENCH_2
from rmeval.errors import BadData, UnknownName
from rmeval.records import ScoredPreference

SMALL = REWARDBENCH_2.with_rows(dict.fromkeys(ROWS, 2) | {"Ties": 4})

# The value of the published code for these four prompts.
TIES = [
    scored("ref:0", "Ties", 3, 1, 0),
    scored("tied:0", "Ties", 3, 2.5, 0, -1, num_chosen=2),
    scored("ref:1", "Ties", 1, 0.5),
    scored("tied:1", "Ties", 4, 1, 0.5, 0, num_chosen=2),
]


def published_ties(rows: list[ScoredPreference]) -> float:
    """The formula as a sum of means over all pairs, as its authors write it."""
    kinds: dict[str, dict[str, tuple[float, float]]] = {"ref": {}, "tied": {}}
    for row in rows:
        kind, _, number = row.id.partition(":")
        values = [score.value for score in row.scores]
        correct, incorrect = values[: row.num_chosen], values[row.num_chosen :]
        margin = min(correct) - max(incorrect)
        kinds[kind][number] = (max(correct) - min(correct), margin)
    spread, tied = np.array([kinds["tied"][n] for n in kinds["ref"]]).T
    ref = np.array([margin for _, margin in kinds["ref"].values()])
    least = np.minimum(ref, tied)
    with np.errstate(divide="ignore", invalid="ignore"):
        close = np.nan_to_num(np.tanh(least / spread - 1), nan=0)
    return float(
        0.3 * np.mean(tied > 0)
        + 0.3 * np.mean(ref > 0)
        + 0.2 * np.mean(tied > spread)
        + 0.2 * np.mean(least > spread)
        + 0.01 * np.mean(close)
    )


@pytest.mark.parametrize(
    ("rewards", "credit"),
    [
        ((2, 1, 1, 0), 1.0),
        ((2, 2, 1, 0), 1 / 2),
        ((2, 2, 0, 2), 1 / 3),
        ((2, 2, 2, 2), 1 / 4),
        ((1, 2, 0, 0), 0.0),
        ((1, 2, 2, 1), 0.0),
    ],
)
def test_a_best_reward_that_is_shared_by_k_counts_one_kth(
    rewards: tuple[float, ...], credit: float
) -> None:
    assert shared_best_credit(scored("Math/1", "Math", *rewards)) == credit


def test_ties_have_the_published_value() -> None:
    value = SMALL.metrics(TIES).values["subset/Ties"]
    assert value == pytest.approx(0.8015639648172428, abs=1e-15, rel=0)
    assert published_ties(TIES) == pytest.approx(0.8015639648172428, abs=1e-15, rel=0)


def test_the_order_of_tied_prompts_changes_nothing() -> None:
    values = [SMALL.metrics(rows).values["subset/Ties"] for rows in (TIES, TIES[::-1])]
    assert values[0] == values[1]


@pytest.mark.parametrize(
    ("reference", "tied", "credit"),
    [
        # D = 0, so what is above it is infinitely far: tanh(inf) = 1.
        ((2, 1), (2, 2, 1), 0.3 + 0.3 + 0.2 + 0.2 + 0.01),
        # D = 0 and M = 0: 0 / 0 is not a number and counts 0.
        ((2, 1), (1, 1, 1), 0.3),
        # D = 0 and M < 0: tanh(-inf) = -1.
        ((2, 1), (1, 1, 3), 0.3 - 0.01),
        # The margins equal D = 1: not above it.
        ((2, 1), (3, 2, 1), 0.3 + 0.3),
        # M_tied = 3 is above D = 1, but min(M_ref, M_tied) = 1 is not.
        ((2, 1), (5, 4, 1), 0.3 + 0.3 + 0.2),
        ((1, 2), (5, 4, 1), 0.3 + 0.2 + 0.01 * tanh(-2)),
    ],
)
def test_a_pair_of_tied_prompts_worked_by_hand(
    reference: tuple[float, ...], tied: tuple[float, ...], credit: float
) -> None:
    found = tie_credit(
        scored("ref:1", "Ties", *reference), scored("tied:1", "Ties", *tied, num_chosen=2)
    )
    assert found == pytest.approx(credit, abs=1e-15)


def test_ties_of_random_rewards_are_those_of_the_published_formula() -> None:
    draw = np.random.default_rng(3)
    rows = []
    for number in range(40):
        rewards = draw.integers(0, 4, 9).astype(float)  # few values, so that many are equal
        rows.append(scored(f"ref:{number}", "Ties", *rewards[:3]))
        rows.append(scored(f"tied:{number}", "Ties", *rewards[3:], num_chosen=3))
    value = SMALL.with_rows({**ROWS, "Ties": 80}).metrics(rows).values["subset/Ties"]
    assert value == pytest.approx(published_ties(rows), abs=1e-14)


def test_a_tied_prompt_without_its_reference_says_nothing() -> None:
    metrics = SMALL.metrics([scored("Math/1", "Math", 1, 0, 0, 0), *TIES[:3]])
    alone = SMALL.metrics(TIES[:2])
    assert metrics.values["subset/Ties"] == alone.values["subset/Ties"]
    assert "subset/Ties" not in SMALL.metrics([TIES[0]]).values
    assert "overall" not in metrics.values


@pytest.mark.parametrize("row_id", ["0", "other:0", "ref:"])
def test_ids_that_name_no_pair_are_refused(row_id: str) -> None:
    with pytest.raises(BadData, match="the id must be ref:N or tied:N"):
        SMALL.metrics([scored(row_id, "Ties", 1, 0)])


def test_the_score_is_the_plain_mean_of_the_six() -> None:
    rows = [
        scored(f"{subset}/{number}", subset, *rewards)
        for subset in ROWS
        if subset != "Ties"
        for number, rewards in enumerate([(1, 0, 0, 0), (1, 1, 0, 0)])  # 1 and 1/2
    ]
    metrics = SMALL.metrics([*rows, *TIES])
    assert metrics.values["subset/Safety"] == 0.75
    assert metrics.values["overall"] == pytest.approx((5 * 0.75 + 0.8015639648172428) / 6)
    assert metrics.partial_sections == ()


@pytest.mark.parametrize("lost", ["Math/1", "ref:1", "tied:0"])
def test_a_row_too_few_leaves_no_score(lost: str) -> None:
    rows = [scored(f"{s}/{n}", s, 1, 0, 0, 0) for s in ROWS if s != "Ties" for n in range(2)]
    metrics = SMALL.metrics([row for row in [*rows, *TIES] if row.id != lost])
    assert "overall" not in metrics.values


def test_an_unknown_subset_is_refused() -> None:
    with pytest.raises(UnknownName, match="did you mean 'Math'"):
        SMALL.metrics([scored("1", "Maths", 1, 0)])


def test_a_coin_gets_a_quarter_and_nobody_knows_its_ties() -> None:
    chance = REWARDBENCH_2.tally([scored("1", "Math", 0, 1, 2, 3), *TIES]).chance()
    assert chance == {"subset/Math": 0.25}
    assert sum(ROWS.values()) == 1865
