"""Values of data sets: text, texts, messages of several kinds, and what is none of these."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmeval.benchmarks.reading.turns import Shape, Value, parse_transcript, parse_value
from rmeval.errors import BadData
from rmeval.records import Message

USER, ASSISTANT = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}
BOTH = (Message("user", "hi"), Message("assistant", "ho"))


def parse(value: object) -> Value:
    return parse_value(value, "chosen", "rows.jsonl line 3")


def refused(value: object) -> str:
    with pytest.raises(BadData) as caught:
        parse(value)
    assert str(caught.value).startswith("rows.jsonl line 3: ")
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "shape", "texts", "turns"),
    [
        ("", Shape.TEXT, ("",), ()),
        ("[1, 2] is a list", Shape.TEXT, ("[1, 2] is a list",), ()),
        ("[]", Shape.TEXT, ("[]",), ()),
        ('["a", "b"]', Shape.TEXT, ('["a", "b"]',), ()),
        ('[{"name": "a"}]', Shape.TEXT, ('[{"name": "a"}]',), ()),
        ("[" * 100_000, Shape.TEXT, ("[" * 100_000,), ()),
        ("Human: hi\n\nHuman: you", Shape.TEXT, ("Human: hi\n\nHuman: you",), ()),
        (["a", ""], Shape.TEXTS, ("a", ""), ()),
        ("\n\nHuman: hi\n\nAssistant: ho", Shape.TRANSCRIPT, (), BOTH),
        ([USER, ASSISTANT], Shape.DIALOGUE, (), BOTH),
        (json.dumps([USER, ASSISTANT]), Shape.DIALOGUE, (), BOTH),
        ([ASSISTANT], Shape.REPLY, (), BOTH[1:]),
        (json.dumps([ASSISTANT]), Shape.REPLY, (), BOTH[1:]),
        (ASSISTANT, Shape.MESSAGE, (), BOTH[1:]),
        ({"from": "gpt", "value": "ho"}, Shape.MESSAGE, (), BOTH[1:]),
    ],
)
def test_a_value_is_known_by_what_it_is(
    value: object, shape: Shape, texts: tuple[str, ...], turns: tuple[Message, ...]
) -> None:
    assert parse(value)[:3] == (shape, texts, turns)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"from": "human", "value": "a"}, ("user", "a")),
        ({"from": "gpt", "value": "a"}, ("assistant", "a")),
        ({"from": "system", "value": "a"}, ("system", "a")),
        ({"role": None, "content": None, "from": "human", "value": "a"}, ("user", "a")),
        ({"role": "user", "content": "a", "tool_calls": None}, ("user", "a")),
        ({"role": "user", "content": "a", "tool_calls": []}, ("user", "a")),
        ({"role": "user", "content": [{"type": "text", "text": "a"}]}, ("user", "a")),
        (
            {"role": "user", "content": [{"type": "text", "text": t} for t in ("a", " b")]},
            ("user", "a b"),
        ),
    ],
)
def test_messages_of_every_kind_become_ours(message: Any, expected: tuple[str, str]) -> None:
    assert parse([message]).turns == (expected,)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (None, "column 'chosen' has no value"),
        (float("nan"), "column 'chosen' has no value"),
        ([], "column 'chosen' is an empty list"),
        (1, "column 'chosen' holds int, neither text nor texts nor messages"),
        ({"text": "a"}, "column 'chosen' holds dict, neither"),
        (["a", None], "column 'chosen' holds list, neither"),
        ([USER, "a"], "column 'chosen' holds list, neither"),
        ([[USER]], "column 'chosen' holds list, neither"),
        (
            [{**USER, "role": "bot"}],
            "role 'bot'; known: system, user, assistant, tool, developer, function, human, gpt",
        ),
        ([{**USER, "role": 1}], "a message of role 1"),
        ([{"from": "bing", "value": "a"}], "a message of role 'bing'"),
        ([{**USER, "content": None}], 'a message needs text in "role" and in "content"'),
        ([{"from": "human", "value": 1}], "a message needs text in 'value'"),
        ([{"from": "human", "content": "a"}], "a message needs text in 'value'"),
        ([{**ASSISTANT, "content": None, "name": "f"}], "a message needs text in"),
        ([{**ASSISTANT, "score": float("nan")}], "a message's fields must be JSON"),
        ([{"from": "gpt", "value": "a", "content": "b"}], "text in 'value', and a content"),
        ([{**USER, "content": [{"type": "image"}]}], "a part of type 'image'; rmeval scores text"),
        ([{**USER, "content": ["a"]}], "a part of type 'str'"),
        ([{**USER, "content": [{"type": "text", "text": None}]}], "a part of type 'text'"),
    ],
)
def test_what_is_no_text_is_refused_with_its_place(value: object, complaint: str) -> None:
    assert complaint in refused(value)


@pytest.mark.parametrize(
    ("text", "turns"),
    [
        ("\n\nHuman: a\n\nAssistant: b", [("user", "a"), ("assistant", "b")]),
        ("\n\nHuman:a\n\nAssistant:  b ", [("user", "a"), ("assistant", " b ")]),
        ("\n\nHuman:\n\nAssistant:", [("user", ""), ("assistant", "")]),
        ("\n\nHuman: a\n\n\nHuman: b", [("user", "a\n"), ("user", "b")]),
        ("\n\nHuman: a\nHuman: b", [("user", "a\nHuman: b")]),
        ("\n\nHuman: a\n\nassistant: b", [("user", "a\n\nassistant: b")]),
    ],
)
def test_a_dialogue_in_one_text_is_cut_at_its_speakers(text: str, turns: list[Any]) -> None:
    assert list(parse_transcript(text)) == turns


def as_transcript(turns: list[tuple[str, str]]) -> str:
    speakers = {"user": "Human", "assistant": "Assistant"}
    return "".join(f"\n\n{speakers[role]}: {content}" for role, content in turns)


content = st.text(st.sampled_from("\n :Humanssit") | st.characters(codec="utf-8")).filter(
    lambda text: "Human:" not in text and "Assistant:" not in text
)


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), content), min_size=1))
def test_turns_without_speakers_in_them_survive_the_way_through_a_text(
    turns: list[tuple[str, str]],
) -> None:
    assert list(parse_transcript(as_transcript(turns))) == turns


@pytest.mark.parametrize(
    ("value", "prompt"),
    [
        ("hi", [("user", "hi")]),
        ("", [("user", "")]),
        ("\n\nHuman: hi\n\nAssistant:", [("user", "hi")]),
        ("\n\nHuman: hi\n\nAssistant: ", [("user", "hi")]),
        ("\n\nHuman: hi", [("user", "hi")]),
        ("\n\nHuman: hi\n\nAssistant: ho", [("user", "hi"), ("assistant", "ho")]),
        ([USER, {**ASSISTANT, "content": ""}], [("user", "hi"), ("assistant", "")]),
    ],
)
def test_a_prompt_is_the_users_and_its_last_cue_is_no_turn(value: object, prompt: Any) -> None:
    assert list(parse(value).prompt()) == prompt
