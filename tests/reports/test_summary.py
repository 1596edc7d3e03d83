"""What a run prints, and the leaderboard's order."""

from dataclasses import replace
from typing import Any

from rmeval.benchmarks.rewardbench import REWARDBENCH, SECTIONS
from rmeval.benchmarks.rewardbench2 import SCHEME as REWARDBENCH_2
from rmeval.known import Published
from rmeval.metrics.summary import describe_scores
from rmeval.records import Comparisons, Interval, Metrics, Result, Score, ScoredPreference
from rmeval.reports.labels import score_word
from rmeval.reports.summary import compare_with_published, summarise

PROVENANCE = {
    "model": {"family": "fake", "dtype": "bfloat16", "attention": "sdpa"},
    "engine": {"path": "plain", "reason": "of its kind", "device": "cpu"},
    "data": {"empty_responses": 3, "identical_responses": 5, "revision": None},
    "seconds": 1.25,
}


def rows(subset: str, won: int, of: int) -> list[ScoredPreference]:
    return [
        ScoredPreference(
            f"{subset}/{number}",
            subset,
            1,
            (Score(1.0 if number < won else -1.0, 9, False), Score(0.0, 8, False)),
        )
        for number in range(of)
    ]


HALF_OF_CHAT = (*rows("mt-bench-easy", 7, 28), *rows("mt-bench-med", 3, 4))


def result_of(scored: tuple[ScoredPreference, ...], **changes: Any) -> Result:
    named = {"benchmark": "rewardbench", "definition": "rewardbench", "model": "org/m"}
    named["weighting"] = "rewardbench-v1"
    metrics = describe_scores(REWARDBENCH, scored)
    rest = {"metrics": metrics, "scored": scored, "partial": None, "provenance": PROVENANCE}
    return Result(**{**named, **rest, **changes})


def cells(text: str, beginning: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(beginning))
    return [cell for cell in line.split("  ") if cell]


def test_what_was_not_run_is_not_available_and_what_was_half_run_is_partial() -> None:
    text = summarise(result_of(HALF_OF_CHAT), REWARDBENCH)
    assert [cell.strip() for cell in cells(text, "Chat  ")] == [
        "Chat",
        "54.4 (19.1 to 85.8) (partial)",
        "32",
    ]
    for name in ("Chat Hard", "Safety", "Reasoning"):
        assert [cell.strip() for cell in cells(text, name)] == [name, "not available", "0"]
    assert [cell.strip() for cell in cells(text, "Score")] == ["Score", "not available", "32"]
    assert "No Score: it needs every section whole." in text


def test_subsets_are_shown_with_their_wins() -> None:
    text = summarise(result_of(HALF_OF_CHAT), REWARDBENCH)
    easy = next(line for line in text.splitlines() if "mt-bench-easy" in line)
    assert easy.split() == ["Chat", "mt-bench-easy", "25.0", "(12.7", "to", "43.4)", "7/28"]
    assert "mt-bench-hard" not in text


def test_ties_truncations_and_odd_rows_are_told() -> None:
    text = summarise(result_of(HALF_OF_CHAT), REWARDBENCH)
    assert "ties (counted as losses): 0; truncated: 0 of 64 responses" in text
    assert "empty responses: 3; identical responses in 5 rows" in text
    assert "fake adapter, bfloat16, " in text
    assert ", cpu, 1.2 s" in text


def test_a_partial_run_says_so_and_the_demo_says_what_it_is() -> None:
    partial = summarise(result_of(HALF_OF_CHAT, partial="32 of 2985 rows (--limit)"), REWARDBENCH)
    assert "PARTIAL: 32 of 2985 rows (--limit). No table ranks it." in partial
    assert "say little about a model" in summarise(
        result_of(HALF_OF_CHAT, definition="demo"), REWARDBENCH
    )
    assert "say nothing" not in partial


def test_a_measured_row_stands_beside_the_published_one() -> None:
    published = Published(
        model="org/m",
        benchmark="rewardbench",
        type="custom head",
        weighting="rewardbench-v1-2024-07",
        overall=80.0,
        sections=dict.fromkeys(SECTIONS, 80.0),
        source="a card",
        date="2024-07",
        note="",
    )
    sections = {"Chat": 0.75, "Chat Hard": 0.8, "Safety": 1.0, "Reasoning": 0.7}
    values = {"overall": 0.8125, **{f"section/{k}": v for k, v in sections.items()}}
    # 80.0 is within 79.0 to 83.0; beyond 78.0 by more than rounding; within 79.96's rounding.
    ends = [(0.79, 0.83), (0.7, 0.78), (0.7, 0.7996), (0.99, 1.0), (0.6, 0.85)]
    intervals = {k: Interval(*end, "made up") for k, end in zip(values, ends, strict=True)}
    text = compare_with_published(published, Metrics(values, {}, intervals=intervals), "org/m")
    assert text.splitlines()[0] == "published: a card, 2024-07, rewardbench-v1-2024-07 weighting"
    rows = [line.split() for line in text.splitlines()[-4:]]
    assert rows == [
        ["published", "80.0", "80.0", "80.0", "80.0", "80.0"],
        ["measured", "81.2", "75.0", "80.0", "100.0", "70.0"],
        ["difference", "+1.2", "-5.0", "+0.0", "+20.0", "-10.0"],
        ["within", "the", "interval", "yes", "no", "yes", "no", "yes"],
    ]


def test_a_result_of_verdicts_has_words_of_its_own() -> None:
    counts = Comparisons(made=2, first=1, tied=0, unparsed=1)
    scores = (Score(0.75, 9, False), Score(0.25, 8, False))
    won = [ScoredPreference(f"{n}", "hep-go", 1, scores, comparisons=counts) for n in range(3)]
    even = (Score(0.5, 9, False), Score(0.5, 8, False))
    tied = ScoredPreference("3", "hep-go", 1, even, comparisons=counts)
    judged = result_of((*won, tied))
    text = summarise(judged, REWARDBENCH)
    assert "; log loss 0.389" in text  # (3 ln 4/3 + ln 2) / 4
    assert "Bradley-Terry" not in text
    assert "ties (each half a win): 1" in text
    assert "verdicts: 8; ties 0, unparsable 4 (each half a win); of the others 100.0 %" in text
    assert score_word(judged) == "chance of beating the others"
    assert score_word(result_of(HALF_OF_CHAT)) == "reward"


def test_on_rewardbench_2_rewards_that_tie_share_the_win_and_it_says_so() -> None:
    best = (Score(1.0, 9, False), Score(1.0, 8, False), Score(0.0, 8, False), Score(0.0, 8, False))
    scored = (ScoredPreference("Math/1", "Math", 1, best),)
    metrics = describe_scores(REWARDBENCH_2, scored)
    assert metrics.values["subset/Math"] == 0.5
    named = {"definition": "rewardbench-2", "weighting": "mean", "metrics": metrics}
    result = replace(result_of(HALF_OF_CHAT), scored=scored, **named)
    assert "ties (a win is shared): 1;" in summarise(result, REWARDBENCH_2)
