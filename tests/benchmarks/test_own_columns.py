"""`columns`: our names for theirs, and errors that say what to pass."""

import pytest

from rmeval.benchmarks.reading.columns import check_fields, find_columns
from rmeval.commands.shared.benchmark_options import parse_columns
from rmeval.errors import BadData, BadOption, UnknownName

BOTH = "pass `columns={'chosen': 'COLUMN', 'rejected': 'COLUMN'}`"


def refused(found: list[str], **asked: str) -> str:
    with pytest.raises(BadData) as caught:
        find_columns(found, asked, "rows.csv line 2")
    message = str(caught.value)
    assert message.startswith("rows.csv line 2: no column ")
    assert "\n" not in message
    return message.removeprefix("rows.csv line 2: ")


def test_the_option_gives_their_names_for_ours() -> None:
    assert parse_columns("prompt=question, chosen = the good one,id=") == {
        "prompt": "question",
        "chosen": "the good one",
        "id": "",
    }


def test_a_column_may_hold_an_equals_sign() -> None:
    assert parse_columns("prompt=a=b") == {"prompt": "a=b"}


@pytest.mark.parametrize("text", ["", "prompt", "prompt=a,", "prompt=a,b"])
def test_an_option_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(BadOption, match="expected OURS=THEIRS"):
        parse_columns(text)


def test_a_field_that_stands_twice_is_refused() -> None:
    with pytest.raises(BadOption, match="prompt appears twice"):
        parse_columns("prompt=a,prompt=b")


def test_a_field_that_is_none_of_ours_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="'reject'; did you mean 'rejected'"):
        parse_columns("reject=bad")


@pytest.mark.parametrize("field", ["chosen", "rejected"])
def test_responses_cannot_be_left_unread(field: str) -> None:
    with pytest.raises(BadOption, match=f"{field} cannot be left unread"):
        check_fields({field: ""})


def test_columns_of_our_names_are_found_and_others_passed_over() -> None:
    found = ["", "id", "source", "chosen", "rejected", "weight"]
    assert find_columns(found, {}, "x") == {
        "chosen": "chosen",
        "rejected": "rejected",
        "id": "id",
        "weight": "weight",
    }


def test_an_empty_name_leaves_a_column_unread() -> None:
    found = ["", "chosen", "rejected", "id"]
    assert find_columns(found, {"id": ""}, "x") == {"chosen": "chosen", "rejected": "rejected"}


def test_columns_may_be_exchanged() -> None:
    found = ["chosen", "rejected"]
    asked = {"chosen": "rejected", "rejected": "chosen"}
    assert find_columns(found, asked, "x") == asked


@pytest.mark.parametrize(("asked", "other"), [("prompt", "messages"), ("messages", "prompt")])
def test_a_prompt_that_is_named_is_the_only_one(asked: str, other: str) -> None:
    found = ["chosen", "rejected", "q", other]
    assert other not in find_columns(found, {asked: "q"}, "x")
    assert find_columns(found, {asked: ""}, "x")[other] == other


def test_a_column_that_is_asked_for_must_be_there() -> None:
    assert refused(["question", "chosen"], prompt="query") == (
        "no column 'query' (`columns={'prompt': 'query'}`); found: question, chosen"
    )


@pytest.mark.parametrize(
    ("found", "advice"),
    [
        (["qid", "question", "response_j", "response_k"],
         "pass `columns={'prompt': 'question', 'chosen': 'response_j', 'rejected': 'response_k'}`"),
        (["prompt", "good", "bad"], "pass `columns={'chosen': 'good', 'rejected': 'bad'}`"),
        (["good", "bad"], "pass `columns={'chosen': 'good', 'rejected': 'bad'}`"),
        (["prompt", "chosen", "worse"], "pass `columns={'rejected': 'worse'}`"),
        (["instruction", "input", "good", "bad"], BOTH),
        (["prompt", "chosen", "x"], "pass `columns={'rejected': 'COLUMN'}`"),
        (["prompt", "good", "better", "bad"], BOTH),
        (["prompt", "response_0", "response_1", "better_response_id"],
         "if 'better_response_id' says which response is better, make chosen and rejected from it"),
        (["input", "output_1", "output_2", "label"],
         "if 'label' says which response is better, make chosen and rejected from it"),
        ([], BOTH),
    ],
)  # fmt: skip
def test_other_peoples_names_are_offered_and_never_taken(found: list[str], advice: str) -> None:
    assert refused(found).endswith(f"; found: {', '.join(found) or 'none'}; {advice}")


def test_an_offer_keeps_what_was_asked_for() -> None:
    assert refused(["q", "good", "bad"], prompt="q", id="").endswith(
        "pass `columns={'prompt': 'q', 'id': '', 'chosen': 'good', 'rejected': 'bad'}`"
    )


def test_hostile_and_endless_names_stay_one_short_line() -> None:
    message = refused(["a\nb\x1b[2J", *(f"column_{number}" for number in range(1000))])
    assert "a b\\x1b[2J, column_0" in message
    assert len(message) < 500
