"""Heads that give more than a reward: a sequence's numbers stay together, on every way."""

import pytest
import torch
from fake_networks import network, reward
from torch import nn

from rmeval.engine.scoring import Engine, MemoryStore, score_rows, score_sequences
from rmeval.engine.store import ScoreStore
from rmeval.errors import BadReward

SEQUENCES = [[number, 1] for number in range(5)] + [[7], [1, 2, 3], [2, 1]]


def three_numbers():
    """A sequence's reward, the sum of its ids, and its last position."""
    net = network()
    net.head = nn.Linear(2, 3, bias=False)
    net.head.weight.data = torch.tensor([[1.0, 100.0], [1.0, 0.0], [0.0, 1.0]])
    return net


def expected(sequence):
    return (reward(sequence), float(sum(sequence)), float(len(sequence) - 1))


@pytest.mark.parametrize("batch_tokens", [1, 4, 7, 1000])
def test_each_sequence_has_its_numbers_whatever_the_batching(batch_tokens):
    rows = score_rows(three_numbers(), SEQUENCES, Engine(batch_tokens))
    assert rows == [expected(sequence) for sequence in SEQUENCES]


def test_who_asks_for_rewards_gets_rewards():
    values = score_sequences(three_numbers(), SEQUENCES, Engine(4))
    assert values == [reward(sequence) for sequence in SEQUENCES]


def test_one_number_is_a_row_too():
    assert score_rows(network(), [[4, 1]], Engine(4)) == [(reward([4, 1]),)]


def test_what_a_store_kept_comes_back_as_rows(tmp_path):
    wanted = [expected(sequence) for sequence in SEQUENCES]
    score_rows(three_numbers(), SEQUENCES, Engine(4), store=ScoreStore(tmp_path, {}))
    net, again = three_numbers(), ScoreStore(tmp_path, {})
    assert score_rows(net, SEQUENCES, Engine(4), store=again) == wanted
    assert net.backbone.calls == []


def test_memory_that_runs_out_moves_no_number():
    net, full = three_numbers(), [True]

    def once(input_ids):
        if full.pop() if full else False:
            raise torch.OutOfMemoryError("full")

    net.backbone.before = once
    rows = score_rows(net, SEQUENCES, Engine(1000))
    assert rows == [expected(sequence) for sequence in SEQUENCES]


def test_an_objective_that_is_not_finite_is_an_error_and_is_not_kept():
    net, store = three_numbers(), MemoryStore()
    net.head.weight.data[2] = torch.tensor([float("inf"), 1.0])
    with pytest.raises(BadReward) as error:
        score_rows(net, [[3, 1], [4, 1]], Engine(1000), store=store)
    assert (error.value.index, error.value.value) == (0, float("inf"))
    assert store == {}
