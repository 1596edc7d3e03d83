"""A server that fails in every way is named in one line, and asked again where that may help."""

import asyncio
import sys
import threading
import time

import pytest
from loopback import Loopback, Reply, choices, failure, serving

from rmeval.conversations import to_conversation
from rmeval.errors import BadOption, ServerFailure
from rmeval.llm import calls, endpoint
from rmeval.llm.endpoint import Answer, Endpoint, RequestRefused
from rmeval.records import Message

pytest.importorskip("openai")
PROMPT = (Message("system", "Be short."), Message("user", "Why?"))


@pytest.fixture
def server(monkeypatch):
    with serving(monkeypatch, retries=2) as running:
        yield running


def ask(server, seconds=10.0, call=Endpoint.complete, prompt=PROMPT, **settings):
    async def once():
        asked = Endpoint(server.url, "tiny", seconds=seconds)
        try:
            return await call(asked, prompt, **settings)
        finally:
            await asked.close()

    return asyncio.run(once())


def test_fields_of_messages_and_tools_are_sent(server):
    tools = [{"type": "function", "function": {"name": "f"}}]
    turn = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    said = [PROMPT[1].fields(), turn, {"role": "tool", "content": "9", "tool_call_id": "1"}]
    server.answer = lambda asked: choices("a")
    assert ask(server, prompt=to_conversation(said, "", tools)) == ["a"]
    assert server.asked == [{"model": "tiny", "messages": said, "tools": tools}]


def test_the_texts_of_all_choices_come_back_in_order(server):
    server.answer = lambda asked: choices("a", "", "b")
    assert ask(server, n=3, temperature=0.5, extra_body={"top_k": 7}) == ["a", "", "b"]
    assert server.asked == [
        {
            "model": "tiny",
            "messages": [
                {"role": "system", "content": "Be short."},
                {"role": "user", "content": "Why?"},
            ],
            "n": 3,
            "temperature": 0.5,
            "top_k": 7,
        }
    ]


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_a_failure_that_passes_is_asked_again(server, status):
    replies = [failure(status), failure(status), choices("at last")]
    server.answer = lambda asked: replies.pop(0)
    assert ask(server) == ["at last"]
    assert len(server.asked) == 3


def test_a_server_says_how_long_to_wait(server):
    replies = [Reply({}, 429, {"retry-after": "0.3"}), choices("now")]
    server.answer = lambda asked: replies.pop(0)
    started = time.monotonic()
    assert ask(server) == ["now"]
    assert time.monotonic() - started >= 0.3


CALL = {"content": "I look.", "tool_calls": [{"id": "1", "type": "function", "function": {}}]}
FAILURES = {
    "500 for ever": (failure(500, "on fire"), "InternalServerError", 3),
    "429 for ever": (failure(429, "slow down"), "RateLimitError", 3),
    "no such model": (failure(404, "no model tiny"), "no model tiny", 1),
    "a wrong key": (failure(401), "AuthenticationError", 1),
    "no JSON": (Reply("<html>It works!</html>"), "JSONDecodeError", 1),
    "no end of brackets": (Reply("[" * 100_000), ")", 1),
    "a list": (Reply([1, 2]), "an answer without choices", 1),
    "a number": (Reply("3"), "an answer without choices", 1),
    "null": (Reply("null"), "an answer without choices", 1),
    "no choices": (Reply({"object": "error", "message": "x"}), "an answer without choices", 1),
    "an empty list of choices": (choices(), "an answer without choices", 1),
    "choices of no kind": (Reply({"choices": "many"}), "an answer without choices", 1),
    "a choice of no kind": (Reply({"choices": [3]}), "an answer without text", 1),
    "a message of no kind": (Reply({"choices": [{"message": "x"}]}), "without text", 1),
    "null for a text": (choices("a", None), "without text (finish_reason stop)", 1),
    "a number for a text": (choices(3), "an answer without text", 1),
    "a call": (Reply({"choices": [{"message": CALL}]}), "an answer that calls a tool", 1),
    "half a surrogate pair": (choices("\ud83d"), "half of a surrogate pair", 1),
    "a body cut short": (Reply(choices("a" * 999).body, cut=True), "APIConnectionError", 3),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_what_is_no_answer_is_named_in_one_line(server, kind, monkeypatch):
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    reply, said, calls = FAILURES[kind]
    server.answer = lambda asked: reply
    with pytest.raises(ServerFailure) as raised:
        ask(server)
    message = str(raised.value)
    assert message.startswith(f"{server.url}: ")
    assert said in message
    assert message.isprintable()
    assert len(message) < 500
    assert len(server.asked) == calls


ANSWERS = {
    "text": (choices("yes", usage=(7, 3)), Answer("yes", "stop", 7, 3)),
    "the first of several": (choices("yes", "no"), Answer("yes", "stop", None, None)),
    "no text at the limit": (choices(None, finish="length"), Answer("", "length", None, None)),
    "filtered": (choices(None, finish="content_filter"), Answer("", "content_filter", None, None)),
    "refused": (choices(None, refusal="No."), Answer("No.", "stop", None, None, True)),
    "text beside a refusal": (choices("x", refusal="No."), Answer("x", "stop", None, None, True)),
    "an end of no kind": (choices("x", finish=3), Answer("x", None, None, None)),
    "half a pair": (choices("a\ud83d", usage=(0, True)), Answer("a\ufffd", "stop", 0, None)),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_says_how_it_ended_and_what_it_took(server, kind):
    reply, answer = ANSWERS[kind]
    server.answer = lambda asked: reply
    assert ask(server, call=Endpoint.answer) == answer._replace(server=server.url)
    assert (answer.cut, answer.finished) == (
        kind == "no text at the limit",
        not answer.refused and answer.text in ("yes", "x", "a\ufffd"),
    )


@pytest.mark.parametrize("reply", [choices(None), choices(3), choices(), Reply("[]")])
def test_what_says_nothing_and_not_why_is_no_answer(server, reply):
    server.answer = lambda asked: reply
    with pytest.raises(ServerFailure, match="an answer without"):
        ask(server, call=Endpoint.answer)


@pytest.mark.parametrize("status", [400, 422])
def test_a_request_that_is_refused_is_not_asked_again(server, status):
    server.answer = lambda asked: failure(status, "unknown parameter top_k")
    with pytest.raises(RequestRefused, match="unknown parameter top_k"):
        ask(server)
    assert len(server.asked) == 1


def test_a_server_that_does_not_answer_in_time_is_left(server, monkeypatch):
    monkeypatch.setattr(endpoint, "RETRIES", 0)
    server.answer = lambda asked: Reply(seconds=1.0)
    started = time.monotonic()
    with pytest.raises(ServerFailure, match="APITimeoutError"):
        ask(server, seconds=0.2)
    assert time.monotonic() - started < 0.9


def test_nobody_at_home(monkeypatch):
    monkeypatch.setattr(endpoint, "RETRIES", 0)
    nowhere = Loopback()
    nowhere.url = "http://127.0.0.1:9/v1"
    with pytest.raises(ServerFailure, match=r"127\.0\.0\.1:9/v1: APIConnectionError"):
        ask(nowhere)


def test_the_key_is_sent_and_stands_in_no_message(server, monkeypatch):
    monkeypatch.setenv(endpoint.KEY, "sk-very-secret")
    server.answer = lambda asked: failure(401, "Incorrect API key provided: sk-very-secret.")
    with pytest.raises(ServerFailure) as raised:
        ask(server)
    assert server.headers[0]["authorization"] == "Bearer sk-very-secret"
    assert "Incorrect API key provided: …." in str(raised.value)
    assert "very-secret" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("value", [None, ""])
def test_a_server_without_keys_needs_none(server, monkeypatch, value):
    if value is not None:
        monkeypatch.setenv(endpoint.KEY, value)
    server.answer = lambda asked: choices("free")
    assert ask(server) == ["free"]


@pytest.mark.parametrize(
    "url", ["http://me:sk-1@host/v1", "http://sk-1@host/v1", "https://host/v1?key=sk-1"]
)
def test_a_secret_in_the_url_is_refused_and_not_repeated(url):
    with pytest.raises(BadOption, match=endpoint.KEY) as raised:
        Endpoint(url, "tiny")
    assert "sk-1" not in str(raised.value)


def test_without_the_client_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(BadOption, match=r"pip install 'rmeval\[server\]'"):
        Endpoint("http://127.0.0.1/v1", "tiny")


@pytest.mark.parametrize("finish", endpoint.BROKEN)
def test_an_answer_that_broke_off_is_a_failure(server, finish):
    server.answer = lambda asked: choices("[[A]]", finish=finish)
    with pytest.raises(ServerFailure, match=f"broke off \\(finish_reason {finish}\\)"):
        ask(server, call=Endpoint.answer)


def test_an_error_sent_as_an_answer_is_a_failure_in_the_servers_words(server):
    for more in ({}, choices("[[A]]").body):
        server.answer = lambda asked, more=more: Reply({**more, "error": {"message": "no credit"}})
        with pytest.raises(ServerFailure, match=r"an error in place of an answer .*no credit"):
            ask(server, call=Endpoint.answer)


@pytest.mark.parametrize("status", endpoint.REFUSALS)
def test_a_request_that_is_too_large_is_refused(server, status):
    server.answer = lambda asked: failure(status, "too large")
    with pytest.raises(RequestRefused, match="too large"):
        ask(server)
    assert len(server.asked) == 1


def test_a_repeated_key_a_half_character_and_an_absurd_count_do_not_come_back(server, monkeypatch):
    monkeypatch.setenv(endpoint.KEY, "sk-secret")
    server.answer = lambda asked: choices("sk-secret [[A]]", finish="\ud800", usage=(10**400, 1))
    expected = Answer("… [[A]]", "\ufffd", None, 1, server=server.url)
    assert ask(server, call=Endpoint.answer) == expected


@pytest.mark.parametrize(
    "url", ["", "foo", "http://", "http://[::1", "http://a:99999/v1", "ftp://a/v1"]
)
def test_an_address_that_leads_nowhere_is_found_before_a_call(url):
    with pytest.raises(BadOption, match="a server's URL is http"):
        Endpoint(url, "tiny")


@pytest.mark.parametrize("url", ["http://:secret@a/v1", "http://a/v1#secret"])
def test_a_secret_in_an_address_is_refused_and_not_repeated(url):
    with pytest.raises(BadOption) as refused:
        Endpoint(url, "tiny")
    assert "secret" not in str(refused.value)


def test_an_environment_that_the_client_cannot_use_is_said_in_one_line(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "junk://a")
    with pytest.raises(BadOption, match="the client cannot start"):
        Endpoint("http://a/v1", "tiny")


def test_calls_are_made_where_an_event_loop_is_running_and_leave_no_thread(server):
    server.answer = lambda asked: choices("yes")

    async def cell():  # as a notebook runs one
        asked = Endpoint(server.url, "tiny")
        return list(calls.ask_each(asked, range(5), lambda _: asked.answer(PROMPT), 2))

    found = asyncio.run(cell())
    assert sorted(index for index, _ in found) == [0, 1, 2, 3, 4]
    assert {answer.text for _, answer in found} == {"yes"}
    assert "rmeval-calls" not in {thread.name for thread in threading.enumerate()}


def test_what_came_before_an_interrupt_is_kept_in_the_thread_that_asks():
    kept, all_came = [], threading.Barrier(3)

    class Silent:
        async def close(self):
            pass

    async def ask(item):
        await asyncio.to_thread(all_came.wait, 5)
        return -item

    def keep(item, found):
        time.sleep(0.05)  # for the others to come too
        kept.append((item, found, threading.current_thread()))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(calls.ask_each(Silent(), [1, 2, 3], ask, 3, keep=keep))
    assert {(item, found) for item, found, _ in kept} == {(1, -1), (2, -2), (3, -3)}
    assert {thread for *_, thread in kept} == {threading.current_thread()}


def test_a_call_that_drips_for_ever_ends(server):
    server.answer = lambda asked: Reply(seconds=2.0)
    asked = Endpoint(server.url, "tiny", seconds=10.0)
    asked._patience = 0.2

    async def once():
        try:
            await asked.answer(PROMPT)
        finally:
            await asked.close()

    with pytest.raises(ServerFailure, match=r"no complete answer in 0\.2 s"):
        asyncio.run(once())


@pytest.mark.parametrize("key", ["two words", "new\nline", "schlüssel"])
def test_a_key_that_no_header_can_hold_is_refused_unseen(server, monkeypatch, key):
    monkeypatch.setenv(endpoint.KEY, key)
    with pytest.raises(BadOption) as raised:
        Endpoint(server.url, "tiny")
    assert key not in str(raised.value)


def test_a_dummy_key_mangles_no_words_and_a_trailing_line_break_is_no_key(server, monkeypatch):
    monkeypatch.setenv(endpoint.KEY, "e\n")
    server.answer = lambda asked: failure(404, "here there are eleven entries")
    with pytest.raises(ServerFailure, match="here there are eleven entries"):
        ask(server)
    sent = {name.lower(): value for name, value in server.headers[-1].items()}
    assert sent["authorization"] == "Bearer e"


def test_a_refused_connection_says_why(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(endpoint, "RETRIES", 0)

    async def once():
        asked = Endpoint("http://127.0.0.1:9/v1", "tiny")
        try:
            await asked.answer(PROMPT)
        finally:
            await asked.close()

    with pytest.raises(ServerFailure, match=r"APIConnectionError .*(attempts|refused)"):
        asyncio.run(once())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server, status):
    """Of 301 the client would make a GET without the question, and count its answer."""
    others = []

    def answer(asked):
        others.append(asked)
        return Reply("", status, {"location": f"{server.url}/elsewhere"})

    server.answer = answer
    with pytest.raises(ServerFailure) as caught:
        ask(server)
    assert f"{status}" in str(caught.value)
    assert f"{server.url}/elsewhere" in str(caught.value)
    assert "pass that address" in str(caught.value)
    assert len(others) == 1


@pytest.mark.parametrize("url", ["http://a/v1", "http://10.0.0.1/v1", "http://127.0.0.1.a/v1"])
def test_a_key_crosses_no_network_in_the_clear(url, monkeypatch):
    monkeypatch.delenv(endpoint.KEY, raising=False)
    Endpoint(url, "tiny")
    monkeypatch.setenv(endpoint.KEY, "sk-secret")
    with pytest.raises(BadOption, match=r"in the clear, to http://.* or pass `key_over_http=True`"):
        Endpoint(url, "tiny")
    Endpoint(url, "tiny", key_over_http=True)


@pytest.mark.parametrize(
    "url", ["https://a/v1", "http://localhost:8000/v1", "http://127.1.2.3/v1", "http://[::1]:1/v1"]
)
def test_a_key_goes_to_https_and_to_this_machine(url, monkeypatch):
    monkeypatch.setenv(endpoint.KEY, "sk-secret")
    Endpoint(url, "tiny")
