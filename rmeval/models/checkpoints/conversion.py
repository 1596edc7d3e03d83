"""What transformers itself does to weights as it loads them: other names, experts fused into one.

Since version 5 a mixture of experts has other weights in memory than on disk. The tables and the
operations are transformers' own (`transformers.conversion_mapping`); here they are applied to
weights that come one after another, and of fused ones only those wait whose parts still come.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import (
    WeightConverter,
    WeightRenaming,
    dot_natural_key,
    rename_source_key,
)

from rmeval.errors import BadCheckpoint
from rmeval.models.network import Network

BACKBONE = "backbone."
Named = tuple[str, torch.Tensor]


class Conversion:
    """Turns a checkpoint's weights, placed under `backbone.`, into those that the network has.

    `placed` are the names of all that will come, by which a fused weight knows its last part.
    """

    def __init__(self, network: Network, placed: Iterable[str]) -> None:
        owner, self._prefix = _owner(network.backbone)
        self._config = getattr(owner, "config", None)
        entries = [] if owner is None else get_model_conversion_mapping(owner)
        self._renamings = [entry for entry in entries if isinstance(entry, WeightRenaming)]
        self._converters = [entry for entry in entries if isinstance(entry, WeightConverter)]
        self._names = set(network.state_dict())
        targets = (self._target(name) for name in (placed if self._converters else ()))
        self._parts = Counter(target for target, pattern in targets if pattern is not None)
        self.fused = frozenset(self._parts)
        self._waiting: dict[str, list[tuple[str, str, torch.Tensor]]] = defaultdict(list)

    def __call__(self, name: str, tensor: torch.Tensor) -> Iterator[Named]:
        """Yields what a placed weight becomes: itself, or all of a fused weight at its last part.

        Raises BadCheckpoint for parts that do not go together.
        """
        target, pattern = self._target(name)
        if pattern is None:
            yield target, tensor
            return
        self._waiting[target].append((name, pattern, tensor))
        if len(self._waiting[target]) == self._parts[target]:
            yield from self._fuse(target, self._waiting.pop(target))

    def _target(self, name: str) -> tuple[str, str | None]:
        """Returns the network's name of a weight, and the converter's pattern that it matched."""
        if not name.startswith(self._prefix):
            return name, None
        own = name.removeprefix(self._prefix)
        renamed, pattern = rename_source_key(own, self._renamings, self._converters)
        target = self._prefix + renamed
        return (
            (name, None)
            if target not in self._names and name in self._names
            else (
                target,
                pattern,
            )
        )

    def _fuse(self, target: str, parts: list[tuple[str, str, torch.Tensor]]) -> Iterator[Named]:
        parts.sort(key=lambda part: dot_natural_key(part[0]))  # experts by their numbers
        tensors: Any = defaultdict(list)
        for _, pattern, tensor in parts:
            tensors[pattern].append(tensor)
        converter = next(c for c in self._converters if parts[0][1] in c.source_patterns)
        patterns = {
            "source_patterns": converter.source_patterns,
            "target_patterns": converter.target_patterns,
        }
        try:
            for operation in converter.operations:
                tensors = operation.convert(
                    tensors,
                    **patterns,
                    full_layer_name=target,
                    model=None,
                    config=self._config,
                    missing_keys=None,
                )
        except (RuntimeError, ValueError, KeyError, IndexError) as error:
            raise BadCheckpoint(
                f"the {len(parts)} weights that become {target} do not go together "
                f"({parts[0][0].removeprefix(BACKBONE)}, …): {str(error).splitlines()[0]}"
            ) from error
        before, _, after = target.partition(converter.target_patterns[0])
        for found, value in tensors.items():
            yield before + found + after, value[0] if isinstance(value, list) else value


def _owner(backbone: nn.Module) -> tuple[PreTrainedModel | None, str]:
    """Returns the transformers model whose tables apply, and what its weights' names begin with."""
    body = getattr(backbone, "body", None)
    for model, prefix in ((backbone, BACKBONE), (body, f"{BACKBONE}body.")):
        if isinstance(model, PreTrainedModel):
            return model, prefix
    return None, BACKBONE
