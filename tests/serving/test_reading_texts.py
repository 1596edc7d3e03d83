"""Texts that were rendered elsewhere: read as they are, read backwards, or refused."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from conftest import GOLDEN_TEXT
from serving_by_hand import opened, serving, talk

import rmeval
from rmeval.conversations import to_conversation
from rmeval.errors import BadConversation, UnknownName
from rmeval.models.text.day import Day
from rmeval.models.text.rendered import TemplateReader, open_template
from rmeval.models.text.tokenizer import render
from rmeval.models.text.tokenizer_files import load_tokenizer
from rmeval.records import Conversation, Message

TALKS: list[Conversation] = [
    (Message("user", "Hi"), Message("assistant", "Hello!")),
    (Message("user", "a\nb"), Message("assistant", "")),
    (
        *(Message("user", "one"), Message("assistant", "two\n\nthree")),
        *(Message("user", "four"), Message("assistant", "five")),
    ),
]
WITH_SYSTEM = (Message("system", "Be brief."), *TALKS[0])
# The tokenizers of many families, each with the template that its authors published.
WITHOUT_SYSTEM = ("beaver", "beaver-card")  # write it as they write an answer
FOLDERS = sorted(path.parent.name for path in GOLDEN_TEXT.glob("*/chat_template.jinja"))


@pytest.fixture(scope="module")
def demo() -> rmeval.RewardModel:
    return rmeval.load_model("demo", device="cpu")


@pytest.mark.parametrize("name", FOLDERS)
def test_every_familys_template_is_read_backwards(name: str) -> None:
    tokenizer = load_tokenizer(GOLDEN_TEXT / name)
    reader = TemplateReader(tokenizer)
    read = 0
    for given in TALKS if name in WITHOUT_SYSTEM else (*TALKS, WITH_SYSTEM):
        try:
            text = render(tokenizer, given, 0)
        except BadConversation:
            continue  # a template that takes no system message, or none of these
        found = reader.parse(text)
        assert found is not None, text
        assert render(tokenizer, found, 0) == text
        read += found == given
    assert read >= 2 or name == "pairrm"


@pytest.mark.parametrize("given", TALKS)
def test_a_bos_may_be_missing_or_doubled_and_the_end_may_be_missing(
    demo: rmeval.RewardModel, given: Conversation
) -> None:
    reader = TemplateReader(demo.tokenizer)
    text = render(demo.tokenizer, given, 0)
    bare = text.removeprefix("<s>")
    assert bare != text
    end = "<|im_end|>\n<|reward|>"
    assert text.endswith(end)
    for other in (text, bare, f"<s><s>{bare}", text.removesuffix("<|reward|>"), text[: -len(end)]):
        assert reader.parse(other) == given


def test_what_the_template_does_not_write_is_nothing(demo: rmeval.RewardModel) -> None:
    reader = TemplateReader(demo.tokenizer)
    text = render(demo.tokenizer, TALKS[0], 0)
    for other in (
        "",
        "Hi",
        text + "more",
        text.replace("Hello!", "Hello!<|im_end|>\nmore").removesuffix("<|reward|>"),
        text.replace("\nHi", "\n Hi\n", 1).replace("user\n", "user \n"),
        text.replace("user", "tool"),
        render(demo.tokenizer, TALKS[0][:1], 0),
        f"x{text}",
    ):
        assert reader.parse(other) is None, other


def test_a_system_prompt_that_the_template_writes_itself_is_no_message() -> None:
    template = (
        "{% if messages[0].role != 'system' %}<|im_start|>system\nBe good.<|im_end|>\n{% endif %}"
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    )
    tokenizer = load_tokenizer(GOLDEN_TEXT / "qwen2")
    reader = TemplateReader(tokenizer, template)
    for given in (TALKS[0], WITH_SYSTEM):
        assert reader.parse(render(tokenizer, given, 0, template=template)) == given


def test_a_template_that_writes_the_day_is_read_on_the_day_of_the_text() -> None:
    template = (
        "Today Date: {{ strftime_now('%d %b %Y') }}\n\n"
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}[end]{% endfor %}"
    )
    tokenizer = load_tokenizer(GOLDEN_TEXT / "qwen2")
    for day in (date(2026, 11, 27), date(2024, 7, 26), date(2025, 2, 1)):
        dated = Day(day, "a test").fixed_in(template)
        text = render(tokenizer, TALKS[0], 0, template=dated)
        assert f"{day:%d %b %Y}" in text
        assert TemplateReader(tokenizer, template).parse(text) == TALKS[0]


def test_a_text_is_as_the_conversation_that_it_was_made_of(demo: rmeval.RewardModel) -> None:
    for given in (*TALKS, WITH_SYSTEM):
        text = render(demo.tokenizer, given, 0)
        assert demo.fit_texts([text, text.removeprefix("<s>")]) == demo.fit([given, given])


@pytest.mark.parametrize("name", ["ultrarm", "grm-sftreg", "wordpiece", "rm-mistral", "beaver"])
def test_a_text_has_the_special_tokens_that_a_conversation_has(name: str) -> None:
    """Templates in plain words; tokenizers that add a second BOS, or [CLS] and [SEP]."""
    model = rmeval.load_model(GOLDEN_TEXT / name, device="cpu")
    text = render(model.tokenizer, TALKS[0], 0)
    assert model.fit_texts([text]) == model.fit([TALKS[0]])
    with pytest.raises(BadConversation, match="no special token"):
        model.fit_texts(["quite another text"])


def test_a_long_text_is_cut_as_its_conversation(demo: rmeval.RewardModel) -> None:
    long = to_conversation(talk("word " * 3000, "ok"), "a test")
    text = render(demo.tokenizer, long, 0)
    (fitted,) = demo.fit_texts([text])
    assert fitted == demo.fit([long])[0]
    assert fitted.truncated
    with pytest.raises(BadConversation, match="cannot be cut"):
        demo.fit_texts([text.replace("user", "narrator")])


def test_a_text_of_another_template_is_refused(demo: rmeval.RewardModel) -> None:
    for text in ("Hi", "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>", "<s>Hi"):
        with pytest.raises(BadConversation, match="no special token") as caught:
            demo.fit_texts([render(demo.tokenizer, TALKS[0], 0), text])
        assert caught.value.index == 1


def test_text_of_the_actors_template_is_scored_in_the_models_own(
    demo: rmeval.RewardModel, tmp_path: Path
) -> None:
    actor = GOLDEN_TEXT / "llama2"
    tokenizer = load_tokenizer(actor)
    expected = demo.score([WITH_SYSTEM, TALKS[2]])
    texts = [render(tokenizer, given, 0) for given in (WITH_SYSTEM, TALKS[2])]
    with serving(demo, text_template=str(actor)) as client:
        answer = client.post("/get_reward", {"query": texts})
        assert answer.json["rewards"] == pytest.approx(expected, abs=1e-4)
        assert client.post("/v1/rewards", {"conversations": [talk("Hi", "Yo")]}).status == 200
        own = render(demo.tokenizer, TALKS[0], 0)
        refused = client.post("/get_reward", {"query": [texts[0], own]})
        assert refused.status == 400
        assert refused.message.startswith("query 1: is no text that the template")
        assert client.get("/info").json["serving"]["text_template"] == str(actor)


def test_a_template_is_a_file_a_name_or_a_model(demo: rmeval.RewardModel, tmp_path: Path) -> None:
    file = tmp_path / "actor.jinja"
    file.write_text("{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}")
    text = "<user>Hi</><assistant>Hello!</>"
    assert open_template(str(file), demo.tokenizer).parse(text) == TALKS[0]
    shipped = open_template("ultrarm", demo.tokenizer)
    assert shipped.parse("Human: Hi\n\nAssistant: Hello!") == TALKS[0]
    with pytest.raises(UnknownName, match="unknown model 'ultrarn'"):
        open_template("ultrarn", demo.tokenizer)


@pytest.mark.parametrize("asked", ["the server", "TEI's client"])
def test_what_is_too_long_is_cut_and_told_or_refused(demo: rmeval.RewardModel, asked: str) -> None:
    long = talk("word " * 3000, "ok")
    text = render(demo.tokenizer, to_conversation(long, "a test"), 0)
    with serving(demo, on_long="refuse" if asked == "the server" else "cut") as client:
        body: Any = {"conversations": [talk("Hi", "Yo"), long]}
        answer = client.post("/v1/rewards", body)
        if asked == "the server":
            assert answer.status == 400
            assert answer.message == (
                f"conversation 1: has more than the {demo.max_length} tokens that the model takes"
            )
        else:
            assert answer.json["truncated"] == [False, True]
            assert answer.json["tokens"][1] == demo.max_length
            assert answer.json["scores"] == pytest.approx(
                demo.score(body["conversations"]), abs=1e-4
            )
            assert client.metric("rmeval_truncated_total") == 1
            refused = client.post("/predict", {"inputs": text, "truncate": False})
            assert refused.status == 400


def test_ids_are_never_cut(demo: rmeval.RewardModel) -> None:
    with serving(demo) as client:
        answer = client.post("/v1/rewards", {"conversations": [[1] * (demo.max_length + 1)]})
        assert answer.status == 400
        assert "2049 tokens" in answer.message


def test_a_way_of_long_texts_that_is_none_is_named() -> None:
    with (
        pytest.raises(UnknownName, match="did you mean 'refuse'"),
        serving(opened(), on_long="refuze"),
    ):
        pass


def test_a_dpo_reward_needs_to_know_where_the_response_begins() -> None:
    folder = GOLDEN_TEXT / "dpo"
    model = rmeval.load_model(folder / "policy", reference=folder / "reference", device="cpu")
    given = TALKS[0]
    expected = model.score([given])
    text = render(model.tokenizer, given, 0)
    with serving(model) as client:
        for row in (list(map(Message.fields, given)), text):
            answer = client.post("/v1/rewards", {"conversations": [row]})
            assert answer.json["scores"] == pytest.approx(expected, abs=1e-4), answer.body
        for row in ([1, 2, 3], "no such text"):
            refused = client.post("/v1/rewards", {"conversations": [row]})
            assert refused.status == 400
            assert "where the response begins" in refused.message
