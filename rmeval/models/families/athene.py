"""Athene-RM (Nexusflow): Llama under a class name that transformers does not know, with `v_head`.

Source: the model card's AtheneForSequenceClassification and AtheneRewardPipeline, as kept in
RewardBench's fork for Athene-RM-70B. The card's pipeline tokenises the rendered text with special
tokens, so that the BOS which the template writes stands twice, and cuts to 4,096 tokens.
"""

import re

import torch
from torch import nn

from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.families.heads import linear_head
from rmeval.models.family import Family, Placed

CLASSES = ("CustomAutoModelForSequenceClassification", "AtheneForSequenceClassification")
NAMED = re.compile(r"(^|/)athene-rm(?![a-z])[^/]*$", re.IGNORECASE)
CLS = 128_003  # <|reserved_special_token_1|> of Llama 3: the class's CLS_ID


class Athene(Family):
    """Body `model.*`, head `v_head` without a bias, on the CLS token that ends every text."""

    name = "athene"
    specials = "tokenizer"
    max_length = 4096
    needs = ("model.embed_tokens.weight", "v_head.weight")
    doubt = "if it reads its reward at token 128003, pass `family='athene'`"

    @classmethod
    def claims(cls, checkpoint: Checkpoint) -> bool:
        named = checkpoint.architecture in CLASSES or checkpoint.is_called(NAMED)
        return named and cls.compatible(checkpoint)

    @classmethod
    def compatible(cls, checkpoint: Checkpoint) -> bool:
        llama = checkpoint.config.get("model_type") == "llama"
        return llama and set(cls.needs) <= checkpoint.shapes.keys()

    def head(self) -> nn.Module:
        return linear_head(self.checkpoint, "v_head.weight", bias=False)

    def place(self, key: str, tensor: torch.Tensor) -> Placed:
        if key == "lm_head.weight":
            return []
        return [(key.replace("model.", "backbone.", 1).replace("v_head.", "head.", 1), tensor)]

    def end_token(self) -> int:
        return CLS
