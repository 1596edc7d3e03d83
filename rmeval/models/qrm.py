"""QRM (arXiv 2409.10164): ArmoRM with quantiles of each objective, of which it takes the mean."""

from rmeval.models.checkpoint import Checkpoint
from rmeval.models.gating import HEAD, TRANSFORM, Gated, gate_sizes


class QRM(Gated):
    """QRM on Llama: `regression_layer` gives the quantiles of the first objective, and so on.

    The objectives are the authors' `output.rewards`: means over quantiles, and transformed.
    """

    name = "qrm"
    needs = (*HEAD, TRANSFORM)
    tells_transformed = True

    @staticmethod
    def claims(checkpoint: Checkpoint) -> bool:
        rows, objectives = gate_sizes(checkpoint)
        llama = checkpoint.config.get("model_type") == "llama"
        return llama and TRANSFORM in checkpoint.shapes and rows > objectives > 0
