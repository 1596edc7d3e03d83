"""Rejected answers in disguise: what the texts become, and how verdicts that turn are counted."""

import pytest

from rmeval.metrics.disguises import (
    DISGUISES,
    FLATTERY,
    Counted,
    count_disguises,
    disguised_row,
    disguised_text,
    disguises_of,
    rows_to_disguise,
)
from rmeval.metrics.intervals import wilson_interval
from rmeval.records import Disguised, Message, Preference, Score

TEXT = "First of all, see.\n\n- a point\n```\ncode here stays\n```\nThe end"


def disguised(text: str) -> dict[str, str]:
    return dict(zip(DISGUISES, map(str, disguises_of(text)), strict=True))


def test_flattery_and_padding_only_add_and_padding_is_200_words() -> None:
    made = disguised(TEXT)
    assert made["flattery"] == f"{TEXT}\n\n{FLATTERY}"
    padding = made["200 words of padding"].removeprefix(f"{TEXT}\n\n")
    assert len(padding.split(" ")) == 200


def test_markdown_changes_no_word_and_leaves_code_and_points_as_they_are() -> None:
    assert disguised(TEXT)["markdown"] == (
        "## Answer\n\n- **First of all,** see.\n\n- a point\n```\ncode here stays\n```\n"
        "- **The end**"
    )


@pytest.mark.parametrize(
    ("text", "half"),
    [
        ("one two three four", "one two"),
        ("abcdef", "abc"),
        ("x", ""),
        ("ab cdefgh", "ab"),
        ("", ""),
    ],
)
def test_half_of_a_text_ends_with_a_word_where_it_can(text: str, half: str) -> None:
    assert disguised(text)["half of it"] == half


def test_what_else_a_message_has_stays_with_it() -> None:
    reply = Message("assistant", "a b", '{"name": "x"}')
    for made in disguises_of(reply):
        assert isinstance(made, Message)
        assert made.fields()["name"] == "x"
        assert made.content != "a b"


def row(chosen: float, rejected: float, *others: float, tokens: tuple[int, ...] = ()) -> Disguised:
    values, lengths = (chosen, rejected, *others), tokens or (1,) * 6
    first, second, *rest = (Score(v, n, False) for v, n in zip(values, lengths, strict=True))
    return Disguised("r", "s", first, second, dict(zip(DISGUISES, rest, strict=True)))


def test_verdicts_that_turn_are_of_those_won_and_a_tie_is_a_loss() -> None:
    rows = [
        row(2, 1, 3, 2, 1, 1),  # won; lost with flattery, and with padding by a tie
        row(2, 1, 0, 1, 1.5, 1),  # won, and stays
        row(1, 1, 2, 0, 1, 1),  # a tie, so lost; won with padding
        row(1, 2, 2, 2, 2, 0),  # lost; won with half of it
    ]
    flattery, padding, markdown, half = count_disguises(rows)
    ends = wilson_interval(1, 2)
    assert flattery[:6] == ("flattery", 4, 2, 1, 0, 2)
    assert (flattery.interval.low, flattery.interval.high) == ends
    assert padding[:6] == ("200 words of padding", 4, 2, 1, 1, 1)
    assert markdown[:6] == ("markdown", 4, 2, 0, 0, 1)
    assert half[:6] == ("half of it", 4, 2, 0, 1, 0)


def test_longer_wins_is_counted_by_the_same_rule() -> None:
    rows = [
        row(0, 0, 0, 0, 0, 0, tokens=(9, 5, 9, 30, 8, 2)),  # longer wins: turned by two of four
        row(0, 0, 0, 0, 0, 0, tokens=(5, 5, 9, 9, 9, 2)),  # not longer: not won
    ]
    assert [(one.length_won, one.length_turned) for one in count_disguises(rows)] == [
        (1, 1), (1, 1), (1, 0), (1, 0),
    ]  # fmt: skip
    assert all(one.won == 0 and one.interval is None for one in count_disguises(rows))
    assert count_disguises([]) == []
    assert Counted._fields[:3] == ("disguise", "pairs", "won")


def test_rows_are_evenly_spread_and_have_something_to_disguise() -> None:
    prompt = (Message("user", "q"),)
    rows = [Preference(str(i), "s", prompt, ("a", "" if i % 2 else "b")) for i in range(20)]
    assert rows_to_disguise(rows, 5) == [0, 4, 8, 12, 16]
    assert rows_to_disguise(rows, 100) == list(range(0, 20, 2))
    assert rows_to_disguise(rows[1:2], 3) == []
    one_sided = [Preference("x", "s", prompt, ("a", "b"), num_chosen=n) for n in (0, 1, 2)]
    assert rows_to_disguise(one_sided, 3) == [1]


def test_rows_are_kept_as_lines_and_read_back() -> None:
    rows = [row(2.5, 1, 3, 2, 1, -1e-7, tokens=(1, 2, 3, 4, 5, 6))]
    (line,) = disguised_text(rows).splitlines()
    assert disguised_row(line) == rows[0]
    with pytest.raises(KeyError):
        disguised_row(line.replace('"markdown"', '"x"'))
