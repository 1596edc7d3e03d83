"""What responses are judged by, and in whose roles: per format, subset, row, or file."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from judged_rows import row
from loopback import Loopback, choices, serving

import rmeval
from rmeval.errors import BadData, BadOption
from rmeval.judging.answers import ServerAnswers
from rmeval.judging.format_files import read_format
from rmeval.judging.loading import Asking, make_judge
from rmeval.records import Message

ASKED = (Message("user", "Why?"),)
SEVERAL = (*ASKED, Message("assistant", "Why not?"), *ASKED)
HEAD = 'name = "mine"\nmax_new_tokens = 9\ntemperature = 0\n'
READ = "[verdict]\npattern = '(\\d+)'\nlow = 0\nhigh = 10\n"
RUBRIC = f"""kind = "rating"
{HEAD}user = "{{criterion}} | {{prompt}} | {{response}}"
[[criteria]]
name = "right"
text = "Is it right?"
weight = 3
[[criteria]]
name = "brief"
text = "Is it brief?"
[subsets.Safety]
criterion = "Is it safe?"
{READ}"""
ROLES = f"""kind = "pairwise"
{HEAD}[[messages]]
role = "system"
content = "Judge by: {{criterion}}"
[[messages]]
prompt = true
[[messages]]
role = "response_1"
content = "{{a}}"
[[messages]]
role = "response_2"
content = "{{b}}"
[verdict]
json = "ranking"
map = {{ 1 = 1, 6 = 0 }}
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with serving(monkeypatch) as running:
        yield running


@pytest.fixture
def mine(tmp_path: Path):
    def write(text: str, name: str = "mine.toml") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def rate(asked):
    """8 for what is right, 4 for what is brief, 2 for what is safe; the longer response 1 less."""
    criterion, _, response = asked["messages"][-1]["content"].split(" | ")
    number = {"Is it right?": 8, "Is it brief?": 4, "Is it safe?": 2}.get(criterion, 10)
    return choices(str(number - (len(response) > 3)))


def test_every_criterion_is_asked_about_and_weighed(server: Loopback, mine) -> None:
    server.answer = rate
    asked = make_judge("x", ServerAnswers(server.url, "x", 4, 10.0), Asking(mine(RUBRIC)))
    rows = [row(0, "abc", "abcd"), row(1, "abc", "abcd", subset="Safety")]
    first, safe = asked.score_preferences(rows)
    # (3 · 8 + 1 · 4) / 4 = 7, and one less for the longer one
    assert [score.value for score in first.scores] == [7.0, 6.0]
    assert [score.objectives for score in first.scores] == [(8.0, 4.0), (7.0, 3.0)]
    assert [score.value for score in safe.scores] == [2.0, 1.0]
    assert asked.provenance()["objectives"] == ["right", "brief"]
    lines = [json.loads(line) for line in asked.answers_kept()["answers.jsonl"].splitlines()]
    assert [line.get("criterion") for line in lines[:4]] == ["right", "brief"] * 2
    assert len(server.asked) == 6


def test_a_rows_own_criterion_comes_first_and_is_of_its_fingerprint(
    server: Loopback, mine, tmp_path: Path
) -> None:
    data = tmp_path / "rows.jsonl"
    lines = [
        {"prompt": "q", "chosen": "abc", "rejected": "abcd", "criterion": "Is it kind?"},
        {"prompt": "q", "chosen": "abc", "rejected": "abcd", "criterion": None},
    ]
    data.write_text("".join(json.dumps(line) + "\n" for line in lines))
    benchmark = rmeval.load_benchmark(str(data))
    own, none = benchmark.preferences
    assert (own.criterion, none.criterion) == ("Is it kind?", "")
    assert none.digest == replace(own, criterion="").digest != own.digest
    server.answer = rate
    judge = rmeval.load_judge("x", endpoint=server.url, prompt=mine(RUBRIC))
    kind, usual = judge.score_preferences(benchmark.preferences)
    assert [score.value for score in kind.scores] == [10.0, 9.0]
    assert [score.value for score in usual.scores] == [7.0, 6.0]


def test_a_file_of_criteria_takes_the_place_of_the_formats(server: Loopback, mine) -> None:
    server.answer = rate
    prompt = mine(RUBRIC)
    other = mine('[[criteria]]\ntext = "Is it brief?"\n', "other.toml")
    judge = rmeval.load_judge("x", endpoint=server.url, prompt=prompt, criteria=other)
    (item,) = judge.score_preferences([row(0, "abc", "abcd")])
    assert [score.value for score in item.scores] == [4.0, 3.0]
    plain = rmeval.load_judge("x", endpoint=server.url, prompt=prompt)
    assert plain.variant != judge.variant


def test_messages_have_the_roles_that_a_template_wants(mine) -> None:
    own = read_format(mine(ROLES))
    assert own.question(SEVERAL, ("x", "{a}"), criterion="{b}") == (
        Message("system", "Judge by: {b}"),
        *SEVERAL,
        Message("response_1", "x"),
        Message("response_2", "{a}"),
    )


def test_a_row_without_a_criterion_is_named_before_a_call(server: Loopback, mine) -> None:
    judge = rmeval.load_judge("x", endpoint=server.url, prompt=mine(ROLES))
    with pytest.raises(BadData, match=r"preference r0 \(\): no criterion, which the prompt format"):
        judge.score_preferences([row(0, "a", "b")])
    assert server.asked == []


BAD = {
    "no weight": (RUBRIC.replace("weight = 3", "weight = 0"), "weight must be greater than 0"),
    "one name twice": (RUBRIC.replace('"brief"', '"right"'), "two criteria have one name"),
    "no text": (RUBRIC.replace('text = "Is it brief?"', ""), "no text; needed: text"),
    "both": (ROLES.replace("[[messages]]", 'user = "x"\n[[messages]]', 1), "either user"),
    "a role alone": (ROLES.replace('content = "{a}"', ""), "no content; needed: role, content"),
    "a response not shown": (ROLES.replace('"{a}"', '"x"'), "no {a}; needed: {prompt}, {a}, {b}"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_format_is_named_in_one_line(mine, kind: str) -> None:
    text, said = BAD[kind]
    with pytest.raises(BadOption) as raised:
        read_format(mine(text))
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
