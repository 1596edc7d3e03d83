"""Beaver, the reward and the cost models of Safe RLHF (arXiv 2310.12773).

A cost is better when it is lower: its reward is the cost with the sign turned.
"""

import torch
from torch import Tensor, nn

from rmeval.errors import BadCheckpoint
from rmeval.models.families.heads import linear_head
from rmeval.models.family import Family, Placed

OURS = {"model.": "backbone.", "score_head.": "head.linear.", "normalizer.": "head."}
EPSILON = 1e-8  # added to the deviation, in safe-rlhf's Normalizer


class Beaver(Family):
    """Body `model.*`, head `score_head`, and the `normalizer` of the scores seen in training."""

    name = "beaver"
    architectures = ("ForScore",)  # what safe-rlhf's AutoModelForScore makes
    needs = ("score_head.weight",)

    def head(self) -> nn.Module:
        bias = "score_head.bias" in self.checkpoint.shapes
        linear = linear_head(self.checkpoint, "score_head.weight", bias=bias)
        kind = self.checkpoint.config.get("score_type")
        if kind not in ("reward", "cost"):
            raise BadCheckpoint(
                f"{self.checkpoint.folder}/config.json: score_type is {kind!r}, not 'reward' or "
                "'cost', so nothing says whether higher is better"
            )
        return ScoreHead(linear, cost=kind == "cost", normalised=self._normalised())

    def place(self, key: str, tensor: Tensor) -> Placed:
        if key == "lm_head.weight" or (key.startswith("normalizer.") and not self._normalised()):
            return []
        for theirs, ours in OURS.items():
            key = key.replace(theirs, ours, 1)
        return [(key, tensor)]

    def _normalised(self) -> bool:
        return bool(self.checkpoint.config.get("do_normalize"))


class ScoreHead(nn.Module):
    """A linear head and safe-rlhf's normaliser: rewards are shifted and scaled, costs scaled."""

    mean: Tensor
    var: Tensor

    def __init__(self, linear: nn.Linear, *, cost: bool, normalised: bool) -> None:
        super().__init__()
        self.linear = linear
        self.cost = cost
        self.normalised = normalised
        if normalised:
            self.register_buffer("mean", torch.zeros(1))
            self.register_buffer("var", torch.ones(1))
            self.register_buffer("count", torch.zeros(1, dtype=torch.long))

    def forward(self, states: Tensor) -> Tensor:
        """Returns rewards (N, 1), higher is better, of states (N, H)."""
        scores: Tensor = self.linear(states)
        if self.normalised:
            shifted = scores if self.cost else scores - self.mean
            scores = shifted / (self.var.sqrt() + EPSILON)
        return -scores if self.cost else scores
