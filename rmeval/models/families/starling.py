"""Starling-RM: Llama under the class name of transformers' classifier, with other weights.

The stock class finds none of its weights, makes them at random, and warns at most.
"""

import torch
from torch import nn

from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.families.heads import linear_head
from rmeval.models.family import Family, Placed


class Starling(Family):
    """Body `transformer.*`, head `v_head`, on the token before the first 0.

    That is `PAD_ID` in the authors' class (reward-bench's starling.py), whatever config.json says.

    reward-bench's starling.py tokenises the text with special tokens.
    """

    name = "starling"
    specials = "tokenizer"
    pool = "before-first-pad"
    needs = ("transformer.embed_tokens.weight", "v_head.weight")

    @staticmethod
    def claims(checkpoint: Checkpoint) -> bool:
        return set(Starling.needs) <= checkpoint.shapes.keys()

    def head(self) -> nn.Module:
        return linear_head(self.checkpoint, "v_head.weight", bias=False)

    def pad_token_id(self) -> int:
        return 0

    def place(self, key: str, tensor: torch.Tensor) -> Placed:
        return [(key.replace("transformer.", "backbone.", 1).replace("v_head.", "head."), tensor)]
