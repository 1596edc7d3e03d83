"""INF-ORM-Llama3.1-70B: a classifier whose head is Linear, ReLU, Linear.

Loading it with AutoModelForSequenceClassification leaves a random head behind a printed notice.
"""

import torch
from torch import nn

from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.checkpoints.other_kinds import is_process_reward_model
from rmeval.models.families.heads import mlp_head
from rmeval.models.family import Family, Placed


class INFORM(Family):
    """`INFORMForSequenceClassification`: body `model.*`, head `score.0`, `score.2`.

    The scored token is that before the first pad token: `sequence_lengths` in the authors' class,
    as in reward-bench's inform.py.
    """

    name = "inf-orm"
    pool = "before-first-pad"
    needs = ("score.0.weight", "score.2.weight")

    @classmethod
    def claims(cls, checkpoint: Checkpoint) -> bool:
        return checkpoint.architecture == "INFORMForSequenceClassification"

    @classmethod
    def compatible(cls, checkpoint: Checkpoint) -> bool:
        layers = set(cls.needs) <= checkpoint.shapes.keys()
        return layers and not is_process_reward_model(checkpoint)

    def head(self) -> nn.Module:
        return mlp_head(self.checkpoint, "score")

    def place(self, key: str, tensor: torch.Tensor) -> Placed:
        if key == "lm_head.weight":  # the repository carries one; nothing uses it
            return []
        return [(key.replace("model.", "backbone.", 1).replace("score.", "head.", 1), tensor)]
