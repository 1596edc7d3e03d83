"""Every shipped format: what it asks, and the verdicts that answers of its kind must give."""

from math import log

import pytest
from judged_rows import row

from rmeval.judging.format_files import shipped_formats
from rmeval.judging.questions import Manner, plan_questions
from rmeval.llm.endpoint import Answer
from rmeval.records import Message

A, B = (1.0, 0.0), (0.0, 1.0)
CANNED = {
    "rewardbench": [("Both try. A is right. [[A]]", A), ("[[B]]", B), ("[[C]]", None)],
    "skywork-critic": [("[[A]]", A), ("[[B]]\n", B), ("A", None), ("[[A]][[B]]", None)],
    "rewardbench-2": [
        ("Assistant C is best: [[C]]", (0, 0, 1, 0)),
        ("[[A]] is good, but [[D]]", None),
        ("[[E]]", None),
    ],
    "rating": [("Short but right.\n[[7]]", (7.0,)), ("8/10", None), ("[[11]]", None)],
    "rm-r1": [
        (
            "<type>Chat</type>\n<rubric>Accuracy (60%)<justify>x</justify></rubric>\n<eval>"
            "<quote_A>choose [[B]]</quote_A> is wrong</eval>\n<answer>[[A]]</answer>",
            A,
        ),
        (
            "<think>Perhaps <answer>[[A]]</answer></think><type>Reasoning</type><solution>4"
            "</solution><eval><summary_B>4</summary_B></eval>\n\n<answer> [[B]] </answer>",
            B,
        ),
        ("<eval><quote_B><answer>[[A]]</answer></quote_B></eval><answer>[[B]]</answer>", None),
        ("<answer>[[A/B]]</answer>", None),
        ("[[A]]", None),
    ],
    "nemotron-genrm": [
        ('<think>1 or 6?</think>{"score_1": 4, "score_2": 2, "ranking": 1}', A),
        ('```json\n{\n "score_1": 3,\n "score_2": 4,\n "ranking": 4\n}\n```', (0.4, 0.6)),
        ('{"score_1": 4, "score_2": 2}', None),
        ('{"ranking": 3.5}', None),
        ('{"ranking": 1} or {"ranking": 6}', None),
    ],
    "nemotron-principle": [('{"score_1": 1, "score_2": 5, "ranking": 6}', B), ("6", None)],
    "rubric": [("It is mostly true. [[4]]", (4.0,)), ("[[6]]", None), ("[[0]]", None)],
}
LIKELY = {
    "genrm": [
        ({"Yes": log(0.6), "No": log(0.2)}, (0.75,)),
        ({"Yes": log(0.6)}, None),  # No was cut off, and may have a tenth
        (None, None),
    ],
    "lmunit": [
        # the authors' own arithmetic: Σ p·v / Σ p over the digits that were told
        ({"4": log(0.5), "5": log(0.3), "3": log(0.2)}, (4 * 0.5 + 5 * 0.3 + 3 * 0.2,)),
    ],
}


@pytest.mark.parametrize("name", CANNED)
def test_canned_answers_have_their_verdicts(name: str) -> None:
    known = shipped_formats()[name]
    shown = {"pairwise": 2, "rating": 1, "listwise": 4}[known.kind]
    for text, verdict in CANNED[name]:
        found = known.verdict.read(Answer(text, "stop", 1, 1), shown)
        assert found == (None if verdict is None else pytest.approx(verdict)), text
        cut = Answer(text, "length", 1, 1)
        assert known.verdict.read(cut, shown) is None  # it may have been about to go on


@pytest.mark.parametrize("name", LIKELY)
def test_canned_probabilities_have_their_values(name: str) -> None:
    reader = shipped_formats()[name].verdict
    for labels, verdict in LIKELY[name]:
        unseen = log(0.1) if labels is not None and len(labels) == 1 else log(1e-6)
        answer = Answer("x", "length", 1, 1, labels=labels, unseen=unseen)
        found = reader.read(answer, 1)
        assert found == (None if verdict is None else pytest.approx(verdict))


def test_every_shipped_format_has_canned_answers() -> None:
    assert CANNED.keys() | LIKELY.keys() == shipped_formats().keys()


def asked(name: str, subset: str = "") -> list[tuple[Message, ...]]:
    rows = [row(0, "first", "second", subset=subset)]
    plan = plan_questions(rows, shipped_formats()[name], Manner(), {})
    return [question.ask.conversation for question in plan]


def test_nemotrons_template_gets_its_roles_in_order() -> None:
    plain, principled = asked("nemotron-genrm")[0], asked("nemotron-principle")[0]
    assert [(m.role, m.content) for m in plain] == [
        ("user", "question 0"),
        ("response_1", "first"),
        ("response_2", "second"),
    ]
    assert [m.role for m in principled] == ["user", "principle", "response_1", "response_2"]
    assert principled[1].content == "helpfulness"


def test_lmunit_is_asked_as_its_package_does_and_by_subset() -> None:
    system, user = asked("lmunit")[0]
    assert system == Message("system", "rationale=No")
    assert user.content == (
        "Query: question 0\n\nResponse: first\n\nUnit Test: Is the response helpful?"
    )
    assert "to the letter" in asked("lmunit", "Precise IF")[0][1].content
    (question, *_) = plan_questions(
        [row(0, "first", "second")], shipped_formats()["lmunit"], Manner(), {}
    )
    assert question.ask.labels == tuple("0123456")
    assert question.ask.sampling.max_new_tokens == 10


def test_a_rubric_asks_about_every_response_by_every_criterion() -> None:
    found = asked("rubric")
    assert len(found) == 8
    assert ["true, and its reasoning" in talk[0].content for talk in found[:4]] == [
        True,
        *[False] * 3,
    ]
