"""Sampling with a causal language model on this machine."""

import gc
import json
import shutil
import weakref

import pytest
import torch
from checkpoints import read_tensors, write_tensors
from conftest import DEMO_MODEL
from full_memory import names_of_full, raising
from tiny_generator import tiny_generator

from rmeval.errors import BadCheckpoint, BadConversation, BadOption
from rmeval.llm.generator import LocalGenerator
from rmeval.records import Message, Sampling

SAMPLING = Sampling(n=3, max_new_tokens=6)
PROMPTS = [
    (Message("user", text),)
    for text in ("Hello", "A much longer question, with a comma and more", "x", "Why?", "Tea")
]
EVERYTHING = range(len(PROMPTS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_generator(tmp_path_factory.mktemp("generator"))


def generator(folder, batch=64, **settings):
    return LocalGenerator(str(folder), device="cpu", batch=batch, **settings)


def draw(folder, waiting=EVERYTHING, sampling=SAMPLING, prompts=PROMPTS, batch=64):
    return dict(generator(folder, batch).draw(prompts, waiting, sampling))


def test_every_prompt_gets_n_candidates_of_at_most_so_many_tokens(folder):
    found = draw(folder)
    assert list(found) == list(EVERYTHING)
    assert all(len(texts) == 3 for texts in found.values())
    assert len({text for texts in found.values() for text in texts}) > 10
    short = draw(folder, sampling=SAMPLING._replace(max_new_tokens=1))
    assert max(len(text) for texts in short.values() for text in texts) <= 20  # one token
    assert max(len(text) for texts in found.values() for text in texts) > 20


def test_the_seed_decides(folder):
    assert draw(folder) == draw(folder)
    assert draw(folder) != draw(folder, sampling=SAMPLING._replace(seed=1))


@pytest.mark.parametrize("batch", [1, 2, 7, 64])
def test_padding_and_batches_change_nothing_but_the_draw(folder, batch):
    """With top_k 1 there is one answer: what the prompt alone gets."""
    surest = SAMPLING._replace(top_k=1)
    alone = [draw(folder, [0], surest, [prompt])[0] for prompt in PROMPTS]
    assert list(draw(folder, sampling=surest, batch=batch).values()) == alone
    assert len({texts[0] for texts in alone}) > 1
    assert all(len(set(texts)) == 1 for texts in alone)


@pytest.mark.parametrize("batch", [2, 6, 64])
def test_what_is_left_is_drawn_as_it_would_have_been(folder, batch):
    whole = draw(folder, batch=batch)
    for waiting in ([4], [1, 2], [0, 3, 4]):
        assert draw(folder, waiting, batch=batch) == {i: whole[i] for i in waiting}


def test_more_candidates_than_a_batch_holds(folder):
    found = draw(folder, [1], SAMPLING._replace(n=11), batch=4)
    assert len(found[1]) == 11
    assert len(set(found[1])) > 6


def test_one_candidate(folder):
    assert [len(texts) for texts in draw(folder, sampling=SAMPLING._replace(n=1)).values()] == [
        1
    ] * 5


def test_top_k_0_is_no_limit(folder):
    wide = SAMPLING._replace(top_k=0, top_p=1.0, temperature=50.0, n=64, max_new_tokens=1)
    narrow = wide._replace(top_k=2)
    assert len(set(draw(folder, [0], narrow)[0])) <= 2
    assert len(set(draw(folder, [0], wide)[0])) > 30


def test_the_weights_are_freed_when_the_drawing_ends(folder, monkeypatch):
    load, networks = LocalGenerator._load, []

    def watched(self):
        network = load(self)
        networks.append(weakref.ref(network))
        return network

    def cache_emptied():
        gc.collect()
        held.append(networks[0]())

    held = []
    monkeypatch.setattr(LocalGenerator, "_load", watched)
    monkeypatch.setattr(torch.cuda, "empty_cache", cache_emptied)
    drawing = generator(folder).draw(PROMPTS, EVERYTHING, SAMPLING)
    next(drawing)
    assert networks[0]() is not None
    list(drawing)
    assert held == [None]


def test_batches_in_which_nothing_is_waiting_are_passed_over(folder, monkeypatch):
    drawn, draw_batch = [], LocalGenerator._draw_batch

    def counted(self, network, rows, sampling):
        drawn.append(len(rows))
        return draw_batch(self, network, rows, sampling)

    monkeypatch.setattr(LocalGenerator, "_draw_batch", counted)
    assert list(draw(folder, [3], batch=6)) == [3]
    assert drawn == [2]


def test_a_generator_without_a_chat_template_is_named(tmp_path):
    folder = tiny_generator(tmp_path)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(BadCheckpoint, match="its tokenizer has no chat template"):
        generator(folder)


def test_the_end_token_pads_where_no_other_does_and_without_either_one_line_says_so(
    folder, tmp_path
):
    without = shutil.copytree(folder, tmp_path / "without")
    names = json.loads((without / "tokenizer_config.json").read_text())
    del names["pad_token"]
    (without / "tokenizer_config.json").write_text(json.dumps(names))
    surest = SAMPLING._replace(top_k=1)
    assert draw(without, sampling=surest) == draw(folder, sampling=surest)
    del names["eos_token"]
    (without / "tokenizer_config.json").write_text(json.dumps(names))
    with pytest.raises(BadCheckpoint, match="names no pad_token and no eos_token"):
        generator(without)


def test_a_reward_model_is_no_generator():
    with pytest.raises(BadCheckpoint, match=r"^generator .*model: no model that transformers"):
        generator(DEMO_MODEL)
    with pytest.raises(BadCheckpoint, match=r"^generator nowhere/at-all: "):
        generator("nowhere/at-all")


def test_a_head_that_would_be_random_is_refused(tmp_path):
    folder = tiny_generator(tmp_path)
    tensors = read_tensors(folder)
    del tensors["lm_head.weight"]
    write_tensors(folder, tensors)
    with pytest.raises(BadCheckpoint, match=r"weights are missing: lm_head\.weight"):
        draw(folder)


def test_weights_that_are_none_are_refused(tmp_path):
    folder = tiny_generator(tmp_path)
    (folder / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(BadCheckpoint, match="no causal language model"):
        draw(folder)


def test_a_prompt_that_leaves_no_room_is_named_before_anything_is_drawn(tmp_path):
    folder = tiny_generator(tmp_path, max_position_embeddings=40)
    generator(folder).check(PROMPTS[:1], SAMPLING)
    long = [PROMPTS[0], (Message("user", "word " * 60),)]
    with pytest.raises(BadConversation, match="more than the model's 40; use a smaller") as raised:
        generator(folder).check(long, SAMPLING)
    assert raised.value.index == 1
    with pytest.raises(BadConversation, match="and 40 new ones"):
        generator(folder).check(PROMPTS[:1], SAMPLING._replace(max_new_tokens=40))


def test_a_conversation_that_the_template_refuses_is_named(tmp_path):
    folder = tiny_generator(tmp_path)
    (folder / "chat_template.jinja").write_text("{{ raise_exception('never') }}")
    with pytest.raises(BadConversation, match=r"template refuses the roles \(user\): never"):
        generator(folder).check(PROMPTS, SAMPLING)


def test_memory_that_runs_out_says_what_to_make_smaller(folder, monkeypatch):
    def full(*arguments):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(LocalGenerator, "_draw_batch", full)
    with pytest.raises(BadOption, match="use a smaller `batch=`"):
        draw(folder)


@names_of_full
def test_memory_that_runs_out_at_load_is_not_taken_for_a_model_that_is_none(
    folder, monkeypatch, error
):
    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", raising(error))
    with pytest.raises(BadOption, match=r"^out of memory on cpu while the model is loaded \("):
        draw(folder)


def test_it_says_what_it_is(folder):
    settings = generator(folder).settings()
    assert settings.pop("tokenizer")["read_by"] == "tokenizers"
    assert settings == {
        "generator": str(folder),
        "revision": None,
        "dtype": "float32",
    }
    assert generator(folder, dtype="bfloat16").settings()["dtype"] == "bfloat16"
