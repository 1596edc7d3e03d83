"""Where wins simply add up: JudgeBench, RMB, the prior sets, and pairs of the user's own."""

import json
from pathlib import Path

import pytest
from scored_rows import fill, scored

from rmeval.benchmarks.judgebench import ROWS as JUDGEBENCH_ROWS
from rmeval.benchmarks.judgebench import SCHEME as JUDGEBENCH
from rmeval.benchmarks.prior_sets import SCHEME as PRIOR_SETS
from rmeval.benchmarks.rewardbench import PRIOR_ROWS
from rmeval.benchmarks.rmb import BON_ROWS, PAIRWISE_ROWS
from rmeval.benchmarks.rmb import BON_SCHEME as RMB_BON
from rmeval.benchmarks.rmb import PAIRWISE_SCHEME as RMB_PAIRWISE
from rmeval.errors import BadData, UnknownName
from rmeval.metrics.pairs import PAIRS, row_weighted
from rmeval.metrics.scheme import Scheme
from rmeval.records import ScoredPreference

Wins = dict[str, tuple[int, int]]


def all_won(rows: dict[str, int], **but: int) -> Wins:
    """All rows won, but so many of the subsets named (the last part of the name)."""
    return {name: (n - but.get(name.rpartition("/")[2], 0), n) for name, n in rows.items()}


def test_judgebench_counts_rows_whatever_category_they_are_of() -> None:
    wins = {name: (n, n) for name, n in JUDGEBENCH_ROWS.items()}
    wins["gpt-4o/math"] = (20, 56)
    wins["claude-3.5/knowledge"] = (100, 154)
    metrics = JUDGEBENCH.metrics(fill(wins))
    values = metrics.values
    assert values["subset/gpt-4o/math"] == 20 / 56
    assert values["section/math"] == pytest.approx((20 + 34) / 90)
    assert values["section/knowledge"] == pytest.approx((154 + 100) / 308)
    assert values["section/reasoning"] == values["section/coding"] == 1
    assert values["section/gpt-4o"] == pytest.approx((350 - 36) / 350)
    assert values["section/claude-3.5"] == pytest.approx((270 - 54) / 270)
    assert values["overall"] == pytest.approx((620 - 36 - 54) / 620)
    assert metrics.partial_sections == ()


def test_the_rows_of_one_response_model_are_a_whole_section_of_a_partial_benchmark() -> None:
    gpt = {name: (n, n) for name, n in JUDGEBENCH_ROWS.items() if name.startswith("gpt-4o")}
    metrics = JUDGEBENCH.metrics(fill(gpt))
    assert metrics.values["section/gpt-4o"] == 1
    assert set(metrics.partial_sections) == {"knowledge", "reasoning", "math", "coding"}
    assert "section/claude-3.5" not in metrics.values
    assert "overall" not in metrics.values


def test_a_row_too_few_makes_both_its_sections_partial() -> None:
    wins = {name: (n, n) for name, n in JUDGEBENCH_ROWS.items()}
    wins["gpt-4o/coding"] = (41, 41)
    metrics = JUDGEBENCH.metrics(fill(wins))
    assert set(metrics.partial_sections) == {"coding", "gpt-4o"}
    assert "overall" not in metrics.values


def published_judgements(shared: Path) -> dict[str, list[ScoredPreference]]:
    """The published rewards of each model, by the chosen response that our rows name."""
    rows = {}
    for line in (shared / "benchmarks/judgebench.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        rows[row["id"]] = row
    models: dict[str, list[ScoredPreference]] = {}
    text = (shared / "reference/judgebench_gpt_scores.jsonl").read_text(encoding="utf-8")
    for line in text.splitlines():
        judged = json.loads(line)
        row = rows[judged["id"]]
        rewards = [judged["score_A"], judged["score_B"]]
        if row["chosen_is"] == "B":
            rewards.reverse()
        item = scored(row["id"], f"gpt-4o/{row['subset']}", *rewards)
        models.setdefault(judged["judge_model"], []).append(item)
    return models


def test_judgebenchs_published_accuracies_follow_from_its_published_rewards(shared: Path) -> None:
    found = {
        model.partition("/")[2]: round(100 * JUDGEBENCH.metrics(rows).values["section/gpt-4o"], 2)
        for model, rows in published_judgements(shared).items()
    }
    assert found == {
        "internlm2-7b-reward": 59.43,
        "Skywork-Reward-Llama-3.1-8B": 62.29,
        "GRM-Gemma-2B-rewardmodel-ft": 59.43,
    }


def test_rmb_counts_rows_in_both_sections_and_over_all() -> None:
    wins = all_won(PAIRWISE_ROWS, S11=900, Factual=600)
    values = RMB_PAIRWISE.metrics(fill(wins)).values
    harmless = sum(n for name, n in PAIRWISE_ROWS.items() if name.startswith("Harmlessness/"))
    helpful = 17131 - harmless
    assert values["section/Harmlessness"] == pytest.approx(1 - 900 / harmless)
    assert values["section/Helpfulness"] == pytest.approx(1 - 600 / helpful)
    assert values["overall"] == pytest.approx(1 - 1500 / 17131)


def test_the_best_of_n_must_beat_every_other() -> None:
    subset = "Harmlessness/S1"
    rows = [
        scored("1", subset, 3, 2, 1),
        scored("2", subset, 3, 2, 4),
        scored("3", subset, 3, 3, 1),  # a tie is a loss
        scored("4", subset, 3, 2, 1, 0, -1, -2, -3),
    ]
    metrics = RMB_BON.metrics(rows)
    assert metrics.values["subset/Harmlessness/S1"] == 0.5
    assert metrics.partial_sections == ("Harmlessness",)
    assert "overall" not in metrics.values
    assert RMB_BON.tally(rows[:1]).chance()["subset/Harmlessness/S1"] == pytest.approx(1 / 3)


def test_the_rows_of_rmb_add_up_to_the_published_numbers() -> None:
    assert sum(PAIRWISE_ROWS.values()) == 17131
    assert sum(BON_ROWS.values()) == 3786
    assert len(PAIRWISE_ROWS) == len(BON_ROWS) == 49
    helpful = sum(n for name, n in BON_ROWS.items() if name.startswith("Helpfulness/"))
    assert (helpful, 3786 - helpful) == (2109, 1677)


def test_prior_sets_weigh_alike_whatever_their_size() -> None:
    small = PRIOR_SETS.with_rows({"anthropic_helpful": 4, "anthropic_hhh": 2, "shp": 4,
                                  "summarize": 10})  # fmt: skip
    wins = {"anthropic_helpful": (3, 4), "anthropic_hhh": (1, 2), "shp": (4, 4)}
    metrics = small.metrics(fill({**wins, "summarize": (1, 10)}))
    assert metrics.values["overall"] == pytest.approx((0.75 + 0.5 + 1 + 0.1) / 4)
    assert "overall" not in small.metrics(fill(wins)).values
    assert "overall" not in small.metrics(fill({**wins, "summarize": (1, 9)})).values
    assert sum(PRIOR_ROWS.values()) == 17154


def test_own_pairs_are_wins_over_rows_of_all_subsets() -> None:
    values = PAIRS.metrics(fill({"mine": (1, 3), "theirs": (4, 5)})).values
    assert values == pytest.approx({"overall": 5 / 8, "subset/mine": 1 / 3, "subset/theirs": 0.8})


def test_own_pairs_with_weights_are_won_by_weight() -> None:
    rows = [
        scored("1", "mine", 1, 0, weight=3),
        scored("2", "mine", 0, 1, weight=1),
        scored("3", "theirs", 0, 1, weight=2),
    ]
    values = PAIRS.metrics(rows).values
    assert values["subset/mine"] == 0.75
    assert values["overall"] == pytest.approx(3 / 6)


def test_a_subset_may_be_in_several_sections_or_in_none() -> None:
    sections = {"a": ("one", "two"), "b": ("two",), "c": ()}
    scheme = row_weighted({"a": 1, "b": 3, "c": 4}, sections.__getitem__)
    values = scheme.metrics(fill({"a": (1, 1), "b": (0, 3), "c": (4, 4)})).values
    assert values["section/one"] == 1
    assert values["section/two"] == 0.25
    assert values["overall"] == pytest.approx(5 / 8)


@pytest.mark.parametrize("scheme", [JUDGEBENCH, RMB_PAIRWISE, RMB_BON, PRIOR_SETS])
def test_a_subset_that_is_not_the_benchmarks_is_refused(scheme: Scheme) -> None:
    with pytest.raises(UnknownName, match="unknown subset 'nonsense'"):
        scheme.metrics([scored("1", "nonsense", 1, 0)])
    with pytest.raises(BadData, match="no scored preferences"):
        scheme.metrics([])
