"""Reward heads, with their sizes read from the checkpoint's own weights."""

import re

from torch import nn

from rmeval.errors import BadCheckpoint
from rmeval.models.checkpoints.checkpoint import Checkpoint


def linear_head(checkpoint: Checkpoint, key: str, *, bias: bool) -> nn.Linear:
    """Returns an empty Linear(H, 1) for the weight called `key`. Raises BadCheckpoint."""
    rows, hidden_size = matrix_shape(checkpoint, key, checkpoint.config.get("hidden_size"))
    _require_labels(checkpoint, key, rows, 1)
    return nn.Linear(hidden_size, rows, bias=bias)


def mlp_head(
    checkpoint: Checkpoint,
    prefix: str,
    *,
    outputs: int = 1,
    activation: type[nn.Module] = nn.ReLU,
) -> nn.Sequential:
    """Returns an empty Linear, activation, …, Linear(·, outputs) for `prefix.0`, `prefix.2`, ….

    Every layer has a bias. Raises BadCheckpoint when one is missing, naming it, or when the last
    gives another number of outputs.
    """
    numbered = re.compile(rf"{re.escape(prefix)}\.(\d+)\.(weight|bias)")
    found = [match for match in map(numbered.fullmatch, checkpoint.shapes) if match]
    last = max((int(match[1]) for match in found), default=0)
    layers: list[nn.Module] = []
    inputs = checkpoint.config.get("hidden_size")
    for index in range(0, last + 1, 2):
        key = f"{prefix}.{index}.weight"
        rows, columns = matrix_shape(checkpoint, key, inputs)
        layers += [*([activation()] if index else []), nn.Linear(columns, rows)]
        inputs = rows
    _require_labels(checkpoint, key, rows, outputs)
    return nn.Sequential(*layers)


def matrix_shape(checkpoint: Checkpoint, key: str, inputs: int | None = None) -> tuple[int, int]:
    """Returns the shape of a layer's weight, which must take `inputs` where that is known."""
    shape = checkpoint.shapes.get(key)
    if shape is None:
        raise BadCheckpoint(f"{checkpoint.folder}: the reward head's weight {key} is missing")
    if len(shape) != 2:
        raise BadCheckpoint(f"{checkpoint.folder}: {key} has shape {shape}, not (rows, columns)")
    if inputs not in (None, shape[1]):
        raise BadCheckpoint(f"{checkpoint.folder}: {key} takes {shape[1]} inputs, not {inputs}")
    return shape[0], shape[1]


def _require_labels(checkpoint: Checkpoint, key: str, rows: int, outputs: int) -> None:
    if rows != outputs:
        wanted = "a reward model gives one number" if outputs == 1 else f"{outputs} are needed"
        raise BadCheckpoint(f"{checkpoint.folder}: {key} gives {rows} labels; {wanted}")
