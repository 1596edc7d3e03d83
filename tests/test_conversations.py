"""Messages keep every field, tools stay with their conversation, and plain text is as it was."""

import copy
import hashlib
import json
import pickle

import pytest

from rmeval.conversations import to_conversation, to_conversations, to_message
from rmeval.duels import one_pair, texts_of
from rmeval.errors import BadData
from rmeval.preferences import pairs, to_candidates, to_prompt
from rmeval.records import Message, Preference, tools_of

ASK = {"role": "user", "content": "What is the weather in Oslo?"}
CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Oslo", "at": 9}}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Zürich too"}}]


def test_a_plain_message_is_the_pair_that_it_was():
    message = Message("user", "hi")
    assert message == ("user", "hi") == tuple(message)
    assert json.dumps([message]) == '[["user", "hi"]]'
    assert repr(message) == "Message('user', 'hi')"
    assert message.fields() == {"role": "user", "content": "hi"}


def test_a_digest_of_plain_text_is_what_it_always_was():
    row = Preference("7", "s", (Message("user", "Grüße"),), ("a", "b"))
    text = '[[["user","Grüße"]],["a","b"],1]'
    assert row.digest == hashlib.sha256(text.encode()).hexdigest()[:32]


def test_fields_come_back_as_they_were_given_in_their_order():
    given = {**CALLING, "reasoning_content": "Grüße", "name": "b", "a": [None, {"z": 1, "y": None}]}
    message = to_message(given, "")
    assert list(message.fields().items()) != sorted(message.fields().items())
    assert json.dumps(message.fields()["tool_calls"]) == json.dumps(given["tool_calls"])
    assert message.fields() == given
    assert to_message(message, "") == message
    for again in (copy.deepcopy(message), pickle.loads(pickle.dumps(message))):
        assert (again, again.extra, hash(again)) == (message, message.extra, hash(message))
    assert message != to_message({**given, "name": "c"}, "")


@pytest.mark.parametrize(
    ("given", "content"),
    [
        (CALLING, None),
        ({**CALLING, "content": ""}, ""),
        ({"role": "assistant", "tool_calls": [CALL]}, ""),
        ({"role": "assistant", "content": None, "function_call": CALL["function"]}, None),
        (
            {**ASK, "content": [{"type": "text", "text": "a"}, {"type": "text", "text": " b"}]},
            "a b",
        ),
        ({**ASK, "content": [{"type": "text", "text": "a", "image": None}]}, "a"),
    ],
)
def test_a_content_may_be_parts_of_text_or_none_beside_a_call(given, content):
    assert to_message(given, "").fields()["content"] == content


def test_a_field_that_is_null_or_an_empty_list_is_none():
    assert to_message({**ASK, "name": None, "tool_calls": []}, "") == tuple(ASK.values())


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"role": "assistant", "content": None}, "needs text"),
        ({"role": "assistant", "content": None, "tool_calls": []}, "needs text"),
        (
            {**ASK, "content": [{"type": "image_url", "image_url": {}}]},
            "a part of type 'image_url'",
        ),
        ({**ASK, "content": [{"type": "text", "text": "a", "cache\n": 1}]}, "has 'cache'"),
        ({**ASK, "at": {1, 2}}, "must be JSON"),
        ({**ASK, "at": float("inf")}, "must be JSON"),
        ({**ASK, "name": "\ud83d"}, "half of a surrogate pair"),
    ],
)
def test_what_no_template_can_get_is_refused_in_one_line(given, complaint):
    with pytest.raises(BadData) as caught:
        to_message(given, "in line 3")
    assert str(caught.value).startswith("in line 3: ")
    assert complaint in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("given", [TOOLS, json.dumps(TOOLS), tuple(TOOLS)])
def test_tools_stay_with_the_conversation_and_all_that_begins_with_it(given):
    prompt = to_conversation([ASK], "", given)
    assert tools_of(prompt) == TOOLS
    assert prompt != to_conversation([ASK], "")
    assert prompt[0].fields() == ASK
    candidates = to_candidates({"messages": [ASK], "tools": given, "responses": ["a"]}, "")
    assert tools_of(candidates.conversations()[0]) == TOOLS
    assert to_conversations([{"messages": [ASK], "tools": given}, prompt]) == [prompt, prompt]
    assert Preference("1", "", prompt, ("a", "b")).digest != one_pair([ASK], "a", "b").digest


@pytest.mark.parametrize("given", [None, "", " ", "null", float("nan")])
def test_no_tools_are_no_tools(given):
    assert to_prompt({"prompt": ASK["content"], "tools": given}, "") == (tuple(ASK.values()),)


@pytest.mark.parametrize("given", ["hammer", '[{"a": 1, "a": 2}]', ["hammer"], {"a": 1}, 3, [{1j}]])
def test_what_are_no_tools_is_refused(given):
    with pytest.raises(BadData, match=r"^in line 3: tools "):
        to_conversation([ASK], "in line 3", given)


def test_tools_in_two_places_and_fields_beside_messages_are_refused():
    with pytest.raises(
        BadData, match="conversation 0: unexpected beside messages and tools: system"
    ):
        to_conversations([{"messages": [ASK], "system": "x"}])
    with pytest.raises(BadData, match="tools again"):
        to_prompt({"prompt": {"messages": [ASK], "tools": TOOLS}, "tools": TOOLS}, "")
    offering = Message("user", "hi", tools=json.dumps(TOOLS))
    for messages, tools in (([ASK, offering], None), ([offering], TOOLS)):
        with pytest.raises(BadData, match="offered twice, or after the first"):
            to_conversation(messages, "", tools)


def test_a_response_may_be_a_message_and_a_plain_one_is_its_text():
    plain = {"role": "assistant", "content": "a"}
    fields = {"prompt": "Why?", "responses": ["a", plain, CALLING]}
    found = to_candidates(fields, "")
    assert found.responses[:2] == ("a", "a")
    assert found.conversations()[2][-1].fields() == CALLING
    with pytest.raises(BadData, match=r"^x: a message of the user, not a response"):
        to_candidates({**fields, "responses": [ASK]}, "x")


def test_pairs_are_written_with_all_that_was_given():
    line = {"messages": [ASK], "tools": TOOLS, "responses": ["a", CALLING], "scores": [1, 2]}
    [row] = pairs([line])
    assert (row["prompt"], row["tools"], row["chosen"]) == ([ASK], TOOLS, [CALLING])
    assert row["rejected"] == [{"role": "assistant", "content": "a"}]


def test_who_is_shown_text_refuses_more_and_names_it():
    assert texts_of(one_pair("hi", "a", "b")) == ("a", "b")
    for prompt, answer, named in (
        ([{**ASK, "name": "x\n"}], "b", "name"),
        ({"messages": [ASK], "tools": TOOLS}, "b", "tools"),
        ("hi", CALLING, "tool_calls, content"),
    ):
        with pytest.raises(BadData, match=rf"^preference compare \(\): has {named}, and pairwise"):
            texts_of(one_pair(prompt, "a", answer))


def test_another_content_leaves_all_else():
    message = to_message({**CALLING, "name": "x"}, "").saying("no")
    assert message.fields() == {**CALLING, "content": "no", "name": "x"}
    assert Message("user", "a", tools="[]").saying("b") == Message("user", "b", tools="[]")
