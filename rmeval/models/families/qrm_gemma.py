"""QRM on Gemma-2 (arXiv 2409.10164): as on Llama, without a transform of the objectives.

The authors' class was not to be had. Layout, the token pattern of the assistant's turn, and the
temperature are those of a public re-implementation made from it for the published weights.
"""

from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.families.gating import HEAD, TRANSFORM, Gated, gate_sizes


class QRMGemma(Gated):
    """Body Gemma-2; `regression_layer` gives the quantiles of the first objective, and so on.

    The objectives are the means over their quantiles.
    """

    name = "qrm-gemma"
    needs = HEAD
    temperature = 1

    @staticmethod
    def claims(checkpoint: Checkpoint) -> bool:
        rows, objectives = gate_sizes(checkpoint)
        gemma = checkpoint.config.get("model_type") == "gemma2"
        return gemma and TRANSFORM not in checkpoint.shapes and rows > objectives > 0
