"""OpenRLHF's reward models: a class of its own around transformers' body, and one linear head.

Its trainer keeps the mean and deviation of rewards in config.json. The loss is of the raw reward,
and its own loader gives that unless it is told --normalize_reward; so the reward is the raw one
here, and where config.json says normalize_reward, the normalised one is an objective beside it.
"""

import torch
from torch import Tensor, nn

from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.families.heads import linear_head
from rmeval.models.family import Family, Placed

CLASSES = ("RewardModel", "LLMForSequenceRegression")
STOCK = "ForSequenceClassification"  # also kept by it, and then the head's name tells
OLD_HEAD = "value_head"


class OpenRLHF(Family):
    """A body under transformers' own name for it; the head is called as `value_head_prefix` says.

    The reward is that of the last token.
    """

    name = "openrlhf"

    @staticmethod
    def claims(checkpoint: Checkpoint) -> bool:
        head = _head_name(checkpoint)
        stock = checkpoint.architecture.endswith(STOCK) and head == OLD_HEAD
        return (stock or checkpoint.architecture in CLASSES) and f"{head}.weight" in (
            checkpoint.shapes
        )

    def head(self) -> nn.Module:
        linear = linear_head(self.checkpoint, f"{_head_name(self.checkpoint)}.weight", bias=False)
        normal = self._normal()
        return linear if normal is None else Normalised(linear, *normal)

    def place(self, key: str, tensor: Tensor) -> Placed:
        head = f"{_head_name(self.checkpoint)}."
        if key.startswith(head):
            layer = "head." if self._normal() is None else "head.linear."
            return [(layer + key.removeprefix(head), tensor)]
        if key == "lm_head.weight":
            return []
        return [(f"backbone.{key.removeprefix(f'{self.body_prefix}.')}", tensor)]

    def objectives(self) -> tuple[str, ...]:
        normal = self._normal()
        return () if normal is None else (f"normalised (mean {normal[0]}, std {normal[1]})",)

    def _normal(self) -> tuple[float, float] | None:
        """The mean and deviation that rewards are normalised with, where config.json asks it."""
        config = self.checkpoint.config
        mean, std = config.get("mean"), config.get("std")
        if not (isinstance(mean, int | float) and isinstance(std, int | float) and std > 0):
            return None
        return (float(mean), float(std)) if config.get("normalize_reward") else None


class Normalised(nn.Module):
    """A linear head, and its reward normalised beside it."""

    def __init__(self, linear: nn.Linear, mean: float, std: float) -> None:
        super().__init__()
        self.linear = linear
        self.mean = mean
        self.std = std

    def forward(self, states: Tensor) -> Tensor:
        """Returns the reward and the normalised one, (N, 2), of states (N, H)."""
        raw = self.linear(states)
        return torch.cat([raw, (raw - self.mean) / self.std], -1)


def _head_name(checkpoint: Checkpoint) -> str:
    """Returns what the head is called; before `value_head_prefix` there were two names."""
    usual = "score" if "score.weight" in checkpoint.shapes else OLD_HEAD
    return str(checkpoint.config.get("value_head_prefix") or usual)
