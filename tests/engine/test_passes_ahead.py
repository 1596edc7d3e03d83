"""Passes that are launched before the last one's numbers are read, as on a GPU, or on several."""

import pytest
import torch
from fake_networks import Adding, network, reward
from tiny_families import family_tree, tiny

from rmeval.engine import scoring
from rmeval.engine.forward import Numbers
from rmeval.engine.scoring import Engine, MemoryStore, score_sequences
from rmeval.errors import BadOption


class Recording(MemoryStore):
    """Says what was launched, and what was kept, in which order."""

    def __init__(self, said):
        super().__init__()
        self.said = said

    def put(self, digest, rewards):
        self.said.append("kept")
        super().put(digest, rewards)


@pytest.mark.parametrize("devices", [0, 1, 2, 9])
def test_each_card_has_a_pass_of_its_own_before_the_first_is_waited_for(monkeypatch, devices):
    """A GPU without the next pass is idle while the host keeps the last one's numbers."""
    sequences = [[number, 1] for number in range(5)]
    said = []
    monkeypatch.setattr(scoring, "cards", lambda backbone: [None] * devices)
    net = network(Adding(lambda ids: said.append("launched")))
    scores = score_sequences(net, sequences, Engine(2), store=Recording(said))
    assert scores == list(map(reward, sequences))
    ahead = min(devices, 4)
    middle = ["kept", "launched"] * (4 - ahead)
    assert said == ["launched"] * (ahead + 1) + middle + ["kept"] * (ahead + 1)


@pytest.mark.parametrize("family", ["llama", "gemma3"])
@pytest.mark.parametrize("packed", [True, False])
def test_what_is_launched_ahead_scores_the_same_to_the_last_bit(monkeypatch, family, packed):
    net, engine = tiny(family), Engine(45, packed=packed)
    one_after_the_other = score_sequences(net, family_tree(), engine)
    monkeypatch.setattr(scoring, "cards", lambda backbone: [None] * 2)
    assert score_sequences(net, family_tree(), engine) == one_after_the_other


@pytest.mark.parametrize("devices", [0, 1, 3])
def test_a_gpu_that_says_late_that_its_memory_was_full_is_asked_again_for_half(
    monkeypatch, caplog, devices
):
    sequences = [[number, 1, 2] for number in range(8)]
    read = Numbers.read

    def full(numbers):
        values = read(numbers)
        if len(values) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return values

    monkeypatch.setattr(Numbers, "read", full)
    monkeypatch.setattr(scoring, "cards", lambda backbone: [None] * devices)
    assert score_sequences(network(), sequences, Engine(12)) == list(map(reward, sequences))
    assert len(caplog.records) == 1, "what was launched before is no reason to halve again"
    monkeypatch.setattr(Numbers, "read", lambda numbers: full_for_ever())
    with pytest.raises(BadOption, match="out of memory on one sequence of up to 3 tokens"):
        score_sequences(network(), sequences, Engine(12))


def full_for_ever():
    raise torch.OutOfMemoryError("CUDA out of memory")
