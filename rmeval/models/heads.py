"""Reward heads, with their sizes read from the checkpoint's own weights."""

from torch import nn

from rmeval.errors import BadCheckpoint
from rmeval.models.checkpoint import Checkpoint


def linear_head(checkpoint: Checkpoint, key: str, *, bias: bool) -> nn.Linear:
    """Returns an empty Linear(H, 1) for the weight called `key`. Raises BadCheckpoint."""
    rows, hidden_size = _matrix(checkpoint, key)
    _require_one_label(checkpoint, key, rows)
    return nn.Linear(hidden_size, rows, bias=bias)


def mlp_head(checkpoint: Checkpoint, prefix: str) -> nn.Sequential:
    """Returns an empty Linear, ReLU, …, Linear(·, 1) for `prefix.0`, `prefix.2`, … with biases.

    Raises BadCheckpoint when a layer is missing, naming it, or when the last gives no scalar.
    """
    last = max(
        (
            int(key.removeprefix(f"{prefix}.").split(".")[0])
            for key in checkpoint.shapes
            if key.startswith(f"{prefix}.") and key.endswith(".weight")
        ),
        default=0,
    )
    layers: list[nn.Module] = []
    for index in range(0, last + 1, 2):
        rows, columns = _matrix(checkpoint, f"{prefix}.{index}.weight")
        layers += [nn.ReLU()] * (index > 0) + [nn.Linear(columns, rows)]
    _require_one_label(checkpoint, f"{prefix}.{last}.weight", rows)
    return nn.Sequential(*layers)


def _matrix(checkpoint: Checkpoint, key: str) -> tuple[int, int]:
    shape = checkpoint.shapes.get(key)
    if shape is None:
        raise BadCheckpoint(f"{checkpoint.folder}: the reward head's weight {key} is missing")
    if len(shape) != 2:
        raise BadCheckpoint(f"{checkpoint.folder}: {key} has shape {shape}, not (rows, columns)")
    return shape[0], shape[1]


def _require_one_label(checkpoint: Checkpoint, key: str, rows: int) -> None:
    if rows != 1:
        raise BadCheckpoint(
            f"{checkpoint.folder}: {key} gives {rows} labels; a reward model gives one number"
        )
