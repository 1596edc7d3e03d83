"""Language models whose logits of a token or two are the head: told by their name alone."""

import re
from abc import abstractmethod
from typing import ClassVar

import torch
from torch import nn

from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.family import Family, Placed

LOGITS = "lm_head.weight"


class LogitRow(Family):
    """Body `model.*`; the head is one row made of rows of `lm_head.weight`.

    No field of config.json and no weight tells such a model from a language model, which has these
    logits too and would give numbers that look like scores. So a name must, that matches `named`:
    the checkpoint's own, its folder's, or that in config.json's `_name_or_path`.
    """

    named: ClassVar[re.Pattern[str]]
    needs = ("model.norm.weight", LOGITS)

    @classmethod
    def claims(cls, checkpoint: Checkpoint) -> bool:
        return cls.compatible(checkpoint) and checkpoint.is_called(cls.named)

    @classmethod
    def compatible(cls, checkpoint: Checkpoint) -> bool:
        causal = checkpoint.architecture.endswith("ForCausalLM")
        return causal and set(cls.needs) <= checkpoint.shapes.keys()

    @abstractmethod
    def row(self, logits: torch.Tensor) -> torch.Tensor:
        """Returns the head, (1, H), of the output layer's weight, (V, H)."""

    def head(self) -> nn.Module:
        return nn.Linear(self.checkpoint.shapes[LOGITS][-1], 1, bias=False)

    def place(self, key: str, tensor: torch.Tensor) -> Placed:
        if key == LOGITS:
            return [("head.weight", self.row(tensor))]
        return [(key.replace("model.", "backbone.", 1), tensor)]
