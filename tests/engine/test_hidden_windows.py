"""What a model keeps from our attention is found before it is packed."""

import torch
from transformers import Qwen2MoeConfig, Qwen2MoeModel

from rmeval.engine.packable import why_not_packed
from rmeval.engine.scoring import Engine, score_sequences
from rmeval.models.network import Network

SIZES = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
EXPERTS = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16}
WINDOW = {
    "use_sliding_window": True,
    "sliding_window": 24,
    "layer_types": ["sliding_attention"] * 2,
}


def test_a_window_that_stands_only_in_the_mask_is_not_lost_in_a_pack():
    """Qwen2-MoE masks far tokens, and does not tell the attention function so."""
    torch.manual_seed(0)
    config = Qwen2MoeConfig(**SIZES, **HEADS, **EXPERTS, **WINDOW, pad_token_id=None)
    backbone = Qwen2MoeModel(config).eval()
    for parameter in backbone.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    network = Network(backbone, torch.nn.Linear(32, 1)).requires_grad_(False)
    sequences = [list(range(60)), [3, 4, 5]]
    padded = score_sequences(network, sequences, Engine(1000))
    if why_not_packed(network) is None:
        packed = score_sequences(network, sequences, Engine(1000, packed=True))
        assert abs(packed[0] - padded[0]) < 1e-3
