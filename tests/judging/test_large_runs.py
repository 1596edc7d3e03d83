"""Costs and limits: a budget that is not passed, headers that are heeded, files of a batch."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from judged_rows import PERFECT, pairs
from loopback import Loopback, Reply, choices, serving

from rmeval.engine.store import ScoreStore
from rmeval.errors import BadData, ServerFailure
from rmeval.judging.answers import ServerAnswers
from rmeval.judging.batches import read_batch, write_batches
from rmeval.judging.budget import Budget, Price
from rmeval.judging.loading import Asking, make_judge
from rmeval.llm.endpoint import seconds_of

pytest.importorskip("openai")
PRICE = Price(1.0, 10.0)  # USD per million


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    # an answer is 100 tokens read and 10 written: 0.0002 USD
    with serving(monkeypatch, PERFECT, retries=1) as running:
        yield running


def judge(server: Loopback, budget: Budget | None = None, concurrency: int = 4):
    answers = ServerAnswers(server.url, "tiny", concurrency, 10.0, budget=budget)
    return make_judge("tiny", answers, Asking("rewardbench", max_new_tokens=100, price=PRICE))


def test_a_budget_stops_before_it_is_passed_and_nothing_is_lost(
    server: Loopback, tmp_path: Path
) -> None:
    budget = Budget(0.006, PRICE)
    with closing(ScoreStore(tmp_path, {})) as store:
        with pytest.raises(ServerFailure) as raised:
            judge(server, budget).score_preferences(pairs(40), store=store)
        answered = len(server.asked)
        said = str(raised.value)
        assert said.startswith("the next call could pass the budget of 0.006 USD: 0.00")
        assert f"{answered} of 80 answers are there and kept; pass a larger one to go on" in said
        assert 0 < answered * 0.0002 <= 0.006
        # what was not spent is less than the most that a call can cost: 100 tokens written and
        # a token for each byte read
        assert 0.006 - answered * 0.0002 < 0.003 + 100 * 10e-6
        with pytest.raises(ServerFailure):  # what was spent before counts
            judge(server, Budget(0.006, PRICE)).score_preferences(pairs(40), store=store)
        assert len(server.asked) == answered
        scored = judge(server, Budget(1.0, PRICE)).score_preferences(pairs(40), store=store)
        assert len(scored) == 40
        assert len(server.asked) == 80


def test_where_a_server_counts_nothing_the_most_is_taken_for_spent(server: Loopback) -> None:
    server.answer = lambda asked: choices("[[A]]")
    with pytest.raises(ServerFailure, match=r"the next call could pass the budget of 0\.006 USD"):
        judge(server, Budget(0.006, PRICE)).score_preferences(pairs(40))
    assert 0 < len(server.asked) <= 3


def test_several_calls_at_once_do_not_pass_it_together(server: Loopback) -> None:
    server.answer = lambda asked: Reply(PERFECT(asked).body, seconds=0.05)
    with pytest.raises(ServerFailure):
        judge(server, Budget(0.0061, PRICE), 8).score_preferences(pairs(40))
    assert server.at_once <= 3  # each may cost two thousandths


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("20ms", 0.02),
        ("1h2m3.5s", 3723.5),
        ("12", 12.0),
        ("", None),
        ("soon", None),
        ("1x", None),
        ("2026-01-01T00:00:00Z", None),
        ("-1s", None),
    ],
)
def test_times_of_headers_are_read(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("kind", ["requests", "tokens"])
def test_a_limit_that_is_used_up_is_waited_for(server: Loopback, kind: str) -> None:
    times: list[float] = []

    def limited(asked) -> Reply:
        times.append(time.monotonic())
        left = "0" if len(times) == 2 else "5"
        headers = {f"x-ratelimit-remaining-{kind}": left, f"x-ratelimit-reset-{kind}": "400ms"}
        return Reply(PERFECT(asked).body, headers=headers)

    server.answer = limited
    judge(server, concurrency=1).score_preferences(pairs(2))
    gaps = [after - before for before, after in pairwise(times)]
    assert gaps[1] >= 0.4
    assert gaps[0] < 0.4
    assert gaps[2] < 0.4


def outputs(paths: list[Path], answer) -> list[dict]:
    """What OpenAI's Batch API writes for these questions."""
    asked = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    return [
        {
            "id": f"batch_req_{number}",
            "custom_id": line["custom_id"],
            "response": {"status_code": 200, "request_id": "x", "body": answer(line["body"]).body},
            "error": None,
        }
        for number, line in enumerate(asked)
    ]


def test_a_batch_is_written_and_its_answers_are_read(server: Loopback, tmp_path: Path) -> None:
    asked = judge(server)
    asks = asked.asks(pairs(5))
    paths = write_batches(tmp_path, asks, asked.answers)
    lines = [json.loads(line) for line in paths[0].read_text().splitlines()]
    assert len(lines) == len({line["custom_id"] for line in lines}) == 10
    assert {(line["method"], line["url"]) for line in lines} == {("POST", "/v1/chat/completions")}
    assert set(lines[0]["body"]) == {"model", "messages", "max_tokens", "temperature"}
    told = outputs(paths, PERFECT)
    told[3]["response"] = {"status_code": 500, "body": {"error": {"message": "on fire"}}}
    told[4] |= {"response": None, "error": {"code": "batch_expired"}}
    told.append({**told[0], "custom_id": "00" * 32})
    output = tmp_path / "output.jsonl"
    output.write_text("".join(json.dumps(line) + "\n" for line in told))
    given = partial(read_batch, output, answers=asked.answers)
    scored = replace(asked, given=given).score_preferences(pairs(5))
    assert [[s.value for s in item.scores] for item in scored] == [[1.0, 0.0]] * 5
    assert len(server.asked) == 2  # what the batch did not answer is asked as usual
    assert judge(server).score_preferences(pairs(5)) == scored


def test_a_batch_is_cut_where_the_api_takes_no_more(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmeval.judging.batches.MOST_LINES", 4)
    asked = judge(server)
    paths = write_batches(tmp_path, asked.asks(pairs(5)), asked.answers)
    assert [len(path.read_text().splitlines()) for path in paths] == [4, 4, 2]
    assert [path.name for path in paths] == ["batch-1.jsonl", "batch-2.jsonl", "batch-3.jsonl"]


@pytest.mark.parametrize("line", ["{}", "[]", "no", '{"custom_id": "xyz"}', '{"custom_id": 5}'])
def test_what_is_no_output_of_a_batch_is_named(server: Loopback, tmp_path: Path, line: str) -> None:
    output = tmp_path / "output.jsonl"
    output.write_text(line + "\n")
    asked = judge(server)
    given = partial(read_batch, output, answers=asked.answers)
    with pytest.raises(BadData, match=r"output\.jsonl line 1: not a line of a batch's output"):
        replace(asked, given=given).score_preferences(pairs(1))
