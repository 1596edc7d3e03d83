"""Several samples of one answer: one verdict, by mean or majority, and one row to an interval."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from judged_rows import pairs, row, shown
from loopback import Loopback, choices, serving

from rmeval.engine.store import ScoreStore
from rmeval.errors import BadOption, UnknownName
from rmeval.evaluation import store_settings
from rmeval.judging.answers import ServerAnswers
from rmeval.judging.formats import Criterion
from rmeval.judging.judge import GenerativeJudge
from rmeval.judging.loading import Asking, make_judge
from rmeval.judging.settling import Row, majority, settle_row
from rmeval.metrics.pairs import PAIRS
from rmeval.metrics.summary import describe_scores
from rmeval.records import Comparisons
from rmeval.reports.judged import sampling_notes

pytest.importorskip("openai")
A, B, TIE = (1.0, 0.0), (0.0, 1.0), (0.5, 0.5)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with serving(monkeypatch, by_seed) as running:
        yield running


def by_seed(asked):
    """Two of five samples prefer the first response, three the better one."""
    good = "[[A]]" if shown(asked)[0].startswith("good") else "[[B]]"
    return choices(("[[A]]", "[[A]]", good, good, good)[asked.get("seed", 0) % 5])


def judge(server: Loopback, **asking) -> GenerativeJudge:
    answers = ServerAnswers(server.url, "tiny", 4, 10.0)
    usual = {"prompt": "rewardbench", "temperature": 0.7, "samples": 5}
    return make_judge("tiny", answers, Asking(**{**usual, **asking}))


def test_the_mean_and_the_majority_are_worked_by_hand(server: Loopback) -> None:
    """Good first: A five times. Bad first: A, A, B, B, B, so good has 0.6, or the win."""
    (item,) = judge(server).score_preferences(pairs(1))
    assert [score.value for score in item.scores] == pytest.approx([0.8, 0.2])
    assert [score.objectives for score in item.scores] == [
        pytest.approx((0.8, 1.0)),
        pytest.approx((0.2, 0.0)),
    ]
    assert item.comparisons == Comparisons(10, 7, 0, 0)
    (item,) = judge(server, vote="majority").score_preferences(pairs(1))
    assert [score.value for score in item.scores] == [1.0, 0.0]
    assert next(score.objectives for score in item.scores) == pytest.approx((0.8, 1.0))
    assert {asked["seed"] for asked in server.asked} == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    ("votes", "verdict"),
    [
        ([A, A, B], A),
        ([A, B], TIE),
        ([A, TIE], (2 / 3 > 0.5 and 1.0, 0.0)),  # the tie is a vote for either
        ([(0.6, 0.4), (0.6, 0.4), (0.0, 1.0)], A),
        ([(1, 0, 0, 0), (0, 1, 0, 0), (0, 1, 0, 0)], (0, 1, 0, 0)),
        ([(1, 0, 0, 0), (0, 1, 0, 0)], (0.5, 0.5, 0, 0)),
        ([(7.0,), (7.0,), (9.0,)], (7.0,)),
        ([(7.0,), (9.0,)], (8.0,)),
    ],
)
def test_most_votes_win_and_equally_many_share(votes, verdict) -> None:
    assert majority(votes) == verdict


def test_a_sample_without_a_verdict_does_not_vote_and_is_counted() -> None:
    preference = row(0, "x", "y")
    read = [((0, 1), 0, verdict) for verdict in (A, A, None, B)]
    item = settle_row(Row(preference, [1, 1], [Criterion("", "")], None, read), "mean")
    assert item.scores[0].value == pytest.approx(2 / 3)
    assert item.comparisons == Comparisons(4, 2, 0, 1)
    nothing = [((0, 1), 0, None)] * 4
    item = settle_row(Row(preference, [1, 1], [Criterion("", "")], None, nothing), "majority")
    assert [score.value for score in item.scores] == [0.5, 0.5]


def test_samples_of_one_row_are_not_rows_to_its_interval(server: Loopback) -> None:
    """The same row won by one sample or by five is one win of one row."""
    rows = [replace(item, subset="all") for item in pairs(12)]
    once = judge(server, samples=1, seed=4).score_preferences(rows)
    often = judge(server).score_preferences(rows)
    found = [describe_scores(PAIRS, scored) for scored in (once, often)]
    assert found[0].values == found[1].values == {"overall": 1.0, "subset/all": 1.0}
    assert found[0].intervals == found[1].intervals
    assert found[1].rows == {"all": 12}
    assert found[1].counts["verdicts"] == 5 * found[0].counts["verdicts"]


def test_more_samples_ask_only_what_is_not_known_yet(server: Loopback, tmp_path: Path) -> None:
    def kept(asked: GenerativeJudge) -> ScoreStore:
        provenance = {"model": asked.provenance(), "engine": asked.engine_provenance()}
        return ScoreStore(tmp_path, store_settings(provenance))

    three = judge(server, samples=3)
    with closing(kept(three)) as store:
        three.score_preferences(pairs(2), store=store)
    assert len(server.asked) == 12 + 1  # and one again, to see whether the seed is obeyed
    five = judge(server)
    with closing(kept(five)) as store:
        again = five.score_preferences(pairs(2), store=store)
    assert len(server.asked) == 20 + 2
    vote = judge(server, vote="majority")
    with closing(kept(vote)) as store:
        assert vote.score_preferences(pairs(2), store=store) != again
    assert len(server.asked) == 20 + 2  # a vote is made of answers, and asks nothing
    assert vote.account()["kept_before"] == 20


def test_samples_and_votes_are_other_results(server: Loopback) -> None:
    asked = [judge(server), judge(server, samples=3), judge(server, vote="majority")]
    variants = [one.variant for one in asked]
    assert variants == [
        "rewardbench-t0.7-5-samples",
        "rewardbench-t0.7-3-samples",
        "rewardbench-t0.7-5-samples-majority",
    ]
    assert asked[2].provenance()["votes"] == {"samples": 5, "by": "majority"}
    assert asked[2].provenance()["objectives"] == ["by mean", "by majority"]
    assert "votes" not in judge(server, samples=1).provenance()


def test_samples_that_would_all_be_one_answer_are_refused(server: Loopback) -> None:
    with pytest.raises(BadOption, match="5 samples at temperature 0 would be one answer 5 times"):
        judge(server, temperature=None)
    with pytest.raises(BadOption, match="samples 0: at least one"):
        judge(server, samples=0)
    with pytest.raises(UnknownName, match="did you mean 'majority'"):
        judge(server, vote="majorities")


def test_a_server_that_ignores_temperature_is_found_out(server: Loopback) -> None:
    server.answer = lambda asked: choices("[[A]]")
    asked = judge(server)
    asked.score_preferences(pairs(3))
    account = asked.account()
    assert (account["sampled"], account["alike"], account["repeats"]) == (6, 6, True)
    (note,) = sampling_notes(account)
    assert note.startswith("the samples of all 6 questions are equal: the server ignores")


def test_a_server_that_ignores_the_seed_is_found_out(server: Loopback) -> None:
    asked_before: list[object] = []

    def another(asked):
        asked_before.append(asked)
        return choices(f"thought {len(asked_before)}: [[A]]")

    server.answer = another
    asked = judge(server)
    asked.score_preferences(pairs(1))
    assert asked.account()["repeats"] is False
    assert list(sampling_notes(asked.account())) == [
        "the server does not obey the seed: asked again, it gave another answer"
    ]


def test_a_server_without_samples_is_not_asked_again(server: Loopback) -> None:
    asked = judge(server, samples=1, temperature=0)
    asked.score_preferences(pairs(1))
    assert len(server.asked) == 2
    assert not {"sampled", "alike", "repeats"} & asked.account().keys()
