"""Causal language models: a body that reads tokens, and what makes logits of its states.

A language model alone is no reward model, so this family is in no registry:
`rmeval.models.dpo.network` makes rewards of one or two of them.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PretrainedConfig
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
)

from rmeval.engine.device import home, one_name_for_full
from rmeval.engine.packable import ROUNDING, relative_difference, sees_padding
from rmeval.errors import FOREIGN, BadCheckpoint, first_line
from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.family import Family, Placed
from rmeval.models.loading import empty_network, load_network
from rmeval.models.network import Network

LOGIT_BYTES = 256 << 20  # of float32 logits at once: 512 tokens of a vocabulary of 131,072
PROBE_TOKENS = 8


class LanguageModel(Family):
    """Whatever causal class transformers itself has for the checkpoint's `model_type`."""

    name = "language-model"

    @staticmethod
    def claims(checkpoint: Checkpoint) -> bool:
        known = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(checkpoint.config.get("model_type"))
        return known is not None and checkpoint.architecture == known

    def backbone(self, config: PretrainedConfig, attention: str | None) -> nn.Module:
        causal = AutoModelForCausalLM.from_config(
            config, attn_implementation=attention, dtype=config.dtype
        )
        return CausalModel(causal)

    def head(self) -> nn.Module:
        return nn.Identity()

    def place(self, key: str, tensor: Tensor) -> Placed:
        twins = {twin for pair in self._tied for twin in pair if key in pair}
        absent = twins - self.checkpoint.shapes.keys()
        return [(f"backbone.{self._ours(name)}", tensor) for name in [key, *absent]]

    def load_empty(self, dtype: torch.dtype) -> Network:
        """Returns the network without its weights."""
        network = empty_network(self, dtype)
        self._tie(network.backbone)
        return network

    def load(
        self, device: torch.device, dtype: torch.dtype, *, spread: bool, base: Network | None = None
    ) -> Network:
        """Returns the network with its weights, held to the logits of transformers' own class.

        `base` is that of its adapter, see `load_network`.

        Raises BadCheckpoint, also for a model whose tokens see those after them.
        """
        network = load_network(self, device, dtype, spread=spread, base=base)
        model = network.backbone
        assert isinstance(model, CausalModel)
        self._require_equal_twins(model)
        if not hasattr(network, "hf_device_map"):  # else accelerate moves each by itself
            self._tie(model)
        if sees_padding(Network(model.body, nn.Identity())):
            self._refuse("its tokens see those after them, so it is not a causal language model")
        try:
            with one_name_for_full():
                difference = model.difference_to_own_logits()
        except torch.OutOfMemoryError:
            raise  # which says nothing of the model
        except FOREIGN as error:
            reason = f"{type(error).__name__}: {first_line(error)}"
            self._refuse(f"it gives no logits of chosen tokens alone ({reason})")
        if not difference <= ROUNDING[dtype]:
            self._refuse(f"logits of chosen tokens alone differ from its own by {difference:.2g}")
        return network

    @cached_property
    def _class(self) -> Any:
        return MODEL_FOR_CAUSAL_LM_MAPPING[type(self.config())]

    @cached_property
    def _tied(self) -> list[tuple[str, str]]:
        """The names of weights that are one: of the logits and of the embedding, or none."""
        tied = self.config().tie_word_embeddings
        return list((self._class._tied_weights_keys or {}).items()) if tied else []

    def _ours(self, key: str) -> str:
        prefix = f"{self._class.base_model_prefix}."
        return key.replace(prefix, "body.", 1) if key.startswith(prefix) else f"rest.{key}"

    def _tie(self, model: nn.Module) -> None:
        """Makes one tensor of weights that are tied: they are neither held nor counted twice."""
        for target, source in self._tied:
            module, _, name = self._ours(target).rpartition(".")
            setattr(model.get_submodule(module), name, model.get_parameter(self._ours(source)))

    def _require_equal_twins(self, model: nn.Module) -> None:
        for pair in self._tied:
            a, b = (model.get_parameter(self._ours(name)) for name in pair)
            if not (a.is_meta or b.is_meta or torch.equal(a.cpu(), b.cpu())):
                self._refuse(
                    f"config.json ties {pair[0]} to {pair[1]}, and its weights hold two; set "
                    "tie_word_embeddings to what it was trained with"
                )

    def _refuse(self, reason: str) -> NoReturn:
        raise BadCheckpoint(f"{self.checkpoint.folder}: {reason}")


class CausalModel(nn.Module):
    """A causal language model in two parts, so that logits are made of chosen states alone.

    `rest` is transformers' own model with a stand-in for its body, which hands on the states that
    it is given. So soft caps, scales and whatever else it does to logits are its own.
    """

    def __init__(self, causal: Any) -> None:
        super().__init__()
        self.body = causal.base_model
        self.rest = causal
        self._put(_Given())
        self._no_split_modules = causal._no_split_modules
        self._keys_to_ignore_on_load_unexpected = causal._keys_to_ignore_on_load_unexpected

    @property
    def config(self) -> Any:
        """The body's own configuration."""
        return self.body.config

    @property
    def logit_weights(self) -> int:
        """How many weights a state meets on its way to logits."""
        return sum(weight.numel() for weight in self.rest.parameters() if weight.ndim == 2)

    def forward(self, input_ids: Tensor, **options: Any) -> BaseModelOutput:
        """Returns the body's states, (N, L, H)."""
        output: BaseModelOutput = self.body(input_ids=input_ids, **options)
        return output

    def log_probabilities(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Returns log p of one token after each state: (S, H) and (S,) -> (S,) float64.

        Only so many logits exist at once as `LOGIT_BYTES` holds. They are made in the model's
        dtype, as its authors do, and normalised in float32 at least.
        """
        found = []
        for some, logits in self._in_parts(states):
            own = logits.gather(1, tokens[some, None].to(logits.device))[:, 0]
            found.append((own - logits.logsumexp(-1)).double().cpu())
        return torch.cat(found)

    def group_log_probabilities(self, states: Tensor, groups: Sequence[Sequence[int]]) -> Tensor:
        """Returns log p of the next token being one of each group: (S, H) -> (S, K) float32."""
        found = []
        for _, logits in self._in_parts(states.to(self.rest.dtype)):
            own = [logits[:, list(group)].logsumexp(-1) for group in groups]
            found.append(torch.stack(own, -1) - logits.logsumexp(-1, keepdim=True))
        return torch.cat(found)

    def _in_parts(self, states: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Yields which of the states, (S, H), and their logits, (rows, V), float32 at least."""
        rows = max(1, LOGIT_BYTES // (torch.float32.itemsize * self.config.vocab_size))
        for first in range(0, max(len(states), 1), rows):  # of no states, one part without any
            some = slice(first, first + rows)
            logits = self._logits(states[some][None])[0]
            yield some, logits.to(torch.promote_types(logits.dtype, torch.float32))

    @torch.inference_mode()
    def difference_to_own_logits(self) -> float:
        """Returns the largest relative difference to transformers' whole model, on a probe."""
        ids = self._probe()
        ours = self._logits(self(ids, use_cache=False).last_hidden_state)  # (1, L, V)
        given = self._put(self.body)
        try:
            own = self.rest(input_ids=ids, use_cache=False).logits
        finally:
            self._put(given)
        return relative_difference(ours[0], own[0])

    def _probe(self) -> Tensor:
        """Returns ids, (1, PROBE_TOKENS), of tokens that have a state: padding has none."""
        rows = self.body.get_input_embeddings().weight
        told = range(self.config.vocab_size)
        if not rows.is_meta:
            told = rows.any(-1).nonzero()[:, 0].tolist() or told
        ids = [told[place % len(told)] for place in range(PROBE_TOKENS)]
        return torch.tensor([ids], device=home(self))

    def _logits(self, states: Tensor) -> Tensor:
        logits: Tensor = self.rest(inputs_embeds=states, use_cache=False).logits
        return logits

    def _put(self, body: nn.Module) -> nn.Module:
        """Gives `rest` another body, and returns the one before."""
        name = self.rest.base_model_prefix
        before: nn.Module = getattr(self.rest, name)
        setattr(self.rest, name, body)
        return before


class LabelHead(nn.Module):
    """Log p of the next token being one of each of K groups of tokens: (N, H) -> (N, K)."""

    def __init__(self, model: CausalModel, groups: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self._of = partial(model.group_log_probabilities, groups=groups)

    def forward(self, states: Tensor) -> Tensor:
        """Returns (N, K) float32 at least."""
        return self._of(states)


class _Given(nn.Module):
    """Stands in for a body: its states are what it is given."""

    def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> BaseModelOutput:
        return _States(last_hidden_state=inputs_embeds)


class _States(BaseModelOutput):  # type: ignore[misc]
    """What a body returns, without what only some return: caches, routers, cross-attention."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)
