"""Does config.json hold what it is read for, and does it speak of the weights beside it?

Checked before a network is made of it: one of two million layers would take the machine's memory.
"""

from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any

from rmeval.errors import BadCheckpoint, one_line

VALUE_LETTERS = 40  # characters of a wrong value in an error


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_count(value: object) -> bool:
    return type(value) is int and value > 0


KINDS: tuple[tuple[tuple[str, ...], str, Callable[[Any], bool]], ...] = (
    (("model_type", "value_head_prefix"), "a text", lambda value: isinstance(value, str)),
    (("architectures",), "a list of texts", _is_texts),
    (
        ("auto_map", "rope_scaling", "rope_parameters", "id2label", "text_config"),
        "an object",
        lambda value: isinstance(value, dict),
    ),
    (("hidden_size", "num_hidden_layers", "vocab_size"), "a whole number above 0", _is_count),
    (("num_labels", "pad_token_id"), "a whole number", lambda value: type(value) is int),
)
WIDTHS = ("hidden_size", "intermediate_size", "head_dim", "num_attention_heads", "vocab_size")


def require_kinds(path: Path, config: Mapping[str, Any]) -> None:
    """Raises BadCheckpoint for a value of another kind than it is read as; null is none."""
    for names, wanted, is_right in KINDS:
        for name in names:
            value = config.get(name)
            if value is not None and not is_right(value):
                shown = one_line(repr(value))[:VALUE_LETTERS]
                raise BadCheckpoint(f"{path}: {name} is {shown}, and must be {wanted}")


def require_sizes(config: Any, shapes: Mapping[str, tuple[int, ...]], folder: Path) -> None:
    """Raises BadCheckpoint where a network would be larger than its weights can fill.

    A layer has a tensor of its own at least, and no width is above all the weights there are.
    """
    text = config.get_text_config()
    weights = sum(prod(shape) for shape in shapes.values())
    bounds = {"num_hidden_layers": len(shapes), **dict.fromkeys(WIDTHS, weights)}
    for name, most in bounds.items():
        size = getattr(text, name, None)
        if type(size) is int and size > most:
            held = f"{most:,} {'tensors' if name == 'num_hidden_layers' else 'numbers'}"
            raise BadCheckpoint(
                f"{folder}/config.json: {name} is {size:,}, and its weights have {held} in all; "
                "one of the two belongs to another model"
            )
