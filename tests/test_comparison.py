"""Two results beside each other: only over the same rows, and with a sentence that holds."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rmeval.benchmarks import scheme_of
from rmeval.errors import BadData, UnknownName
from rmeval.metrics.paired import holm
from rmeval.metrics.summary import describe_scores
from rmeval.records import Result, Score, ScoredPreference
from rmeval.reports.comparison import comparison_document, describe_comparison
from rmeval.results.comparison import compare_results, most_different, verdict


def row(
    row_id: str, margin: float, subset: str = "s", weight: float = 1.0, text: str = "text"
) -> ScoredPreference:
    scores = (Score(margin, 9, False), Score(0.0, 8, False))
    return ScoredPreference(row_id, subset, 1, scores, text, None, weight)


def result(scored, model: str = "m", definition: str = "pairs", **provenance: Any) -> Result:
    scheme = scheme_of(definition)
    metrics = describe_scores(scheme, scored)
    named = (definition, definition, model, scheme.weightings[0])
    return Result(
        *named, metrics, tuple(scored), None, {"data": {"source": "rows.jsonl"}, **provenance}
    )


def of_margins(margins, model: str = "m", subset: str = "s", **provenance: Any) -> Result:
    rows = [row(str(i), float(margin), subset) for i, margin in enumerate(margins)]
    return result(rows, model, **provenance)


def demo_rows(margin=lambda subset, number: 1.0) -> list[ScoredPreference]:
    from rmeval.benchmarks.rewardbench import ROWS

    return [
        row(f"{subset}/{number}", margin(subset, number), subset)
        for subset in ROWS
        for number in range(16)
    ]


def test_a_model_that_wins_40_rows_more_of_100_is_better() -> None:
    comparison = compare_results(of_margins([1] * 50 + [-1] * 50), of_margins([1] * 90 + [-1] * 10))
    found = comparison.overall()
    assert found is not None
    assert (found.a, found.b, found.value) == pytest.approx((0.5, 0.9, 0.4))
    assert (found.only_a, found.only_b) == (0, 40)
    assert found.p == pytest.approx(2 / 2**40)
    text = verdict(comparison)
    assert text.startswith("B is better than A by 40.0 (95 % interval +2")
    assert text.endswith("p = 1.8e-12).")


def test_the_other_way_round_it_is_worse_and_may_be_called_by_name() -> None:
    a, b = of_margins([1] * 90 + [-1] * 10), of_margins([1] * 50 + [-1] * 50)
    assert verdict(compare_results(a, b), ("old", "new")).startswith(
        "new is worse than old by 40.0"
    )


def test_on_few_rows_the_test_decides() -> None:
    # Five losses and no gain: p = 2/32.
    a, b = of_margins([1] * 20), of_margins([-1] * 5 + [1] * 15)
    comparison = compare_results(a, b)
    found = comparison.overall()
    assert found is not None
    assert found.p == 2 / 32
    assert verdict(comparison).startswith("B is not distinguishable from A on this benchmark (95 %")


def test_a_result_is_not_distinguishable_from_itself() -> None:
    a = of_margins([1, -1, 1])
    expected = (
        "B is not distinguishable from A on this benchmark (95 % interval -100.0 to +100.0, p = 1)."
    )
    assert verdict(compare_results(a, a)) == expected


def test_holm_corrects_each_level_apart() -> None:
    a = result(demo_rows(), definition="demo")
    b = result(
        demo_rows(
            lambda subset, number: -1.0 if subset in ("hep-go", "hep-cpp") and number < 6 else 1.0
        ),
        definition="demo",
    )
    comparison = compare_results(a, b)
    p = {item.metric: item.p for item in comparison.differences}
    assert len(p) == 28
    subsets = {name: value for name, value in p.items() if name.startswith("subset/")}
    sections = {name: value for name, value in p.items() if name.startswith("section/")}
    assert comparison.adjusted == {**holm(subsets), **holm(sections), "overall": p["overall"]}
    assert comparison.adjusted["subset/hep-go"] == pytest.approx(23 * 2 / 64)
    reasoning = next(d for d in comparison.differences if d.metric == "section/Reasoning")
    assert reasoning.value == pytest.approx(-328 / 1968 * 6 / 16)


def test_rows_are_joined_by_id_whatever_their_order() -> None:
    draw = np.random.default_rng(0)
    a, b = (result(demo_rows(lambda *_: draw.normal(1)), definition="demo") for _ in range(2))
    shuffled = replace(b, scored=tuple(b.scored[i] for i in draw.permutation(len(b.scored))))
    for pair, other in (((a, shuffled), (a, b)), ((b, a), (shuffled, a))):
        first, second = (
            {d.metric: d for d in compare_results(*results).differences}
            for results in (pair, other)
        )
        assert first.keys() == second.keys()
        for name, item in first.items():
            assert item.interval[:2] == pytest.approx(second[name].interval[:2], rel=1e-9)
            assert item == replace(second[name], interval=item.interval)


def test_swapping_the_results_negates_every_difference_and_keeps_every_p() -> None:
    draw = np.random.default_rng(1)
    a, b = (result(demo_rows(lambda *_: draw.normal(1)), definition="demo") for _ in range(2))
    forward, back = compare_results(a, b), compare_results(b, a)
    for there, here in zip(forward.differences, back.differences, strict=True):
        assert there.value == -here.value
        assert there.p == here.p
    assert forward.adjusted == back.adjusted


def test_weights_count() -> None:
    a = result([row("1", 1.0, weight=3.0), row("2", 1.0), row("3", -1.0)])
    b = result([row("1", -1.0, weight=3.0), row("2", 1.0), row("3", 1.0)])
    found = compare_results(a, b).overall()
    assert found is not None
    assert (found.a, found.b) == pytest.approx((0.8, 0.4))
    # Flips of ±3 and ±1: −2 is as far out as 2 and both 4s, so every one counts.
    assert found.p == 1.0


def test_one_weighting_is_used_for_both() -> None:
    a = result(demo_rows(), definition="demo")
    b = replace(a, weighting="rewardbench-v1-2024-07")
    assert compare_results(a, b).weighting == "rewardbench-v1"
    assert compare_results(b, b).weighting == "rewardbench-v1-2024-07"
    assert compare_results(a, a, "rewardbench-v1-2024-07").weighting == "rewardbench-v1-2024-07"
    with pytest.raises(UnknownName, match="unknown weighting 'rewardbench-v2'"):
        compare_results(a, a, "rewardbench-v2")


OTHER_ROWS = [
    ([row("1", 1.0)], r"1 of A are not in B, first '2'"),
    ([row("1", 1.0), row("2", 1.0), row("3", 1.0)], r"1 of B are not in A, first '3'"),
    (
        [row("1", 1.0), row("2", 1.0, text="other")],
        r"1 have other text .* in B than in A, first '2'",
    ),
    ([row("1", 1.0, "t"), row("2", 1.0)], r"1 have .*another subset in B than in A, first '1'"),
    ([row("1", 1.0, weight=2.0), row("2", 1.0)], r"1 have .* in B than in A, first '1'"),
]


@pytest.mark.parametrize(("rows", "message"), OTHER_ROWS)
def test_other_rows_are_refused_with_the_first_of_them(rows, message: str) -> None:
    a = result([row("1", 1.0), row("2", 1.0)], "A")
    with pytest.raises(BadData, match=f"different rows: {message}"):
        compare_results(a, result(rows, "B"))


def test_another_benchmark_is_refused() -> None:
    with pytest.raises(BadData, match="A is of pairs and B of demo: nothing to compare"):
        compare_results(result([row("1", 1.0)], "A"), result(demo_rows(), "B", definition="demo"))


def test_what_was_made_differently_is_listed_and_what_must_differ_is_not() -> None:
    made = {"model": {"name": "x", "dtype": "bfloat16"}, "seconds": 1.0, "python": "3.11"}
    other = {"model": {"name": "y", "dtype": "float32"}, "seconds": 2.0, "started": "then"}
    a, b = (replace(of_margins([1, -1]), provenance=each) for each in (made, other))
    cut = replace(b.scored[0], scores=(b.scored[0].scores[0], Score(0.0, 8, True)))
    comparison = compare_results(a, replace(b, scored=(cut, b.scored[1])))
    assert comparison.causes == (
        ("truncated", "0", "1"),
        ("model.dtype", "bfloat16", "float32"),
        ("python", "3.11", "absent"),
    )


def test_the_most_different_rows_are_so_in_units_of_each_models_spread() -> None:
    a = of_margins([1, 1, -1, 1])  # root mean square 1
    b = of_margins([10, -10, -10, 30])  # √275, about 16.6
    rows = most_different(a, b, 2)
    assert [(r["id"], r["A"], r["B"]) for r in rows] == [("1", "won", "lost"), ("3", "won", "won")]
    assert (rows[0]["margin A"], rows[0]["margin B"]) == (1.0, -10.0)
    assert len(most_different(a, b, 99)) == 4


def test_a_model_whose_rewards_never_differ_has_margins_of_0_and_no_warning() -> None:
    assert most_different(of_margins([1, 2]), of_margins([0, 0]), 1)[0]["id"] == "1"


def test_without_a_score_there_is_no_verdict_but_sections_are_compared() -> None:
    rows = [item for item in demo_rows() if item.subset != "math-prm"]
    a = replace(result(rows, definition="demo"), partial="132 rows")
    comparison = compare_results(a, a)
    assert verdict(comparison) == "No Score to compare: 132 rows."
    assert "section/Chat" in [item.metric for item in comparison.differences]


def test_the_report_says_everything_for_people_and_for_machines() -> None:
    a, b = of_margins([1] * 12, "old", dtype="a"), of_margins([-1] * 8 + [1] * 4, "new", dtype="b")
    comparison = compare_results(a, b)
    rows = most_different(a, b, 3)
    text = describe_comparison(comparison, rows)
    assert text.startswith("A  old")
    assert verdict(comparison) in text
    assert "interval: variance within subsets and two pseudo-flips, Student's t, 95 %" in text
    assert "made differently" in text
    document = comparison_document(comparison, rows)
    overall = document["differences"]["overall"]
    assert overall["difference"] == pytest.approx(-2 / 3)
    assert (overall["only_a"], overall["only_b"], overall["test"]) == (8, 0, "exact McNemar")
    assert overall["p"] == pytest.approx(2 / 256)
    assert (overall["p_holm"], overall["real"]) == (pytest.approx(2 / 256), True)
    assert document["differences"]["subset/s"]["p_holm"] == pytest.approx(2 / 256)
    assert document["made_differently"] == [{"what": "dtype", "a": "a", "b": "b"}]
    assert [r["id"] for r in document["most_different"]] == ["0", "1", "2"]


def test_rows_that_do_not_differ_are_not_among_the_most_different() -> None:
    same = of_margins([1, 2, 3])
    assert most_different(same, same, 10) == []
