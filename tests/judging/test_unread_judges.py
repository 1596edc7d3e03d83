"""A judge whose answers nobody could read says so wherever it is ranked."""

import pytest

from rmeval.results.standings import unread_note

NONE = "none of the 200 verdicts could be parsed: the Score says nothing"


@pytest.mark.parametrize(
    ("unread", "note"),
    [
        (0, []),
        (10, []),  # one in twenty
        (11, ["6 % of the 200 verdicts could not be parsed (half a win each)"]),
        (200, [NONE]),
    ],
)
def test_unread_verdicts_have_a_note_where_they_are_many(unread: int, note: list[str]) -> None:
    assert unread_note({"verdicts": 200, "verdicts_unparsed": unread}) == note


def test_so_have_ratings_and_rewards_have_none() -> None:
    counts = {"ratings": 3, "ratings_unparsed": 3}
    assert unread_note(counts) == ["none of the 3 ratings could be parsed: the Score says nothing"]
    assert unread_note({"ties": 0}) == []
