"""Rows of no layout, of two, or of another than the first: one line says where and what now."""

from pathlib import Path
from typing import Any

import pytest
from own_rows import ASSISTANT, BAD, BOTH_TEXT, GOOD, LAYOUTS, SAID, USER, Fields, load, refused

PLAIN = {"prompt": "hi", **BOTH_TEXT}
WHOLE = {"chosen": [USER, GOOD], "rejected": [USER, BAD]}
FIELDS = {"subset": "s", "id": "7", "magnitude": 0.5, "weight": 2}


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_other_columns_of_ours_are_read(suffix: str, tmp_path: Path) -> None:
    [preference] = load(tmp_path, {**PLAIN, **FIELDS}, suffix=suffix).preferences
    assert (preference.subset, preference.id) == ("s", "7")
    assert (preference.magnitude, preference.weight) == (0.5, 2.0)


def test_numbers_become_the_names_of_rows_and_subsets(tmp_path: Path) -> None:
    [preference] = load(tmp_path, {**PLAIN, "id": 3, "subset": 2024}).preferences
    assert (preference.id, preference.subset) == ("3", "2024")


@pytest.mark.parametrize("layout", ["plain", "message prompt", "TRL implicit", "hh-rlhf"])
def test_a_system_column_stands_before_the_prompt(layout: str, tmp_path: Path) -> None:
    row, prompt = LAYOUTS[layout]
    first, second = load(tmp_path, {**row, "system": "Be"}, {**row, "system": ""}).preferences
    assert list(first.prompt) == [("system", "Be"), *prompt]
    assert list(second.prompt) == prompt


def test_two_system_messages_are_refused(tmp_path: Path) -> None:
    prompt = [{"role": "system", "content": "Be"}, USER]
    message = refused(tmp_path, {**PLAIN, "prompt": prompt, "system": "Be"})
    assert (
        message == "rows.jsonl line 1: has a system message in its column and another in the prompt"
    )


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("magnitude", "much", "holds 'much', not a finite number"),
        ("magnitude", None, "holds None, not a finite number"),
        ("magnitude", float("inf"), "holds inf, not a finite number"),
        ("magnitude", True, "holds True, not a finite number"),
        ("magnitude", [1], "holds [1], not a finite number"),
        ("weight", float("nan"), "holds nan, not a finite number"),
        ("weight", 10**400, "holds 1000"),
        ("weight", 0, "holds 0; a weight is from 1e-09 to 1e+09"),
        ("weight", -1.5, "holds -1.5; a weight is from 1e-09"),
        ("id", "", "is empty"),
        ("subset", "", "is empty"),
    ],
)
def test_a_value_that_is_none_names_the_row_and_the_way_out(
    field: str, value: Any, fault: str, tmp_path: Path
) -> None:
    rows = {**PLAIN, **FIELDS}, {**PLAIN, **FIELDS, "id": "8", field: value}
    message = refused(tmp_path, *rows)
    assert message.startswith(f"rows.jsonl line 2: column '{field}' {fault}")
    assert message.endswith(f"; fix it, or pass `columns={{{field!r}: ''}}` to leave it unread")
    assert len(load(tmp_path, *rows, **{field: ""})) == 2


@pytest.mark.parametrize("value", [None, 1.5, True])
def test_an_id_that_is_no_name_is_refused(value: object, tmp_path: Path) -> None:
    assert "rows.jsonl line 1: column 'id'" in refused(tmp_path, {**PLAIN, "id": value})


def test_an_id_that_stands_twice_names_both_rows(tmp_path: Path) -> None:
    rows = {**PLAIN, "id": 1}, {**PLAIN, "id": "1"}
    assert refused(tmp_path, *rows).startswith(
        "rows.jsonl line 2: id 1 is also that of rows.jsonl line 1"
    )


@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [
        ("chosen", None, "column 'chosen' has no value"),
        ("rejected", [], "column 'rejected' is an empty list"),
        ("rejected", 5, "column 'rejected' holds int, neither text nor texts nor messages"),
        ("prompt", ["a", "b"], "column 'prompt' is a list of texts; a prompt is text or a list"),
        ("prompt", USER, "column 'prompt' is one message; a prompt is text or a list"),
        ("chosen", USER, "chosen is a message of the user, not a response"),
        ("chosen", [USER, GOOD], "chosen is a list of messages, rejected is text; both must hold"),
        ("rejected", SAID, r"chosen is text, rejected is a dialogue in '\n\nHuman:' text; both"),
    ],
)
def test_a_row_of_no_layout_is_refused(
    column: str, value: object, fault: str, tmp_path: Path
) -> None:
    assert refused(tmp_path, {**PLAIN, column: value}).startswith(f"rows.jsonl line 1: {fault}")


@pytest.mark.parametrize(
    ("other", "fault"),
    [
        ({**PLAIN, "chosen": ["good"]}, "chosen is a list of texts, but text"),
        ({**PLAIN, "prompt": [USER]}, "prompt is a list of messages, but text"),
        ({**PLAIN, "prompt": SAID}, r"prompt is a dialogue in '\n\nHuman:' text, but text"),
        ({**PLAIN, "rejected": SAID}, r"rejected is a dialogue in '\n\nHuman:' text, but text"),
        ({**PLAIN, "prompt": '[{"role": "user", "content": "hi"}]'}, "prompt is a list of mess"),
    ],
)
def test_a_row_of_another_layout_than_the_first_is_refused(
    other: Fields, fault: str, tmp_path: Path
) -> None:
    message = refused(tmp_path, PLAIN, PLAIN, other)
    assert message.startswith(f"rows.jsonl line 3: {fault}")
    assert message.endswith(" in rows.jsonl line 1 (mixed layouts); make all rows alike")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_json_among_texts_is_refused_and_other_brackets_are_text(
    suffix: str, tmp_path: Path
) -> None:
    rows = [{**PLAIN, "prompt": f"[{word}] hi"} for word in ("INST", "1", '"role"')]
    assert len(load(tmp_path, *rows, suffix=suffix)) == 3
    conversation = {**PLAIN, "prompt": '[{"role": "user", "content": "hi"}]'}
    assert "(mixed layouts)" in refused(tmp_path, conversation, *rows, suffix=suffix)


def test_a_column_that_only_some_rows_have_is_refused(tmp_path: Path) -> None:
    weighted = {**PLAIN, "weight": 2}
    fault = "has no column for weight, rows.jsonl line {} has one (mixed layouts)"
    assert refused(tmp_path, PLAIN, weighted) == f"rows.jsonl line 1 {fault.format(2)}"
    assert refused(tmp_path, weighted, PLAIN) == f"rows.jsonl line 2 {fault.format(1)}"
    assert len(load(tmp_path, weighted, PLAIN, weight="")) == 2


def test_a_row_without_responses_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, PLAIN, {"prompt": "hi", "chosen": "a"}).startswith(
        "rows.jsonl line 2: no column rejected; found: prompt, chosen;"
    )


def test_responses_without_a_prompt_are_refused_with_what_to_pass(tmp_path: Path) -> None:
    row = {"system": "s", "question": "hi", **BOTH_TEXT}
    message = refused(tmp_path, row, suffix="parquet")
    assert message == (
        "rows.parquet row 1: no column prompt; found: system, question, chosen, rejected; "
        "pass `columns={'prompt': 'question'}`"
    )
    [preference] = load(tmp_path, row, suffix="parquet", prompt="question").preferences
    assert list(preference.prompt) == [("system", "s"), ("user", "hi")]


def test_the_advice_keeps_names_that_were_given(tmp_path: Path) -> None:
    row = {"question": "hi", "a": "good", "b": "bad"}
    assert refused(tmp_path, row, chosen="a", rejected="b").endswith(
        "pass `columns={'chosen': 'a', 'rejected': 'b', 'prompt': 'question'}`"
    )


def test_two_prompts_are_ambiguous_and_the_error_says_what_to_pass(tmp_path: Path) -> None:
    row = {**PLAIN, "messages": [USER, ASSISTANT]}
    assert refused(tmp_path, row) == (
        "rows.jsonl line 1: prompt and messages may both be the prompt; pass "
        "`columns={'prompt': 'prompt'}` or `columns={'messages': 'messages'}`"
    )
    assert len(load(tmp_path, row, prompt="prompt").preferences[0].prompt) == 1
    assert len(load(tmp_path, row, messages="messages").preferences[0].prompt) == 2


@pytest.mark.parametrize("prompt", ["ho", "good", [USER, ASSISTANT], SAID])
def test_a_prompt_that_contradicts_the_conversations_is_refused(
    prompt: object, tmp_path: Path
) -> None:
    row = {"prompt": prompt, **WHOLE}
    assert refused(tmp_path, row) == (
        "rows.jsonl line 1: column 'prompt' is not in what chosen and rejected share; pass "
        "`columns={'prompt': ''}` to leave it unread"
    )
    assert len(load(tmp_path, row, prompt="")) == 1


def test_half_a_surrogate_pair_is_no_text_in_json_within_csv(tmp_path: Path) -> None:
    row = {**PLAIN, "prompt": '[{"role": "user", "content": "\\ud83d"}]'}
    assert "holds half of a surrogate pair" in refused(tmp_path, row, suffix="csv")
