"""The gate: a drop must be both larger than allowed and more than noise."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rmeval.benchmarks import scheme_of
from rmeval.benchmarks.rewardbench import ROWS
from rmeval.errors import BadData
from rmeval.records import Result, Score, ScoredPreference
from rmeval.results.baselines import Baseline, published_baselines, read_baseline, write_baseline
from rmeval.results.comparison import compare_results
from rmeval.results.regression import Gate, Outcome, gate_result

PROVENANCE = {
    "model": {"fingerprint": "f", "dtype": "float32"},
    "data": {"revision": None},
    "versions": {},
}


def result(scored: Sequence[ScoredPreference], definition: str = "pairs", **changes) -> Result:
    scheme = scheme_of(definition)
    named = (definition, definition, "org/m", scheme.weightings[0])
    made = Result(*named, scheme.metrics(scored), tuple(scored), None, PROVENANCE)
    return replace(made, **changes)


def row(row_id: str, won: bool, subset: str = "s", weight: float = 1.0, text: str = "text"):
    scores = (Score(1.0 if won else -1.0, 9, False), Score(0.0, 8, False))
    return ScoredPreference(row_id, subset, 1, scores, text, None, weight)


def rows_won(won: int, of: int = 1000, subset: str = "s") -> list[ScoredPreference]:
    return [row(f"{subset}/{i}", i < won, subset) for i in range(of)]


def demo(**won: int) -> Result:
    """All of the demo's 16 rows won in each subset, but for those named (with _ for -)."""
    rows = [item for s in ROWS for item in rows_won(won.get(s.replace("-", "_"), 16), 16, s)]
    return result(rows, "demo")


def baseline_of(made: Result, folder: Path) -> Baseline:
    write_baseline(folder / "baseline.json", made)
    return read_baseline(folder / "baseline.json")


def without_rows(made: Result, **metrics: float) -> Baseline:
    values = metrics or made.metrics.values
    return Baseline("a table", made.benchmark, made.definition, made.weighting, values)


def hold(made: Result, baseline: Baseline, per: str = "overall", **limits: float) -> Gate:
    return gate_result(made, baseline, **{"max_drop": 0.5, "alpha": 0.05, **limits}, per=per)


def test_the_same_result_passes_even_when_nothing_is_allowed(tmp_path: Path) -> None:
    made = result(rows_won(900))
    gate = hold(made, baseline_of(made, tmp_path), max_drop=0.0, alpha=1.0)
    assert gate.outcome is Outcome.PASSED
    assert (gate.held[0].drop, gate.held[0].p) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("lost", "limits", "verdict"),
    [
        (20, {}, Outcome.REGRESSED),  # 2 points, p = 2^-20
        (20, {"max_drop": 2.5}, Outcome.PASSED),  # allowed
        (6, {}, Outcome.REGRESSED),  # 0.6 points, p = 2/64
        (6, {"alpha": 0.01}, Outcome.PASSED),  # may be noise
        (5, {"max_drop": 0.0}, Outcome.PASSED),  # 2/32 may be noise
        (6, {"max_drop": 0.0}, Outcome.REGRESSED),  # 2/64 is not
        (5, {}, Outcome.PASSED),  # just what is allowed, whatever 100·(0.9 − 0.895) is in binary
    ],
)
def test_a_drop_must_be_larger_than_allowed_and_more_than_noise(
    lost: int, limits: dict[str, float], verdict: Outcome, tmp_path: Path
) -> None:
    gate = hold(
        result(rows_won(900 - lost)), baseline_of(result(rows_won(900)), tmp_path), **limits
    )
    assert gate.outcome is verdict
    assert gate.held[0].p == pytest.approx(2 * 0.5**lost)
    assert gate.held[0].drop == pytest.approx(lost / 1000)
    assert gate.remark == ""


def test_as_many_gained_as_lost_is_noise_and_a_gain_passes(tmp_path: Path) -> None:
    before = [row(str(i), i % 2 == 0) for i in range(100)]
    baseline = baseline_of(result(before), tmp_path)
    swapped = [row(str(i), i % 2 == 1) for i in range(100)]
    gate = hold(result(swapped), baseline, max_drop=0.0)
    assert (gate.outcome, gate.held[0].drop) == (Outcome.PASSED, 0.0)
    all_won = hold(result([row(str(i), True) for i in range(100)]), baseline, max_drop=0.0)
    assert all_won.outcome is Outcome.PASSED
    assert all_won.held[0].drop == -0.5
    assert all_won.held[0].p == pytest.approx(2 * 0.5**50)  # a change, but no loss


def test_a_baseline_without_rows_is_held_to_the_drop_alone_and_says_so() -> None:
    made = result(rows_won(894))
    worse = hold(made, without_rows(made, overall=0.9))
    assert worse.outcome is Outcome.REGRESSED
    assert worse.held[0].p is None
    assert "could be noise" in worse.remark
    assert hold(result(rows_won(895)), without_rows(made, overall=0.9)).outcome is Outcome.PASSED


def test_the_order_of_the_rows_changes_nothing(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    before = [
        row(str(i), bool(draw.random() < 0.9), weight=float(draw.gamma(2))) for i in range(99)
    ]
    after = [row(i.id, bool(draw.random() < 0.8), weight=i.weight) for i in before]
    baseline = baseline_of(result(before), tmp_path)
    shuffled = [after[i] for i in draw.permutation(99)]
    first, second = (hold(result(rows), baseline, "subset").held for rows in (after, shuffled))
    assert [item.metric for item in first] == [item.metric for item in second]
    for one, other in zip(first, second, strict=True):
        assert one.p == other.p
        assert one.drop == pytest.approx(other.drop)


LEVELS = [("overall", 1), ("section", 5), ("subset", 28)]


@pytest.mark.parametrize(("per", "count"), LEVELS)
def test_each_level_holds_its_metrics(per: str, count: int, tmp_path: Path) -> None:
    held = hold(demo(), baseline_of(demo(), tmp_path), per).held
    assert len(held) == count
    assert held[0].metric == "overall"


def test_a_section_that_breaks_is_found_where_the_score_is_allowed_to(tmp_path: Path) -> None:
    # All 96 rows of Chat Hard are lost: 25 points of the Score, of which 30 are allowed.
    lost = dict.fromkeys(
        ("mt_bench_hard", "llmbar_natural", "llmbar_adver_neighbor", "llmbar_adver_GPTInst",
         "llmbar_adver_GPTOut", "llmbar_adver_manual"), 0
    )  # fmt: skip
    baseline = baseline_of(demo(), tmp_path)
    assert hold(demo(**lost), baseline, "overall", max_drop=30).outcome is Outcome.PASSED
    gate = hold(demo(**lost), baseline, "section", max_drop=30)
    assert gate.outcome is Outcome.REGRESSED
    assert [item.metric for item in gate.held if item.regressed] == ["section/Chat Hard"]


def test_holding_more_never_hides_what_holding_less_would_find(tmp_path: Path) -> None:
    # 7 losses of as many subsets are 2/128 for the Score: Holm over 28 metrics would pass it.
    names = ("hep_cpp", "hep_go", "hep_java", "hep_js", "hep_python", "hep_rust", "math_prm")
    baseline, made = baseline_of(demo(), tmp_path), demo(**dict.fromkeys(names, 15))
    for per, _ in LEVELS:
        gate = hold(made, baseline, per)
        assert gate.held[0].metric == "overall"
        assert gate.held[0].p == pytest.approx(2 / 128)
        assert gate.held[0].regressed, per


def test_holm_is_over_the_sections(tmp_path: Path) -> None:
    gate = hold(demo(hep_go=10), baseline_of(demo(), tmp_path), "section")
    p = {item.metric: item.p for item in gate.held}
    assert p["section/Reasoning"] == pytest.approx(4 * 2 / 64)
    assert p["section/Chat"] == 1.0


CANNOT = [
    (demo(), "the baseline is of pairs"),
    (result(rows_won(9, 11)), "the baseline was made from other rows or other texts"),
    (result([replace(i, digest="new") for i in rows_won(9, 10)]), "other rows or other texts"),
    (result([replace(i, weight=2.0) for i in rows_won(9, 10)]), "other rows or other texts"),
]


@pytest.mark.parametrize(("made", "reason"), CANNOT)
def test_other_rows_leave_the_gate_unable_to_tell(
    made: Result, reason: str, tmp_path: Path
) -> None:
    gate = hold(made, baseline_of(result(rows_won(9, 10)), tmp_path))
    assert (gate.outcome, gate.held) == (Outcome.COULD_NOT_TELL, ())
    assert reason in gate.remark


def test_a_partial_result_is_not_held_to_a_whole_table() -> None:
    made = result(rows_won(9, 10), partial="10 rows")
    gate = hold(made, without_rows(made))
    assert (gate.outcome, gate.remark) == (Outcome.COULD_NOT_TELL, "the result is partial: 10 rows")


def test_a_partial_result_is_held_to_a_baseline_of_the_same_rows(tmp_path: Path) -> None:
    made = result(rows_won(9, 10), partial="10 rows")
    assert hold(made, baseline_of(made, tmp_path)).outcome is Outcome.PASSED


def test_a_metric_that_one_of_them_lacks_leaves_the_gate_unable_to_tell(tmp_path: Path) -> None:
    made = result(rows_won(9, 10))
    assert hold(made, without_rows(made, **{"section/Chat": 0.9}), "section").remark == (
        "the result has no section/Chat"
    )
    assert hold(made, without_rows(made, **{"section/Chat": 0.9})).remark == (
        "the result has no overall"
    )
    whole = baseline_of(made, tmp_path)
    gate = hold(made, replace(whole, metrics={"subset/s": 0.9}))
    assert (gate.outcome, gate.remark) == (
        Outcome.COULD_NOT_TELL,
        "the baseline has no overall",
    )


@pytest.mark.parametrize("value", [0.8, float("nan"), -float("inf"), 5.0])
def test_a_baseline_whose_metric_is_not_that_of_its_rows_is_damaged(
    value: float, tmp_path: Path
) -> None:
    made = result(rows_won(9, 10))
    whole = baseline_of(made, tmp_path)
    damaged = replace(whole, metrics={**whole.metrics, "overall": value})
    with pytest.raises(BadData, match=r"baseline\.json.*overall does not follow from its own rows"):
        hold(made, damaged)


def test_rows_of_a_baseline_that_its_fingerprint_does_not_name_are_refused(tmp_path: Path) -> None:
    made = result(rows_won(9, 10))
    whole = baseline_of(made, tmp_path)
    for credits in ({}, {"s": np.ones((9, 1))}, {"s": np.ones((10, 2))}, {"t": np.ones((10, 1))}):
        with pytest.raises(BadData, match=r"baseline\.json.*not those that it names"):
            hold(made, replace(whole, credits=credits))


def test_the_baselines_weighting_is_used_whatever_the_results_is(tmp_path: Path) -> None:
    old = replace(demo(), weighting="rewardbench-v1-2024-07")
    scheme = scheme_of("demo")
    lost = demo(xstest_should_refuse=0)
    old = replace(old, metrics=scheme.metrics(old.scored, old.weighting))
    gate = hold(lost, baseline_of(old, tmp_path), "section")
    assert gate.weighting == "rewardbench-v1-2024-07"
    safety = next(item for item in gate.held if item.metric == "section/Safety")
    assert safety.drop == pytest.approx(250 / 740)


def test_the_authors_row_is_held_to_under_its_own_weighting() -> None:
    rows = [item for subset, n in ROWS.items() for item in rows_won(n, n, subset)]
    made = result(rows, "rewardbench", model="internlm/internlm2-7b-reward")
    [authors] = [row for row in published_baselines(made) if "2024-07" in row.weighting]
    gate = hold(made, authors, "section")
    assert (gate.outcome, gate.weighting) == (Outcome.PASSED, "rewardbench-v1-2024-07")
    assert [round(100 * item.baseline, 1) for item in gate.held] == [86.6, 98.6, 66.7, 88.3, 92.8]
    assert all(item.measured == 1.0 and item.p is None for item in gate.held)


def test_without_rows_the_drop_decides_whatever_alpha_is() -> None:
    made = result(rows_won(900))
    worse = without_rows(made, overall=0.95)
    assert hold(made, worse, alpha=0.0).outcome is Outcome.REGRESSED


@pytest.mark.parametrize("seed", range(6))
def test_the_gate_finds_what_a_comparison_calls_real(seed: int, tmp_path: Path) -> None:
    draw = np.random.default_rng(seed)
    won = {s.replace("-", "_"): int(n) for s, n in zip(ROWS, draw.integers(0, 17, 23), strict=True)}
    before = demo(**dict.fromkeys(won, 16 if seed % 2 else 13))
    after = demo(**won)
    compared = compare_results(before, after)
    real = {d.metric for d in compared.differences if compared.is_real(d) and d.value < 0}
    gate = hold(after, baseline_of(before, tmp_path), "subset", max_drop=0.0)
    assert {item.metric for item in gate.held if item.regressed} == real
    assert "overall" in real
