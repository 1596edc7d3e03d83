"""Arithmetic of memory and time: what a forward pass needs, and how much of it serves."""

import math
import os
import time

import torch
from torch import nn

from rmeval.cards import Card
from rmeval.engine.device import cards, waits_on_host
from rmeval.engine.forward import RewardNetwork
from rmeval.engine.plan import KEYS_PER_TOKEN

MOST_TOKENS = {"cpu": 8192, "cuda": 16384}  # more of them share nothing more and fill no more cores
FEWEST_TOKENS = 256
SHARE_OF_HOST = 0.25
SHARE_OF_DEVICE = 0.8
UNKNOWN_HIDDEN_SIZE = 4096  # for remote code whose configuration does not say
CONTEXT_BYTES = 1 << 30  # what CUDA itself takes
MARGIN_SHARE, MARGIN_AT_MOST = 0.05, 4 << 30
SHARE_OF_SPREAD = 0.9  # of each memory may be weights; the rest is for the passes


def serving_batch_tokens(network: RewardNetwork, device: torch.device, dtype: torch.dtype) -> int:
    """Returns how many tokens a forward pass should hold: a power of two that fits.

    It follows from the memory that the device has in all, not from what happens to be free, so
    that the same run is planned alike when it is started again.
    """
    if device.type == "cuda":
        room = SHARE_OF_DEVICE * min(
            _left(network, card) for card in cards(network.backbone) or [device]
        )
    else:
        room = SHARE_OF_HOST * host_bytes()
    return _fitting_tokens(room, network, dtype, MOST_TOKENS[device.type])


def planned_cards(network: RewardNetwork, card: Card) -> int:
    """Returns how many cards of a kind the weights are spread over, or 1."""
    return cards_for(weight_bytes(network), _layer_bytes(network), card)


def cards_for(weights: int, layer: int, card: Card) -> int:
    """Returns how many cards of a kind hold so many bytes of weights, in layers of so many."""
    room = card.memory - CONTEXT_BYTES
    if weights + margin_beside(weights) <= room:
        return 1
    return max(2, math.ceil(weights / max(SHARE_OF_SPREAD * room - layer, layer)))


def planned_batch_tokens(network: RewardNetwork, card: Card, dtype: torch.dtype) -> int:
    """Returns what `serving_batch_tokens` would on cards of a kind, each with an equal share."""
    count = planned_cards(network, card)
    held = weight_bytes(network) / count
    if count > 1:  # whole layers: some card holds one more
        held += _layer_bytes(network)
    room = SHARE_OF_DEVICE * (card.memory - CONTEXT_BYTES - held)
    return _fitting_tokens(room, network, dtype, MOST_TOKENS["cuda"])


def margin_beside(weights: int) -> float:
    """Returns the bytes that a card must have beside weights, or they are spread over several.

    A twentieth of them, never more than 4 GiB: 70B in bfloat16 stays on one card of 141 GB.
    """
    return min(MARGIN_SHARE * weights, MARGIN_AT_MOST)


def _layer_bytes(network: RewardNetwork) -> int:
    layers: int = network.config.get_text_config().num_hidden_layers
    return weight_bytes(network) // layers


def _fitting_tokens(room: float, network: RewardNetwork, dtype: torch.dtype, most: int) -> int:
    fitting = int(room / bytes_per_token(network, dtype))
    power_of_two = 1 << max(fitting, 1).bit_length() - 1
    return max(FEWEST_TOKENS, min(most, power_of_two))


def bytes_per_token(network: RewardNetwork, dtype: torch.dtype) -> int:
    """Returns the bytes of activations that a token needs at the widest point of a layer.

    Counted: the residual stream and its copies (8 H), the three of the feed-forward (3 F), and
    keys and values gathered along the paths, `KEYS_PER_TOKEN` times at most.
    """
    config = network.config.get_text_config()
    hidden = getattr(config, "hidden_size", None) or UNKNOWN_HIDDEN_SIZE
    heads = getattr(config, "num_attention_heads", None) or 1
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    head_dim = getattr(config, "head_dim", None) or hidden // heads
    feed_forward = getattr(config, "intermediate_size", None) or 4 * hidden
    gathered = 2 * KEYS_PER_TOKEN * kv_heads * head_dim
    return int(dtype.itemsize * (8 * hidden + 3 * feed_forward + gathered))


def weight_bytes(network: RewardNetwork, device: torch.device | None = None) -> int:
    """Returns the bytes of the backbone's weights: all, or those on (or meant for) one device.

    Of those that wait on the host a device holds the largest part, and the next one.
    """
    if device is None:
        return sum(parameter.nbytes for parameter in network.backbone.parameters())
    held, waiting, seen = 0, 0, set[int]()
    for module in network.backbone.modules():
        own = [p for p in module.parameters(recurse=False) if id(p) not in seen]
        seen |= set(map(id, own))
        if waits_on_host(module):
            waiting = max(waiting, sum(parameter.nbytes for parameter in own))
        else:
            held += sum(p.nbytes for p in own if p.is_meta or p.device == device)
    return held + 2 * waiting


def host_bytes() -> int:
    """Returns the bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _left(network: RewardNetwork, card: torch.device) -> int:
    """Returns the bytes of a GPU that the weights leave."""
    total: int = torch.cuda.get_device_properties(card).total_memory
    return total - weight_bytes(network, card) - CONTEXT_BYTES


def flops_per_token(network: RewardNetwork) -> int:
    """Returns 2 x the weights that a token is multiplied with: matrices, not lookup tables.

    Of fused experts, (experts, rows, columns), a token meets `num_experts_per_tok`.
    """
    config = network.config.get_text_config()
    met = getattr(config, "num_experts_per_tok", None) or 1
    flops = 0.0
    for module in network.backbone.modules():
        if isinstance(module, nn.Embedding):
            continue
        for parameter in module.parameters(recurse=False):
            if parameter.ndim == 2:
                flops += 2 * parameter.numel()
            elif parameter.ndim == 3:
                flops += 2 * parameter.numel() * met / parameter.shape[0]
    return round(flops)


@torch.inference_mode()
def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Returns the measured rate of large matrix products on random data, in FLOP/s."""
    size = 8192 if device.type == "cuda" else 2048
    a = torch.randn(size, size, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(4):
        started = time.perf_counter()
        (a @ a)[0, 0].item()  # waits for the device
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best
