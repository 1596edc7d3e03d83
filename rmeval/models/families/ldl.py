"""LDL-Reward: Gemma-2 under two heads; one gives distributions, and the other weighs them.

Source: LDLRewardModel27B in RewardBench's ldlreward.py, by its authors. The body is kept as
a Gemma2Model, and each head as a pickle beside it.
"""

import re

import torch
from torch import Tensor, nn

from rmeval.errors import BadCheckpoint
from rmeval.known import objective_names
from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.families.heads import matrix_shape
from rmeval.models.family import Family, Placed

BINS = 10  # of a distribution, from 0 to 1
PARTS = ("regression_layer", "gating_layer")
NAMED = re.compile(r"(^|/)ldl-reward(?![a-z])[^/]*$", re.IGNORECASE)


class LDL(Family):
    """Body Gemma-2; `regression_layer` gives each objective's distribution, `gating_layer` weights.

    The objectives are the means of the distributions. The scored token is that before the first pad
    token, `sequence_lengths` in the authors' class; their pipeline takes one of two BOS away.
    """

    name = "ldl"
    pool = "before-first-pad"
    specials = "once"
    needs = tuple(f"{part}.network.0.weight" for part in PARTS)

    @classmethod
    def claims(cls, checkpoint: Checkpoint) -> bool:
        gemma = checkpoint.config.get("model_type") == "gemma2"
        heads = set(cls.needs) <= checkpoint.shapes.keys()
        return gemma and (heads or checkpoint.is_called(NAMED))

    def head(self) -> nn.Module:
        if not set(self.needs) <= self.checkpoint.shapes.keys():
            raise BadCheckpoint(
                f"{self.checkpoint.folder}: LDL-Reward keeps its heads in regression_layer.pt and "
                "gating_layer.pt, which are not here, or are pickles that nobody trusts; pass "
                "`allow_pickle=True` if you trust them"
            )
        regression, gating = (Layers(self.checkpoint, f"{part}.network") for part in PARTS)
        if regression.outputs != BINS * gating.outputs:
            raise BadCheckpoint(
                f"{self.checkpoint.folder}: regression_layer gives {regression.outputs} numbers, "
                f"not {BINS} for each of the {gating.outputs} weights of gating_layer"
            )
        config = self.checkpoint.config
        temperature = config.get("temperature", 1.0) if config.get("softmax") else None
        return Distributions(regression, gating, temperature)

    def place(self, key: str, tensor: Tensor) -> Placed:
        if key.startswith(PARTS):
            return [(f"head.{key.replace('.network.', '.', 1)}", tensor)]
        return [(f"backbone.{key.removeprefix('model.')}", tensor)]

    def objectives(self) -> tuple[str, ...]:
        return objective_names(self.name, Layers(self.checkpoint, "gating_layer.network").outputs)


class Layers(nn.ModuleDict):
    """Linear, LeakyReLU, …, Linear, as the weights' names number them."""

    def __init__(self, checkpoint: Checkpoint, prefix: str) -> None:
        numbered = re.compile(rf"{re.escape(prefix)}\.(\d+)\.weight")
        found = sorted(int(m[1]) for m in map(numbered.fullmatch, checkpoint.shapes) if m)
        inputs = checkpoint.config.get("hidden_size")
        layers = {}
        self.outputs = 0
        for number in found:
            shape = matrix_shape(checkpoint, f"{prefix}.{number}.weight", inputs)
            inputs = self.outputs = shape[0]
            layers[str(number)] = nn.Linear(shape[1], shape[0])
        super().__init__(layers)

    def forward(self, states: Tensor) -> Tensor:
        """Returns the last layer's numbers, (N, outputs), of states (N, H)."""
        *inner, last = self.values()
        for layer in inner:
            states = nn.functional.leaky_relu(layer(states))
        numbers: Tensor = last(states)
        return numbers


class Distributions(nn.Module):
    """The means of distributions, times their weights; `temperature` is of the weights' softmax."""

    def __init__(self, regression: Layers, gating: Layers, temperature: float | None) -> None:
        super().__init__()
        self.regression_layer = regression
        self.gating_layer = gating
        self.temperature = temperature

    def forward(self, states: Tensor) -> Tensor:
        """Returns the reward and the K objectives, (N, 1 + K), of states (N, H)."""
        chances = self.regression_layer(states).unflatten(-1, (-1, BINS)).softmax(-1)  # (N, K, 10)
        means = chances @ torch.linspace(0, 1, BINS).to(states)
        weights = self.gating_layer(states)
        if self.temperature is not None:
            weights = torch.softmax(weights / self.temperature, -1)
        return torch.cat([(weights * means).sum(-1, keepdim=True), means], -1)
