"""Reward heads, with their sizes read from the checkpoint's own weights."""

import re

from torch import nn

from rmeval.errors import BadCheckpoint
from rmeval.models.checkpoint import Checkpoint


def linear_head(checkpoint: Checkpoint, key: str, *, bias: bool) -> nn.Linear:
    """Returns an empty Linear(H, 1) for the weight called `key`. Raises BadCheckpoint."""
    rows, hidden_size = _matrix(checkpoint, key, checkpoint.config.get("hidden_size"))
    _require_one_label(checkpoint, key, rows)
    return nn.Linear(hidden_size, rows, bias=bias)


def mlp_head(checkpoint: Checkpoint, prefix: str) -> nn.Sequential:
    """Returns an empty Linear, ReLU, …, Linear(·, 1) for `prefix.0`, `prefix.2`, … with biases.

    Raises BadCheckpoint when a layer is missing, naming it, or when the last gives no scalar.
    """
    numbered = re.compile(rf"{re.escape(prefix)}\.(\d+)\.(weight|bias)")
    found = [match for match in map(numbered.fullmatch, checkpoint.shapes) if match]
    last = max((int(match[1]) for match in found), default=0)
    layers: list[nn.Module] = []
    inputs = checkpoint.config.get("hidden_size")
    for index in range(0, last + 1, 2):
        key = f"{prefix}.{index}.weight"
        rows, columns = _matrix(checkpoint, key, inputs)
        layers += [nn.ReLU()] * (index > 0) + [nn.Linear(columns, rows)]
        inputs = rows
    _require_one_label(checkpoint, key, rows)
    return nn.Sequential(*layers)


def _matrix(checkpoint: Checkpoint, key: str, inputs: int | None) -> tuple[int, int]:
    """Returns the shape of a layer's weight, which must take `inputs` where that is known."""
    shape = checkpoint.shapes.get(key)
    if shape is None:
        raise BadCheckpoint(f"{checkpoint.folder}: the reward head's weight {key} is missing")
    if len(shape) != 2:
        raise BadCheckpoint(f"{checkpoint.folder}: {key} has shape {shape}, not (rows, columns)")
    if inputs not in (None, shape[1]):
        raise BadCheckpoint(f"{checkpoint.folder}: {key} takes {shape[1]} inputs, not {inputs}")
    return shape[0], shape[1]


def _require_one_label(checkpoint: Checkpoint, key: str, rows: int) -> None:
    if rows != 1:
        raise BadCheckpoint(
            f"{checkpoint.folder}: {key} gives {rows} labels; a reward model gives one number"
        )
