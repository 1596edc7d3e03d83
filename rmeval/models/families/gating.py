"""Rewards of several objectives, weighed by a gate that reads the end of the prompt.

ArmoRM (arXiv 2406.12845) and what follows it: the last token's state gives a reward for each
objective; the state of the token before the last assistant turn gives their weights.
"""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from rmeval.engine.plan import parent_places
from rmeval.errors import BadCheckpoint, BadData
from rmeval.known import objective_names
from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.family import Family, Placed

# How the assistant's turn begins, in the vocabulary of each body.
ASSISTANT_TURNS = {
    "llama": (128009, 128006, 78191, 128007, 271),  # Llama-3: <|eot_id|>, the header, \n\n
    "gemma2": (107, 108, 106, 2516, 108),  # <end_of_turn>\n<start_of_turn>model\n
}
NO_TURN = (
    "no assistant's turn, whose beginning the gate reads; use the chat template of the model that "
    "this one was made from, and a `max_length=` that cuts no response's beginning"
)
REGRESSION, TRANSFORM = "regression_layer.weight", "reward_transform_matrix"
HEAD = (REGRESSION, "gating.layers.0.weight", "gating.logit_scale")
LAYER = re.compile(r"gating\.layers\.(\d+)\.weight")


class Gated(Family):
    """Body `model.*`; head `regression_layer`, perhaps `reward_transform_matrix`, and `gating`.

    The scored token is that before the first pad token: `sequence_lengths` in ArmoRM's
    modeling_custom.py and in reward-bench's qrm.py, and in ldlreward.py for Gemma-2. The gate reads
    the last turn of the whole sequence all the same.

    `temperature` is what the authors' code takes where config.json has no `gating_temperature`.
    `tells_transformed`: the objectives that their `output.rewards` tells are those after the
    transform; else they are as the regression layer gives them, before it.
    """

    pool = "before-first-pad"
    temperature: ClassVar[float] = 10
    tells_transformed: ClassVar[bool] = False

    def backbone(self, config: Any, attention: str | None) -> nn.Module:
        turn = ASSISTANT_TURNS[config.model_type]
        return GatedBackbone(super().backbone(config, attention), turn)

    def head(self) -> nn.Module:
        gating = Gating(self.checkpoint, self.temperature)
        objectives, rows = gating.objectives, self.checkpoint.shapes[REGRESSION][0]
        quantiles = self.checkpoint.config.get("num_quantiles", rows // objectives)
        if rows != objectives * quantiles:
            raise BadCheckpoint(
                f"{self.checkpoint.folder}: {REGRESSION} has {rows} rows, not {quantiles} for each "
                f"of the {objectives} objectives of the gate"
            )
        regression = nn.Linear(self.config().hidden_size, rows, bias=False)
        head = GatedHead(regression, gating, tells_transformed=self.tells_transformed)
        if TRANSFORM in self.checkpoint.shapes:
            head.reward_transform_matrix = nn.Parameter(torch.eye(objectives))
        return head

    def objectives(self) -> tuple[str, ...]:
        return objective_names(self.name, gate_sizes(self.checkpoint)[1])

    def why_unreadable(self, ids: Sequence[int]) -> str | None:
        turn = ASSISTANT_TURNS[self.checkpoint.config["model_type"]]
        begun = (place for place, token in enumerate(ids) if token == turn[0])
        whole = any(tuple(ids[place : place + len(turn)]) == turn for place in begun)
        return None if whole else NO_TURN

    def place(self, key: str, tensor: Tensor) -> Placed:
        if key.startswith("model."):
            return [(f"backbone.{key}", tensor)]
        return [] if key == "lm_head.weight" else [(f"head.{key}", tensor)]


def gate_sizes(checkpoint: Checkpoint) -> tuple[int, int]:
    """Returns the rows of `regression_layer` and those of the gate's last layer, or zeros.

    The second is the number of objectives; the first is as many, or so many for each quantile.
    """
    numbers = gate_layers(checkpoint)
    last = checkpoint.shapes[f"gating.layers.{numbers[-1]}.weight"] if numbers else ()
    regression = checkpoint.shapes.get(REGRESSION, ())
    return (regression[0], last[0]) if len(regression) == len(last) == 2 else (0, 0)


def gate_layers(checkpoint: Checkpoint) -> list[int]:
    """Returns the numbers of the gate's layers that have weights, in order."""
    return sorted(int(match[1]) for match in map(LAYER.fullmatch, checkpoint.shapes) if match)


class GatedBackbone(nn.Module):
    """A causal backbone whose state at each token also holds the state that the gate reads there.

    States are (N, L, 2 H + 1): the token's own, the gate's, and whether there is one. So the
    engine pools one position and gets both, and padding and packing need to know nothing of it.
    """

    def __init__(self, model: nn.Module, turn: Sequence[int]) -> None:
        super().__init__()
        self.model = model
        self.turn = tuple(turn)
        self._no_split_modules = model._no_split_modules
        self.whole = slice(self.config.hidden_size, None)  # the gate reads the whole sequence

    @property
    def config(self) -> Any:
        """The backbone's own configuration."""
        return self.model.config

    def forward(
        self, input_ids: Tensor, position_ids: Tensor | None = None, **options: Any
    ) -> BaseModelOutput:
        """Returns the states; `position_ids` as the engine gives them for a pack."""
        hidden = self.model(
            input_ids=input_ids, position_ids=position_ids, **options
        ).last_hidden_state  # (N, L, H)
        if position_ids is None:
            position_ids = torch.arange(input_ids.shape[1]).expand(input_ids.shape)
        rows = zip(input_ids.tolist(), position_ids.tolist(), strict=True)
        places = torch.tensor(  # (N, L)
            [gate_places(*row, self.turn) for row in rows], device=hidden.device
        )
        found = (places >= 0)[..., None].to(hidden.dtype)
        gate = hidden.gather(1, places.clamp(min=0)[..., None].expand_as(hidden)) * found
        return BaseModelOutput(last_hidden_state=torch.cat([hidden, gate, found], -1))


def gate_places(ids: Sequence[int], positions: Sequence[int], turn: tuple[int, ...]) -> list[int]:
    """Returns, for each token, where the last `turn` of the assistant on its path begins, or -1."""
    parents = parent_places(positions)
    places: list[int] = []
    for place, parent in enumerate(parents):
        at = place
        for depth, token in enumerate(reversed(turn), 1):
            if at < 0 or ids[at] != token:
                places.append(places[parent] if parent >= 0 else -1)
                break
            if depth == len(turn):
                places.append(at)
            at = parents[at]
    return places


class Gating(nn.Module):
    """Linear, ReLU and perhaps BatchNorm, …, Linear, as the weights' names number them."""

    def __init__(self, checkpoint: Checkpoint, temperature: float) -> None:
        super().__init__()
        numbers = gate_layers(checkpoint)
        self.layers = nn.ModuleDict({str(n): _layer(checkpoint, n) for n in numbers})
        self.objectives = gate_sizes(checkpoint)[1]
        self.logit_scale = nn.Parameter(torch.ones(1))
        self.temperature = checkpoint.config.get("gating_temperature", temperature)
        if not isinstance(self.temperature, int | float):
            raise BadCheckpoint(
                f"{checkpoint.folder}/config.json: gating_temperature is {self.temperature!r}, "
                "not a number"
            )

    def forward(self, states: Tensor) -> Tensor:
        """Returns the weight of each objective, (N, objectives), for (N, H) states."""
        *inner, last = self.layers.values()
        for layer in inner:
            states = layer(states).relu() if isinstance(layer, nn.Linear) else layer(states)
        weights: Tensor = torch.softmax(last(states) / self.temperature, -1) * self.logit_scale
        return weights


def _layer(checkpoint: Checkpoint, number: int) -> nn.Module:
    name = f"gating.layers.{number}"
    shape = checkpoint.shapes[f"{name}.weight"]
    if len(shape) == 1:
        return nn.BatchNorm1d(shape[0])
    return nn.Linear(shape[1], shape[0], bias=f"{name}.bias" in checkpoint.shapes)


class GatedHead(nn.Module):
    """Rewards of the objectives, perhaps transformed, times the gate's weights."""

    def __init__(self, regression: nn.Linear, gating: Gating, *, tells_transformed: bool) -> None:
        super().__init__()
        self.regression_layer = regression
        self.reward_transform_matrix: Tensor | None = None
        self.gating = gating
        self.tells_transformed = tells_transformed

    def forward(self, states: Tensor) -> Tensor:
        """Returns the reward and the K objectives', (N, 1 + K), of states (N, 2 H + 1).

        Raises BadData where a sequence holds no turn of the assistant.
        """
        hidden = self.regression_layer.in_features
        last, gate, found = torch.tensor_split(states, (hidden, 2 * hidden), -1)
        if not bool(found.all()):
            raise BadData(f"{int((found == 0).sum())} of {len(found)} sequences: {NO_TURN}")
        numbers = self.regression_layer(last)  # an objective's quantiles stand together
        rewards = numbers.unflatten(-1, (self.gating.objectives, -1)).mean(-1)  # (N, K)
        transform = self.reward_transform_matrix
        transformed = rewards if transform is None else rewards @ transform
        score = (self.gating(gate) * transformed).sum(-1, keepdim=True)
        return torch.cat([score, transformed if self.tells_transformed else rewards], -1)
