"""`*ForTokenClassification` with one label: how verl keeps critics, and reads reward models.

The class gives a number at every token; the reward is the last token's. Nothing in the files tells
a reward model from a critic of PPO, so only who names the family gets it.
"""

from torch import Tensor, nn
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
)

from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.families.heads import linear_head
from rmeval.models.family import Family, Placed

HEADS = ("score", "classifier")  # as transformers' classes call it


class TokenClassifier(Family):
    """Transformers' own token classifier of a causal `model_type`; its head has a bias."""

    name = "token-classifier"
    doubt = (
        "a critic of PPO (verl) and a process reward model (TRL, with two labels) are kept so too; "
        "if it is an outcome reward model, pass `family='token-classifier'`"
    )

    @staticmethod
    def claims(checkpoint: Checkpoint) -> bool:
        return False

    @classmethod
    def compatible(cls, checkpoint: Checkpoint) -> bool:
        model_type = checkpoint.config.get("model_type")
        known = MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES.get(model_type)
        causal = model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        return causal and checkpoint.architecture == known and _head_name(checkpoint) is not None

    def head(self) -> nn.Module:
        name = _head_name(self.checkpoint)
        return linear_head(
            self.checkpoint, f"{name}.weight", bias=f"{name}.bias" in self.checkpoint.shapes
        )

    def place(self, key: str, tensor: Tensor) -> Placed:
        head = f"{_head_name(self.checkpoint)}."
        if key.startswith(head):
            return [(f"head.{key.removeprefix(head)}", tensor)]
        if key == "lm_head.weight":
            return []
        return [(f"backbone.{key.removeprefix(f'{self.body_prefix}.')}", tensor)]


def _head_name(checkpoint: Checkpoint) -> str | None:
    return next((name for name in HEADS if f"{name}.weight" in checkpoint.shapes), None)
