"""Nemotron-Reward (arXiv 2410.01257): a language model whose logit of token 0 is the reward.

The logit is that of what would follow the answer: the model card of the -HF repositories renders
the conversation with add_generation_prompt=False and takes `scores[0][0][0]` of one new token.
"""

import re

import torch

from rmeval.models.families.logit_row import LogitRow


class Nemotron(LogitRow):
    """Body `model.*`; head is the first row of `lm_head.weight`."""

    name = "nemotron"
    named = re.compile(r"nemotron[^/]*reward|(^|/)nemotron$", re.IGNORECASE)

    def row(self, logits: torch.Tensor) -> torch.Tensor:
        return logits[:1]
