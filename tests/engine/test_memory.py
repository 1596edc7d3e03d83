"""What a forward pass needs, worked by hand."""

from types import SimpleNamespace

import pytest
import torch
import transformers as hf
from tiny_families import GPT2, GROUPED, tiny

from rmeval.engine import memory
from rmeval.engine.memory import (
    bytes_per_token,
    flops_per_token,
    serving_batch_tokens,
    weight_bytes,
)
from rmeval.engine.plan import KEYS_PER_TOKEN
from rmeval.models.network import Network

CPU = torch.device("cpu")
# two layers of hidden 32 with 4 heads on 2, feed-forward 48, and a vocabulary of 96
LAYER = 32 * 32 + 2 * 16 * 32 + 32 * 32 + 3 * 32 * 48
NORMS = 5 * 32


def without_weights(model_class, config):
    with torch.device("meta"):
        return Network(model_class(config), torch.nn.Linear(32, 1))


def test_the_bytes_of_a_token_worked_by_hand():
    assert KEYS_PER_TOKEN == 16
    # 8 x 32, 3 x 48, and 16 times keys and values of half the heads: 2 x 16 x 16
    assert bytes_per_token(tiny("llama"), torch.float32) == 4 * (256 + 144 + 512)
    assert bytes_per_token(tiny("llama"), torch.bfloat16) == 2 * (256 + 144 + 512)


def test_the_bytes_of_the_weights_worked_by_hand():
    parameters = 96 * 32 + 2 * LAYER + NORMS
    assert weight_bytes(tiny("llama")) == 4 * parameters
    assert weight_bytes(tiny("llama", torch.bfloat16)) == 2 * parameters
    assert weight_bytes(tiny("llama"), CPU) == 4 * parameters


def test_the_arithmetic_of_a_token_worked_by_hand():
    """Two for each weight that it is multiplied with; an embedding is looked up."""
    assert flops_per_token(tiny("llama")) == 2 * 2 * LAYER
    assert flops_per_token(without_weights(hf.LlamaModel, hf.LlamaConfig(**GROUPED))) == 4 * LAYER


def test_tables_that_are_looked_up_are_no_arithmetic_whatever_their_names():
    config = hf.GPT2Config(**GPT2)
    # of each of two layers: q, k, v and output 4 x 32 x 32, feed-forward 2 x 32 x 128
    matrices = 2 * (4 * 32 * 32 + 2 * 32 * 128)
    assert flops_per_token(without_weights(hf.GPT2Model, config)) == 2 * matrices


def test_experts_count_as_often_as_a_token_visits_them():
    config = hf.MixtralConfig(**GROUPED, num_local_experts=8, num_experts_per_tok=2)
    attention = 32 * 32 + 2 * 16 * 32 + 32 * 32
    router, expert = 8 * 32, 3 * 32 * 48
    expected = 2 * 2 * (attention + router + 2 * expert)
    assert flops_per_token(without_weights(hf.MixtralModel, config)) == expected


def host_of(monkeypatch, size):
    pages = {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": size}
    monkeypatch.setattr(memory.os, "sysconf", pages.__getitem__)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [(1, 256), (256, 256), (511, 256), (512, 512), (5000, 4096), (8192, 8192), (10**9, 8192)],
)
def test_tokens_that_serve_are_a_power_of_two_that_fits(monkeypatch, tokens, expected):
    each = bytes_per_token(tiny("llama"), torch.float32)
    host_of(monkeypatch, 4 * tokens * each)  # a quarter of it serves
    assert serving_batch_tokens(tiny("llama"), CPU, torch.float32) == expected


def test_on_a_gpu_the_weights_stand_in_the_way_loaded_or_not(monkeypatch):
    """A dry run has no weights, and must plan as the run does that has them."""
    network = without_weights(hf.LlamaModel, hf.LlamaConfig(**GROUPED)).to(torch.bfloat16)
    room = 4096 * bytes_per_token(network, torch.bfloat16)
    total = memory.CONTEXT_BYTES + weight_bytes(network) + room
    gpu = SimpleNamespace(total_memory=total - 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: gpu)
    monkeypatch.setattr(memory, "SHARE_OF_DEVICE", 1.0)
    cuda = torch.device("cuda", 0)
    assert serving_batch_tokens(network, cuda, torch.bfloat16) == 2048
    gpu.total_memory = total
    assert serving_batch_tokens(network, cuda, torch.bfloat16) == 4096


def test_the_rate_of_matrix_products_counts_two_for_each_product_and_sum(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(memory.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(torch, "randn", lambda *size, **options: torch.ones(2, 2))
    assert memory.matrix_rate(CPU, torch.float32) == 2 * 2048**3  # each in a second
