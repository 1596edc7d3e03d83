"""From a name or a folder to a reward model that can score."""

import os
from pathlib import Path

import torch

from rmeval.engine.gate import sees_padding, why_not_packed
from rmeval.engine.memory import serving_batch_tokens
from rmeval.engine.scoring import Engine
from rmeval.errors import BadOption, UnknownName
from rmeval.models import detect_family
from rmeval.models.checkpoint import open_checkpoint
from rmeval.models.family import Family
from rmeval.models.loading import choose_device, choose_dtype, empty_network, load_network
from rmeval.models.network import Network
from rmeval.models.remote import RemoteCode
from rmeval.models.reward_model import RewardModel
from rmeval.types import ENGINES

UNBOUNDED = 1 << 30  # for networks without a maximum of positions, in tokens


def load_model(
    name_or_folder: str | Path,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    engine: str = "auto",
    batch_tokens: int | None = None,
    max_length: int | None = None,
    weights: bool = True,
) -> RewardModel:
    """Loads a reward model; its family is found in the checkpoint's own files.

    Args:
        name_or_folder: a folder, a name on the Hub, or "demo".
        revision: branch, tag or commit on the Hub.
        dtype: "auto" (the checkpoint's own on a GPU, float32 on a CPU), "bfloat16", "float16",
            "float32" or "float64". The reward head runs in float32 at least.
        device: "auto", "cpu", "cuda" or "cuda:N". "auto" spreads a model that is too large for
            one GPU over all of them and the host.
        trust_remote_code: run the repository's own code, where rmeval has no adapter.
        allow_pickle: read `.bin` weights.
        engine: "packed" computes every shared prefix once; "padded" is the reference; "auto"
            packs where the model is found to allow it.
        batch_tokens: tokens in a forward pass: unique ones if packed, else padding included;
            None takes as many as serve, see `rmeval.engine.memory`.
        max_length: tokens of a conversation; longer ones are cut after the template's head.
        weights: False reads none: the model can encode and plan, not score.

    Raises:
        RmevalError: one of its kinds, each with what to do.
    """
    where = choose_device(device)
    if batch_tokens is not None and batch_tokens < 1:
        raise BadOption(f"--batch-tokens {batch_tokens}: at least one token is needed")
    name = str(name_or_folder)
    checkpoint = open_checkpoint(name, revision, allow_pickle, trust_remote_code, weights)
    precision = choose_dtype(dtype, checkpoint.config, where)
    family = detect_family(checkpoint, trust_remote_code=trust_remote_code)
    spread = device == "auto" and "LOCAL_RANK" not in os.environ
    network = _network(family, where, precision, weights=weights, spread=spread)
    budget = batch_tokens or serving_batch_tokens(network, where, precision)
    return RewardModel(
        name=name,
        family=family,
        network=network,
        dtype=precision,
        device=where,
        engine=_choose_engine(network, budget, engine),
        max_length=_max_length(max_length, network),
        revision_asked=revision,
    )


def _network(
    family: Family, device: torch.device, dtype: torch.dtype, *, weights: bool, spread: bool
) -> Network:
    if not weights:
        return empty_network(family, dtype)
    if isinstance(family, RemoteCode):
        return family.load(device, dtype)
    return load_network(family, device, dtype, spread=spread)


def _choose_engine(network: Network, batch_tokens: int, engine: str) -> Engine:
    """Returns the engine asked for. Raises BadOption where packing is asked and not allowed."""
    if engine not in ENGINES:
        raise UnknownName("engine", engine, ENGINES)
    empty = next(network.parameters()).is_meta  # and cannot be asked
    network.may_pad = network.may_pad and (empty or not sees_padding(network))
    boundary = _rope_boundary(network)
    if engine == "padded":
        return Engine(batch_tokens, reason="asked for", boundary=boundary)
    reason = None if empty and network.head is not None else why_not_packed(network)
    if reason is not None and engine == "packed":
        raise BadOption(f"this model cannot be packed: {reason}; use --engine padded")
    return Engine(batch_tokens, packed=reason is None, reason=reason, boundary=boundary)


def _rope_boundary(network: Network) -> int | None:
    """Returns the length beyond which LongRoPE uses its other angles, for those that have it."""
    rope = getattr(network.config.get_text_config(), "rope_parameters", None) or {}
    if rope.get("rope_type") != "longrope":
        return None
    return int(rope["original_max_position_embeddings"])


def _max_length(asked: int | None, network: Network) -> int:
    """Returns the longest sequence in tokens. Raises BadOption for more than the positions."""
    config = network.config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None) or UNBOUNDED
    for name, module in network.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None):
            positions -= module.padding_idx + 1  # RoBERTa counts positions from there
    if asked is not None and not 0 < asked <= positions:
        raise BadOption(f"--max-length {asked}: this model takes 1 to {positions} tokens")
    return int(asked or positions)
