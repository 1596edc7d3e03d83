"""Nemotron-Reward (arXiv 2410.01257): a language model whose logit of token 0 is the reward.

The logit is that of what would follow the answer: the model card of the -HF repositories renders
the conversation with add_generation_prompt=False and takes `scores[0][0][0]` of one new token.
"""

import re

import torch
from torch import nn

from rmeval.models.checkpoint import Checkpoint
from rmeval.models.family import Family, Placed

NAMED = re.compile(r"nemotron[^/]*reward|(^|/)nemotron$", re.IGNORECASE)


class Nemotron(Family):
    """Body `model.*`; head is the first row of `lm_head.weight`.

    No field of config.json and no weight tells it from a language model, which has a token 0 too
    and would give numbers that look like scores. So a name must: the checkpoint's own, its
    folder's, or that in config.json's `_name_or_path`.
    """

    name = "nemotron"
    needs = ("model.norm.weight", "lm_head.weight")

    @staticmethod
    def claims(checkpoint: Checkpoint) -> bool:
        return Nemotron.fits(checkpoint) and checkpoint.is_called(NAMED)

    @classmethod
    def fits(cls, checkpoint: Checkpoint) -> bool:
        causal = checkpoint.architecture.endswith("ForCausalLM")
        return causal and set(cls.needs) <= checkpoint.shapes.keys()

    def head(self) -> nn.Module:
        return nn.Linear(self.checkpoint.shapes["lm_head.weight"][-1], 1, bias=False)

    def place(self, key: str, tensor: torch.Tensor) -> Placed:
        if key == "lm_head.weight":
            return [("head.weight", tensor[:1])]
        return [(key.replace("model.", "backbone.", 1), tensor)]
