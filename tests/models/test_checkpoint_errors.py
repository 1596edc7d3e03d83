"""What is wrong with a checkpoint, in one line that names it, before anything is scored."""

import json

import pytest
import torch
from checkpoints import copy_golden, edit_config, read_tensors, split_in_two, write_tensors
from conftest import GOLDEN

import rmeval
from rmeval.errors import BadCheckpoint, BadOption, RmevalError, UnknownName

INDEX = "model.safetensors.index.json"


def refusal(folder, kind=BadCheckpoint, **options):
    """Returns the one line with which a checkpoint is refused."""
    with pytest.raises(kind) as error:
        rmeval.load_model(str(folder), device="cpu", **options)
    assert isinstance(error.value, RmevalError)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.fixture
def folder(tmp_path):
    return copy_golden("internlm2", tmp_path / "model")


def without(folder, *keys):
    write_tensors(folder, {k: t for k, t in read_tensors(folder).items() if k not in keys})


@pytest.mark.parametrize(
    ("layout", "key"),
    [
        ("internlm2", "v_head.weight"),
        ("inform", "score.2.weight"),
        ("grm-mlp", "v_head.summary.0.weight"),
        ("seqcls", "score.weight"),
    ],
)
def test_a_missing_head_weight_is_named(tmp_path, layout, key):
    folder = copy_golden(layout, tmp_path / "model")
    without(folder, key)
    assert key in refusal(folder)


@pytest.mark.parametrize("layout", ["inform", "grm-mlp"])
def test_a_missing_bias_of_the_head_is_refused(tmp_path, layout):
    folder = copy_golden(layout, tmp_path / "model")
    without(folder, "score.2.bias", "v_head.summary.2.bias")
    assert "missing: head.2.bias" in refusal(folder)


def test_a_missing_weight_of_the_body_is_named(folder):
    without(folder, "model.layers.1.feed_forward.w1.weight", "model.norm.weight")
    message = refusal(folder)
    assert "backbone.layers.1.mlp.gate_proj.weight, backbone.norm.weight" in message


def test_of_many_missing_weights_four_are_named_and_the_rest_counted(folder):
    edit_config(folder, num_hidden_layers=4)  # a fourth layer: nine Llama weights
    assert refusal(folder).endswith(" and 5 more")


def test_a_weight_that_nothing_takes_is_named(folder):
    write_tensors(folder, {**read_tensors(folder), "v_head.bias": torch.ones(1)})
    assert "no part of the model uses: v_head.bias" in refusal(folder)


def test_layers_beyond_the_configs_number_are_left_over_not_forgotten(folder):
    edit_config(folder, num_hidden_layers=2)
    message = refusal(folder)
    assert "model.layers.2." in message
    assert "more" in message


@pytest.mark.parametrize(
    ("key", "shape"),
    [("model.norm.weight", (16,)), ("model.layers.0.feed_forward.w2.weight", (80, 32))],
)
def test_a_weight_of_another_shape_is_named_with_both_shapes(folder, key, shape):
    tensors = read_tensors(folder)
    asked = tuple(tensors[key].shape)
    write_tensors(folder, {**tensors, key: torch.ones(*shape)})
    message = refusal(folder)
    assert f"{key} has shape {shape} where config.json asks for {asked}" in message


@pytest.mark.parametrize("kv_heads", [1, 3, 4])
def test_fused_projections_that_do_not_fit_the_config_are_named(folder, kv_heads):
    edit_config(folder, num_key_value_heads=kv_heads)
    assert "wqkv" in refusal(folder)


@pytest.mark.parametrize("layout", ["internlm2", "seqcls"])
@pytest.mark.parametrize("value", ["32", 33], ids=["text", "no multiple of the heads"])
def test_a_size_that_makes_no_network_is_refused(tmp_path, layout, value):
    folder = copy_golden(layout, tmp_path / "model")
    edit_config(folder, hidden_size=value)
    assert "config.json" in refusal(folder)


@pytest.mark.parametrize("layout", ["internlm2", "seqcls", "grm-linear", "inform"])
def test_a_head_with_two_labels_is_refused(tmp_path, layout):
    folder = copy_golden(layout, tmp_path / "model")
    tensors = read_tensors(folder)
    keys = ("v_head.weight", "score.weight", "v_head.summary.weight", "score.2.weight")
    key = next(key for key in keys if key in tensors)
    tensors[key] = torch.cat([tensors[key]] * 2)
    write_tensors(folder, tensors)
    assert f"{key} gives 2 labels" in refusal(folder)


@pytest.mark.parametrize("labels", [{"num_labels": 2}, {"id2label": {"0": "a", "1": "b"}}])
def test_two_labels_in_the_config_are_refused_even_with_a_head_of_one(tmp_path, labels):
    folder = copy_golden("seqcls", tmp_path / "model")
    edit_config(folder, remove=("id2label", "label2id"), **labels)
    assert "num_labels is 2" in refusal(folder)


@pytest.mark.parametrize("field", ["vocab_size", "hidden_size", "num_attention_heads"])
def test_a_size_that_internlm2s_config_lacks_is_named(folder, field):
    edit_config(folder, remove=(field,))
    assert f"config.json: {field} is missing" in refusal(folder)


@pytest.mark.parametrize("damage", ["cut short", "text", "empty"])
def test_a_corrupt_weight_file_is_refused(folder, damage):
    file = folder / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes({"cut short": content[:-100], "text": b"<html>", "empty": b""}[damage])
    message = refusal(folder)
    assert "a weight file is unreadable" in message
    assert str(folder) in message


def test_an_index_that_names_a_missing_file_is_refused(folder):
    split_in_two(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    message = refusal(folder)
    assert f"{INDEX} names model-00002-of-00002.safetensors, which is missing" in message


@pytest.mark.parametrize("content", ["{", "[]", '{"weight_map": []}', "\xff"])
def test_an_index_that_is_none_is_refused(folder, content):
    split_in_two(folder)
    (folder / INDEX).write_bytes(content.encode("latin-1"))
    assert INDEX in refusal(folder)


def test_a_folder_without_config_is_no_model(tmp_path):
    assert f"{tmp_path}: no config.json" in refusal(tmp_path)


@pytest.mark.parametrize(("content", "said"), [("{", "not valid JSON"), ("[]", "an object")])
def test_a_config_that_is_none_is_refused(folder, content, said):
    (folder / "config.json").write_text(content)
    message = refusal(folder)
    assert said in message
    assert str(folder / "config.json") in message


def test_a_config_without_weights_says_which_were_looked_for(folder):
    (folder / "model.safetensors").unlink()
    assert "no weights (model*.safetensors)" in refusal(folder)


def test_a_file_in_place_of_a_folder_is_refused():
    assert "pass the folder" in refusal(GOLDEN / "seqcls" / "config.json", BadOption)


def test_a_revision_of_a_local_folder_is_refused(folder):
    message = refusal(folder, BadOption, revision="main")
    assert f"{folder} is a local folder" in message


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("dmo", "demo"), ("Demo", "demo"), ("internlm2-7b-reward", "internlm/internlm2-7b-reward")],
)
def test_an_unknown_name_offers_the_nearest(name, nearest):
    assert f"did you mean '{nearest}'?" in refusal(name, UnknownName)


@pytest.mark.parametrize("path", ["./not-there", "/no/such/folder", "~nobody-of-this-name/model"])
def test_a_path_that_is_not_there_is_called_a_folder(path):
    assert refusal(path, BadOption).startswith(f"model {path}: no such folder")


def test_too_few_batch_tokens_are_refused(folder):
    assert "`batch_tokens=0`" in refusal(folder, BadOption, batch_tokens=0)


def test_the_config_is_read_as_json_whatever_its_order(folder):
    config = json.loads((folder / "config.json").read_text())
    before = rmeval.load_model(str(folder), device="cpu").score_tokens([[1, 2]])
    (folder / "config.json").write_text(json.dumps(dict(sorted(config.items(), reverse=True))))
    assert rmeval.load_model(str(folder), device="cpu").score_tokens([[1, 2]]) == before
