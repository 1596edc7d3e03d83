"""Devices, precision, and where each weight goes."""

import re
import shutil

import pytest
import torch
from checkpoints import (
    TOKENIZER_FILES,
    golden_cases,
    internlm2_config,
    internlm2_tensors,
    load_golden,
    write_checkpoint,
)
from conftest import DEMO_MODEL, GOLDEN

import rmeval
from rmeval.errors import BadCheckpoint, BadOption, RmevalError, UnknownName
from rmeval.models.loading import choose_dtype
from rmeval.models.placement import choose_device, device_of

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")
LAYERS = {"backbone.embed": 0, "backbone.layers.1": 1, "backbone.layers.10": 2, "backbone": "cpu"}


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("backbone.layers.1.mlp.weight", 1),
        ("backbone.layers.10.mlp.weight", 2),  # and not where layers.1 goes
        ("backbone.layers.11.mlp.weight", "cpu"),
        ("backbone.embed.weight", 0),
        ("backbone.embedding.weight", "cpu"),
        ("backbone.layers.1", 1),
    ],
)
def test_a_weight_goes_where_the_longest_path_above_it_goes(name, device):
    assert device_of(name, LAYERS) == device
    assert device_of(name, dict(reversed(LAYERS.items()))) == device


def test_the_empty_path_takes_what_no_other_does():
    assert device_of("head.weight", {"": "cpu", "backbone": 0}) == "cpu"
    assert device_of("head.weight", {"": 0}) == 0


@pytest.fixture
def gpus(monkeypatch):
    def there_are(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return there_are


@pytest.mark.parametrize(
    ("count", "asked", "chosen"),
    [
        (0, "auto", "cpu"),
        (0, "cpu", "cpu"),
        (2, "auto", "cuda:0"),
        (2, "cuda", "cuda:0"),
        (2, "cuda:1", "cuda:1"),
        (2, "cpu", "cpu"),
    ],
)
def test_the_device_is_the_one_asked_for_or_the_first(gpus, count, asked, chosen):
    gpus(count)
    assert choose_device(asked) == torch.device(chosen)


@pytest.mark.parametrize(
    ("count", "asked", "said"),
    [
        (0, "cuda", "'cuda' is not available: torch sees no CUDA device"),
        (0, "cuda:1", "'cuda:1' is not available"),
        (2, "cuda:2", "'cuda:2' is not available: torch sees 2 CUDA devices"),
        (0, "mps", "'mps' is not supported"),
        (0, "meta", "'meta' is not supported"),
    ],
)
def test_a_device_that_is_not_there_is_refused(gpus, count, asked, said):
    gpus(count)
    with pytest.raises(BadOption, match=said):
        choose_device(asked)


@pytest.mark.parametrize("asked", ["gpu", "cuda:x", "cuda0", "", "CPU "])
def test_what_is_no_device_is_an_unknown_name(asked):
    with pytest.raises(UnknownName, match="unknown device"):
        choose_device(asked)


def test_a_missing_gpu_is_noticed_before_any_file_is_read(gpus):
    gpus(0)
    with pytest.raises(BadOption, match="not available"):
        rmeval.load_model("/no/such/folder", device="cuda")


@pytest.mark.parametrize(
    ("config", "device", "dtype"),
    [
        ({"torch_dtype": "bfloat16"}, GPU, torch.bfloat16),
        ({"dtype": "float16"}, GPU, torch.float16),
        ({"dtype": "float16", "torch_dtype": "float32"}, GPU, torch.float16),
        ({"torch_dtype": "torch.bfloat16"}, GPU, torch.bfloat16),
        ({}, GPU, torch.float32),
        ({"torch_dtype": None}, GPU, torch.float32),
        ({"torch_dtype": "bfloat16"}, CPU, torch.float32),
    ],
)
def test_the_dtype_is_the_checkpoints_on_a_gpu_and_float32_on_a_cpu(config, device, dtype):
    assert choose_dtype("auto", config, device) == dtype


def test_a_dtype_that_is_asked_for_is_used_everywhere():
    assert choose_dtype("float64", {"torch_dtype": "float16"}, GPU) == torch.float64
    assert choose_dtype("bfloat16", {}, CPU) == torch.bfloat16


@pytest.mark.parametrize(("asked", "said"), [("float23", "float32"), ("int8", "unknown dtype")])
def test_an_unknown_dtype_offers_the_nearest(asked, said):
    with pytest.raises(UnknownName, match=said):
        choose_dtype(asked, {}, CPU)


def test_a_checkpoint_in_a_dtype_of_its_own_asks_for_one_of_ours():
    with pytest.raises(RmevalError, match="float8_e4m3fn"):
        choose_dtype("auto", {"torch_dtype": "float8_e4m3fn"}, GPU)


def test_every_precision_scores_close_to_float32():
    ids, scores = golden_cases(GOLDEN / "internlm2")
    for dtype, tolerance in (("float64", 5e-5), ("bfloat16", 0.5), ("float16", 0.1)):
        model = load_golden("internlm2", dtype)
        assert model.dtype == getattr(torch, dtype)
        values = model.score_tokens(ids[:6])
        assert values == pytest.approx(scores[:6], abs=tolerance, rel=0)


def test_a_loaded_network_neither_trains_nor_caches():
    network = load_golden("seqcls").network
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path, value, dtype):
    """One row of the embedding, which only texts with that token meet."""
    config = internlm2_config(num_hidden_layers=1)
    tensors = {key: tensor.to(dtype) for key, tensor in internlm2_tensors(config).items()}
    key = next(key for key in tensors if "tok_embeddings" in key)
    tensors[key][7, 3] = value
    folder = write_checkpoint(tmp_path, config, tensors)
    for file in TOKENIZER_FILES:
        shutil.copy(DEMO_MODEL / file, folder or tmp_path)
    with pytest.raises(BadCheckpoint, match=f"{re.escape(key)} holds NaN or infinite weights"):
        rmeval.load_model(str(tmp_path), device="cpu")
