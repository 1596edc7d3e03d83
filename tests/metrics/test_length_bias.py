"""Whether length is rewarded, and what length or a coin alone would score."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import pearsonr

from rmeval.benchmarks.rewardbench import REWARDBENCH, ROWS
from rmeval.benchmarks.rm_bench import ROWS as STYLED_ROWS
from rmeval.benchmarks.rm_bench import SCHEME as RM_BENCH
from rmeval.metrics.bias import baselines, length_bias
from rmeval.metrics.calibration import Pairs, all_pairs
from rmeval.metrics.pairs import PAIRS
from rmeval.metrics.summary import describe_scores
from rmeval.records import Comparisons, Score, ScoredPreference


def row(number, margin: float, longer: int, subset: str = "s", weight: float = 1.0):
    scores = (Score(margin, 50 + longer, False), Score(0.0, 50, False))
    return ScoredPreference(f"{subset}/{number}", subset, 1, scores, "text", None, weight)


def test_the_correlation_is_scipys() -> None:
    draw = np.random.default_rng(0)
    lengths, margins = draw.integers(-40, 40, 200), draw.normal(size=200)
    rows = [row(i, m, int(n)) for i, (m, n) in enumerate(zip(margins, lengths, strict=True))]
    found = length_bias(all_pairs(rows))
    assert found["pearson"] == pytest.approx(pearsonr(lengths, margins).statistic)
    assert found["method"] == "weighted Pearson of margin and difference in tokens"


def test_a_row_of_weight_2_is_two_rows() -> None:
    rows = [row(1, 1.0, 4), row(2, -2.0, 1), row(3, 0.5, -6)]
    twice = [row(1, 1.0, 4, weight=2.0), *rows[1:]]
    repeated = [row(0, 1.0, 4), *rows]
    for key in ("pearson", "accuracy_when_longer", "accuracy_when_shorter"):
        expected = length_bias(all_pairs(repeated))[key]
        assert length_bias(all_pairs(twice))[key] == pytest.approx(expected)


def test_accuracy_where_the_better_answer_is_longer_or_shorter_worked_by_hand() -> None:
    rows = [row(1, 1, 5), row(2, 1, 5), row(3, -1, 5), row(4, 1, -5), row(5, 0, -5), row(6, 1, 0)]
    found = length_bias(all_pairs(rows))
    assert found["accuracy_when_longer"] == pytest.approx(2 / 3)
    assert found["accuracy_when_shorter"] == 0.5  # a tie is a loss
    assert (found["pairs"], found["pairs_longer"], found["pairs_shorter"]) == (6, 3, 2)


def test_a_tie_of_verdicts_is_half_of_its_pair() -> None:
    made = Comparisons(2, 1, 0, 0)
    rows = [replace(row(i, m, 5), comparisons=made) for i, m in enumerate((0.5, 0.0, -0.5, 0.0))]
    assert length_bias(all_pairs(rows))["accuracy_when_longer"] == 0.5


def test_what_never_varies_has_no_correlation_and_no_pairs_no_accuracy() -> None:
    found = length_bias(all_pairs([row(1, 1.0, 5), row(2, 2.0, 5)]))
    assert found["pearson"] is None
    assert found["accuracy_when_shorter"] is None
    assert length_bias(Pairs(*np.ones((7, 3))))["pearson"] is None


def test_length_alone_and_a_coin_worked_by_hand() -> None:
    rows = [row(1, -1, 5), row(2, -1, 5), row(3, -1, -5), row(4, -1, 0)]
    found = baselines(PAIRS, rows, PAIRS.tally(rows))
    assert found["longer"]["overall"] == 0.5
    assert found["shorter"]["overall"] == 0.25  # equal lengths are a tie for both
    assert found["coin"]["overall"] == 0.5


def test_a_coin_beats_three_others_once_in_four_times() -> None:
    four = ScoredPreference("1", "s", 1, tuple(Score(float(i), 9, False) for i in range(4)))
    two_of_four = ScoredPreference("2", "s", 2, four.scores)
    rows = [four, two_of_four]
    found = baselines(PAIRS, rows, PAIRS.tally(rows))["coin"]
    assert found["overall"] == pytest.approx((1 / 4 + 1 / 6) / 2)


def test_a_coin_wins_half_of_rm_benchs_cells_at_every_level() -> None:
    scores = tuple(Score(float(i), 9, False) for i in range(6))
    rows = [
        ScoredPreference(f"{subset}/{i}", subset, 3, scores)
        for subset, count in STYLED_ROWS.items()
        for i in range(count)
    ]
    coin = baselines(RM_BENCH, rows, RM_BENCH.tally(rows))["coin"]
    assert coin["overall"] == coin["section/safety/hard"] == 0.5


def test_length_and_coin_have_the_metrics_that_the_model_has() -> None:
    half = [row(i, 1.0, 3, subset) for subset, rows in ROWS.items() for i in range(rows // 2)]
    values = REWARDBENCH.metrics(half).values
    assert "overall" not in values
    for name, found in baselines(REWARDBENCH, half, REWARDBENCH.tally(half)).items():
        assert list(found) == list(values), name


def test_all_statistics_stand_in_one_place() -> None:
    rows = [row(i, 1.0 if i % 3 else -1.0, i % 5 - 2) for i in range(30)]
    metrics = describe_scores(PAIRS, rows)
    assert set(metrics.statistics) == {"calibration", "length", "baselines"}
    assert list(metrics.intervals) == list(metrics.values) == ["overall", "subset/s"]
    assert metrics.statistics["length"] == length_bias(all_pairs(rows))
