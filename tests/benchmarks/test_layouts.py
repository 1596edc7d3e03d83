"""Layouts of preference rows: each is recognised, and read alike from every format."""

from pathlib import Path
from typing import Any

import pytest
from own_rows import (
    ASSISTANT,
    BAD,
    BOTH_TEXT,
    GOOD,
    LAST,
    LAYOUTS,
    SAID,
    SHORT,
    USER,
    Fields,
    load,
    only,
    refused,
)


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_read_alike_from_every_format(layout: str, suffix: str, tmp_path: Path) -> None:
    row, prompt = LAYOUTS[layout]
    preference = only(tmp_path, row, suffix)
    assert list(preference.prompt) == prompt
    assert preference.responses == ("good", "bad")
    assert (preference.id, preference.subset, preference.num_chosen) == ("1", "rows", 1)
    assert (preference.magnitude, preference.weight) == (None, 1.0)


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_response_may_be_one_message_beside_its_dialogue(suffix: str, tmp_path: Path) -> None:
    good, bad = ({"from": "gpt", "value": text} for text in ("good", "bad"))
    row = {"messages": [{"from": "human", "value": "hi"}], "chosen": good, "rejected": bad}
    preference = only(tmp_path, row, suffix)
    assert (list(preference.prompt), preference.responses) == (SHORT, ("good", "bad"))


@pytest.mark.parametrize("suffix", ["jsonl", "json", "parquet"])
@pytest.mark.parametrize(
    ("chosen", "rejected", "num_chosen"),
    [(["a", "b"], ["c", ""], 2), (["a"], ["b", "c", ""], 1), ("a", ["b", "c", ""], 1)],
)
def test_several_chosen_and_rejected_stand_in_order(
    suffix: str, chosen: Any, rejected: list[str], num_chosen: int, tmp_path: Path
) -> None:
    preference = only(tmp_path, {"prompt": "p", "chosen": chosen, "rejected": rejected}, suffix)
    assert preference.responses == (*chosen, *rejected)
    assert preference.num_chosen == num_chosen


def test_empty_texts_are_values(tmp_path: Path) -> None:
    preference = only(tmp_path, {"prompt": "", "chosen": "", "rejected": ""}, "csv")
    assert (list(preference.prompt), preference.responses) == ([("user", "")], ("", ""))


def test_an_empty_last_turn_of_a_dialogue_is_an_empty_response(tmp_path: Path) -> None:
    row = {"chosen": SAID + "\n\nAssistant:", "rejected": SAID + "\n\nAssistant: bad"}
    assert only(tmp_path, row).responses == ("", "bad")


def test_dialogues_that_are_the_same_are_a_tie(tmp_path: Path) -> None:
    row = {"chosen": [USER, GOOD], "rejected": [USER, GOOD]}
    assert only(tmp_path, row).responses == ("good", "good")


@pytest.mark.parametrize(
    ("row", "layout"),
    [
        ({"prompt": "p", **BOTH_TEXT}, "prompt: text; chosen: text; rejected: text"),
        (
            {"prompt": [USER], "chosen": "a", "rejected": ["b"], "id": 1, "weight": 2, "more": 0},
            "prompt: a list of messages; chosen: text; rejected: a list of texts; id; weight",
        ),
        (
            LAYOUTS["UltraFeedback"][0],
            "chosen and rejected: each a list of messages, whose last turn is the response and the "
            "rest the prompt; prompt: repeats a part of it; messages: not read",
        ),
        (
            LAYOUTS["hh-rlhf"][0],
            r"chosen and rejected: each a dialogue in '\n\nHuman:' text, whose last turn is the "
            "response and the rest the prompt",
        ),
    ],
)
def test_what_was_recognised_is_said(row: Fields, layout: str, tmp_path: Path) -> None:
    assert load(tmp_path, row).layout == layout


def test_the_users_own_names_are_said(tmp_path: Path) -> None:
    row = {"q": "p", "good": "a", "bad\n": "b", "weight": 0}
    columns = {"prompt": "q", "chosen": "good", "rejected": "bad\n", "weight": ""}
    benchmark = load(tmp_path, row, suffix="parquet", **columns)
    assert benchmark.layout == "prompt (q): text; chosen (good): text; rejected (bad): text"
    assert benchmark.preferences[0].responses == ("a", "b")


@pytest.mark.parametrize(
    ("chosen", "rejected"),
    [
        ([USER, ASSISTANT, LAST, GOOD], [USER, BAD, LAST, GOOD]),
        ([USER, GOOD, LAST, GOOD], [USER, BAD]),
        ([USER, GOOD], [LAST, BAD]),
        ([USER, ASSISTANT, LAST], [USER, ASSISTANT, LAST]),
        ([USER, GOOD], [USER, LAST]),
        ([GOOD], [BAD]),
    ],
    ids=["before", "length", "prompt", "unanswered", "half", "alone"],
)
def test_rows_that_are_no_two_replies_are_left_out_and_counted(
    chosen: Any, rejected: Any, tmp_path: Path
) -> None:
    plain, other = LAYOUTS["TRL implicit"][0], {"chosen": chosen, "rejected": rejected}
    benchmark = load(tmp_path, plain, other, plain)
    assert [item.id for item in benchmark.preferences] == ["1", "3"]
    assert benchmark.partial == (
        "2 of 3 rows; left out 1 that differ in more than the last reply, the first at "
        "rows.jsonl line 2"
    )
    assert "nothing to compare: 2 rows that differ in more" in refused(tmp_path, other, other)


def test_replies_of_several_turns_beside_a_prompt_are_left_out_too(tmp_path: Path) -> None:
    plain = LAYOUTS["TRL explicit"][0]
    benchmark = load(tmp_path, plain, {**plain, "rejected": [BAD, LAST, GOOD]})
    assert len(benchmark) == 1
    assert benchmark.partial is not None


def test_whole_data_is_not_partial(tmp_path: Path) -> None:
    assert load(tmp_path, LAYOUTS["TRL implicit"][0]).partial is None
