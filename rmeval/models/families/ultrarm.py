"""UltraRM and Eurus-RM: a linear head called `regression_head`, on Llama and on Mistral."""

import torch
from torch import nn

from rmeval.models.families.heads import linear_head
from rmeval.models.family import Family, Placed


class UltraRM(Family):
    """UltraRM (arXiv 2310.01377): body `model.*`, head `regression_head`."""

    name = "ultrarm"
    architectures = ("LlamaRewardModel", "EurusRewardModel")
    needs = ("regression_head.weight",)

    def head(self) -> nn.Module:
        return linear_head(self.checkpoint, "regression_head.weight", bias=False)

    def place(self, key: str, tensor: torch.Tensor) -> Placed:
        name = key.replace("model.", "backbone.", 1).replace("regression_head.", "head.", 1)
        return [(name, tensor)]
