"""Where a network computes, and a full memory by all of its names: accelerate's hooks on a CPU.

The hooks are those that `dispatch_model` attaches, but that the device they bring weights to is the
host as well: between passes such weights are on "meta", as they are where a GPU computes.
"""

import copy
from types import SimpleNamespace

import pytest
import torch
from accelerate.hooks import attach_align_device_hook_on_blocks
from accelerate.utils import OffloadedWeightsLoader, extract_submodules_state_dict
from fake_networks import Adding, network, reward
from full_memory import names_of_full, raising
from tiny_families import alone, family_tree, in_one_pack, tiny, tokens

from rmeval.engine import memory
from rmeval.engine.device import (
    home,
    is_empty,
    most_held,
    one_name_for_full,
    waits_on_host,
)
from rmeval.engine.forward import forward_padded
from rmeval.engine.memory import bytes_per_token, serving_batch_tokens, weight_bytes
from rmeval.engine.packable import why_not_packed
from rmeval.engine.scoring import Engine, score_sequences
from rmeval.errors import BadOption

CARD = torch.device("cpu")


def spread(on_host, family="llama", dtype=torch.float32):
    """A network of which the parts named by `on_host` wait on the host."""
    made = copy.deepcopy(tiny(family, dtype))
    names = [f"backbone.{name}" for name, _ in made.backbone.named_children()]
    names = [name for name in names if name != "backbone.layers"]
    names += [f"backbone.layers.{place}" for place in range(2)] + ["head"]
    kept = extract_submodules_state_dict(made.state_dict(), sorted(on_host))
    attach_align_device_hook_on_blocks(
        made,
        execution_device=dict.fromkeys(["", *names], CARD),
        offload={name: name in on_host for name in names},
        weights_map=OffloadedWeightsLoader(state_dict=kept),
    )
    return made


EMBEDDING, SECOND = "backbone.embed_tokens", "backbone.layers.1"
parts = pytest.mark.parametrize(
    "on_host", [{SECOND}, {EMBEDDING}, {EMBEDDING, SECOND, "head"}, set()], ids=len
)


@parts
def test_a_network_of_which_parts_wait_on_the_host_scores_as_whole(on_host):
    sequences = family_tree()
    expected = alone(tiny("llama"), sequences)
    made = spread(on_host)
    assert alone(made, sequences) == pytest.approx(expected, abs=1e-6)
    assert in_one_pack(made, sequences) == pytest.approx(expected, abs=5e-5)
    assert why_not_packed(made) is None


def test_ids_go_where_the_hooks_say_and_not_where_a_weight_waits():
    made = spread({EMBEDDING})
    assert next(made.backbone.parameters()).is_meta
    assert home(made.backbone) == CARD
    assert waits_on_host(made.backbone.embed_tokens)
    assert not waits_on_host(made.backbone.layers[0].mlp.up_proj)
    assert home(tiny("llama").backbone) == torch.device("cpu")
    by_number = SimpleNamespace(execution_device=3)
    made.backbone._hf_hook = SimpleNamespace(hooks=[by_number])
    assert home(made.backbone) == torch.device("cuda", 3)


@parts
def test_a_network_that_waits_is_not_one_without_weights(on_host):
    assert not is_empty(spread(on_host))
    assert not is_empty(tiny("llama"))
    assert is_empty(copy.deepcopy(tiny("llama")).to("meta"))
    made = spread(on_host)
    made.head.to_empty(device="meta")
    made.head._hf_hook.offload = False
    assert is_empty(made)


def test_what_waits_on_the_host_takes_no_room_but_for_two_of_its_parts(monkeypatch):
    """With it counted as held, 70B on one card had 256 tokens where 16,384 fit."""
    made, card = spread({SECOND}), CARD
    largest = 4 * 32 * 48
    second = weight_bytes(SimpleNamespace(backbone=tiny("llama").backbone.layers[1]))
    whole = weight_bytes(tiny("llama"))
    assert weight_bytes(made) == whole
    assert weight_bytes(made, card) == whole - second + 2 * largest
    total = memory.CONTEXT_BYTES + weight_bytes(made, card)
    room = 4096 * bytes_per_token(made, torch.float32)
    gpu = SimpleNamespace(total_memory=total + room)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: gpu)
    monkeypatch.setattr(memory, "SHARE_OF_DEVICE", 1.0)
    monkeypatch.setattr(memory, "cards", lambda backbone: [card])
    assert serving_batch_tokens(made, torch.device("cuda", 0), torch.float32) == 4096


def test_the_fullest_card_says_how_much_a_pass_may_hold(monkeypatch):
    made, cards = tiny("llama"), [torch.device("cuda", 0), torch.device("cuda", 1)]
    room = bytes_per_token(made, torch.float32)
    sizes = {0: 8192 * room, 1: 1024 * room}
    monkeypatch.setattr(memory, "cards", lambda backbone: cards)
    monkeypatch.setattr(memory, "CONTEXT_BYTES", 0)
    monkeypatch.setattr(memory, "SHARE_OF_DEVICE", 1.0)
    monkeypatch.setattr(
        torch.cuda,
        "get_device_properties",
        lambda device: SimpleNamespace(total_memory=sizes[device.index]),
    )
    assert serving_batch_tokens(made, cards[0], torch.float32) == 1024


@names_of_full
def test_a_full_memory_has_one_name(error):
    with pytest.raises(torch.OutOfMemoryError), one_name_for_full():
        raise error


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), KeyError("out of memory")])
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error), match=str(error)), one_name_for_full():
        raise error


def fails_above(most, error):
    def check(input_ids):
        if input_ids.numel() > most:
            raise error

    return check


@names_of_full
def test_a_pass_that_is_too_large_is_halved_whatever_the_error_is_called(error, caplog):
    sequences = [[4, 1], [7], [1, 2, 3, 4], [0, 0, 0], [9, 9]]
    net = network(Adding(fails_above(4, error)))
    assert score_sequences(net, sequences, Engine(10**9)) == list(map(reward, sequences))
    assert "continuing with 1/" in caplog.text
    with pytest.raises(BadOption, match="out of memory on one sequence"):
        score_sequences(network(Adding(fails_above(3, error))), sequences, Engine(10**9))


@names_of_full
def test_the_gate_does_not_take_a_full_memory_for_a_model_that_cannot_be_packed(error):
    made = copy.deepcopy(tiny("llama"))
    made.backbone.layers[1].register_forward_pre_hook(raising(error))
    with pytest.raises(torch.OutOfMemoryError):
        why_not_packed(made)


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("way", [in_one_pack, alone])
def test_no_forward_takes_cudnns_attention_and_the_setting_is_left_as_it_was(way, allowed):
    """It plans for a good part of a second at each new shape, and here each batch is one."""
    seen = []
    made = copy.deepcopy(tiny("llama"))
    made.backbone.layers[0].register_forward_pre_hook(
        lambda *_: seen.append(torch.backends.cuda.cudnn_sdp_enabled())
    )
    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(allowed)
    try:
        way(made, family_tree()[:2])
        assert torch.backends.cuda.cudnn_sdp_enabled() is allowed
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)
    assert set(seen) == {False}


def test_nor_does_a_model_that_pools_for_itself():
    seen = []

    class Pooling(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(1))

        def forward(self, input_ids, attention_mask):
            seen.append(torch.backends.cuda.cudnn_sdp_enabled())
            return SimpleNamespace(logits=input_ids[:, :1].float())

    assert forward_padded(network(Pooling(), head=False), [tokens([5, 6])]) == [5.0]
    assert seen == [False]


def test_the_fullest_of_a_networks_own_cards_says_how_much_was_held(monkeypatch):
    """Not the current device, which is none of the network's in all ranks but the first."""
    held = {torch.device("cuda", 0): 9 << 30, torch.device("cuda", 1): 2 << 30}
    held[torch.device("cuda", 3)] = 5 << 30
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", held.__getitem__)
    weights = [SimpleNamespace(device=torch.device("cuda", n)) for n in (1, 3, 3)]
    weights.append(SimpleNamespace(device=torch.device("meta")))  # it waits on the host
    assert most_held(SimpleNamespace(parameters=lambda: weights)) == 5 << 30
    assert most_held(tiny("llama")) == 0
