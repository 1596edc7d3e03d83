"""Several responses at once: who is shown where, which is named, and what that counts."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from judged_rows import row
from loopback import Loopback, Reply, choices, serving

from rmeval.benchmarks.rewardbench2 import shared_best_credit
from rmeval.errors import BadData, BadOption
from rmeval.judging.answers import ServerAnswers
from rmeval.judging.judge import GenerativeJudge
from rmeval.judging.loading import Asking, make_judge
from rmeval.judging.verdicts import Best
from rmeval.llm.endpoint import Answer
from rmeval.metrics.accuracy import win_chance, win_credit
from rmeval.records import Comparisons

pytest.importorskip("openai")
SHOWN = re.compile(r"\[The Start of Assistant (\w)'s Answer\]\n(.*?)\n\[The End", re.S)
FOUR = ("best", "worst", "so-so", "good")
OWN = """name = "own"
kind = "listwise"
max_new_tokens = 9
temperature = 0
user = "{prompt}: {responses}"
item = "{number}: {response}"
[verdict]
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with serving(monkeypatch, names("best")) as running:
        yield running


def judge(server: Loopback, **asking) -> GenerativeJudge:
    answers = ServerAnswers(server.url, "tiny", 4, 10.0)
    return make_judge("tiny", answers, Asking(**{"prompt": "rewardbench-2", **asking}))


def shown(asked) -> list[str]:
    letters, texts = zip(*SHOWN.findall(asked["messages"][-1]["content"]), strict=True)
    assert letters == tuple("ABCDEF"[: len(letters)])
    return list(texts)


def names(text: str) -> Callable[[object], Reply]:
    """A judge that names the response with this text."""
    return lambda asked: choices(f"Well. [[{'ABCDEF'[shown(asked).index(text)]}]]")


def values(item) -> list[float]:
    return [score.value for score in item.scores]


def test_the_named_response_has_the_win_wherever_it_is_shown(server: Loopback) -> None:
    rows = [row(n, *FOUR) for n in range(60)]
    scored = judge(server).score_preferences(rows)
    assert {tuple(values(item)) for item in scored} == {(1.0, 0.0, 0.0, 0.0)}
    assert [shared_best_credit(item) for item in scored] == [1.0] * 60
    places = Counter(shown(asked).index("best") for asked in server.asked)
    assert set(places) == {0, 1, 2, 3}  # shuffled: each place comes up among sixty rows
    assert sum(item.comparisons.first for item in scored) == places[0]
    assert {item.comparisons.made for item in scored} == {1}


def test_another_response_is_a_loss_and_no_verdict_a_quarter_as_the_publisher_counts(
    server: Loopback,
) -> None:
    server.answer = names("good")
    (lost,) = judge(server).score_preferences([row(0, *FOUR)])
    assert (values(lost), shared_best_credit(lost)) == ([0.0, 0.0, 0.0, 1.0], 0.0)
    for text in ("I cannot say.", "[[A]] or [[C]]", "[[E]]", ""):
        server.answer = lambda asked, text=text: choices(text)
        (even,) = judge(server).score_preferences([row(0, *FOUR)])
        assert (values(even), shared_best_credit(even)) == ([0.25] * 4, 0.25)
        assert win_credit(even) == 0.25  # in data of one's own too: what chance would give
        assert even.comparisons == Comparisons(1, 0, 0, 1)
    assert win_chance(even) == 0.25


def test_the_shuffle_is_of_the_seed_and_the_rows_texts_alone(server: Loopback) -> None:
    def orders(rows, seed=0):
        before = len(server.asked)
        judge(server, seed=seed).score_preferences(rows)
        return {
            a["messages"][-1]["content"].split("\n")[1]: shown(a) for a in server.asked[before:]
        }

    rows = [row(n, *FOUR) for n in range(20)]
    whole = orders(rows)
    assert orders(rows) == whole != orders(rows, 1)
    assert orders(rows[13:]).items() < whole.items()


def test_a_latin_square_shows_every_response_once_in_every_place(server: Loopback) -> None:
    server.answer = lambda asked: choices("[[B]]")
    asked = judge(server, order="latin")
    (item,) = asked.score_preferences([row(0, *FOUR)])
    for place in zip(*map(shown, server.asked), strict=True):
        assert sorted(place) == sorted(FOUR)
    assert values(item) == [0.25] * 4  # a judge that always names the second knows nothing
    assert item.comparisons == Comparisons(4, 0, 0, 0)
    assert asked.variant == "rewardbench-2-latin-0"
    assert asked.provenance()["order"] == "latin"


def test_ties_are_rated_and_everything_else_is_ranked(server: Loopback) -> None:
    def both(asked) -> Reply:
        said = asked["messages"][-1]["content"]
        return choices("[[7]]") if "[Response]" in said else names("best")(asked)

    server.answer = both
    rows = [row(0, *FOUR), row(1, "a", "b", "c", num_chosen=2, subset="Ties")]
    ranked, rated = judge(server).score_preferences(rows)
    assert values(ranked) == [1.0, 0.0, 0.0, 0.0]
    assert values(rated) == [7.0, 7.0, 7.0]
    assert rated.comparisons == Comparisons(3, None, 0, 0)
    assert len(server.asked) == 4


def own(tmp_path: Path, verdict: str) -> str:
    path = tmp_path / "own.toml"
    path.write_text(OWN + verdict)
    return str(path)


def test_several_named_share_the_win_where_a_format_says_so(
    server: Loopback, tmp_path: Path
) -> None:
    server.answer = lambda asked: choices("<1> and <3>")
    shared = own(tmp_path, 'label = "<{number}>"\nseveral = true\n')
    (item,) = judge(server, prompt=shared).score_preferences([row(0, *FOUR)])
    assert sorted(values(item)) == [0.0, 0.0, 0.5, 0.5]
    assert item.comparisons == Comparisons(1, 0, 1, 0)
    alone = own(tmp_path, 'label = "<{number}>"\n')
    (item,) = judge(server, prompt=alone).score_preferences([row(0, *FOUR)])
    assert item.comparisons.unparsed == 1


def test_a_number_for_each_response_is_its_score(server: Loopback, tmp_path: Path) -> None:
    def rate(asked) -> Reply:
        texts = re.findall(r"\d: (\S+)$", asked["messages"][-1]["content"], re.M)
        return choices(f"\\boxed{{{', '.join(str(len(text)) for text in texts)}}}")

    server.answer = rate
    scores = "scores = true\nlow = 0\nhigh = 10\n"
    path = own(tmp_path, f"pattern = '\\\\boxed\\{{([^{{}}]*)\\}}'\n{scores}")
    (item,) = judge(server, prompt=path, order="latin").score_preferences([row(0, *FOUR)])
    assert values(item) == [4.0, 5.0, 5.0, 4.0]
    assert item.comparisons == Comparisons(4, None, 0, 0)
    server.answer = lambda asked: choices("\\boxed{1, 2, 3}")  # one is missing
    (item,) = judge(server, prompt=path).score_preferences([row(0, *FOUR)])
    assert (values(item), item.comparisons.unparsed) == ([5.0] * 4, 1)


def test_labels_that_collide_are_refused_before_a_call(server: Loopback, tmp_path: Path) -> None:
    path = own(tmp_path, 'label = "Answer {number}"\n')
    nine, ten = (row(0, *(f"text {n}" for n in range(count))) for count in (9, 10))
    server.answer = lambda asked: choices("Answer 1")
    judge(server, prompt=path).score_preferences([nine])
    before = len(server.asked)
    with pytest.raises(BadOption, match="of 10 responses the label 'Answer 1' is part of another"):
        judge(server, prompt=path).score_preferences([ten])
    assert len(server.asked) == before
    assert Best("[[{number}]]").read(Answer("[[10]]", "stop", None, None), 10)[9] == 1.0


def test_a_row_with_several_right_answers_has_no_best_one(server: Loopback) -> None:
    with pytest.raises(BadData, match=r"preference r0 \(\) has 2 chosen responses: a listwise"):
        judge(server).score_preferences([row(0, *FOUR, num_chosen=2)])
    assert server.asked == []


def test_an_order_of_another_kind_is_refused(server: Loopback) -> None:
    with pytest.raises(BadOption, match="order both is not of the listwise format rewardbench-2"):
        judge(server, order="both")
    with pytest.raises(BadOption, match="order latin is not of the pairwise format rewardbench: "):
        judge(server, prompt="rewardbench", order="latin")
