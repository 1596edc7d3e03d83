"""Qwen2.5-Math-RM and WorldPM: Qwen2 with a head of two layers.

Process reward models share the layout: Qwen's own are of another class and give two numbers, others
(Universal-PRM) are told by their names. Source of the head: Qwen2ForRewardModel of vLLM and SGLang;
of the scored token and the special tokens: RewardBench's worldpm.py and the cards' examples, which
add none.
"""

from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.families.inform import INFORM


class QwenRM(INFORM):
    """`Qwen2ForRewardModel`: body `model.*`, head `score.0`, ReLU, `score.2`, one output."""

    name = "qwen-rm"

    @classmethod
    def claims(cls, checkpoint: Checkpoint) -> bool:
        return checkpoint.architecture == "Qwen2ForRewardModel" and cls.compatible(checkpoint)

    @classmethod
    def compatible(cls, checkpoint: Checkpoint) -> bool:
        qwen = checkpoint.config.get("model_type") == "qwen2"
        return qwen and super().compatible(checkpoint)
