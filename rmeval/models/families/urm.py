"""URM (arXiv 2410.00847): Gaussian rewards of attributes, and their weights, of the last token."""

import torch
from torch import Tensor, nn

from rmeval.errors import BadCheckpoint
from rmeval.known import objective_names
from rmeval.models.families.heads import matrix_shape, mlp_head
from rmeval.models.family import Family, Placed

OURS = {"model.": "backbone.", "score.": "head.score.", "weights.fc.": "head.weights."}


class URM(Family):
    """Body `model.*`; `score` gives mean and deviation of each attribute, `weights.fc` its weight.

    `LlamaForSequenceClassificationWithNormal_Weights`, as sglang's llama_reward.py reads it. A
    reward is the weighted sum of the means; they are the objectives.

    The authors' class was not to be had. It has the name and the parts of transformers'
    LlamaForSequenceClassification of its time (4.45), whose scored token is that before the first
    pad token; sglang takes the last, which is the same where no text holds the pad token.

    Its card tokenises the rendered text with special tokens.
    """

    name = "urm"
    specials = "tokenizer"
    pool = "before-first-pad"
    architectures = ("LlamaForSequenceClassificationWithNormal_Weights",)
    needs = ("score.weight", "weights.fc.0.weight")

    def head(self) -> nn.Module:
        rows, hidden = matrix_shape(self.checkpoint, "score.weight")
        if rows % 2:
            raise BadCheckpoint(
                f"{self.checkpoint.folder}: score.weight has {rows} rows, not a mean and a "
                "deviation for each attribute"
            )
        weights = mlp_head(self.checkpoint, "weights.fc", outputs=rows // 2, activation=nn.SELU)
        return WeighedAttributes(nn.Linear(hidden, rows, bias=False), weights)

    def place(self, key: str, tensor: Tensor) -> Placed:
        if key == "lm_head.weight":
            return []
        for theirs, ours in OURS.items():
            if key.startswith(theirs):
                return [(ours + key.removeprefix(theirs), tensor)]
        return [(key, tensor)]

    def objectives(self) -> tuple[str, ...]:
        return objective_names(self.name, self.checkpoint.shapes["score.weight"][0] // 2)


class WeighedAttributes(nn.Module):
    """The means of the attributes, times their weights."""

    def __init__(self, score: nn.Linear, weights: nn.Module) -> None:
        super().__init__()
        self.score = score
        self.weights = weights

    def forward(self, states: Tensor) -> Tensor:
        """Returns the reward and the K attributes', (N, 1 + K), of states (N, H)."""
        means = self.score(states)[:, ::2]  # the odd columns are the deviations
        reward = (means * self.weights(states)).sum(-1, keepdim=True)
        return torch.cat([reward, means], -1)
