"""What of a Trainer an evaluation during training needs: its models, its log, its ranks."""

import sys
from typing import Any

import torch
from torch import distributed, nn
from transformers import Trainer, TrainerCallback

from rmeval.errors import BadOption
from rmeval.models.live.unwrapping import unwrap
from rmeval.models.live.wrapping import BASE, wrap
from rmeval.models.reward_model import RewardModel

__all__ = ["TrainerCallback", "agree_to_stop", "calling_trainer", "log_through", "scorer_of"]

BEGINNING = "ref"  # the adapter that a policy's training began from, as TRL's DPOTrainer calls it


def calling_trainer() -> Any:
    """Returns the Trainer that calls a callback: it hands over its models, but not itself.

    Raises BadOption where none is on the way here.
    """
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if isinstance(found := frame.f_locals.get("self"), Trainer):
            return found
    raise BadOption(
        "TrainerEvaluation is a callback of transformers' Trainer: Trainer(callbacks=…)"
    )


def scorer_of(trainer: Any, **options: Any) -> RewardModel:
    """Returns a scorer of the model that a Trainer trains: a classifier's, or a DPO policy's.

    The reference of a policy is the Trainer's `ref_model`; or else, of a policy with adapters, the
    one that TRL's DPOTrainer keeps under the name "ref" where training goes on from an adapter, or
    the policy without any.
    The checks of `rmeval doctor` are not made unless they are asked for: before training, a fresh
    head is no fault, and a policy's rewards are 0. Raises BadOption where there is no reference.
    """
    reference: nn.Module | str | None = getattr(trainer, "ref_model", None)
    live = unwrap(trainer.model)
    if not live.is_causal:
        reference = None
    elif reference is None and not live.adapters:
        raise BadOption(
            "TrainerEvaluation: a language model is scored against the Trainer's ref_model or "
            "without its adapters, and this one has neither"
        )
    elif reference is None:
        reference = BEGINNING if BEGINNING in live.adapters else BASE
    how = {"checks": False, **options}
    return wrap(trainer.model, trainer.processing_class, reference=reference, **how)


def log_through(trainer: Any, logs: dict[str, float]) -> None:
    """Logs as the Trainer does, to its history and to all that it reports to.

    Not by the `log` of a subclass: TRL's adds its own means, of a part of their steps, and forgets
    them. That the Trainer is about to log for itself is not forgotten over it.
    """
    about_to = trainer.control.should_log
    Trainer.log(trainer, logs)
    trainer.control.should_log = about_to


def agree_to_stop(stop: bool, device: torch.device) -> bool:
    """Returns what rank 0 says; every rank must ask, and waits here for it."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return stop
    said = torch.tensor([int(stop)], device=device)
    distributed.broadcast(said, src=0)
    return bool(said.item())
