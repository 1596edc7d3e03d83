"""The four answers of a report's first screen, each worked by hand."""

from dataclasses import replace

import pytest
from preferences_by_hand import PROVENANCE, question, result, scored

from rmeval import known
from rmeval.benchmarks.rewardbench import REWARDBENCH, ROWS
from rmeval.known import Published
from rmeval.metrics.bias import length_effect
from rmeval.metrics.disguises import DISGUISES
from rmeval.metrics.pairs import PAIRS
from rmeval.records import Comparisons, Disguised, Score
from rmeval.reports.changes import find_changes
from rmeval.reports.first_screen import focus, published_beside_it, soundness
from rmeval.reports.weaknesses import strongest_bias, weakest_subsets
from rmeval.results.comparison import compare_results

LONG, SHORT = "a much longer answer than that", "short"


def row(number: int, subset: str, margin: float, *, longer: bool = True):
    """A row won by a margin, of which the chosen response is the longer one or the shorter."""
    texts = (LONG, SHORT) if longer else (SHORT, LONG)
    return scored(question(f"{subset}{number}", subset, "why?", *texts), margin, 0.0)


def rows(subset: str, won: int, lost: int, *, longer: bool = True):
    margins = [1.0] * won + [-1.0 - n for n in range(lost)]
    side = "L" if longer else "S"
    return [
        replace(row(n, subset, margin, longer=longer), id=f"{subset}{side}{n}")
        for n, margin in enumerate(margins)
    ]


def test_few_rows_lost_by_chance_do_not_head_the_weakest_subsets() -> None:
    # Wilson's intervals end at 65.8 (0 of 2), 39.6 (30 of 100) and 94.6 (3 of 4); one is all won.
    found = result([*rows("few", 0, 2), *rows("many", 30, 70), *rows("b", 3, 1), *rows("c", 5, 0)])
    weak = weakest_subsets(found, PAIRS.tally(found.scored))
    assert [(one.subset, one.value) for one in weak] == [("many", 0.3), ("few", 0.0), ("b", 0.75)]
    assert [round(one.interval.high, 3) for one in weak] == [0.396, 0.658, 0.954]
    assert weak[0].example is not None
    assert (weak[0].example.id, weak[0].example.margin) == ("manyL99", -70.0)  # lost by most


def test_a_subset_is_surely_below_where_its_interval_ends_below_the_score() -> None:
    found = result([*rows("many", 30, 70), *rows("rest", 90, 10)])  # the Score is 60
    weak = weakest_subsets(found, PAIRS.tally(found.scored))
    assert [(one.subset, one.below) for one in weak] == [("many", True), ("rest", False)]


def test_length_is_measured_within_subsets_and_not_between_them() -> None:
    # Where answers are longer the subset is easy; within each, length changes nothing: all pooled,
    # longer wins 91 of 110 and shorter 19 of 110.
    easy = [*rows("easy", 90, 10), *rows("easy", 9, 1, longer=False)]
    hard = [*rows("hard", 1, 9), *rows("hard", 10, 90, longer=False)]
    effect = length_effect([*easy, *hard])
    assert effect is not None
    assert effect.value == pytest.approx(0.0)
    assert effect.surely == 0.0


def test_the_effect_of_length_is_mantel_haenszels_with_satos_variance() -> None:
    # One subset, 20 each: 16 of 20 against 8 of 20. Sato's variance is that of two shares,
    # 0.16/20 + 0.24/20 = 0.02; the weight is 10, and two flips more are 2/(10 * 12).
    effect = length_effect([*rows("s", 16, 4), *rows("s", 8, 12, longer=False)])
    assert effect is not None
    assert effect.value == pytest.approx(0.4)
    half = 1.959963984540054 * (0.02 + 2 / 120) ** 0.5
    assert effect.interval[:2] == pytest.approx((0.4 - half, 0.4 + half))


def test_a_few_rows_that_agree_are_no_sure_bias() -> None:
    effect = length_effect([*rows("s", 2, 0), *rows("s", 0, 2, longer=False)])
    assert effect is not None
    assert (effect.value, effect.surely) == (1.0, 0.0)
    assert length_effect(rows("s", 3, 3)) is None  # only longer ones


def test_a_bias_is_shown_by_a_row_that_it_may_have_cost() -> None:
    found = result([*rows("s", 90, 10), *rows("s", 30, 70, longer=False)])
    bias = strongest_bias(found)
    assert bias is not None
    assert bias.name == "length"
    assert "likes longer answers" in bias.told
    assert "60 (" in bias.told
    assert bias.example is not None
    assert bias.example.id == "sS99"  # the longer, rejected one won by 70


def test_what_moves_verdicts_comes_before_margins_that_promise_too_much() -> None:
    sure = result([scored(question(str(n)), 9.0 if n % 2 else -9.0, 0) for n in range(100)])
    bias = strongest_bias(sure)
    assert bias is not None
    assert bias.name == "confidence"  # nearly 100 % promised, half right; nothing else is known
    assert "50.0 % are" in bias.told
    same = {name: Score(1.0, 5, False) for name in DISGUISES}
    hacked = {**same, "flattery": Score(3.0, 9, False)}
    disguised = [
        Disguised(
            str(n), "s", Score(2.0, 5, False), Score(1.0, 5, False), hacked if n < 15 else same
        )
        for n in range(20)
    ]
    bias = strongest_bias(replace(sure, disguised=tuple(disguised)))
    assert bias is not None
    assert bias.name == "flattery"
    assert "75 (53 to 89)" in bias.told  # Wilson of 15 of 20
    assert bias.example is not None
    assert bias.example.margin == -1.0


def test_a_judge_that_prefers_the_first_response_is_told() -> None:
    first = Comparisons(2, 2, 0, 0)  # shown first it won, in both orders
    items = [replace(scored(question(str(n)), 0.5, 0.5), comparisons=first) for n in range(40)]
    bias = strongest_bias(result(items))
    assert bias is not None
    assert bias.told.startswith("prefers the response shown first: 100.0 % of verdicts")


def test_what_a_checkpoint_lost_and_won_by_subset() -> None:
    before = result([row(1, "s", 2), row(2, "s", 1), row(3, "s", -1), row(4, "t", 1)], "org/a")
    after = result([row(1, "s", -3), row(2, "s", -1), row(3, "s", 4), row(4, "t", 1)], "org/b")
    changes = find_changes(compare_results(before, after), PAIRS.tally(after.scored))
    [change] = [one for one in changes if one.level == "subset"]  # t has not changed
    assert (change.label, change.difference.only_a, change.difference.only_b) == ("s", 2, 1)
    assert change.value == pytest.approx(-1 / 3)
    assert change.lost is not None
    assert change.won is not None
    assert (change.lost.id, change.lost.margin, change.won.id) == ("s1", -3.0, "s3")


def test_the_screen_is_about_the_later_of_two_and_the_best_of_more() -> None:
    good, bad = result(rows("s", 9, 1)), result(rows("s", 1, 9))
    assert focus([good, bad]) == 1
    assert focus([bad, good, bad]) == 1


def with_provenance(**changes):
    return result(rows("s", 9, 1), provenance={**PROVENANCE, **changes})


def test_soundness_says_what_the_doctor_found() -> None:
    passed = {"name": "BOS", "status": "pass", "finding": "one", "advice": ""}
    warned = {"name": "EOS", "status": "warn", "finding": "none", "advice": ""}
    failed = {"name": "finite", "status": "fail", "finding": "NaN", "advice": ""}
    assert soundness(with_provenance()).status == "unknown"
    assert soundness(with_provenance(checks="passed")).status == "sound"
    assert soundness(with_provenance(checks="insisted, --no-checks")).status == "unsound"
    found = soundness(with_provenance(checks="passed", findings=[passed, warned]))
    assert found.line == "the doctor made 2 checks, none failed, 1 with a warning."
    assert found.findings == (("pass", "BOS: one"), ("warn", "EOS: none"))
    assert soundness(with_provenance(findings=[failed])).word == "Not sound"
    found = soundness(with_provenance(checks="passed", warnings=["BOS twice"]))
    assert (found.word, found.line) == (
        "With reservations",
        "the doctor's checks passed; BOS twice.",
    )


def test_of_a_judge_no_more_is_said_than_that_its_answers_could_be_read() -> None:
    def judged(unread: int):
        """Forty verdicts, of which so many could not be read."""
        made = [Comparisons(2, 1, 0, 2 if n < unread / 2 else 0) for n in range(20)]
        rows = [scored(question(str(n)), 0.9, 0.1) for n in range(20)]
        items = [replace(item, comparisons=c) for item, c in zip(rows, made, strict=True)]
        return soundness(result(items, provenance={**PROVENANCE, "account": {}}))

    told = "could be read; nothing else of a judge is checked"
    assert (judged(0).word, judged(0).line) == ("Readable", f"40 of 40 verdicts {told}.")
    assert (judged(2).word, judged(2).line) == ("Readable", f"38 of 40 verdicts {told}.")
    assert judged(4).word == "With reservations"  # 10 %


def test_published_rows_beside_it_are_its_own_and_the_next_above_and_below(monkeypatch) -> None:
    rows = [scored(question(f"{s}{n}", s), float(n < 7), 0.5) for s in ROWS for n in range(10)]
    ten = REWARDBENCH.with_rows(dict.fromkeys(ROWS, 10))
    mine = result(rows, definition="rewardbench", scheme=ten)
    assert mine.overall == pytest.approx(0.7)

    def row(model: str, score: float, **changes: str) -> Published:
        facts = ("rewardbench", "seqcls", mine.weighting, score, {"Chat": score + 1}, "", "", "")
        return replace(Published(model, *facts), **changes)

    table = [
        *(row(f"org/{score}", score) for score in (80.0, 71.0, 69.0, 50.0)),
        row("ORG/M", 75.0),  # its own, whatever lies between
        row("org/other-weights", 70.1, weighting="rewardbench-v1-2024-07"),
        row("org/other-rows", 70.1, benchmark="rewardbench-2"),
        row("org/chat-alone", 70.1, of="Chat"),
    ]
    monkeypatch.setattr(known, "published_tables", lambda: {"by hand": table})
    found = published_beside_it(mine)
    assert [(other.name, other.about) for other in found] == [
        ("ORG/M", "itself, published"), ("org/71.0", "published"), ("org/69.0", "published"),
    ]  # fmt: skip
    assert [other.figures for other in found] == [
        {"overall": score, "section/Chat": score + 1} for score in (75.0, 71.0, 69.0)
    ]
    assert published_beside_it(replace(mine, model="org/50.0"))[0].name == "org/50.0"
    assert published_beside_it(replace(mine, partial="the first 230 rows")) == []


def test_rows_of_ones_own_have_no_published_ones_beside_them() -> None:
    assert published_beside_it(result(rows("s", 9, 1))) == []  # one's own data
