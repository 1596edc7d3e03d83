"""A language model on this machine as a judge: the likeliest answer, whatever the batch."""

import pytest
import torch
from judged_rows import pairs, row
from tiny_generator import tiny_generator
from transformers import GenerationConfig

import rmeval
from rmeval.errors import BadCheckpoint
from rmeval.judging.loading import Answering, Asking, make_judge, open_local
from rmeval.llm.endpoint import Answer, RequestRefused
from rmeval.llm.generator import LocalGenerator
from rmeval.records import Message, Sampling

GREEDY = Sampling(n=1, temperature=0.0, top_k=0, top_p=1.0, max_new_tokens=6)
PROMPTS = [
    (Message("user", text),) for text in ("Hello", "A longer question, with more", "x", "y?")
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_generator(tmp_path_factory.mktemp("judge"))


def answers(folder, waiting=range(4), sampling=GREEDY, prompts=PROMPTS, batch=2):
    generator = LocalGenerator(str(folder), device="cpu", batch=batch)
    return dict(generator.answer(prompts, waiting, sampling))


def by_hand(folder, prompt, tokens):
    """The likeliest continuation, a token and a whole forward pass at a time."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForCausalLM.from_pretrained(folder).eval()
    messages = [message.fields() for message in prompt]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    read = len(ids)
    with torch.inference_mode():
        for _ in range(tokens):
            ids.append(int(network(torch.tensor([ids])).logits[0, -1].argmax()))
    return tokenizer.decode(ids[read:], skip_special_tokens=True), read


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_the_likeliest_answer_is_found_whatever_the_batch(folder, batch):
    found = answers(folder, batch=batch)
    for index, prompt in enumerate(PROMPTS):
        text, read = by_hand(folder, prompt, 6)
        assert found[index] == Answer(text, "length", read, 6)
    assert answers(folder, [1, 3], batch=batch) == {1: found[1], 3: found[3]}


def test_what_its_own_settings_would_draw_at_random_is_not_drawn(folder, tmp_path_factory):
    other = tiny_generator(tmp_path_factory.mktemp("sampling"))
    own = GenerationConfig(do_sample=True, temperature=0.6, top_k=9, top_p=0.5, eos_token_id=2)
    own.save_pretrained(other)
    assert answers(other) == answers(folder)


def test_an_answer_ends_at_an_end_token_and_counts_it(folder, tmp_path_factory):
    other = tiny_generator(tmp_path_factory.mktemp("ends"))
    text = by_hand(folder, PROMPTS[0], 6)[0]
    tokenizer = LocalGenerator(str(folder), device="cpu", batch=1)._tokenizer
    second = tokenizer(text, add_special_tokens=False)["input_ids"][1]
    GenerationConfig(eos_token_id=[4102, second]).save_pretrained(other)
    (answer,) = answers(other, [0], prompts=PROMPTS[:1]).values()
    assert (answer.finish, answer.completion_tokens) == ("stop", 2)
    assert text.startswith(answer.text)


def test_a_temperature_draws_with_the_seed(folder):
    hot = GREEDY._replace(temperature=5.0)
    assert answers(folder, sampling=hot) == answers(folder, sampling=hot) != answers(folder)
    assert answers(folder, sampling=hot._replace(seed=1)) != answers(folder, sampling=hot)


def test_a_prompt_that_is_too_long_is_refused_and_the_others_are_not(tmp_path_factory):
    short = tiny_generator(tmp_path_factory.mktemp("short"), max_position_embeddings=60)
    prompts = [*PROMPTS, (Message("user", "word " * 80),)]
    found = answers(short, range(5), prompts=prompts)
    assert [type(answer) for _, answer in sorted(found.items())] == [Answer] * 4 + [RequestRefused]
    assert "and 6 new ones are more than the model's 60" in str(found[4])
    assert {k: v for k, v in found.items() if k < 4} == answers(short)


def judge(folder, **asking):
    answers = open_local(str(folder), Answering(device="cpu", batch=4))
    return make_judge(str(folder), answers, Asking("rewardbench", max_new_tokens=4, **asking))


def test_verdicts_lengths_and_tokens_are_its_own(folder):
    asked = judge(folder)
    (item,) = asked.score_preferences([row(0, "good and well", "bad")])
    generator = LocalGenerator(str(folder), device="cpu", batch=1)
    assert [s.tokens for s in item.scores] == [
        generator.count_tokens(t) for t in ("good and well", "bad")
    ]
    assert item.comparisons.unparsed == 2
    assert asked.account()["completion_tokens"] == 8
    assert asked.account()["prompt_tokens"] > 400
    provenance = asked.provenance()
    assert (provenance["dtype"], provenance["lengths"]) == ("float32", "tokens")
    assert asked.engine_provenance() == {
        "path": "transformers", "reason": None, "device": "cpu", "batch": 4
    }  # fmt: skip


def test_other_weights_are_another_judge(folder, tmp_path_factory):
    torch.manual_seed(7)
    other = tiny_generator(tmp_path_factory.mktemp("other"), initializer_range=0.5)
    first, second = (judge(path).provenance() for path in (folder, other))
    assert first["weights"] != second["weights"]
    assert first["fingerprint"] != second["fingerprint"]
    assert judge(folder).provenance() == first


def test_rows_that_are_too_long_are_left_out(tmp_path_factory):
    short = tiny_generator(tmp_path_factory.mktemp("room"), max_position_embeddings=900)
    rows = [*pairs(2), row(9, "good " * 900, "bad")]
    asked = judge(short)
    assert [item.id for item in asked.score_preferences(rows)] == ["r0", "r1"]
    assert asked.account()["refused"] == 2


def test_what_is_no_language_model_is_named_as_the_judge(tmp_path):
    with pytest.raises(BadCheckpoint, match=r"^judge .*: no model that transformers knows"):
        rmeval.load_judge(str(tmp_path))


def test_a_template_that_begins_every_answer_with_thinking_is_said_in_the_answer(
    folder, tmp_path_factory
):
    other = tiny_generator(tmp_path_factory.mktemp("thinks"))
    template = other / "chat_template.jinja"
    asks = "{% for m in messages %}{{ m.content }}{% endfor %}"
    asks += "{% if add_generation_prompt %}: <think>\n{% endif %}"
    template.write_text(asks)
    (thinking,) = answers(other, [0], prompts=PROMPTS[:1]).values()
    assert thinking.text == "<think>" + by_hand(other, PROMPTS[0], 6)[0]
    quoting = [(Message("user", "what is <think>"),)]
    template.write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    (plain,) = answers(other, [0], prompts=quoting).values()
    assert plain.text == by_hand(other, quoting[0], 6)[0]
