"""GRM (arXiv 2406.10216): causal language models with a value head, `v_head.summary`.

The `*-sftreg` repositories. `*-distill` and `*-rewardmodel-ft` are plain classifiers.
"""

import torch
from torch import nn

from rmeval.errors import BadCheckpoint
from rmeval.models.checkpoint import Checkpoint
from rmeval.models.family import Family, Placed
from rmeval.models.heads import linear_head, mlp_head


class GRM(Family):
    """Body `model.*`; head `v_head.summary`, a Linear or Linear, ReLU, …, Linear.

    Its authors tokenise the rendered text with special tokens, so a template's BOS stands twice
    (Generalizable-Reward-Model, reward_models/load_datasets.py).
    """

    name = "grm"
    specials = "tokenizer"

    @staticmethod
    def claims(checkpoint: Checkpoint) -> bool:
        return "vhead_layer_type" in checkpoint.config or any(
            key.startswith("v_head.summary") for key in checkpoint.shapes
        )

    def head(self) -> nn.Module:
        config = self.checkpoint.config
        linear = "v_head.summary.weight" in self.checkpoint.shapes
        if config.get("vhead_layer_type", "linear" if linear else "mlp") == "linear":
            return linear_head(self.checkpoint, "v_head.summary.weight", bias=True)
        head = mlp_head(self.checkpoint, "v_head.summary")
        layers = len(head) // 2
        if config.get("vhead_num_layers", layers) != layers:
            raise BadCheckpoint(
                f"{self.checkpoint.folder}: config.json says vhead_num_layers "
                f"{config['vhead_num_layers']}, the weights under v_head.summary have {layers}"
            )
        return head

    def place(self, key: str, tensor: torch.Tensor) -> Placed:
        if key == "lm_head.weight":  # it served the regularisation in training
            return []
        return [(key.replace("v_head.summary.", "head.").replace("model.", "backbone.", 1), tensor)]
