"""Candidates, ranks, and the pairs that scored responses are worth."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmeval.errors import BadData, BadOption, UnknownName
from rmeval.preferences import PairRule, pairs, ranks_of, to_candidates, to_prompt
from rmeval.records import Message

ASK = (Message("user", "Why?"),)


def test_a_prompt_is_a_text_or_messages_in_either_field():
    messages = [message.fields() for message in ASK]
    for fields in ({"prompt": "Why?"}, {"prompt": messages}, {"messages": messages}):
        assert to_prompt(fields, "here") == ASK


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({}, "no prompt and no messages; found: none"),
        ({"question": "?", "responses": ["a"]}, "no prompt and no messages; found: question, res"),
        ({"prompt": "a", "messages": []}, "both prompt and messages; keep one"),
        ({"messages": "Why?"}, "expected a list of messages, got str"),
        ({"prompt": None}, "expected a list of messages, got NoneType"),
        ({"prompt": []}, "no messages"),
        ({"prompt": "a"}, "no responses; found: prompt"),
        ({"prompt": "a", "responses": []}, "no responses, the list is empty"),
        ({"prompt": "a", "responses": "abc"}, '"responses" must be a list of texts'),
        ({"prompt": "a", "responses": None}, '"responses" must be a list of texts'),
        ({"prompt": "a", "responses": ["b", 3]}, '"responses" must be a list of texts'),
        ({"prompt": "\ud800", "responses": ["b"]}, "holds half of a surrogate pair"),
    ],
)
def test_what_is_no_line_of_candidates_is_named(fields, complaint):
    with pytest.raises(BadData) as raised:
        to_candidates(fields, "in.jsonl line 3")
    assert str(raised.value).startswith(f"in.jsonl line 3: {complaint}")


def test_empty_and_identical_responses_are_candidates_like_others():
    found = to_candidates({"prompt": "Why?", "responses": ["", "x", "x"]}, "")
    assert found.conversations() == [(*ASK, Message("assistant", t)) for t in ("", "x", "x")]


def test_equal_scores_share_the_better_rank():
    assert ranks_of([1.0, 3.0, 2.0, 3.0, 0.0]) == [3, 0, 2, 0, 4]
    assert ranks_of([0.0, -0.0]) == [0, 0]
    assert ranks_of([]) == []


@given(st.lists(st.floats(allow_nan=False, width=16)))
def test_a_rank_is_the_number_of_better_ones(values):
    assert ranks_of(values) == [sum(other > value for other in values) for value in values]


LINE = {
    "prompt": "Why?",
    "responses": ["bad", "best", "good", "good", "worst"],
    "scores": [1, 4.5, 3, 3, 0],
    "id": 7,
}


def held(strategy, line=LINE, **settings):
    """Which response was held against which, and their margins."""
    return [
        (row["chosen"][0]["content"], row["rejected"][0]["content"], row["score_margin"])
        for row in pairs([line], strategy=strategy, **settings)
    ]


def test_best_worst_is_one_pair():
    assert held("best-worst") == [("best", "worst", 4.5)]


def test_all_is_every_two_that_differ_and_each_once():
    assert held("all") == [
        ("best", "good", 1.5),
        ("best", "bad", 3.5),
        ("best", "worst", 4.5),
        ("good", "bad", 2.0),
        ("good", "worst", 3.0),
        ("bad", "worst", 1.0),
    ]


def test_best_random_draws_one_of_the_worse_with_a_seed():
    found = {seed: held("best-random", seed=seed) for seed in range(60)}
    assert all(len(made) == 1 and made[0][0] == "best" for made in found.values())
    assert {made[0][1] for made in found.values()} == {"good", "bad", "worst"}
    assert held("best-random", seed=3) == found[3]


def test_a_draw_depends_on_the_prompt_not_on_its_place():
    other = {**LINE, "prompt": "How?"}
    lines = [LINE, other] * 5
    random.Random(0).shuffle(lines)
    for row, line in zip(pairs(lines, strategy="best-random"), lines, strict=True):
        assert [row] == list(pairs([line], strategy="best-random"))


def test_one_seed_draws_differently_for_different_prompts():
    lines = [{**LINE, "prompt": f"{n}"} for n in range(40)]
    drawn = {row["rejected"][0]["content"] for row in pairs(lines, strategy="best-random")}
    assert drawn == {"good", "bad", "worst"}


def test_of_equal_texts_the_first_counts():
    line = {"prompt": "Why?", "responses": ["a", "a", "b"], "scores": [3.0, 1.0, 2.0]}
    assert held("all", line) == [("a", "b", 1.0)]


def test_the_least_margin_holds_and_a_draw_is_made_of_what_it_leaves():
    assert [pair[:2] for pair in held("all", min_margin=3)] == [
        ("best", "bad"), ("best", "worst"), ("good", "worst"),
    ]  # fmt: skip
    drawn = {held("best-random", min_margin=3.5, seed=s)[0][1] for s in range(40)}
    assert drawn == {"bad", "worst"}
    assert held("best-worst", min_margin=4.5) == [("best", "worst", 4.5)]
    assert held("best-worst", min_margin=4.6) == []


@pytest.mark.parametrize("strategy", ["best-worst", "best-random", "all"])
@pytest.mark.parametrize(
    ("responses", "scores"),
    [(["a"], [1.0]), (["a", "a"], [1.0, 1.0]), (["a", "b", "c"], [2.0, 2.0, 2.0])],
)
def test_one_or_equal_responses_make_no_pair(strategy, responses, scores):
    line = {"prompt": "Why?", "responses": responses, "scores": scores}
    assert held(strategy, line) == []


def test_an_empty_response_can_be_the_worse_one():
    line = {"prompt": "Why?", "responses": ["", "b"], "scores": [0.0, 1.0]}
    assert held("best-worst", line) == [("b", "", 1.0)]


def test_a_row_is_in_trls_layout():
    line = {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]}
    (row,) = pairs([{**line, "responses": ["a", "b"], "scores": [1, 2.5]}])
    assert row == {
        "prompt": line["messages"],
        "chosen": [{"role": "assistant", "content": "b"}],
        "rejected": [{"role": "assistant", "content": "a"}],
        "score_chosen": 2.5,
        "score_rejected": 1,
        "score_margin": 1.5,
    }
    assert json.loads(json.dumps(row)) == row


@pytest.mark.parametrize(
    ("scores", "complaint"),
    [
        (None, 'no list of "scores"; `rmeval rank` adds them'),
        ("12345", 'no list of "scores"'),
        ([1.0] * 4, "4 scores for 5 responses"),
        ([1.0] * 6, "6 scores for 5 responses"),
        ([1.0] * 4 + [float("nan")], "a score is nan, not a finite number"),
        ([1.0] * 4 + [float("inf")], "a score is inf, not a finite number"),
        ([1.0] * 4 + [10**400], "a score is 1000"),
        ([1.0] * 4 + [True], "a score is True, not a finite number"),
        ([1.0] * 4 + ["2"], "a score is '2', not a finite number"),
    ],
)
def test_scores_that_are_none_are_named_with_their_line(scores, complaint):
    lines = [LINE, {**LINE, "scores": scores}]
    with pytest.raises(BadData) as raised:
        list(pairs(lines))
    assert str(raised.value).startswith(f"ranked[1]: {complaint}")


def test_a_rule_that_is_none_is_refused_before_a_line_is_read():
    with pytest.raises(UnknownName, match="did you mean 'best-worst'"):
        pairs([{}], strategy="best-wurst")
    for margin in (-1.0, float("nan"), float("inf")):
        with pytest.raises(BadOption, match="at least 0"):
            PairRule(min_margin=margin)
