"""Each protocol as its client writes it: the bytes in, the fields out, the reward of `score`."""

import base64
import json
import math
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from serving_by_hand import Client, serving, talk

import rmeval

TALK = talk("Name a prime above 10.", "11")
OTHER = talk("Name a prime above 10.", "Twelve is one, I think.")


def written(messages: list[dict[str, str]]) -> str:
    """As the demo's template writes it, by hand."""
    turns = (f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)
    return f"<s>{''.join(turns)}<|reward|>"


@pytest.fixture(scope="module")
def model() -> rmeval.RewardModel:
    return rmeval.load_model("demo", device="cpu")


@pytest.fixture(scope="module")
def client(model: rmeval.RewardModel) -> Iterator[Client]:
    with serving(model, name="my-rm") as running:
        yield running


@pytest.fixture(scope="module")
def reward(model: rmeval.RewardModel) -> float:
    return model.score([TALK])[0]


@pytest.fixture(scope="module")
def other(model: rmeval.RewardModel) -> float:
    return model.score([OTHER])[0]


@pytest.fixture(scope="module")
def ids(model: rmeval.RewardModel) -> list[int]:
    return model.encode(TALK)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_rewards_of_messages_ids_and_text_are_one_number(
    client: Client, reward: float, ids: list[int]
) -> None:
    for given in (TALK, ids, written(TALK), {"messages": TALK}):
        answer = client.post("/v1/rewards", {"conversations": [given]})
        assert answer.status == 200, answer.body
        assert answer.json == {
            "model": "my-rm",
            "scores": [reward],
            "tokens": [len(ids)],
            "truncated": [False],
        }


def test_several_in_a_request_keep_their_order(client: Client, reward: float, other: float) -> None:
    given = [written(OTHER), TALK, OTHER, written(TALK)]
    scores = client.post("/v1/rewards", {"conversations": given}).json["scores"]
    assert scores == pytest.approx([other, reward, other, reward], abs=1e-4)
    assert scores[0] == scores[2]


def test_openrlhf(client: Client, reward: float) -> None:
    body = json.dumps({"query": [written(TALK)], "prompts": ["Name"], "labels": [""]})
    answer = client.post("/get_reward", body)
    assert answer.json == {"rewards": [reward], "scores": [reward], "extra_logs": {}}
    one = client.post("/get_reward", {"query": written(TALK)})
    assert one.json["rewards"] == [reward]


def test_an_empty_shard_of_openrlhfs_has_an_empty_answer(client: Client) -> None:
    answer = client.post("/get_reward", '{"query": [], "prompts": [], "labels": []}')
    assert (answer.status, answer.json["rewards"], answer.json["scores"]) == (200, [], [])
    assert client.post("/v1/rewards", {"conversations": []}).json["scores"] == []
    assert client.post("/v1/score/evaluation", {"messages": []}).json["scores"] == []


def test_slime_gets_a_bare_number(client: Client, reward: float) -> None:
    body = {"prompt": TALK[:1], "response": TALK[1]["content"], "label": None}
    assert client.post("/reward", body).json == reward
    prompt, _, response = written(TALK).partition("11")
    assert client.post("/reward", {"prompt": prompt, "response": f"11{response}"}).json == reward


def test_llama_factory_may_call_the_model_anything(client: Client, reward: float) -> None:
    answer = client.post("/v1/score/evaluation", {"model": "model", "messages": [written(TALK)]})
    assert answer.json.pop("id").startswith("scoreval-")
    kept = {name: value for name, value in answer.json.items() if name != "id"}
    assert kept == {"object": "score.evaluation", "model": "model", "scores": [reward]}


@pytest.mark.parametrize("one", [True, False])
def test_vllms_classify_is_a_sigmoid_unless_told_otherwise(
    client: Client, reward: float, ids: list[int], one: bool
) -> None:
    for given in (ids, written(TALK)):
        body = {"model": "my-rm", "input": given if one else [given]}
        raw = client.post("/classify", {**body, "use_activation": False}).json
        assert raw["data"] == [
            {"index": 0, "label": "LABEL_0", "probs": [reward], "num_classes": 1}
        ]
        assert raw["usage"]["prompt_tokens"] == raw["usage"]["total_tokens"] == len(ids)
        squashed = client.post("/classify", body).json["data"][0]["probs"]
        assert squashed == pytest.approx([sigmoid(reward)], rel=1e-12)


def test_vllms_messages_are_one_conversation(client: Client, reward: float) -> None:
    body = {"messages": TALK, "use_activation": False}
    assert client.post("/classify", body).json["data"][0]["probs"] == [reward]
    assert client.post("/pooling", body).json["data"][0]["data"] == [reward]


def test_vllms_pooling_in_base64_is_the_bytes_of_a_float32(
    client: Client, reward: float, ids: list[int]
) -> None:
    body = {"input": [ids, ids], "use_activation": False, "encoding_format": "base64"}
    first, second = client.post("/pooling", body).json["data"]
    assert (first["index"], second["index"], first["object"]) == (0, 1, "pooling")
    assert struct.unpack("<f", base64.b64decode(first["data"])) == (reward,)


def test_sglangs_classify_answers_one_with_one_and_a_list_with_a_list(
    client: Client, reward: float, ids: list[int]
) -> None:
    for field, given in (("text", written(TALK)), ("input_ids", ids)):
        one = client.post("/classify", {field: given}).json
        assert one["embedding"] == [reward]
        assert one["meta_info"]["prompt_tokens"] == len(ids)
        assert [row["embedding"] for row in client.post("/classify", {field: [given]}).json] == [
            [reward]
        ]


def test_embeddings_are_raw_as_sglangs(client: Client, reward: float, ids: list[int]) -> None:
    answer = client.post("/v1/embeddings", {"model": "any", "input": ids}).json
    assert answer["data"] == [{"index": 0, "object": "embedding", "embedding": [reward]}]
    assert (answer["object"], answer["model"]) == ("list", "my-rm")


def test_text_embeddings_inference(client: Client, reward: float) -> None:
    text = written(TALK)
    for path in ("/predict", "/"):
        body = {"inputs": [[text], [text]], "raw_scores": True, "truncate": False}
        assert client.post(path, body).json == [[{"score": reward, "label": "LABEL_0"}]] * 2
        assert client.post(path, {"inputs": text, "raw_scores": True}).json == [
            {"score": reward, "label": "LABEL_0"}
        ]
    found = client.post("/predict", {"inputs": text}).json[0]["score"]
    assert found == pytest.approx(sigmoid(reward), rel=1e-12)
    pair = client.post("/predict", {"inputs": [text, text]})
    assert pair.status == 400
    assert "pair" in pair.message


def test_openais_own_client_reads_chat_and_embeddings(
    client: Client, reward: float, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    openai = pytest.importorskip("openai")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    asking = openai.OpenAI(base_url=f"http://127.0.0.1:{client.port}/v1", api_key="x")
    with asking:
        said = asking.chat.completions.create(model="my-rm", messages=TALK).choices[0]
        vector: Any = asking.embeddings.create(model="my-rm", input=ids).data[0].embedding
        listed = [model.id for model in asking.models.list()]
    assert said.message.content == f"reward:{reward}"
    assert said.logprobs.content[0].logprob == reward
    assert vector == [pytest.approx(reward, rel=1e-6)]
    assert listed == ["my-rm"]


def test_an_unknown_model_is_404_where_openais_and_vllms_protocols_say_so(
    client: Client, ids: list[int]
) -> None:
    for path, body in (
        ("/classify", {"input": ids}),
        ("/pooling", {"input": ids}),
        ("/v1/chat/completions", {"messages": TALK}),
    ):
        answer = client.post(path, {**body, "model": "another"})
        assert answer.status == 404
        assert "my-rm" in answer.message


def test_vllms_truncation_cuts_ids_on_the_side_that_is_said(
    client: Client, model: rmeval.RewardModel, ids: list[int]
) -> None:
    body = {"input": ids, "use_activation": False, "truncate_prompt_tokens": 5}
    for side, kept in (("left", ids[-5:]), ("right", ids[:5])):
        answer = client.post("/classify", {**body, "truncation_side": side}).json
        assert answer["data"][0]["probs"] == pytest.approx(model.score_tokens([kept]), abs=1e-5)
        assert answer["usage"]["prompt_tokens"] == 5
    assert "truncation_side" in client.post("/classify", body).message
    whole = client.post("/classify", {**body, "truncate_prompt_tokens": -1})
    assert whole.json["usage"]["prompt_tokens"] == len(ids)


@pytest.mark.parametrize("name", ["activation", "softmax", "normalize"])
def test_older_names_of_use_activation_are_refused_and_not_passed_over(
    client: Client, ids: list[int], name: str
) -> None:
    answer = client.post("/classify", {"input": ids, name: False})
    assert answer.status == 400
    assert "use_activation" in answer.message


def test_what_is_served_is_told_in_full(client: Client, model: rmeval.RewardModel) -> None:
    told, provenance = client.get("/info").json, model.provenance()
    for name in ("fingerprint", "revision", "dtype", "template_sha256", "max_length", "family"):
        assert told[name] == provenance[name]
    assert told["versions"]["rmeval"] == rmeval.__version__
    assert told["serving"]["on_long"] == "cut"
    info = f'rmeval_model_info{{fingerprint="{model.fingerprint}",name="my-rm"}} 1.0'
    assert info in client.get("/metrics").body.decode().splitlines()
    shown = client.get("/v1/models").json["data"][0]
    assert (shown["id"], shown["max_model_len"]) == ("my-rm", model.max_length)
