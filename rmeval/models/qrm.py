"""QRM (arXiv 2409.10164): ArmoRM with quantiles of each objective, of which it takes the mean."""

from rmeval.models.checkpoint import Checkpoint
from rmeval.models.gating import Gated, numbers_of_each_objective


class QRM(Gated):
    """QRM on Llama: `regression_layer` gives the quantiles of the first objective, and so on."""

    name = "qrm"

    @staticmethod
    def claims(checkpoint: Checkpoint) -> bool:
        return numbers_of_each_objective(checkpoint) > 1
