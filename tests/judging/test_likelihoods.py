"""Verdicts by the probability of a token: exactly for a model here, as far as told by a server."""

from collections.abc import Iterator
from contextlib import closing
from functools import cache
from math import exp, log
from pathlib import Path

import pytest
import torch
from judged_rows import pairs, row
from loopback import Loopback, Reply, choices, failure, serving
from tiny_generator import tiny_generator

from rmeval.engine import scoring
from rmeval.engine.store import ScoreStore
from rmeval.errors import BadOption, ServerFailure
from rmeval.judging.answers import ServerAnswers
from rmeval.judging.loading import Answering, Asking, make_judge, open_local
from rmeval.judging.verdicts import Likely
from rmeval.llm.endpoint import Answer

HEAD = 'name = "own"\nmax_new_tokens = 8\ntemperature = 0\n'
YES_NO = f"""kind = "rating"
{HEAD}user = "{{prompt}} {{response}}"
[verdict]
tokens = {{ a = 1, b = 0 }}
"""
PAIR = f"""kind = "pairwise"
{HEAD}user = "{{prompt}} {{a}} or {{b}}"
[verdict]
tokens = {{ A = 1, B = 0 }}
"""
DIGITS = f"""kind = "rating"
{HEAD}user = "{{prompt}} {{response}}"
[verdict]
before = '{{"score": "'
tokens = {{ 1 = 1, 2 = 2, 3 = 3, 4 = 4, 5 = 5 }}
"""
LETTERS = f"""kind = "listwise"
{HEAD}user = "{{prompt}} {{responses}}"
[verdict]
letters = true
"""


@pytest.fixture
def mine(tmp_path: Path):
    def write(text: str) -> str:
        (tmp_path / "own.toml").write_text(text)
        return str(tmp_path / "own.toml")

    return write


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.manual_seed(3)
    return tiny_generator(tmp_path_factory.mktemp("likely"), initializer_range=0.4)


def local(folder, prompt: str, **asking):
    answers = open_local(str(folder), Answering(device="cpu", batch=2))
    return make_judge(str(folder), answers, Asking(prompt, **asking))


@cache
def reference(folder):
    """Transformers' own tokenizer and model, in float64, and the text of every usual token."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    usual = set(range(len(tokenizer))) - set(tokenizer.all_special_ids)
    return tokenizer, network, {token: tokenizer.decode([token]).strip() for token in usual}


def by_hand(folder, conversation, before: str, labels: list[str]) -> list[float]:
    """The probability of each label, of all tokens that are it, in the whole vocabulary."""
    tokenizer, network, texts = reference(folder)
    messages = [message.fields() for message in conversation]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text + before, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        chances = network(torch.tensor([ids])).logits[0, -1].softmax(-1)
    return [sum(float(chances[t]) for t in texts if texts[t] == label) for label in labels]


@pytest.mark.parametrize(("text", "before"), [(YES_NO, ""), (DIGITS, '{"score": "')])
def test_the_expected_rating_is_that_of_the_whole_vocabulary(folder, mine, text, before) -> None:
    rows = [row(n, f"a good answer {n}", f"bad {n}") for n in range(3)]
    judge = local(folder, mine(text))
    scored = judge.score_preferences(rows)
    values = judge.prompt_format.verdict.values
    for item, preference in zip(scored, rows, strict=True):
        for score, response in zip(item.scores, preference.responses, strict=True):
            asked = judge.prompt_format.question(preference.prompt, (response,))
            chances = by_hand(folder, asked, before, list(values))
            expected = sum(p * v for p, v in zip(chances, values.values(), strict=True))
            assert score.value == pytest.approx(expected / sum(chances), rel=1e-5)
    assert judge.account()["passes"]["path"] == "packed"
    assert 0 < judge.account()["label_probability"] < 1
    assert judge.account()["completion_tokens"] == 0


def test_two_responses_are_compared_by_the_probability_of_the_first(folder, mine) -> None:
    judge = local(folder, mine(PAIR))
    (item,) = judge.score_preferences([row(0, "good", "bad")])
    first = []
    for shown in (("good", "bad"), ("bad", "good")):
        a, b = by_hand(
            folder, judge.prompt_format.question(row(0, "x", "y").prompt, shown), "", ["A", "B"]
        )
        first.append(a / (a + b))
    assert item.scores[0].value == pytest.approx((first[0] + 1 - first[1]) / 2, rel=1e-5)
    assert item.comparisons.unparsed == 0


def test_several_share_the_win_by_the_probabilities_of_their_letters(folder, mine) -> None:
    judge = local(folder, mine(LETTERS), order="latin")
    (item,) = judge.score_preferences([row(0, "one", "two", "three")])
    assert sum(score.value for score in item.scores) == pytest.approx(1)
    assert all(0 < score.value < 1 for score in item.scores)
    assert item.comparisons.made == 3


def test_a_run_that_was_stopped_goes_on_where_it_stood(
    folder, mine, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt, rows = mine(YES_NO), pairs(30)
    whole = local(folder, prompt).score_preferences(rows)
    monkeypatch.setattr("rmeval.llm.likelihoods.serving_batch_tokens", lambda *_: 60)
    done: list[int] = []
    forward = scoring.start_packed

    def stops(network, group):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(len(group))
        return forward(network, group)

    monkeypatch.setattr(scoring, "start_packed", stops)
    with closing(ScoreStore(tmp_path / "store", {})) as store:
        with pytest.raises(KeyboardInterrupt):
            local(folder, prompt).score_preferences(rows, store=store)
        assert len(store) == 3  # groups that are whole
        done[:] = []
        monkeypatch.setattr(scoring, "start_packed", lambda *a: done.append(0) or forward(*a))
        again = local(folder, prompt).score_preferences(rows, store=store)
        made = len(done)
        assert made > 0
        local(folder, prompt).score_preferences(rows, store=store)
        assert len(done) == made  # answers that are there need no pass
    values = [[s.value for item in found for s in item.scores] for found in (whole, again)]
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_a_label_that_is_no_token_is_refused_in_one_line(folder, mine) -> None:
    text = YES_NO.replace("a = 1", "certainly-not = 1")
    with pytest.raises(BadOption, match=r"has no token 'certainly-not', whose probability the"):
        local(folder, mine(text)).score_preferences(pairs(1))


def test_a_prompt_that_is_too_long_leaves_its_row_out(tmp_path_factory, mine) -> None:
    short = tiny_generator(tmp_path_factory.mktemp("room"), max_position_embeddings=80)
    judge = local(short, mine(YES_NO))
    found = judge.score_preferences([*pairs(2), row(9, "good " * 90, "bad")])
    assert [item.id for item in found] == ["r0", "r1"]
    assert judge.account()["refused"] == 1


# On a server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with serving(monkeypatch, retries=1) as running:
        monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
        yield running


def told(*tokens: tuple[str, dict[str, float]], text: str | None = None) -> Reply:
    """An answer with the probabilities of the likeliest tokens in each place."""
    reply = choices("".join(t for t, _ in tokens) if text is None else text, finish="length")
    reply.body["choices"][0]["logprobs"] = {
        "content": [
            {
                "token": token,
                "logprob": log(likeliest.get(token, 0.5)),
                "bytes": None,
                "top_logprobs": [
                    {"token": t, "logprob": log(p), "bytes": None} for t, p in likeliest.items()
                ],
            }
            for token, likeliest in tokens
        ]
    }
    return reply


def remote(server: Loopback, prompt: str):
    return make_judge("x", ServerAnswers(server.url, "x", 1, 10.0), Asking(prompt))


def test_a_server_is_asked_for_probabilities_and_spellings_add_up(server: Loopback, mine) -> None:
    server.answer = lambda asked: told(("a", {"a": 0.5, " a": 0.1, "b": 0.2, "x": 0.1, "B": 0.05}))
    judge = remote(server, mine(YES_NO))
    (item,) = judge.score_preferences([row(0, "x", "y")])
    assert item.scores[0].value == pytest.approx(0.6 / 0.8)
    assert {(a["logprobs"], a["top_logprobs"]) for a in server.asked} == {(True, 20)}
    assert judge.account()["label_probability"] == pytest.approx(0.8)
    assert judge.account()["cut"] == 0


PLACES = {
    "after white space": [("\n", {"\n": 1.0}), (" a", {" a": 0.9, "b": 0.1})],
    "after thinking": [
        ("<think>", {"<think>": 1.0}),
        ("b", {"b": 0.9, "a": 0.1}),
        ("</think>", {"</think>": 1.0}),
        ("\n\n", {"\n\n": 1.0}),
        ("a", {"a": 0.9, "b": 0.1}),
    ],
    "before an end": [("a", {"a": 0.9, "b": 0.1}), ("<|im_end|>", {"<|im_end|>": 1.0})],
}


@pytest.mark.parametrize("kind", PLACES)
def test_the_place_of_the_label_is_found(server: Loopback, mine, kind: str) -> None:
    text = "".join(token for token, _ in PLACES[kind]).removesuffix("<|im_end|>")
    server.answer = lambda asked: told(*PLACES[kind], text=text)
    (item,) = remote(server, mine(YES_NO)).score_preferences([row(0, "x", "y")])
    assert item.scores[0].value == pytest.approx(0.9)


def test_the_label_stands_after_what_the_answer_begins_with(server: Loopback, mine) -> None:
    begins = [('{"', {'{"': 1.0}), ("score", {"score": 1.0}), ('": "', {'": "': 1.0})]
    digits = {"4": 0.5, "5": 0.4, "3": 0.05, "2": 0.03, "1": 0.02}
    server.answer = lambda asked: told(*begins, ("4", digits), ('"}', {'"}': 1.0}))
    (item,) = remote(server, mine(DIGITS)).score_preferences([row(0, "x", "y")])
    assert item.scores[0].value == pytest.approx(4 * 0.5 + 5 * 0.4 + 3 * 0.05 + 2 * 0.03 + 0.02)
    server.answer = lambda asked: told(("4", digits))  # it does not begin so
    (item,) = remote(server, mine(DIGITS)).score_preferences([row(1, "x", "y")])
    assert item.comparisons.unparsed == 2


@pytest.mark.parametrize("quote", [' "', " "])
def test_the_digit_of_a_written_answer_is_found_by_a_pattern(
    server: Loopback, mine, quote: str
) -> None:
    begins = [('{"', {'{"': 1.0}), ("score", {"score": 1.0}), ('":', {'":': 1.0})]
    digit = ("4", {"4": 0.5, "5": 0.5})
    server.answer = lambda asked: told(*begins, (quote, {quote: 1.0}), digit, ("}", {"}": 1.0}))
    (item,) = remote(server, "lmunit").score_preferences([row(0, "x", "y")])
    assert item.scores[0].value == pytest.approx(4.5)
    twice = [*begins, (quote, {quote: 1.0}), digit]
    server.answer = lambda asked: told(*twice, *twice)
    (item,) = remote(server, "lmunit").score_preferences([row(1, "x", "y")])
    assert item.comparisons.unparsed == 2


def test_a_written_answer_takes_a_server(folder) -> None:
    with pytest.raises(BadOption, match="finds its token within an answer that is written first"):
        local(folder, "lmunit").score_preferences(pairs(1))


@pytest.mark.parametrize(
    ("labels", "unseen", "value"),
    [
        ({"a": log(0.9)}, log(1e-4), 1.0),  # b has at most a ten-thousandth
        ({"a": log(0.5)}, log(0.2), None),  # b may have as much as a fifth
        ({}, log(0.5), None),
        ({"a": log(0.3), "b": log(0.1)}, None, 0.75),
        (None, None, None),
    ],
)
def test_a_label_that_was_cut_off_may_not_matter(labels, unseen, value) -> None:
    reader = Likely({"a": 1.0, "b": 0.0})
    answer = Answer("a", "length", 1, 1, labels=labels, unseen=unseen)
    found = reader.read(answer, 1)
    assert found == (None if value is None else (pytest.approx(value),))


def test_what_a_cut_list_leaves_out_is_bounded_by_its_last(server: Loopback, mine) -> None:
    """Five tokens are told; b is none of them, so it has no more than the last of them."""
    five = {"a": 0.9, "v": 0.05, "w": 0.03, "x": 0.01, "y": 0.005}
    server.answer = lambda asked: told(("a", five))
    judge = remote(server, mine(YES_NO))
    (item,) = judge.score_preferences([row(0, "x", "y")])
    assert (item.scores[0].value, item.comparisons.unparsed) == (1.0, 0)
    (answer, _) = judge.record.answers.values()
    assert exp(answer.unseen) == pytest.approx(0.005)
    even = {"a": 0.3, "v": 0.2, "w": 0.2, "x": 0.1, "y": 0.1}
    server.answer = lambda asked: told(("a", even))
    (item,) = remote(server, mine(YES_NO)).score_preferences([row(1, "x", "y")])
    assert item.comparisons.unparsed == 2


def test_a_server_that_gives_no_probabilities_is_refused_in_one_line(
    server: Loopback, mine
) -> None:
    server.answer = lambda asked: choices("a")
    with pytest.raises(ServerFailure) as raised:
        remote(server, mine(YES_NO)).score_preferences(pairs(20))
    assert "no probabilities of tokens (logprobs), which this prompt format reads" in str(
        raised.value
    )
    assert "\n" not in str(raised.value)
    assert len(server.asked) == 5


def test_a_server_that_gives_fewer_is_asked_for_fewer(server: Loopback, mine) -> None:
    def few(asked) -> Reply:
        if asked["top_logprobs"] > 5:
            return failure(400, "top_logprobs must be at most 5")
        return told(("a", {"a": 0.9, "b": 0.1}))

    server.answer = few
    (item,) = remote(server, mine(YES_NO)).score_preferences([row(0, "x", "y")])
    assert item.scores[0].value == pytest.approx(0.9)
    assert [a["top_logprobs"] for a in server.asked] == [20, 5, 5]


@pytest.mark.parametrize("odd", [None, "high", 0.5, True, float("nan"), -1e400])
def test_probabilities_that_are_none_are_not_read(server: Loopback, mine, odd) -> None:
    def strange(asked) -> Reply:
        reply = told(("a", {"a": 0.9, "b": 0.1}))
        reply.body["choices"][0]["logprobs"]["content"][0]["top_logprobs"][1]["logprob"] = odd
        return reply

    server.answer = strange
    (item,) = remote(server, mine(YES_NO)).score_preferences([row(0, "x", "y")])
    assert item.scores[0].value in (1.0, 0.5)
