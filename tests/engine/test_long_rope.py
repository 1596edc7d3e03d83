"""LongRoPE turns the angles of a whole forward pass by its longest sequence."""

import pytest
import torch
from transformers import Phi3Config, Phi3Model

from rmeval.engine.scoring import Engine, score_sequences
from rmeval.models.limits import choose_engine
from rmeval.models.network import Network

LONG_ROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "short_factor": [1.0] * 4,
    "long_factor": [8.0, 16.0, 32.0, 64.0],
    "original_max_position_embeddings": 16,
}
SEQUENCES = [list(range(1, 1 + length)) for length in (3, 16, 17, 30)]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    config = Phi3Config(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        original_max_position_embeddings=16,
        rope_parameters=LONG_ROPE,
        pad_token_id=0,
    )
    backbone = Phi3Model(config).eval()
    for parameter in backbone.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    return Network(backbone, torch.nn.Linear(32, 1)).requires_grad_(False)


@pytest.mark.parametrize("engine", ["packed", "padded"])
def test_a_long_sequence_does_not_turn_the_angles_of_short_ones(network, engine):
    chosen = choose_engine(network, 10**6, engine)
    alone = [score_sequences(network, [sequence], chosen)[0] for sequence in SEQUENCES]
    assert score_sequences(network, SEQUENCES, chosen) == pytest.approx(alone, abs=5e-5)


def test_without_the_boundary_it_would(network):
    alone = score_sequences(network, SEQUENCES[1:2], Engine(10**6))[0]
    together = score_sequences(network, SEQUENCES, Engine(10**6))[1]
    assert abs(together - alone) > 1e-3
