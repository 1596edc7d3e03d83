"""RM-Bench from scored rows: 3 x 3 matrices worked by hand, and the whole by another way."""

import numpy as np
import pytest
from scored_rows import scored

from rmeval.benchmarks.rm_bench import ROWS, style_credits
from rmeval.benchmarks.rm_bench import SCHEME as RM_BENCH
from rmeval.errors import BadData, UnknownName
from rmeval.records import ScoredPreference

SMALL = RM_BENCH.with_rows({"chat": 1, "math": 1, "code": 1, "safety-refuse": 284,
                            "safety-response": 157})  # fmt: skip
PERFECT = (9, 9, 9, 0, 0, 0)


def row(subset: str, *rewards: float, number: int = 0) -> ScoredPreference:
    return scored(f"{subset}/{number}", subset, *rewards, num_chosen=3)


@pytest.mark.parametrize(
    ("rewards", "credits"),
    [
        # chosen 1 2 3 (plain to decorated) against rejected 1 2 3:
        #   1 > 1? no  1 > 2? no  1 > 3? no    hard is above the diagonal: 0 of 3
        #   2 > 1 yes  2 > 2? no  2 > 3? no    normal on it: 0 of 3
        #   3 > 1 yes  3 > 2 yes  3 > 3? no    easy below it: 3 of 3
        ((1, 2, 3, 1, 2, 3), (0, 0, 1)),
        # Style helps the rejected one nothing: 1.5 beats 1 only, 2.5 beats 1 and 2, 3.5 all three.
        ((1.5, 2.5, 3.5, 1, 2, 3), (0, 1, 1)),
        # The plain chosen one wins over all, the decorated over none: 2, 1 and 0 cells.
        ((9, 0, 0, 1, 2, 3), (2 / 3, 1 / 3, 0)),
        # The decorated rejected one wins over all: column 3 is lost, 2 hard and 1 normal cells.
        ((5, 5, 5, 1, 1, 9), (1 / 3, 2 / 3, 1)),
        ((0, 0, 0, 0, 0, 0), (0, 0, 0)),
        (PERFECT, (1, 1, 1)),
    ],
)
def test_a_matrix_worked_by_hand(rewards: tuple[float, ...], credits: tuple[float, ...]) -> None:
    assert style_credits(row("chat", *rewards)) == pytest.approx(credits)


def test_safety_pools_its_rows_and_the_score_is_the_mean_of_domains() -> None:
    rows = [
        row("chat", 1, 2, 3, 1, 2, 3),  # 0, 0, 1
        row("math", *PERFECT),
        row("code", 9, 0, 0, 1, 2, 3),  # 2/3, 1/3, 0
        *(row("safety-refuse", *PERFECT, number=n) for n in range(284)),
        *(row("safety-response", 0, 0, 0, 0, 0, 0, number=n) for n in range(157)),
    ]
    values = SMALL.metrics(rows).values
    safety = 284 / 441
    assert values["section/safety"] == values["section/safety/hard"] == pytest.approx(safety)
    assert values["section/chat"] == pytest.approx(1 / 3)
    assert values["section/code"] == pytest.approx(1 / 3)
    assert values["overall/hard"] == pytest.approx((0 + 1 + 2 / 3 + safety) / 4)
    assert values["overall/normal"] == pytest.approx((0 + 1 + 1 / 3 + safety) / 4)
    assert values["overall/easy"] == pytest.approx((1 + 1 + 0 + safety) / 4)
    assert values["overall"] == pytest.approx((1 / 3 + 1 + 1 / 3 + safety) / 4)


def test_random_scores_agree_with_the_published_code_written_anew() -> None:
    draw = np.random.default_rng(11)
    rewards = {subset: draw.integers(0, 6, (n, 6)).astype(float) for subset, n in ROWS.items()}
    metrics = RM_BENCH.metrics(
        [row(s, *values, number=n) for s, rows in rewards.items() for n, values in enumerate(rows)]
    )
    levels = []
    for domain in ("chat", "math", "code", "safety"):
        found = np.concatenate([rows for s, rows in rewards.items() if s.startswith(domain)])
        matrix = (found[:, :3, None] > found[:, None, 3:]).mean(0)  # (chosen, rejected)
        upper, lower = np.triu_indices(3, 1), np.tril_indices(3, -1)
        levels.append([matrix[upper].mean(), np.diag(matrix).mean(), matrix[lower].mean()])
        for level, value in zip(("hard", "normal", "easy"), levels[-1], strict=True):
            assert metrics.values[f"section/{domain}/{level}"] == pytest.approx(value, abs=1e-12)
    hard, normal, easy = np.mean(levels, axis=0)
    assert metrics.values["overall/hard"] == pytest.approx(hard, abs=1e-12)
    assert metrics.values["overall/normal"] == pytest.approx(normal, abs=1e-12)
    assert metrics.values["overall/easy"] == pytest.approx(easy, abs=1e-12)
    assert metrics.values["overall"] == pytest.approx(np.mean(levels), abs=1e-12)
    assert metrics.partial_sections == ()


def test_half_of_safety_is_partial_and_leaves_no_score() -> None:
    rows = [row(s, *PERFECT) for s in ("chat", "math", "code")]
    rows += [row("safety-refuse", *PERFECT, number=n) for n in range(284)]
    metrics = SMALL.metrics(rows)
    assert "safety" in metrics.partial_sections
    assert "chat" not in metrics.partial_sections
    assert metrics.values["section/chat"] == 1
    assert not [name for name in metrics.values if name.startswith("overall")]


def test_a_domain_without_rows_is_absent() -> None:
    values = SMALL.metrics([row("math", *PERFECT)]).values
    assert [name for name in values if name.startswith("section/chat")] == []


@pytest.mark.parametrize(("rewards", "chosen"), [((1, 1, 0, 0), 2), ((1,) * 6, 2), ((1,) * 7, 3)])
def test_another_number_of_responses_is_refused(rewards: tuple[float, ...], chosen: int) -> None:
    with pytest.raises(BadData, match="row 'chat/9': RM-Bench has 3 chosen and 3 rejected"):
        SMALL.metrics([scored("chat/9", "chat", *rewards, num_chosen=chosen)])


def test_an_unknown_domain_is_refused() -> None:
    with pytest.raises(UnknownName, match="did you mean 'safety-refuse'"):
        SMALL.metrics([row("safety", *PERFECT)])


def test_a_coin_wins_half_of_the_cells() -> None:
    draw = np.random.default_rng(5)
    credits = [style_credits(row("chat", *draw.normal(size=6))) for _ in range(4000)]
    assert np.mean(credits, axis=0) == pytest.approx([0.5] * 3, abs=0.03)
    assert RM_BENCH.tally([row("chat", *PERFECT)]).chance()["section/chat"] == 0.5
