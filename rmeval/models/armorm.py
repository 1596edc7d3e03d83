"""ArmoRM (arXiv 2406.12845): 19 objectives of Llama-3, weighed by a gate."""

from rmeval.models.checkpoint import Checkpoint
from rmeval.models.gating import Gated, numbers_of_each_objective


class ArmoRM(Gated):
    """`LlamaForRewardModelWithGating`: one number for each objective."""

    name = "armorm"

    @staticmethod
    def claims(checkpoint: Checkpoint) -> bool:
        return numbers_of_each_objective(checkpoint) == 1
