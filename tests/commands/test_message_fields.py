"""Every field of a message, and tools, are written as the tokenizer's own call writes them."""

import json

import pytest
from command_line import done, refusal, small_model
from language_models import write_pair
from transformers import AutoTokenizer

import rmeval
from rmeval.conversations import to_conversation
from rmeval.llm.generator import LocalGenerator
from rmeval.records import Sampling

TEMPLATE = (
    "{% if tools %}{{ tools | tojson }}\n{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}"
    "{% if m.name %}={{ m.name }}{% endif %}\n{{ m.reasoning_content or '' }}{{ m.content or '' }}"
    "{% for c in m.tool_calls or [] %}<call>{{ c | tojson }}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TOOLS = [{"type": "function", "function": {"name": "weather", "a": "Grüße"}}]


def calling(city, **more):
    call = {"name": "weather", "arguments": {"city": city}}
    return {"role": "assistant", "content": None, "tool_calls": [call], **more}


ASK = {"role": "user", "content": "What is the weather in Oslo?", "name": "ann"}
TALK = [ASK, calling("Oslo", reasoning_content="Oslo it is."), {"role": "tool", "content": "9"}]
SAID = {"role": "assistant", "content": "9 degrees"}
GOOD, BAD = calling("Oslo"), calling("Paris")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = small_model(tmp_path_factory.mktemp("lab") / "model")
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": TEMPLATE}))
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return rmeval.load_model(folder, device="cpu", dtype="float64")


def reference(model, messages, tools=None):
    """The score of what the tokenizer itself makes of messages."""
    text = model.tokenizer.apply_chat_template(messages, tools=tools, tokenize=False)
    ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
    end = model.family.end_token()
    return model.score_tokens([ids if end is None or ids[-1] == end else [*ids, end]])[0]


@pytest.mark.parametrize("tools", [None, TOOLS, []])
@pytest.mark.parametrize("messages", [[ASK, GOOD], [ASK, BAD], [*TALK, SAID]])
def test_a_score_is_that_of_the_tokenizers_own_text(model, messages, tools):
    conversation = {"messages": messages, "tools": tools}
    expected = reference(model, messages, tools)
    assert model.score([conversation]) == pytest.approx([expected], abs=1e-9)
    plain = [{"role": m["role"], "content": m["content"] or ""} for m in messages]
    assert abs(reference(model, plain) - expected) > 1e-6


def lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_verb_gives_the_same_scores(model, folder, tmp_path, capsys):
    good, bad = (reference(model, [ASK, reply], TOOLS) for reply in (GOOD, BAD))
    given = ("--model", folder, "--device", "cpu", "--dtype", "float64", "--output")

    def out(verb, row):
        path = lines(tmp_path / f"{verb}.jsonl", row)
        done(capsys, verb, *given, tmp_path / "out.jsonl", "--input", path)
        [line] = read(tmp_path / "out.jsonl")
        return line

    scored = out("score", {"messages": [ASK, GOOD], "tools": TOOLS})
    assert scored["score"] == pytest.approx(good, abs=1e-9)
    replies = {"prompt": [ASK], "tools": TOOLS, "responses": [BAD, GOOD]}
    ranked = out("rank", replies)
    assert ranked["scores"] == pytest.approx([bad, good], abs=1e-9)
    assert ranked["responses"] == replies["responses"]
    better, worse = (GOOD, BAD) if good > bad else (BAD, GOOD)
    pair = {"prompt": [ASK], "tools": TOOLS, "chosen": [better], "rejected": [worse]}
    assert out("filter", pair)["score_margin"] == pytest.approx(abs(good - bad), abs=1e-9)
    whole = {"chosen": [ASK, better], "rejected": [ASK, worse], "tools": json.dumps(TOOLS)}
    for name, row in (("replies", pair), ("whole", whole)):
        path = lines(tmp_path / f"{name}.jsonl", row)
        done(capsys, "run", *given, tmp_path / name, "--benchmark", path)
        [row] = read(next((tmp_path / name).rglob("scores.jsonl")))
        found = [response["value"] for response in row["responses"]]
        assert found == pytest.approx([max(good, bad), min(good, bad)], abs=1e-9)
    assert model.best_of({"messages": [ASK], "tools": TOOLS}, [BAD, GOOD])[1] == pytest.approx(
        [bad, good], abs=1e-9
    )


def test_a_row_is_shown_with_its_calls(folder, tmp_path, capsys):
    path = lines(tmp_path / "rows.jsonl", {"prompt": [ASK], "chosen": [GOOD], "rejected": [BAD]})
    out, _ = done(capsys, "show", path, "1", "--model", folder)
    assert [json.dumps(reply["tool_calls"][0]) in out for reply in (GOOD, BAD)] == [True, True]


def test_pairs_with_calls_are_written_as_lines_and_not_as_columns(tmp_path, capsys):
    row = {"prompt": [ASK], "responses": [GOOD, "no"], "scores": [1, 0], "tools": TOOLS}
    verb = ("pairs", "--input", lines(tmp_path / "ranked.jsonl", row), "--output", tmp_path / "out")
    assert "which no single column type can hold; write jsonl" in refusal(
        capsys, *verb, "--format", "parquet"
    )
    done(capsys, *verb)
    [made] = read(tmp_path / "out/train.jsonl")
    assert (made["prompt"], made["chosen"], made["tools"]) == ([ASK], [GOOD], TOOLS)


def test_what_is_too_long_is_cut_and_its_fields_stay(folder):
    short = rmeval.load_model(folder, device="cpu", max_length=120)
    messages = [{**ASK, "content": "amber " * 200}, GOOD]
    ids, truncated = short.encode_fitted({"messages": messages, "tools": TOOLS})
    text = short.tokenizer.decode(list(ids))
    assert (truncated, len(ids)) == (True, 120)
    assert text.startswith(json.dumps(TOOLS, ensure_ascii=False))
    assert json.dumps(GOOD["tool_calls"][0]) in text


@pytest.fixture(scope="module")
def causal(tmp_path_factory):
    """A policy and its reference, with the template."""
    pair = write_pair(tmp_path_factory.mktemp("causal"), vocab_size=4103, num_hidden_layers=1)
    tokenizer = rmeval.load_model("demo", device="cpu").tokenizer
    tokenizer.chat_template = TEMPLATE
    for folder in pair:
        tokenizer.save_pretrained(folder)
    return pair


def test_a_dpo_response_is_the_call_alone(causal):
    model = rmeval.load_model(causal[0], reference=causal[1], device="cpu")
    row = model.sequence({"messages": [ASK, GOOD], "tools": TOOLS})
    said = model.tokenizer.decode([~token for token in row if token < 0])
    assert said == f"<call>{json.dumps(GOOD['tool_calls'][0])}<|im_end|>\n"


def test_a_generator_is_shown_tools_and_fields(causal, monkeypatch):
    generator = LocalGenerator(str(causal[0]), device="cpu", batch=1)
    drawn = []
    monkeypatch.setattr(generator, "_in_batches", lambda rows, *_: drawn.extend(rows) or ())
    [*generator.draw([to_conversation([ASK], "", TOOLS)], [0], Sampling())]
    tokenizer = AutoTokenizer.from_pretrained(causal[0])
    text = tokenizer.apply_chat_template(
        [ASK], tools=TOOLS, tokenize=False, add_generation_prompt=True
    )
    assert drawn == [tokenizer(text, add_special_tokens=False)["input_ids"]]
    assert "=ann" in text
