"""From a name or a folder to a reward model that can score."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rmeval.engine.gate import sees_padding, why_not_packed
from rmeval.engine.memory import serving_batch_tokens
from rmeval.engine.scoring import Engine
from rmeval.errors import BadOption, UnknownName
from rmeval.known import find_template
from rmeval.models import detect_family
from rmeval.models.checkpoint import open_checkpoint
from rmeval.models.family import Family
from rmeval.models.loading import choose_device, choose_dtype, empty_network, load_network
from rmeval.models.network import Network
from rmeval.models.pairwise import PairwiseFamily, PairwiseModel
from rmeval.models.remote import RemoteCode
from rmeval.models.reward_model import RewardModel
from rmeval.types import ENGINES

UNBOUNDED = 1 << 30  # for networks without a maximum of positions, in tokens


@dataclass(frozen=True, slots=True)
class Loading:
    """How a checkpoint is loaded; what each field means, `load_model` says."""

    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    trust_remote_code: bool = False
    allow_pickle: bool = False
    engine: str = "auto"
    batch_tokens: int | None = None
    max_length: int | None = None
    chat_template: str | None = None
    weights: bool = True


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
    chat_template: str | None = None,
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
        chat_template: a file, or the name of a template that ships with rmeval, in place of the
            tokenizer's own.
        weights: False reads none: the model can encode and plan, not score.

    Raises:
        RmevalError: one of its kinds, each with what to do.
    """
    options = Loading(
        revision=revision,
        dtype=dtype,
        device=device,
        trust_remote_code=trust_remote_code,
        allow_pickle=allow_pickle,
        engine=engine,
        batch_tokens=batch_tokens,
        max_length=max_length,
        chat_template=chat_template,
        weights=weights,
    )
    return require_reward_model(load_scorer(name_or_folder, options))


def require_reward_model(model: RewardModel | PairwiseModel) -> RewardModel:
    """Returns a model that gives rewards. Raises BadOption for one that compares."""
    if isinstance(model, PairwiseModel):
        raise BadOption(
            f"{model.name} compares two responses and has no reward for one; use "
            "`rmeval run`, or rmeval.load_pairwise_model"
        )
    return model


def load_pairwise_model(
    name_or_folder: str | Path, options: Loading | None = None
) -> PairwiseModel:
    """Loads a model that compares two responses; `options` are what `load_model` takes.

    Raises RmevalError: one of its kinds, each with what to do.
    """
    model = load_scorer(name_or_folder, options or Loading())
    if isinstance(model, RewardModel):
        raise BadOption(f"{model.name} gives rewards; load it with rmeval.load_model")
    return model


def load_scorer(name_or_folder: str | Path, options: Loading) -> RewardModel | PairwiseModel:
    """Loads a model of either kind: its family says which."""
    where = choose_device(options.device)
    if options.batch_tokens is not None and options.batch_tokens < 1:
        raise BadOption(f"--batch-tokens {options.batch_tokens}: at least one token is needed")
    name = str(name_or_folder)
    template = None if options.chat_template is None else find_template(options.chat_template)
    checkpoint = open_checkpoint(
        name,
        options.revision,
        options.allow_pickle,
        options.trust_remote_code,
        options.weights,
    )
    precision = choose_dtype(options.dtype, checkpoint.config, where)
    family = detect_family(checkpoint, trust_remote_code=options.trust_remote_code)
    network = _network(family, where, precision, options)
    budget = options.batch_tokens or serving_batch_tokens(network, where, precision)
    made: type[Any] = PairwiseModel if isinstance(family, PairwiseFamily) else RewardModel
    model: RewardModel | PairwiseModel = made(
        name=name,
        family=family,
        network=network,
        dtype=precision,
        device=where,
        engine=_choose_engine(network, budget, options.engine),
        max_length=_max_length(options.max_length, network, family.max_length),
        revision_asked=options.revision,
        template=template,
    )
    return model


def _network(family: Family, device: torch.device, dtype: torch.dtype, options: Loading) -> Network:
    if not options.weights:
        return empty_network(family, dtype)
    if isinstance(family, RemoteCode):
        return family.load(device, dtype)
    spread = options.device == "auto" and "LOCAL_RANK" not in os.environ
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


def _max_length(asked: int | None, network: Network, longest: int | None) -> int:
    """Returns the longest sequence in tokens. Raises BadOption for more than the positions."""
    config = network.config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None) or UNBOUNDED
    for name, module in network.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None):
            positions -= module.padding_idx + 1  # RoBERTa counts positions from there
    positions = longest or positions
    if asked is not None and not 0 < asked <= positions:
        raise BadOption(f"--max-length {asked}: this model takes 1 to {positions} tokens")
    return int(asked or positions)
