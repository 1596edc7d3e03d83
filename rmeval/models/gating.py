"""Rewards of several objectives, weighed by a gate that reads the end of the prompt.

ArmoRM (arXiv 2406.12845) and what follows it: the last token's state gives a reward for each
objective; the state of the token before the last assistant turn gives their weights.
"""

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from rmeval.errors import BadCheckpoint, BadData
from rmeval.models.checkpoint import Checkpoint
from rmeval.models.family import Family, Placed

# <|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n, in Llama-3's vocabulary
ASSISTANT_TURN = (128009, 128006, 78191, 128007, 271)
REGRESSION, TRANSFORM = "regression_layer.weight", "reward_transform_matrix"
TEMPERATURE = 10  # the authors' code takes it where config.json has no gating_temperature
LAYER = re.compile(r"gating\.layers\.(\d+)\.weight")


class Gated(Family):
    """Body `model.*`; head `regression_layer`, `reward_transform_matrix` and `gating`."""

    def backbone(self, config: Any, attention: str | None) -> nn.Module:
        return GatedBackbone(super().backbone(config, attention))

    def head(self) -> nn.Module:
        rows, objectives = (self.checkpoint.shapes[key][0] for key in (REGRESSION, TRANSFORM))
        quantiles = self.checkpoint.config.get("num_quantiles", rows // objectives)
        if rows != objectives * quantiles:
            raise BadCheckpoint(
                f"{self.checkpoint.folder}: {REGRESSION} has {rows} rows, not {quantiles} for each "
                f"of the {objectives} objectives of {TRANSFORM}"
            )
        gating = Gating(self.checkpoint)
        return GatedHead(self.config().hidden_size, objectives, quantiles, gating)

    def place(self, key: str, tensor: Tensor) -> Placed:
        if key.startswith("model."):
            return [(f"backbone.{key}", tensor)]
        return [] if key == "lm_head.weight" else [(f"head.{key}", tensor)]


def numbers_of_each_objective(checkpoint: Checkpoint) -> float:
    """Returns how many rows of `regression_layer` each objective has; 0 where nothing is gated.

    Only Llama is counted: elsewhere the assistant's turn begins with other tokens.
    """
    regression, transform = (checkpoint.shapes.get(key, ()) for key in (REGRESSION, TRANSFORM))
    matrices = len(regression) == len(transform) == 2 and 0 not in transform
    if checkpoint.config.get("model_type") != "llama" or not matrices:
        return 0
    return regression[0] / transform[0]


class GatedBackbone(nn.Module):
    """A causal backbone whose state at each token also holds the state that the gate reads there.

    States are (N, L, 2 H + 1): the token's own, the gate's, and whether there is one. So the
    engine pools one position and gets both, and padding and packing need to know nothing of it.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self._no_split_modules = model._no_split_modules

    @property
    def config(self) -> Any:
        """The backbone's own configuration."""
        return self.model.config

    def forward(
        self, input_ids: Tensor, position_ids: Tensor | None = None, **options: Any
    ) -> BaseModelOutput:
        """Returns the states; `position_ids` as the engine gives them for a pack."""
        hidden = self.model(
            input_ids=input_ids, position_ids=position_ids, **options
        ).last_hidden_state  # (N, L, H)
        if position_ids is None:
            position_ids = torch.arange(input_ids.shape[1]).expand(input_ids.shape)
        rows = zip(input_ids.tolist(), position_ids.tolist(), strict=True)
        places = torch.tensor([gate_places(*row) for row in rows], device=hidden.device)  # (N, L)
        found = (places >= 0)[..., None].to(hidden.dtype)
        gate = hidden.gather(1, places.clamp(min=0)[..., None].expand_as(hidden)) * found
        return BaseModelOutput(last_hidden_state=torch.cat([hidden, gate, found], -1))


def gate_places(ids: Sequence[int], positions: Sequence[int]) -> list[int]:
    """Returns, for each token, where the last assistant turn on its path begins, or -1.

    In a pack a sequence goes on from the place where it leaves the one before it, as the
    positions say: what stood last at each smaller position is its path.
    """
    path: list[int] = []  # the token at each position of the present sequence
    places: list[int] = []
    for place, position in enumerate(positions):
        del path[position:]
        before = places[path[-1]] if path else -1
        path.append(place)
        turn = path[-len(ASSISTANT_TURN) :]
        ends_here = tuple(ids[token] for token in turn) == ASSISTANT_TURN
        places.append(turn[0] if ends_here else before)
    return places


class Gating(nn.Module):
    """Linear, ReLU and perhaps BatchNorm, …, Linear, as the weights' names number them."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        found = [match for match in map(LAYER.fullmatch, checkpoint.shapes) if match]
        numbers = sorted(int(match[1]) for match in found)
        self.layers = nn.ModuleDict({str(n): _layer(checkpoint, n) for n in numbers})
        self.logit_scale = nn.Parameter(torch.ones(1))
        self.temperature = checkpoint.config.get("gating_temperature", TEMPERATURE)
        if not isinstance(self.temperature, int | float) or not numbers:
            raise BadCheckpoint(
                f"{checkpoint.folder}: a gate needs a number as gating_temperature in config.json, "
                "and weights called gating.layers.N.weight"
            )

    def forward(self, states: Tensor) -> Tensor:
        """Returns the weight of each objective, (N, objectives), for (N, H) states."""
        *inner, last = self.layers.values()
        for layer in inner:
            states = layer(states).relu() if isinstance(layer, nn.Linear) else layer(states)
        weights: Tensor = torch.softmax(last(states) / self.temperature, -1) * self.logit_scale
        return weights


def _layer(checkpoint: Checkpoint, number: int) -> nn.Module:
    name = f"gating.layers.{number}"
    shape = checkpoint.shapes[f"{name}.weight"]
    if len(shape) == 1:
        return nn.BatchNorm1d(shape[0])
    return nn.Linear(shape[1], shape[0], bias=f"{name}.bias" in checkpoint.shapes)


class GatedHead(nn.Module):
    """Rewards of the objectives, transformed, times the gate's weights."""

    def __init__(self, hidden: int, objectives: int, quantiles: int, gating: Gating) -> None:
        super().__init__()
        self.regression_layer = nn.Linear(hidden, objectives * quantiles, bias=False)
        self.reward_transform_matrix = nn.Parameter(torch.eye(objectives))
        self.gating = gating
        self.sizes = (objectives, quantiles)

    def forward(self, states: Tensor) -> Tensor:
        """Returns rewards (N, 1) of the backbone's states (N, 2 H + 1). Raises BadData."""
        hidden = self.regression_layer.in_features
        last, gate, found = torch.tensor_split(states, (hidden, 2 * hidden), -1)
        if not bool(found.all()):
            raise BadData(
                f"{int((found == 0).sum())} of {len(found)} sequences hold no assistant turn "
                f"(the tokens {list(ASSISTANT_TURN)}), whose state the gate reads; use the chat "
                "template of Llama-3, and a --max-length that cuts no response's beginning"
            )
        rewards = self.regression_layer(last).unflatten(-1, self.sizes).mean(-1)
        weighed: Tensor = self.gating(gate) * (rewards @ self.reward_transform_matrix)
        return weighed.sum(-1, keepdim=True)
