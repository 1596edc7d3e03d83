"""Candidates are kept as they are drawn; a server that fails loses nothing."""

import asyncio
import json
from threading import Event

import pytest
from loopback import Reply, candidates, choices, failure, serving

from rmeval.errors import BadConversation, BadData, BadOption, ServerFailure
from rmeval.llm import calls
from rmeval.llm.endpoint import Endpoint
from rmeval.llm.generation import (
    Missing,
    Prompt,
    ServerGenerator,
    draw_candidates,
    write_candidates,
)
from rmeval.records import Message, Sampling

SAMPLING = Sampling(n=3, max_new_tokens=5)


def prompts(count):
    return [
        Prompt(f"p line {i}", {"prompt": f"q{i}", "id": i}, (Message("user", f"q{i}"),))
        for i in range(count)
    ]


class Fake:
    """Answers in the given order of prompts; `stops` after so many, as a kill would."""

    def __init__(self, order=None, stops=None, fails=(), refuses=None):
        self.order, self.stops, self.fails, self.refuses = order, stops, fails, refuses
        self.asked = []

    def settings(self):
        return {"generator": "fake"}

    def check(self, conversations, sampling):
        if self.refuses is not None:
            raise BadConversation(self.refuses, "too long")

    def draw(self, conversations, waiting, sampling):
        for index in sorted(waiting, key=(self.order or sorted(waiting)).index):
            if len(self.asked) == self.stops:
                raise KeyboardInterrupt
            self.asked.append(index)
            if index in self.fails:
                yield index, ServerFailure(f"no {index}")
            else:
                text = conversations[index][0].content
                yield index, [f"{text} {n}" for n in range(sampling.n)]


def draw(folder, asked, generator, sampling=SAMPLING):
    return draw_candidates(folder, asked, generator, sampling, lambda count: None)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_candidates_stand_in_the_order_of_the_prompts_with_their_fields(tmp_path):
    counts = []
    fake = Fake(order=[2, 0, 1])
    assert draw_candidates(tmp_path / "new", prompts(3), fake, SAMPLING, counts.append) == []
    assert counts == [1, 2, 3]
    path = write_candidates(tmp_path / "new", prompts(3))
    assert lines(path) == [
        {"prompt": f"q{i}", "id": i, "responses": [f"q{i} {n}" for n in range(3)]} for i in range(3)
    ]
    assert {p.name for p in path.parent.iterdir()} == {"candidates.jsonl", "sampling.json"}


def test_what_was_drawn_is_not_drawn_again(tmp_path):
    first = Fake(order=[3, 1, 0, 2], stops=2)
    with pytest.raises(KeyboardInterrupt):
        draw(tmp_path, prompts(4), first)
    second = Fake()
    assert draw(tmp_path, prompts(4), second) == []
    assert (first.asked, second.asked) == ([3, 1], [0, 2])
    path = write_candidates(tmp_path, prompts(4))
    assert [line["id"] for line in lines(path)] == [0, 1, 2, 3]
    third = Fake()
    assert draw(tmp_path, prompts(4), third) == []
    assert third.asked == []
    assert write_candidates(tmp_path, prompts(4)) == path


@pytest.mark.parametrize("cut", [1, 7])
def test_a_line_that_a_kill_cut_short_is_drawn_again(tmp_path, cut):
    with pytest.raises(KeyboardInterrupt):
        draw(tmp_path, prompts(4), Fake(stops=2))
    kept = tmp_path / "candidates.unfinished"
    kept.write_bytes(kept.read_bytes()[:-cut])
    again = Fake()
    assert draw(tmp_path, prompts(4), again) == []
    assert again.asked == [1, 2, 3]
    found = lines(write_candidates(tmp_path, prompts(4)))
    assert found[1]["responses"] == ["q1 0", "q1 1", "q1 2"]


@pytest.mark.parametrize("line", ["{", "3", '["x", []]', "[0, 1]"])
def test_damage_in_the_midst_is_named(tmp_path, line):
    with pytest.raises(KeyboardInterrupt):
        draw(tmp_path, prompts(4), Fake(stops=2))
    kept = tmp_path / "candidates.unfinished"
    kept.write_text(f"{line}\n{kept.read_text()}")
    with pytest.raises(BadData, match=r"candidates.unfinished: damaged"):
        draw(tmp_path, prompts(4), Fake())


def test_the_missing_are_named_in_order_and_asked_again(tmp_path):
    missing = draw(tmp_path, prompts(4), Fake(order=[3, 2, 1, 0], fails=(1, 3)))
    assert missing == [Missing("p line 1", "no 1"), Missing("p line 3", "no 3")]
    path = write_candidates(tmp_path, prompts(4))
    assert [line["id"] for line in lines(path)] == [0, 2]
    again = Fake()
    assert draw(tmp_path, prompts(4), again) == []
    assert again.asked == [1, 3]
    assert [line["id"] for line in lines(write_candidates(tmp_path, prompts(4)))] == [0, 1, 2, 3]


def test_a_folder_of_another_run_is_refused_with_what_differs(tmp_path):
    draw(tmp_path, prompts(2), Fake())
    kept = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for asked, sampling, name in (
        (prompts(3), SAMPLING, "prompts"),
        (prompts(2), SAMPLING._replace(temperature=0.9, seed=1), "temperature, seed"),
    ):
        with pytest.raises(BadOption, match=f"drawn with other {name}; choose another `output=`"):
            draw(tmp_path, asked, Fake(), sampling)
    other = Fake()
    other.settings = lambda: {"generator": "fake", "revision": "r"}
    with pytest.raises(BadOption, match="with other revision"):
        draw(tmp_path, prompts(2), other)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == kept


def test_somebody_elses_candidates_are_left_alone(tmp_path):
    (tmp_path / "candidates.jsonl").write_text("mine\n")
    with pytest.raises(BadOption, match=r"has candidates but no sampling\.json"):
        draw(tmp_path, prompts(2), Fake())
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine\n"]
    (tmp_path / "sampling.json").write_text("[")
    with pytest.raises(BadData, match=r"sampling\.json: damaged"):
        draw(tmp_path, prompts(2), Fake())


def test_a_prompt_that_cannot_be_served_is_named_before_any_is(tmp_path):
    fake = Fake(refuses=1)
    with pytest.raises(BadData, match=r"^p line 1: too long"):
        draw(tmp_path, prompts(3), fake)
    assert fake.asked == []
    assert draw(tmp_path, prompts(1), Fake()) == []  # nothing had been drawn


@pytest.fixture
def server(monkeypatch):
    with serving(monkeypatch, key="sk-secret", retries=1) as running:
        yield running


def generator(server, concurrency=4):
    return ServerGenerator(Endpoint(server.url, "tiny"), concurrency)


def test_a_server_is_asked_what_was_asked_for(tmp_path, server):
    assert draw(tmp_path, prompts(1), generator(server)) == []
    assert server.asked == [
        {
            "model": "tiny",
            "messages": [{"role": "user", "content": "q0"}],
            "n": 3,
            "temperature": 0.8,
            "top_p": 0.95,
            "top_k": 50,
            "max_tokens": 5,
            "seed": 0,
        }
    ]
    draw(tmp_path / "b", prompts(1), generator(server), SAMPLING._replace(top_k=0))
    assert "top_k" not in server.asked[1]


def test_several_calls_are_made_at_once_and_no_more(tmp_path, server):
    full, going = Event(), []

    def answer(asked):
        going.append(asked)
        if len(going) == 4:
            full.set()
        assert full.wait(5)
        return candidates(asked)

    server.answer = answer
    assert draw(tmp_path, prompts(12), generator(server, 4)) == []
    assert server.at_once == 4
    found = lines(write_candidates(tmp_path, prompts(12)))
    assert [line["responses"][0] for line in found] == [f"q{i}: answer 0" for i in range(12)]


def test_a_server_that_gives_one_answer_a_call_is_asked_until_there_are_enough(tmp_path, server):
    server.answer = lambda asked: candidates({**asked, "n": 1})
    assert draw(tmp_path, prompts(1), generator(server)) == []
    assert [(asked["n"], asked["seed"]) for asked in server.asked] == [(3, 0), (2, 1), (1, 2)]
    (line,) = lines(write_candidates(tmp_path, prompts(1)))
    assert line["responses"] == ["q0: answer 0", "q0: answer 1", "q0: answer 2"]


def test_a_server_that_gives_more_than_it_was_asked_for_is_cut_short(tmp_path, server):
    server.answer = lambda asked: candidates({**asked, "n": 9})
    draw(tmp_path, prompts(1), generator(server))
    assert len(lines(write_candidates(tmp_path, prompts(1)))[0]["responses"]) == 3


def test_a_server_that_refuses_n_is_asked_for_one_at_a_time(tmp_path, server):
    server.answer = lambda asked: failure(400, "n > 1") if asked["n"] > 1 else candidates(asked)
    assert draw(tmp_path, prompts(1), generator(server)) == []
    assert [asked["n"] for asked in server.asked] == [3, 1, 1, 1]


def test_identical_and_empty_candidates_are_kept_as_they_are(tmp_path, server):
    server.answer = lambda asked: choices("", "same", "same")
    assert draw(tmp_path, prompts(1), generator(server)) == []
    assert lines(write_candidates(tmp_path, prompts(1)))[0]["responses"] == ["", "same", "same"]


def test_one_bad_prompt_does_not_stop_the_others(tmp_path, server):
    def answer(asked):
        bad = asked["messages"][0]["content"] in {f"q{i}" for i in range(1, 8)}
        return failure(400, "flagged") if bad else candidates(asked)

    server.answer = answer
    missing = draw(tmp_path, prompts(12), generator(server, 1))
    assert [place for place, _ in missing] == [f"p line {i}" for i in range(1, 8)]
    assert all("flagged" in reason for _, reason in missing)


def test_a_server_that_stops_half_way_loses_nothing(tmp_path, server, monkeypatch):
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    served = []

    def answer(asked):
        if len(served) == 5:
            return Reply(candidates(asked).body, cut=True)
        served.append(asked)
        return candidates(asked)

    server.answer = answer
    missing = draw(tmp_path, prompts(20), generator(server, 1))
    assert [place for place, _ in missing] == [f"p line {i}" for i in range(5, 20)]
    named = [reason for _, reason in missing if reason is not None]
    assert len(named) == calls.GIVE_UP
    assert all("APIConnectionError" in reason for reason in named)
    server.answer, before = candidates, len(server.asked)
    assert draw(tmp_path, prompts(20), generator(server, 3)) == []
    assert {asked["messages"][0]["content"] for asked in server.asked[before:]} == {
        f"q{i}" for i in range(5, 20)
    }
    assert len(lines(write_candidates(tmp_path, prompts(20)))) == 20


def test_a_server_that_serves_nothing_is_left_after_a_few_prompts(tmp_path, server):
    for number, status in enumerate((400, 401, 500)):
        server.answer = lambda asked, status=status: failure(status)
        before = len(server.asked)
        missing = draw(tmp_path / str(number), prompts(50), generator(server, 2))
        assert len(missing) == 50
        assert sum(reason is not None for _, reason in missing) <= calls.GIVE_UP + 1
        assert len(server.asked) - before <= 2 * (calls.GIVE_UP + 1)


def test_the_key_is_in_no_file_and_no_message(tmp_path, server):
    server.answer = lambda asked: (
        failure(401, f"bad key {server.headers[-1]['authorization']}")
        if asked["messages"][0]["content"] == "q1"
        else candidates(asked)
    )
    missing = draw(tmp_path, prompts(3), generator(server, 1))
    write_candidates(tmp_path, prompts(3))
    assert [place for place, _ in missing] == ["p line 1"]
    assert server.headers[0]["authorization"] == "Bearer sk-secret"
    assert "sk-secret" not in str(missing)
    assert all(b"sk-secret" not in path.read_bytes() for path in tmp_path.iterdir())


def test_an_interruption_cancels_the_calls_under_way(tmp_path, server):
    server.answer = lambda asked: Reply(candidates(asked).body, seconds=0.05)

    def stop(count):
        if count == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_candidates(tmp_path, prompts(40), generator(server, 4), SAMPLING, stop)
    assert len(server.asked) <= 11
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()
    before = len(server.asked)
    assert draw(tmp_path, prompts(40), generator(server, 8)) == []
    assert len(server.asked) - before == 37
