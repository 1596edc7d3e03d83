"""From a name or a folder to a reward model that can score."""

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack, overload

import torch

from rmeval.cards import find_card
from rmeval.engine.memory import planned_batch_tokens, serving_batch_tokens
from rmeval.engine.scoring import Engine
from rmeval.engine.workers import count_processes
from rmeval.errors import BadCheckpoint, BadOption, UnknownName, Unreachable, one_line
from rmeval.hub import local_folder
from rmeval.known import find_template, usual_length
from rmeval.load_options import LoadOptions, ModelOptions, takes_load_options, with_defaults
from rmeval.models.checkpoints.checkpoint import Checkpoint, open_checkpoint
from rmeval.models.checkpoints.other_names import refuse_names
from rmeval.models.dpo.language_model import LanguageModel
from rmeval.models.dpo.model import DPOModel
from rmeval.models.dpo.network import DPO
from rmeval.models.families import detect_family, find_family, require_language_model
from rmeval.models.families.polar import Polar, PolarModel, require_references
from rmeval.models.families.remote import RemoteCode
from rmeval.models.family import Family
from rmeval.models.limits import choose_engine, choose_max_length, choose_pool
from rmeval.models.loading import choose_dtype, empty_network, load_network
from rmeval.models.network import Network
from rmeval.models.pairwise import PairwiseFamily, PairwiseModel
from rmeval.models.placement import choose_device, loading_on
from rmeval.models.reward_model import RewardModel
from rmeval.models.text.day import parse_day
from rmeval.records import PARALLEL, SPECIALS

NO_REFERENCE = "none"
logger = logging.getLogger("rmeval")


@overload
def load_model(
    name_or_folder: str | Path, *, reference: None = None, **options: Unpack[ModelOptions]
) -> RewardModel: ...
@overload
def load_model(
    name_or_folder: str | Path, *, reference: str | Path, **options: Unpack[ModelOptions]
) -> DPOModel: ...
@takes_load_options
def load_model(name_or_folder: str | Path, **options: Any) -> RewardModel:
    """Loads a reward model; its family is found in the checkpoint's own files.

    `name_or_folder` is a folder, a name on the Hub, or "demo". Raises RmevalError: one of its
    kinds, each with what to do.
    """
    return require_reward_model(load_scorer(name_or_folder, options))


def require_reward_model(model: RewardModel | PairwiseModel) -> RewardModel:
    """Returns a model that gives rewards. Raises BadOption for one that compares."""
    if isinstance(model, PairwiseModel):
        raise BadOption(
            f"{model.name} compares two responses and has no reward for one; "
            "`rmeval run` evaluates it, and rmeval.load_pairwise_model loads it in Python"
        )
    return model


@takes_load_options
def load_pairwise_model(
    name_or_folder: str | Path, **options: Unpack[ModelOptions]
) -> PairwiseModel:
    """Loads a model that compares two responses, as `load_model` loads one that gives rewards.

    Raises RmevalError: one of its kinds, each with what to do.
    """
    model = load_scorer(name_or_folder, options)
    if isinstance(model, RewardModel):
        raise BadOption(f"{model.name} gives rewards; load it with rmeval.load_model")
    return model


def load_scorer(
    name_or_folder: str | Path, given: Mapping[str, object]
) -> RewardModel | PairwiseModel:
    """Loads a model of either kind, which its family says, by the LoadOptions that are given."""
    options = with_defaults(given)
    where, template = _device(options), options["chat_template"]
    _check(options)
    name = str(name_or_folder)
    if options["family"] is None and options["reference"] is None:
        refuse_names(name, options["without_reference"])
    checkpoint = _open(name, options["revision"], options)
    precision = choose_dtype(options["dtype"], checkpoint.config, where)
    family = _choose_family(checkpoint, options)
    require_references(family, options["without_reference"])
    _require_adapter(family, name, options["base"])
    with loading_on(where):
        network, engine = _network(family, where, precision, options)
    model: RewardModel | PairwiseModel = _kind(family)(
        name=name,
        family=family,
        network=network,
        dtype=precision,
        device=where,
        engine=engine,
        max_length=_max_length(family, network, options["max_length"]),
        variant=_variant(options),
        template=None if template is None else find_template(template),
        checks=options["checks"] and options["weights"],
        **_asked(options),
    )
    if options["weights"] and (remark := model.remark()):
        logger.warning("%s", one_line(f"{name}: {remark}"))
    return model


def _max_length(family: Family, network: Network, asked: int | None) -> int:
    usual = usual_length(family.checkpoint.name, family.name)
    return choose_max_length(asked, network, family.max_length, usual)


def _require_adapter(family: Family, name: str, base: str | Path | None) -> None:
    if base is not None and not any(part.adaptation for part in family.checkpoints):
        raise BadOption(f"`base=` is for adapters, and {name} is not one; leave it out")


def _network(
    family: Family, device: torch.device, dtype: torch.dtype, options: LoadOptions
) -> tuple[Network, Engine]:
    """Returns the network with its rule of the scored token, and how its passes are made."""
    spread = options["device"] == "auto" and "LOCAL_RANK" not in os.environ
    parallel = options["parallel"] is not None and options["weights"]
    network = make_network(
        family, device, dtype, weights=options["weights"], spread=spread, parallel=parallel
    )
    network.pool = choose_pool(network, options["pool"])
    budget = options["batch_tokens"] or _batch_tokens(network, device, dtype, options["on"])
    engine = choose_engine(network, budget, options["engine"])
    return network, replace(engine, processes=count_processes() if parallel else 1)


def _batch_tokens(
    network: Network, device: torch.device, dtype: torch.dtype, on: str | None
) -> int:
    if on is not None:
        return planned_batch_tokens(network, find_card(on), dtype)
    return serving_batch_tokens(network, device, dtype)


def _device(options: LoadOptions) -> torch.device:
    """Returns the device that is asked for; one that is planned for does not need to be here."""
    if options["on"] is None:
        return choose_device(options["device"])
    if options["weights"]:
        raise BadOption("`on=` is for a card that is not here: pass `weights=False` as well")
    find_card(options["on"])
    return torch.device("cuda", 0)


def _asked(options: LoadOptions) -> dict[str, Any]:
    """Returns what was asked for in place of a family's own ways, by a model's names for it."""
    return {
        "revision_asked": options["revision"],
        "pool_asked": options["pool"],
        "specials_asked": options["specials"],
        "day_asked": options["date"],
        "system": options["system"],
    }


def _open(name: str, revision: str | None, options: LoadOptions) -> Checkpoint:
    base = options["base"]
    return open_checkpoint(
        name,
        revision,
        options["allow_pickle"],
        options["trust_remote_code"],
        options["weights"],
        None if base is None else str(base),
    )


def _check(options: LoadOptions) -> None:
    specials, tokens = options["specials"], options["batch_tokens"]
    if specials is not None and specials not in SPECIALS:
        raise UnknownName("policy of `specials=`", specials, SPECIALS)
    if options["date"] is not None:
        parse_day(options["date"])
    if options["parallel"] not in (None, *PARALLEL):
        raise UnknownName("way of `parallel=`", str(options["parallel"]), PARALLEL)
    if options["chat_template"] is not None:
        find_template(options["chat_template"])
    if tokens is not None and tokens < 1:
        raise BadOption(f"`batch_tokens={tokens}`: at least one token is needed")
    reference = options["reference"]
    if options["per_token"] and reference is None:
        raise BadOption("`per_token=True` is for DPO models; pass `reference=` as well")
    if reference is not None and not str(reference).strip():
        raise BadOption("`reference=` names no model; pass a folder, a name on the Hub, or none")
    for name, value in (("family", options["family"]), ("pool", options["pool"])):
        if reference is not None and value is not None:
            raise BadOption(f"`{name}=` is for a model with a head; leave it out, or `reference=`")


def _choose_family(checkpoint: Checkpoint, options: LoadOptions) -> Family:
    """Returns the family that was asked for, a DPO policy's, or the one that is found."""
    if options["reference"] is not None:
        return _open_dpo(checkpoint, str(options["reference"]), options)
    if options["family"] is not None:
        found = find_family(options["family"])
        if not found.compatible(checkpoint):
            lacking = ", ".join(key for key in found.needs if key not in checkpoint.shapes)
            raise BadCheckpoint(
                f"`family={found.name!r}` does not fit {checkpoint.folder}: "
                f"{f'it lacks {lacking}' if lacking else 'its config.json or weights differ'}"
            )
        return found(checkpoint)
    return detect_family(checkpoint, trust_remote_code=options["trust_remote_code"])


def _open_dpo(policy: Checkpoint, reference: str, options: LoadOptions) -> DPO:
    """Returns the family of a policy with its reference, or without one for "none"."""
    require_language_model(policy)
    if reference == NO_REFERENCE:
        return DPO(policy, None, per_token=options["per_token"])
    try:
        opened = _open(reference, None, options)
    except (BadOption, UnknownName, Unreachable) as error:
        reason = str(error).partition(";")[0].removeprefix(f"model {reference}: ")
        raise BadOption(
            f"`reference={reference!r}`: {reason}; pass a local folder, organisation/name on the "
            f"Hub, or {NO_REFERENCE}"
        ) from error
    require_language_model(opened)
    return DPO(policy, opened, per_token=options["per_token"])


def _kind(family: Family) -> type[Any]:
    if isinstance(family, PairwiseFamily):
        return PairwiseModel
    if isinstance(family, Polar):
        return PolarModel
    return DPOModel if isinstance(family, DPO) else RewardModel


def _variant(options: LoadOptions) -> str | None:
    """Returns what tells results of a DPO policy from others of its name."""
    if options["reference"] is None:
        return None
    reference = str(options["reference"])
    folder = local_folder(reference)
    name = folder.resolve() if folder else Path(reference)
    against = "against-" + "__".join(name.parts[-2:])
    return f"{against}-per-token" if options["per_token"] else against


def make_network(
    family: Family,
    device: torch.device,
    dtype: torch.dtype,
    *,
    weights: bool = True,
    spread: bool = False,
    base: Network | None = None,
    parallel: bool = False,
) -> Network:
    """Returns a family's network, with its weights or without. Raises BadCheckpoint.

    `base` is the network of a language model's adapter's base, if that is loaded. With `parallel`
    it is this process's part.
    """
    if parallel and isinstance(family, DPO | LanguageModel | RemoteCode):
        raise BadOption(f"`parallel='tensor'`: {family.name} is not cut; leave it out")
    if isinstance(family, DPO):
        return family.join(*_make_parts(family, device, dtype, weights=weights, spread=spread))
    if isinstance(family, LanguageModel):
        if not weights:
            return family.load_empty(dtype)
        return family.load(device, dtype, spread=spread, base=base)
    if not weights:
        return empty_network(family, dtype)
    if isinstance(family, RemoteCode):
        return family.load(device, dtype)
    return load_network(family, device, dtype, spread=spread, parallel=parallel)


def _make_parts(family: DPO, *args: Any, **options: Any) -> list[Network]:
    """Returns the networks of a policy and its reference; one may be the other's adapter's base."""
    made: dict[int, Network] = {}
    order = sorted(
        enumerate(family.parts), key=lambda item: item[1].checkpoint.adaptation is not None
    )
    for index, part in order:
        adapted = part.checkpoint.adaptation
        same = [
            made[other]
            for other in made
            if adapted and family.parts[other].checkpoint.is_same(adapted.base)
        ]
        made[index] = make_network(part, *args, **options, base=same[0] if same else None)
    return [made[index] for index in sorted(made)]
