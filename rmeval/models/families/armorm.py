"""ArmoRM (arXiv 2406.12845): 19 objectives of Llama-3, weighed by a gate."""

from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.families.gating import HEAD, TRANSFORM, Gated, gate_sizes


class ArmoRM(Gated):
    """`LlamaForRewardModelWithGating`: one number for each objective.

    The objectives are the authors' `output.rewards`: the regression layer's, not yet transformed.
    """

    name = "armorm"
    needs = (*HEAD, TRANSFORM)

    @staticmethod
    def claims(checkpoint: Checkpoint) -> bool:
        rows, objectives = gate_sizes(checkpoint)
        llama = checkpoint.config.get("model_type") == "llama"
        return llama and TRANSFORM in checkpoint.shapes and rows == objectives > 0
