"""GRM (arXiv 2406.10216): causal language models with a value head, `v_head.summary`.

The `*-sftreg` repositories. `*-distill` and `*-rewardmodel-ft` are plain classifiers. AceCodeRM and
LLaMA-Factory's reward models have the same head, the latter in a file of its own.
"""

import re

import torch
from torch import nn

from rmeval.errors import BadCheckpoint
from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.checkpoints.other_kinds import is_process_reward_model
from rmeval.models.checkpoints.weight_files import HEADS
from rmeval.models.families.heads import linear_head, mlp_head
from rmeval.models.family import Family, Placed

LINEAR = "v_head.summary.weight"
NAMED = re.compile(r"(?<![a-z])grm(?![a-z])[^/]*$", re.IGNORECASE)


class GRM(Family):
    """Body `model.*`; head `v_head.summary`, a Linear or Linear, ReLU, …, Linear.

    GRM's authors tokenise the rendered text with special tokens, so a template's BOS stands twice
    (Generalizable-Reward-Model, reward_models/load_datasets.py); others with such a head do not.
    """

    name = "grm"
    needs = (LINEAR,)
    doubt = (
        "a critic of PPO has these weights too; if it is an outcome reward model, pass "
        "`family='grm'`"
    )

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        if "vhead_layer_type" in checkpoint.config or checkpoint.is_called(NAMED):
            self.specials = "tokenizer"

    @classmethod
    def claims(cls, checkpoint: Checkpoint) -> bool:
        if is_process_reward_model(checkpoint):
            return False
        if "vhead_layer_type" in checkpoint.config or LINEAR not in checkpoint.shapes:
            return "vhead_layer_type" in checkpoint.config or cls.compatible(checkpoint)
        # TRL keeps every model with a value head in this layout, a critic of PPO too
        apart = LINEAR in checkpoint.places and checkpoint.places[LINEAR].file.name in HEADS
        ace_code = checkpoint.architecture.endswith("ForCausalRM")
        return cls.compatible(checkpoint) and (apart or ace_code or checkpoint.is_called(NAMED))

    @classmethod
    def compatible(cls, checkpoint: Checkpoint) -> bool:
        deep = any(key.startswith("v_head.summary.0.") for key in checkpoint.shapes)
        causal = checkpoint.architecture.endswith(("ForCausalLM", "ForCausalRM"))
        head = deep or LINEAR in checkpoint.shapes
        return causal and head and not is_process_reward_model(checkpoint)

    def head(self) -> nn.Module:
        config = self.checkpoint.config
        linear = LINEAR in self.checkpoint.shapes
        if config.get("vhead_layer_type", "linear" if linear else "mlp") == "linear":
            return linear_head(self.checkpoint, LINEAR, bias=True)
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
