"""Tables in every format, character by character."""

import json

import pytest

from rmeval.reports.tables import FORMATS, format_rows

ROWS = [
    {"model": "a|b", "Score": 9.25, "rank": 1, "published": None},
    {"model": "long name, with comma", "Score": 10.0, "rank": 12, "published": 8.0},
]


def test_text_stands_left_and_numbers_right() -> None:
    assert format_rows(ROWS, "table").splitlines() == [
        "model                    Score    rank    published",
        "---------------------  -------  ------  -----------",
        "a|b                        9.2       1",
        "long name, with comma     10.0      12          8.0",
    ]


def test_pipes_are_escaped_in_markdown() -> None:
    header, rule, first, second = format_rows(ROWS, "markdown").splitlines()
    assert [cell.strip() for cell in header.strip("|").split("|")] == list(ROWS[0])
    assert rule.replace("-", "") == "|:|:|:|:|"  # left, then three right
    assert [cell.strip() for cell in first.split(" | ")] == [r"| a\|b", "9.2", "1", "|"]
    assert second.startswith("| long name, with comma ")


def test_csv_keeps_all_digits_and_leaves_none_empty() -> None:
    assert format_rows(ROWS, "csv").splitlines() == [
        "model,Score,rank,published",
        "a|b,9.25,1,",
        '"long name, with comma",10.0,12,8.0',
    ]


def test_json_keeps_everything() -> None:
    assert json.loads(format_rows(ROWS, "json")) == ROWS


def test_names_that_look_like_numbers_stay_as_they_are() -> None:
    assert "007" in format_rows([{"model": "007"}], "table")
    assert "1e5" in format_rows([{"model": "1e5"}], "markdown")


@pytest.mark.parametrize("form", FORMATS)
def test_no_rows_are_a_table_of_nothing(form: str) -> None:
    assert format_rows([], form).strip() in ("", "[]")
