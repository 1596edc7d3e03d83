"""Prompt formats are data: what a judge is asked, from rmeval's files or a user's."""

from pathlib import Path

import pytest

from rmeval.errors import BadOption, UnknownName
from rmeval.judging.fields import fill
from rmeval.judging.format_files import default_format, read_format, shipped_formats
from rmeval.judging.places import Pattern
from rmeval.judging.verdicts import Labels, Scale
from rmeval.records import Message

ASKED = (Message("user", "Why?"),)
SEVERAL = (Message("system", "Be brief."), *ASKED, Message("assistant", "Why not?"), *ASKED)
PAIRWISE = """
name = "mine"
kind = "pairwise"
max_new_tokens = 20
temperature = 0
user = "Q: {prompt}\\n1: {a}\\n2: {b}"

[verdict]
a = "ONE"
b = "TWO"
tie = "EVEN"
"""
RATING = """
name = "stars"
kind = "rating"
max_new_tokens = 20
temperature = 0.5
system = "You rate."
user = "{prompt} | {response}"

[subsets.Ties]
user = "ties: {prompt} | {response}"

[verdict]
pattern = '(\\d+) stars'
low = 0
high = 5
"""


@pytest.fixture
def mine(tmp_path: Path):
    def write(text: str) -> str:
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_a_format_of_ones_own_says_what_is_asked_and_how_it_is_read(mine) -> None:
    own = read_format(mine(PAIRWISE))
    assert own.question(ASKED, ("x", "y")) == (Message("user", "Q: Why?\n1: x\n2: y"),)
    assert own.verdict == Labels("ONE", "TWO", "EVEN")
    assert (own.name, own.max_new_tokens, own.temperature) == ("mine", 20, 0.0)


def test_a_rating_format_may_ask_otherwise_in_a_subset(mine) -> None:
    own = read_format(mine(RATING))
    assert own.question(ASKED, ("x",)) == (
        Message("system", "You rate."),
        Message("user", "Why? | x"),
    )
    assert own.question(ASKED, ("x",), "Ties")[-1] == Message("user", "ties: Why? | x")
    assert own.verdict == Scale(Pattern(r"(\d+) stars"), 0, 5)


def test_what_is_filled_in_is_not_read_again(mine) -> None:
    own = read_format(mine(PAIRWISE))
    asked = own.question((Message("user", "{a} {b} [[A]] {prompt}"),), ("{b}{prompt}", "{a} \\1"))
    assert asked[0].content == "Q: {a} {b} [[A]] {prompt}\n1: {b}{prompt}\n2: {a} \\1"
    assert fill("{a}", {"a": "{a}"}) == "{a}"


def test_several_turns_are_written_with_their_roles_and_asked_about_in_other_words() -> None:
    known = read_format("rewardbench")
    system, user = known.question(SEVERAL, ("x", "y"))
    turns = (
        "### System:\nBe brief.\n\n### User:\nWhy?\n\n### Assistant:\nWhy not?\n\n### User:\nWhy?"
    )
    assert (
        f"Conversation with User|>\n\n{turns}\n\n### Assistant A:\nx\n\n<|The End" in user.content
    )
    assert f"{turns}\n\n### Assistant B:\ny\n\n<|The End" in user.content
    assert "same conversation" in system.content
    assert "same conversation" not in known.question(ASKED, ("x", "y"))[0].content


def test_a_lone_message_that_is_not_the_users_keeps_its_role() -> None:
    lone = (Message("system", "Write a poem."),)
    asked = read_format("skywork-critic").question(lone, ("x", "y"))[0].content
    assert "[User Question]\nSystem: Write a poem.\n\n[The Start" in asked


@pytest.mark.parametrize("name", ["rewardbench", "skywork-critic"])
def test_the_published_layout_and_contract_are_kept(name: str) -> None:
    asked = read_format(name).question(ASKED, ("x", "y"))
    everything = "\n".join(message.content for message in asked)
    assert (
        "[User Question]\nWhy?\n\n[The Start of Assistant A's Answer]\nx\n[The End of Assistant "
        "A's Answer]\n\n[The Start of Assistant B's Answer]\ny\n[The End of Assistant B's Answer]"
    ) in asked[-1].content
    assert '"[[A]]" if assistant A is better, "[[B]]" if assistant B is better.' in everything
    assert read_format(name).verdict == Labels("[[A]]", "[[B]]")


def test_skywork_critic_is_asked_as_it_was_trained() -> None:
    asked = read_format("skywork-critic").question(ASKED, ("x", "y"))
    assert len(asked) == 1  # no system message of ours
    assert asked[0].content.startswith("Please act as an impartial judge and evaluate the quality")
    assert "answers the user's question better. \nYour evaluation" in asked[0].content
    assert "as possible. \nPlease directly output your final verdict" in asked[0].content
    assert asked[0].content.endswith("\n[The End of Assistant B's Answer]\n")


def test_rewardbench_2_is_rated_and_its_ties_without_regard_to_detail() -> None:
    rating = read_format(default_format("rewardbench-2"))
    usual, ties = (rating.question(ASKED, ("x",), s)[0].content for s in ("Math", "Ties"))
    assert "[Query]\nWhy?\n\n[Response]\nx\n\n[Your judgement]" in usual
    assert "deep, creative and detailed" in usual
    assert "detailed it is does not matter" in ties
    assert default_format("rewardbench") == default_format("pairs") == "rewardbench"


def test_every_shipped_format_names_its_source() -> None:
    known = shipped_formats()
    assert sorted(known) == [
        *("genrm", "lmunit", "nemotron-genrm", "nemotron-principle", "rating", "rewardbench"),
        *("rewardbench-2", "rm-r1", "rubric", "skywork-critic"),
    ]
    assert all(item.source.startswith("https://") and item.summary for item in known.values())
    assert len({item.sha256 for item in known.values()}) == len(known)


def test_the_hash_is_of_what_is_asked_not_of_the_name(mine) -> None:
    first = read_format(mine(PAIRWISE)).sha256
    assert read_format(mine(PAIRWISE.replace('"mine"', '"yours"'))).sha256 == first
    assert read_format(mine(PAIRWISE.replace("ONE", "FIRST"))).sha256 != first


BAD = {
    "no TOML": ("x =", "not TOML"),
    "no text to ask": (
        PAIRWISE.replace("user =", "# user ="),
        "either user, which system may go with, or [[messages]]",
    ),
    "a key that is none": (PAIRWISE.replace("max_new_tokens", "max_tokens"), "max_new_tokens"),
    "a kind that is none": (PAIRWISE.replace('"pairwise"', '"pairs"'), "did you mean 'pairwise'"),
    "a field that is none": (PAIRWISE.replace("{a}", "{answer}"), "unknown field"),
    "a response that is not shown": (PAIRWISE.replace("{b}", ""), "no {b}; needed: {prompt}, {a}"),
    "two labels alike": (PAIRWISE.replace("TWO", "ONE"), "two labels are the same"),
    "a label in another": (PAIRWISE.replace("TWO", "ONE!"), "'ONE' is empty or part of another"),
    "an empty label": (PAIRWISE.replace("TWO", ""), "'' is empty"),
    "a number as text": (PAIRWISE.replace("= 20", '= "20"'), "max_new_tokens has the wrong type"),
    "no tokens": (PAIRWISE.replace("= 20", "= 0"), "at least 1"),
    "labels for ratings": (
        RATING.replace("pattern =", "a ="),
        "rating is read by pattern, json or xml",
    ),
    "no pattern": (RATING.replace(r"(\d+) stars", "("), "the pattern is not a regular expression"),
    "a pattern without a group": (RATING.replace(r"(\d+)", r"\d+"), "needs one group"),
    "a scale upside down": (RATING.replace("low = 0", "low = 6"), "low must be less than high"),
    "a subset that is no table": (
        RATING.replace("[subsets.Ties]\nuser", "[subsets]\nTies"),
        "must be a table",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_format_is_named_in_one_line(mine, kind: str) -> None:
    text, said = BAD[kind]
    with pytest.raises((BadOption, UnknownName)) as raised:
        read_format(mine(text))
    message = str(raised.value)
    assert said in message
    assert "mine.toml" in message
    assert "\n" not in message


def test_a_name_that_is_none_offers_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"did you mean 'rewardbench'\?; or pass a FILE"):
        read_format("rewardbensh")
    with pytest.raises(BadOption, match="No such file"):
        read_format(str(tmp_path / "nowhere.toml"))
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe9'")
    with pytest.raises(BadOption, match="not UTF-8"):
        read_format(str(tmp_path / "latin.toml"))
