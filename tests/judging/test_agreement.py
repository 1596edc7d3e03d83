"""Agreement: worked by hand, held to published figures and to other people's outputs."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from judged_rows import row

from rmeval.errors import BadData
from rmeval.judging.agreement import find_agreement
from rmeval.judging.formats import Criterion
from rmeval.judging.places import Pattern
from rmeval.judging.settling import Row, settle_row
from rmeval.judging.verdicts import Mapped
from rmeval.llm.endpoint import Answer
from rmeval.metrics.agreement import TIE, cohen_kappa, krippendorff_alpha, label_of, share_of
from rmeval.metrics.pairs import PAIRS
from rmeval.metrics.summary import describe_scores
from rmeval.records import Comparisons, Result, Score, ScoredPreference

ITEMS = Path(__file__).parents[3] / "shared/data/published/items/judgebench.jsonl"
# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), part C: four observers, twelve
# units, missing data; nominal alpha = 0.743. Here a row for each unit.
OBSERVERS = """1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 ."""


def test_alpha_is_that_of_krippendorffs_own_example() -> None:
    columns = zip(*(line.split() for line in OBSERVERS.splitlines()), strict=True)
    rows = [[None if label == "." else int(label) for label in unit] for unit in columns]
    found = krippendorff_alpha(rows, range(12))
    assert found.value == pytest.approx(0.743, abs=0.0005)
    assert found.interval.low < 0.743 < found.interval.high


def test_kappa_is_worked_by_hand() -> None:
    """20 both, 5 a alone, 10 b alone, 15 neither: (0.7 - 0.5) / (1 - 0.5)."""
    a = [1] * 25 + [0] * 25
    b = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    found = cohen_kappa(a, b, range(50))
    assert found.value == pytest.approx(0.4)
    # The delta method's standard error of this table (Fleiss, Cohen and Everitt, 1969) is 0.1270.
    assert found.interval.high - found.value == pytest.approx(2.0096 * 0.1270, rel=0.05)


def test_what_has_no_meaning_has_no_number() -> None:
    assert cohen_kappa([1, 1], [1, 1], [0, 1]) is None
    assert krippendorff_alpha([[1, None], [None, 2]], [0, 1]) is None
    assert krippendorff_alpha([[1, 1], [1, 1]], [0, 1]) is None
    assert cohen_kappa([1, 2], [1, 2], [0, 0]).interval is None  # one unit


def test_rows_of_one_unit_are_left_out_together() -> None:
    """Every row twice is the same share, and knows no more."""
    parts, wholes = [1, 0, 1, 1], [1, 1, 1, 1]
    once = share_of(parts, wholes, [0, 1, 2, 3])
    twice = share_of(parts * 2, wholes * 2, [0, 1, 2, 3] * 2)
    assert (once.value, once.interval) == (twice.value, pytest.approx(twice.interval))


def scored(number: int, *values: float, first: int | None = None) -> ScoredPreference:
    compared = None if first is None else Comparisons(2, first, 0, 0)
    item = row(number, *(f"r{place}" for place in range(len(values))))
    scores = tuple(Score(value, 1, False) for value in values)
    return ScoredPreference(item.id, "", 1, scores, item.digest, comparisons=compared)


def result(rows, folder: Path | None = None, kind: str = "pairwise", **changes) -> Result:
    provenance = {"model": {"prompt": {"kind": kind}, "name": "x", "family": "judge"}}
    made = Result("mine", "pairs", "x", "rows", None, tuple(rows), None, provenance, folder)
    return replace(made, **changes)


def test_labels_are_the_best_response_or_a_tie() -> None:
    assert [label_of(scored(0, *v)) for v in ((2, 1), (1, 2), (1, 1), (1, 3, 2), (3, 3, 1))] == [
        *(0, 1, TIE, 1, TIE)
    ]


def test_each_two_agree_over_the_rows_that_both_have() -> None:
    a = result([scored(n, 1, 0) for n in range(4)])
    b = result([scored(n, n < 3, n >= 3) for n in range(1, 5)])
    found = find_agreement([a, b])
    (pair,) = found.pairs
    assert (pair.rows, pair.same.value) == (3, pytest.approx(2 / 3))
    assert found.alpha.value == pytest.approx(1 - 2 / (10 / 5))  # o = 2 apart of 6; n = 5 and 1


def test_the_place_that_decides_is_exposed_with_its_interval() -> None:
    always = result([scored(n, 0.5, 0.5, first=2) for n in range(20)])
    fair = result([scored(n, 1, 0, first=1) for n in range(20)])
    first, even = (find_agreement([one]).own[0] for one in (always, fair))
    assert (first.first.value, first.even) == (1.0, 0.5)
    assert even.first.value == 0.5
    rewards = result([replace(scored(n, 1, 0), comparisons=None) for n in range(3)])
    assert find_agreement([rewards]).own[0].first is None
    listwise = result([scored(n, 1, 0, 0, 0, first=1) for n in range(4)], kind="listwise")
    assert find_agreement([listwise]).own[0].even == 0.25


def test_samples_that_say_the_same_are_counted(tmp_path: Path) -> None:
    verdicts = {"r0": ["first"] * 3, "r1": ["first", "first", "second"], "r2": [None, None, None]}
    lines = [
        {"id": row_id, "shown": [0, 1], "verdict": verdict, "sample": n}
        for row_id, found in verdicts.items()
        for n, verdict in enumerate(found)
    ]
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = find_agreement([result([scored(0, 1, 0)], tmp_path)]).own[0].samples
    assert found.value == pytest.approx((3 + 1 + 3) / 9)
    path.write_text("{}\n")
    with pytest.raises(BadData, match=r"answers\.jsonl line 1: not a line of answers"):
        find_agreement([result([scored(0, 1, 0)], tmp_path)])


def test_results_without_a_row_in_common_are_refused() -> None:
    a, b = result([scored(0, 1, 0)], Path("a")), result([scored(1, 1, 0)], Path("b"))
    with pytest.raises(BadData, match="a and b have no row in common"):
        find_agreement([a, b])
    with pytest.raises(BadData, match="they have no rows to agree on"):
        find_agreement([a, replace(b, definition="rewardbench")])


ARENA = {"A>B": 1.0, "A=B": 0.5, "B>A": 0.0}
PUBLISHED = {  # made from the publisher's outputs by the publisher's rule
    "claude-3-haiku-20240307": (270, 32.22),
    "o1-mini-2024-09-12": (350, 65.71),
}


@pytest.mark.skipif(not ITEMS.is_file(), reason=f"{ITEMS} is not here")
@pytest.mark.parametrize("model", PUBLISHED)
def test_published_verdicts_of_judges_read_again_give_the_published_accuracy(model: str) -> None:
    """JudgeBench's own items: both orders, right only where their sum is."""
    reader = Mapped(Pattern(r"\[\[(.*?)\]\]"), ARENA, pairwise=True)
    lines = [json.loads(line) for line in ITEMS.read_text().splitlines()]
    rows = [line for line in lines if line["judge"] == "arena_hard" and line["model"] == model]
    items = []
    for number, line in enumerate(rows):
        chosen = 0 if line["label"] == "A>B" else 1
        read = []
        for shown, decision in (
            ((chosen, 1 - chosen), line["decision_AB"]),
            ((1 - chosen, chosen), flipped(line["decision_BA_flipped"])),
        ):
            answer = Answer(f"My verdict: [[{decision}]]", "stop", 1, 1)
            read.append((shown, 0, reader.read(answer)))
        asked = Row(row(number, "a", "b", subset="all"), [1, 1], [Criterion("", "")], None, read)
        items.append(settle_row(asked, "mean"))
    count, published = PUBLISHED[model]
    right = np.mean([item.scores[0].value > 0.5 for item in items])
    assert (len(items), round(100 * float(right), 2)) == (count, published)
    ours = describe_scores(PAIRS, items).values["overall"]
    ties = np.mean([item.scores[0].value == 0.5 for item in items])
    assert ours == pytest.approx(right + ties / 2)  # a tie, and no verdict, is half a win


def flipped(decision: str | None) -> str | None:
    """The verdict as the judge gave it, who saw the responses in the other order."""
    return {"A>B": "B>A", "B>A": "A>B"}.get(decision, decision)
