"""From a name or a folder to a reward model that can score."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rmeval.engine.memory import serving_batch_tokens
from rmeval.errors import BadCheckpoint, BadOption, UnknownName, Unreachable, one_line
from rmeval.hub import local_folder
from rmeval.known import find_template
from rmeval.models import detect_family, find_family, require_language_model
from rmeval.models.checkpoint import Checkpoint, open_checkpoint
from rmeval.models.day import parse_day
from rmeval.models.dpo import DPO
from rmeval.models.dpo_model import DPOModel
from rmeval.models.family import Family
from rmeval.models.language_model import LanguageModel
from rmeval.models.limits import choose_engine, choose_max_length, choose_pool
from rmeval.models.loading import choose_dtype, empty_network, load_network
from rmeval.models.network import Network
from rmeval.models.pairwise import PairwiseFamily, PairwiseModel
from rmeval.models.placement import choose_device, loading_on
from rmeval.models.remote import RemoteCode
from rmeval.models.reward_model import RewardModel
from rmeval.types import SPECIALS

NO_REFERENCE = "none"
logger = logging.getLogger("rmeval")


@dataclass(frozen=True, slots=True)
class Loading:
    """How a checkpoint is loaded; what each field means, `load_model` says."""

    revision: str | None = None
    family: str | None = None
    reference: str | None = None
    per_token: bool = False
    dtype: str = "auto"
    device: str = "auto"
    trust_remote_code: bool = False
    allow_pickle: bool = False
    engine: str = "auto"
    pool: str | None = None
    batch_tokens: int | None = None
    max_length: int | None = None
    chat_template: str | None = None
    specials: str | None = None
    date: str | None = None
    checks: bool = True
    weights: bool = True


def load_model(
    name_or_folder: str | Path,
    *,
    revision: str | None = None,
    family: str | None = None,
    reference: str | Path | None = None,
    per_token: bool = False,
    dtype: str = "auto",
    device: str = "auto",
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    engine: str = "auto",
    pool: str | None = None,
    batch_tokens: int | None = None,
    max_length: int | None = None,
    chat_template: str | None = None,
    specials: str | None = None,
    date: str | None = None,
    checks: bool = True,
    weights: bool = True,
) -> RewardModel:
    """Loads a reward model; its family is found in the checkpoint's own files.

    Args:
        name_or_folder: a folder, a name on the Hub, or "demo".
        revision: branch, tag or commit on the Hub.
        family: the name of an adapter, where neither the files nor the name of a folder tell it;
            None finds it.
        reference: the model that a DPO policy was trained from, "none" for the policy's log
            probabilities alone; None for a reward model, which has a head of its own.
        per_token: divide a DPO reward by the number of the response's tokens.
        dtype: "auto" (the checkpoint's own on a GPU, float32 on a CPU), "bfloat16", "float16",
            "float32" or "float64". The reward head runs in float32 at least.
        device: "auto", "cpu", "cuda" or "cuda:N". "auto" spreads a model that is too large for
            one GPU over all of them and the host.
        trust_remote_code: run the repository's own code, where rmeval has no adapter.
        allow_pickle: read `.bin` weights.
        engine: "packed" computes every shared prefix once; "padded" is the reference; "auto"
            packs where the model is found to allow it.
        pool: which token the reward is read from: "last", "last-not-pad" or "before-first-pad",
            see `rmeval.engine.plan.scored_place`; None is the family's own rule.
        batch_tokens: tokens in a forward pass: unique ones if packed, else padding included;
            None takes as many as serve, see `rmeval.engine.memory`.
        max_length: tokens of a conversation; longer ones are cut after the template's head.
        chat_template: a file, or the name of a template that ships with rmeval, in place of the
            tokenizer's own.
        specials: which special tokens stand around a text: "template" (what the chat template
            writes), "tokenizer" (and what the tokenizer adds), "once" (the same, but nothing
            twice), or "bos", "eos", "bos+eos" (these, once each); None is as its authors did.
        date: the day, 2024-07-26, for chat templates that ask for today's; None is the day that
            the template or the model card has, else 2024-07-26.
        checks: before the first score, make the cheap checks of `rmeval doctor` and raise
            BadCheckpoint for a model that fails one.
        weights: False reads none: the model can encode and plan, not score.

    Raises:
        RmevalError: one of its kinds, each with what to do.
    """
    options = Loading(
        revision=revision,
        family=family,
        reference=None if reference is None else str(reference),
        per_token=per_token,
        dtype=dtype,
        device=device,
        trust_remote_code=trust_remote_code,
        allow_pickle=allow_pickle,
        engine=engine,
        pool=pool,
        batch_tokens=batch_tokens,
        max_length=max_length,
        chat_template=chat_template,
        specials=specials,
        date=date,
        checks=checks,
        weights=weights,
    )
    return require_reward_model(load_scorer(name_or_folder, options))


def require_reward_model(model: RewardModel | PairwiseModel) -> RewardModel:
    """Returns a model that gives rewards. Raises BadOption for one that compares."""
    if isinstance(model, PairwiseModel):
        raise BadOption(
            f"{model.name} compares two responses and has no reward for one; "
            "`rmeval run` evaluates it, and rmeval.load_pairwise_model loads it in Python"
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
    _check(options)
    template = None if options.chat_template is None else find_template(options.chat_template)
    name = str(name_or_folder)
    checkpoint = open_checkpoint(
        name,
        options.revision,
        options.allow_pickle,
        options.trust_remote_code,
        options.weights,
    )
    precision = choose_dtype(options.dtype, checkpoint.config, where)
    family = _choose_family(checkpoint, options)
    spread = options.device == "auto" and "LOCAL_RANK" not in os.environ
    with loading_on(where):
        network = make_network(family, where, precision, weights=options.weights, spread=spread)
        network.pool = choose_pool(network, options.pool)
        budget = options.batch_tokens or serving_batch_tokens(network, where, precision)
        engine = choose_engine(network, budget, options.engine)
    model: RewardModel | PairwiseModel = _kind(family)(
        name=name,
        family=family,
        network=network,
        dtype=precision,
        device=where,
        engine=engine,
        max_length=choose_max_length(options.max_length, network, family.max_length),
        revision_asked=options.revision,
        pool_asked=options.pool,
        variant=_variant(options),
        template=template,
        specials_asked=options.specials,
        day_asked=options.date,
        checks=options.checks and options.weights,
    )
    if options.weights and (remark := model.remark()):
        logger.warning("%s", one_line(f"{name}: {remark}"))
    return model


def _check(options: Loading) -> None:
    if options.specials is not None and options.specials not in SPECIALS:
        raise UnknownName("policy of --specials", options.specials, SPECIALS)
    if options.date is not None:
        parse_day(options.date)
    if options.batch_tokens is not None and options.batch_tokens < 1:
        raise BadOption(f"--batch-tokens {options.batch_tokens}: at least one token is needed")
    if options.per_token and options.reference is None:
        raise BadOption("--per-token is for DPO models; pass --reference as well")
    if options.reference is not None and not options.reference.strip():
        raise BadOption("--reference names no model; pass a folder, a name on the Hub, or none")
    if options.family is not None and options.reference is not None:
        raise BadOption("--family is of a model with a head; leave it or --reference out")
    if options.pool is not None and options.reference is not None:
        raise BadOption("--pool is of a model with a head; leave it or --reference out")


def _choose_family(checkpoint: Checkpoint, options: Loading) -> Family:
    """Returns the family that was asked for, a DPO policy's, or the one that is found."""
    if options.reference is not None:
        return _open_dpo(checkpoint, options.reference, options)
    if options.family is not None:
        found = find_family(options.family)
        if not found.fits(checkpoint):
            lacking = ", ".join(key for key in found.needs if key not in checkpoint.shapes)
            raise BadCheckpoint(
                f"--family {found.name} does not fit {checkpoint.folder}: "
                f"{f'it lacks {lacking}' if lacking else 'its config.json or weights differ'}"
            )
        return found(checkpoint)
    return detect_family(checkpoint, trust_remote_code=options.trust_remote_code)


def _open_dpo(policy: Checkpoint, reference: str, options: Loading) -> DPO:
    """Returns the family of a policy with its reference, or without one for "none"."""
    require_language_model(policy)
    if reference == NO_REFERENCE:
        return DPO(policy, None, per_token=options.per_token)
    try:
        opened = open_checkpoint(reference, None, options.allow_pickle, weights=options.weights)
    except (BadOption, UnknownName, Unreachable) as error:
        reason = str(error).partition(";")[0].removeprefix(f"model {reference}: ")
        raise BadOption(
            f"--reference {reference}: {reason}; pass a local folder, organisation/name on the "
            f"Hub, or {NO_REFERENCE}"
        ) from error
    require_language_model(opened)
    return DPO(policy, opened, per_token=options.per_token)


def _kind(family: Family) -> type[Any]:
    if isinstance(family, PairwiseFamily):
        return PairwiseModel
    return DPOModel if isinstance(family, DPO) else RewardModel


def _variant(options: Loading) -> str | None:
    """Returns what tells results of a DPO policy from others of its name."""
    if options.reference is None:
        return None
    folder = local_folder(options.reference)
    name = folder.resolve() if folder else Path(options.reference)
    against = "against-" + "__".join(name.parts[-2:])
    return f"{against}-per-token" if options.per_token else against


def make_network(
    family: Family,
    device: torch.device,
    dtype: torch.dtype,
    *,
    weights: bool = True,
    spread: bool = False,
) -> Network:
    """Returns a family's network, with its weights or without. Raises BadCheckpoint."""
    if isinstance(family, DPO):
        policy, *reference = (
            make_network(part, device, dtype, weights=weights, spread=spread)
            for part in family.parts
        )
        return family.join(policy, *reference)
    if isinstance(family, LanguageModel):
        if not weights:
            return family.load_empty(dtype)
        return family.load(device, dtype, spread=spread)
    if not weights:
        return empty_network(family, dtype)
    if isinstance(family, RemoteCode):
        return family.load(device, dtype)
    return load_network(family, device, dtype, spread=spread)
