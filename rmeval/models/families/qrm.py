"""QRM (arXiv 2409.10164): ArmoRM with quantiles of each objective, of which it takes the mean."""

from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.families.gating import HEAD, Gated, gate_sizes


class QRM(Gated):
    """QRM on Llama: `regression_layer` gives the quantiles of the first objective, and so on.

    The objectives are the authors' `output.rewards`: means over quantiles, and transformed where
    there is a matrix. QRM-Llama3.1-8B-v2 has none, as on Gemma-2; the temperature of its gate is
    that of config.json, or else that of the other class on Llama, since its own was not to be had.
    """

    name = "qrm"
    needs = HEAD
    tells_transformed = True

    @staticmethod
    def claims(checkpoint: Checkpoint) -> bool:
        rows, objectives = gate_sizes(checkpoint)
        llama = checkpoint.config.get("model_type") == "llama"
        return llama and rows > objectives > 0
