"""Starling-RM: Llama under the class name of transformers' classifier, with other weights.

The stock class finds none of its weights, makes them at random, and warns at most.
"""

import torch
from torch import nn

from rmeval.models.checkpoint import Checkpoint
from rmeval.models.family import Family, Placed
from rmeval.models.heads import linear_head


class Starling(Family):
    """Body `transformer.*`, head `v_head`, on the last token.

    The authors' code looks for the first token 0 to find the end. Here the end is known, so a 0
    inside the text is a token like any other.
    """

    name = "starling"
    needs = ("transformer.embed_tokens.weight", "v_head.weight")

    @staticmethod
    def claims(checkpoint: Checkpoint) -> bool:
        return set(Starling.needs) <= checkpoint.shapes.keys()

    def head(self) -> nn.Module:
        return linear_head(self.checkpoint, "v_head.weight", bias=False)

    def place(self, key: str, tensor: torch.Tensor) -> Placed:
        return [(key.replace("transformer.", "backbone.", 1).replace("v_head.", "head."), tensor)]
