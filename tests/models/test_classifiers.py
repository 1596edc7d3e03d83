"""Classifiers of other architectures, against transformers' own class, one text at a time."""

import pytest
import torch
from checkpoints import edit_config, read_tensors, write_tensors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    Gemma2Config,
    Gemma2ForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    GPTNeoXConfig,
    GPTNeoXForSequenceClassification,
    MistralConfig,
    MistralForSequenceClassification,
    Qwen2Config,
    Qwen2ForSequenceClassification,
)

import rmeval
from rmeval.errors import BadCheckpoint

SEQUENCES = [
    [5, 9, 3],
    [7],
    [1, 0, 2, 0, 0],
    list(range(2, 60)),
    [*range(2, 50), 9],
    [8, 8, 8, 8],
    [4, 0],
]
SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 64,
    "num_labels": 1,
}
GPT2_SIZES = {"vocab_size": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
MADE = {
    "qwen2": lambda: Qwen2ForSequenceClassification(
        Qwen2Config(**SIZES, num_key_value_heads=2, pad_token_id=None)
    ),
    "gpt2": lambda: GPT2ForSequenceClassification(
        GPT2Config(**GPT2_SIZES, num_labels=1, pad_token_id=None, bos_token_id=1, eos_token_id=2)
    ),
    "gpt-neox": lambda: GPTNeoXForSequenceClassification(
        GPTNeoXConfig(**SIZES, pad_token_id=None, bos_token_id=1, eos_token_id=2)
    ),
    "mistral, with a window": lambda: MistralForSequenceClassification(
        MistralConfig(**SIZES, num_key_value_heads=2, pad_token_id=None, sliding_window=16)
    ),
    "gemma2, whose softcap sdpa drops": lambda: Gemma2ForSequenceClassification(
        Gemma2Config(
            **SIZES,
            num_key_value_heads=2,
            head_dim=8,
            pad_token_id=None,
            attn_logit_softcapping=0.5,
            attn_implementation="eager",
        )
    ),
    "bert, an encoder with a mask": lambda: BertForSequenceClassification(BertConfig(**SIZES)),
    "deberta, an encoder with a mask": lambda: DebertaV2ForSequenceClassification(
        DebertaV2Config(**SIZES, relative_attention=True, pos_att_type=["c2p", "p2c"])
    ),
}


def make(name, folder):
    """Saves transformers' own class with random weights, and returns it."""
    torch.manual_seed(0)
    network = MADE[name]().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0, 0.3)
    network.save_pretrained(folder)
    return network


def load(folder, **options):
    return rmeval.load_model(str(folder), dtype="float32", device="cpu", **options)


@pytest.mark.parametrize("name", MADE)
def test_scores_in_a_mixed_batch_are_those_of_the_class_one_at_a_time(tmp_path, name):
    theirs = make(name, tmp_path)
    with torch.inference_mode():
        expected = [float(theirs(torch.tensor([ids])).logits) for ids in SEQUENCES]
    assert max(expected) - min(expected) > 0.1
    for engine in ("auto", "padded"):
        model = load(tmp_path, engine=engine)
        assert model.family.name == "classifier"
        assert model.score_tokens(SEQUENCES) == pytest.approx(expected, abs=5e-5, rel=0)


@pytest.mark.parametrize("name", ["gpt2", "bert, an encoder with a mask"])
def test_buffers_that_older_versions_saved_are_no_left_over_weights(tmp_path, name):
    make(name, tmp_path)
    before = load(tmp_path).score_tokens(SEQUENCES)
    old = {
        "gpt2": {"transformer.h.0.attn.bias": torch.ones(1, 1, 64, 64)},
        "bert, an encoder with a mask": {
            "bert.embeddings.position_ids": torch.arange(64).expand(1, -1)
        },
    }[name]
    write_tensors(tmp_path, {**read_tensors(tmp_path), **old})
    assert load(tmp_path).score_tokens(SEQUENCES) == pytest.approx(before, abs=1e-5)


def test_an_encoders_missing_head_is_named(tmp_path):
    make("bert, an encoder with a mask", tmp_path)
    tensors = read_tensors(tmp_path)
    del tensors["classifier.weight"]
    write_tensors(tmp_path, tensors)
    with pytest.raises(BadCheckpoint, match=r"missing: .*classifier\.weight"):
        load(tmp_path)


def test_an_encoders_second_label_is_refused(tmp_path):
    make("bert, an encoder with a mask", tmp_path)
    tensors = read_tensors(tmp_path)
    tensors["classifier.weight"] = torch.ones(2, 32)
    write_tensors(tmp_path, tensors)
    with pytest.raises(BadCheckpoint, match=r"classifier\.weight has shape \(2, 32\)"):
        load(tmp_path)


def test_two_labels_in_the_config_are_refused(tmp_path):
    make("qwen2", tmp_path)
    edit_config(tmp_path, id2label={"0": "bad", "1": "good"})
    with pytest.raises(BadCheckpoint, match="num_labels is 2"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["qwen2", "bert, an encoder with a mask"])
def test_a_config_that_is_silent_on_labels_is_read_as_one(tmp_path, name):
    """transformers' default is two; the head's own shape decides."""
    make(name, tmp_path)
    before = load(tmp_path).score_tokens(SEQUENCES)
    edit_config(tmp_path, remove=("id2label", "label2id", "num_labels"))
    assert load(tmp_path).score_tokens(SEQUENCES) == pytest.approx(before, abs=1e-5)


def test_gemmas_softcap_keeps_the_attention_that_computes_it(tmp_path):
    make("gemma2, whose softcap sdpa drops", tmp_path)
    edit_config(tmp_path, remove=("_attn_implementation", "attn_implementation"))
    assert load(tmp_path).network.config._attn_implementation == "eager"


def test_a_sequence_beyond_the_positions_of_an_encoder_is_refused(tmp_path):
    make("bert, an encoder with a mask", tmp_path)
    with pytest.raises(rmeval.RmevalError, match=r"65 tokens; .* takes 1 to 64"):
        load(tmp_path).score_tokens([[3] * 65])
