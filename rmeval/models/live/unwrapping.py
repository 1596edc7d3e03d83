"""A live model out of what a trainer puts around it: PEFT, DDP, DeepSpeed, torch.compile."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
)

from rmeval.errors import BadOption

AROUND = {  # what holds a model under another name; told by name, so that none must be installed
    "DistributedDataParallel": "module",
    "DataParallel": "module",
    "DeepSpeedEngine": "module",
    "OptimizedModule": "_orig_mod",
}


@dataclass(frozen=True)
class Unwrapped:
    """transformers' own model, whose layers PEFT may have changed; `adapted` is then PEFT's."""

    module: Any
    adapted: Any | None = None

    @property
    def adapters(self) -> tuple[str, ...]:
        """The names of its adapters."""
        return tuple(getattr(self.adapted, "peft_config", ()))

    @contextmanager
    def under(self, adapter: str | None) -> Iterator[None]:
        """Makes one of its adapters count, or none of them; the active one does again afterwards.

        Which weights want gradients is not put back: `left_as_it_was` does.
        """
        assert self.adapted is not None
        if adapter is None:
            with self.adapted.disable_adapter():
                yield
            return
        active = self.adapted.active_adapter
        self.adapted.set_adapter(adapter)
        try:
            yield
        finally:
            self.adapted.set_adapter(active)

    @property
    def is_causal(self) -> bool:
        """Whether it gives logits of tokens, and no reward."""
        return type(self.module).__name__ in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()

    @property
    def body(self) -> nn.Module:
        """The model without its head."""
        body: nn.Module = self.module.base_model
        return body

    @property
    def head(self) -> nn.Module | None:
        """The head of a decoder; None for an encoder, which pools in its own way."""
        return getattr(self.module, "score", None)

    @property
    def device(self) -> torch.device:
        """Where its first weight is."""
        device: torch.device = next(self.module.parameters()).device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of its embeddings, since the weights of a quantised layer are no numbers."""
        weight: torch.Tensor = self.module.get_input_embeddings().weight
        return weight.dtype


def unwrap(given: nn.Module) -> Unwrapped:
    """Returns the model that is inside. Raises BadOption for one that cannot be scored here."""
    _require_whole(given)
    model: Any = given
    while type(model).__name__ in AROUND:
        model = getattr(model, AROUND[type(model).__name__])
    adapted = None
    if hasattr(model, "peft_config") and hasattr(model, "get_base_model"):
        if getattr(model.active_peft_config, "is_prompt_learning", False):
            raise BadOption("wrap: a PEFT method that adds tokens to the prompt is not supported")
        adapted, model = model, model.get_base_model()
    if not isinstance(model, PreTrainedModel):
        raise BadOption(
            f"wrap: {type(model).__name__} is not a transformers model, and does not hold one"
        )
    live = Unwrapped(model, adapted)
    if not live.is_causal:
        _require_one_reward(live)
    return live


def _require_whole(model: nn.Module) -> None:
    """Every weight must be here, and whole."""
    where = "; gather the whole model first, or save it and pass the folder to rmeval.load_model"
    if any(type(module).__name__ == "FullyShardedDataParallel" for module in model.modules()):
        raise BadOption(f"wrap: the model's weights are sharded by FSDP{where}")
    for weight in model.parameters():
        if weight.is_meta:
            raise BadOption("wrap: the model is on the meta device and has no weights; load them")
        if hasattr(weight, "ds_id"):
            raise BadOption(f"wrap: the model's weights are sharded by DeepSpeed ZeRO-3{where}")
        if type(weight.data).__name__ == "DTensor":
            raise BadOption(f"wrap: the model's weights are sharded by FSDP (DTensor){where}")


def _require_one_reward(live: Unwrapped) -> None:
    name = type(live.module).__name__
    if name not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES.values():
        raise BadOption(
            f"wrap: {name} gives no reward; pass a *ForSequenceClassification with one label, or a "
            "language model with a reference"
        )
    labels = live.module.config.num_labels
    if labels != 1:
        raise BadOption(f"wrap: {name} gives {labels} labels; a reward model gives one")
