"""Seconds on a card that is not here: the arithmetic of gpu_model, worked by hand."""

from types import SimpleNamespace

import pytest
import torch
import transformers as hf
from tiny_families import family_tree, tiny, tokens

from rmeval.cards import Card, find_card, known_cards
from rmeval.engine import memory
from rmeval.engine.estimate import Shape, Work, estimate, over_cards, shape_of
from rmeval.engine.memory import (
    cards_for,
    planned_batch_tokens,
    planned_cards,
    serving_batch_tokens,
    weight_bytes,
)
from rmeval.engine.scoring import Engine
from rmeval.errors import UnknownName
from rmeval.models.network import Network

CARD = Card("some", memory=0, matrix=1e12, stream=1e9)
SHAPE = Shape(layers=2, hidden=10, queries=8, keys=4, feed_forward=30)
WORK = Work(passes=3, tokens=1000, keys=1500, pairs=5000, flops=78 * 10**10)


def without_weights(config):
    with torch.device("meta"):
        return Network(hf.AutoModel.from_config(config, dtype=torch.bfloat16), None)


def llama(hidden=4096, layers=32, heads=32, feed_forward=14336):
    return hf.LlamaConfig(
        vocab_size=128256,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=8,
        intermediate_size=feed_forward,
    )


def test_each_part_is_worked_by_hand():
    parts = estimate(WORK, [SHAPE], CARD)
    assert parts == pytest.approx(
        {
            "matrices": 1.0,  # 0.78 TFLOP at 78 % of 1 TFLOP/s
            "norms": 2 * 72 * 1000 * 10 / 0.79e9,
            "swiglu": 2 * 10 * 1000 * 30 / 0.92e9,
            "rotary": 2 * 20 * 1000 * 12 / 0.70e9,
            "residuals": 2 * 12 * 1000 * 10 / 0.90e9,
            "gathering": 2 * 8 * 1500 * 4 / 0.51e9,
            "attention": 4 * 5000 * 8 * 2 / 0.11e12,
            "gaps": 0.006,
        }
    )
    twice = estimate(WORK, [SHAPE, SHAPE], CARD)
    assert twice["norms"] == pytest.approx(2 * parts["norms"])
    assert twice["matrices"] == parts["matrices"], "the arithmetic counts both already"
    wide = estimate(WORK, [SHAPE._replace(hidden=4096)], CARD)
    assert wide["matrices"] == pytest.approx(0.78 / 0.85)


def test_cards_in_a_row_each_have_a_pass_of_their_own():
    """Ten passes through two cards: eleven steps of half a pass."""
    assert over_cards(20.0, 10, 1) == 20
    assert over_cards(20.0, 10, 2) == 11
    assert over_cards(0.0, 0, 2) == 0


def test_a_shape_is_read_from_the_configuration():
    assert shape_of(llama()) == Shape(32, 4096, 4096, 1024, 14336)
    gemma = hf.Gemma3TextConfig(hidden_size=64, num_attention_heads=4, head_dim=32)
    assert shape_of(gemma).queries == 128
    experts = hf.MixtralConfig(intermediate_size=100, num_experts_per_tok=2)
    assert shape_of(experts).feed_forward == 200
    assert shape_of(hf.GPT2Config(n_embd=32, n_head=4)).feed_forward == 128


def test_pairs_and_keys_are_those_of_every_prefix_once():
    """A token sees itself and all before it: as many keys as its prefix is long."""
    sequences = sorted((tokens(row) for row in family_tree()), key=lambda row: row.tolist())
    prefixes = {tuple(row[:end]) for row in sequences for end in range(1, len(row) + 1)}
    packed, padded = Engine(10**6, packed=True), Engine(10**6)
    assert packed.pairs(sequences) == sum(map(len, prefixes))
    assert packed.keys(sequences) == sum(map(len, sequences))
    longest = max(map(len, sequences))
    triangle = sum(range(1, longest + 1))
    assert padded.pairs(sequences) == len(sequences) * triangle
    assert padded.keys(sequences) == 0


@pytest.mark.parametrize(
    ("gigabytes", "card", "count"),
    [
        (16, "h100-80gb", 1),
        (40, "h100-80gb", 1),
        (40, "a100-40gb", 2),
        (40, "l4-24gb", 3),
        (141, "h200-141gb", 1),
        (141, "h100-80gb", 2),
        (150, "h100-80gb", 3),
    ],
)
def test_weights_stay_on_one_card_while_a_margin_is_left(gigabytes, card, count):
    """Of an H100's 83.9 GB, 75.5 may be weights; whole layers leave a layer of that free."""
    weights = gigabytes * 10**9
    assert cards_for(weights, weights // 80, find_card(card)) == count


def test_a_planned_card_takes_the_passes_that_a_card_here_does(monkeypatch):
    network = without_weights(llama())
    for name in known_cards():
        card = find_card(name)
        here = SimpleNamespace(total_memory=card.memory)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device, here=here: here)
        cuda = torch.device("cuda", 0)
        expected = serving_batch_tokens(network, cuda, torch.bfloat16)
        assert planned_cards(network, card) == 1
        assert planned_batch_tokens(network, card, torch.bfloat16) == expected > 4096, name


def test_a_model_over_several_cards_leaves_each_the_room_beside_its_share():
    network, card = without_weights(llama(8192, 80, 64, 28672)), find_card("h100-80gb")
    count = planned_cards(network, card)
    assert count == 2, "137 GB"
    share = weight_bytes(network) * (1 / count + 1 / 80)
    left = 0.8 * (card.memory - memory.CONTEXT_BYTES - share)
    expected = 1 << int(left / memory.bytes_per_token(network, torch.bfloat16)).bit_length() - 1
    assert planned_batch_tokens(network, card, torch.bfloat16) == min(expected, 16384)


def test_every_card_has_what_is_planned_with_and_an_unknown_one_is_told_the_names():
    for name, card in known_cards().items():
        nominal = int(name.rpartition("-")[2].removesuffix("gb")) * 1e9
        assert 0.85 * nominal < card.memory < 1.1 * nominal, name
        assert 50e12 < card.matrix < 2e15
        assert 0.2e12 < card.stream < 8e12
    with pytest.raises(UnknownName) as refused:
        find_card("h100")
    assert all(name in str(refused.value) for name in known_cards())
    assert "did you mean 'h100-80gb'" in str(refused.value)


def test_the_model_of_a_network_here_counts_its_own_weights():
    network = tiny("llama", torch.bfloat16)
    assert planned_cards(network, find_card("l4-24gb")) == 1
