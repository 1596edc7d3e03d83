"""A LoRA adapter as PEFT writes it: which weights of its base it changes, and how.

A weight W becomes W + s B A, with s = alpha / r, or alpha / sqrt(r) with rslora (arXiv 2106.09685,
2312.03732), and with DoRA (arXiv 2402.09353) each of its rows then has the length that was learnt.
Weights that were trained whole (`modules_to_save`, biases, embeddings) take the place of
the base's.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from rmeval.errors import BadCheckpoint
from rmeval.models.checkpoints.json_files import read_object
from rmeval.models.checkpoints.not_readable import (
    ADAPTER,
    adapter_files,
    refuse_adapter,
    refuse_shards_of_training,
)
from rmeval.models.checkpoints.weight_files import HEADS, Place, open_weights, read_shapes, some

WRAPPED = re.compile(r"^base_model\.model\.(pretrained_model\.)?")  # PEFT's names, TRL's
PART = re.compile(
    r"(.+)\.(lora_A\.weight|lora_B\.weight|lora_B\.bias|lora_embedding_A|lora_embedding_B"
    r"|lora_magnitude_vector)(?:\.weight)?"
)
OF_OTHERS = ("lora_", ".token_adapter.", "trainable_tokens", "prompt_embeddings")
KEPT = re.compile(
    r"\.(base_layer|modules_to_save)(?=\.)"
)  # between a module's name and its weight's

KINDS = {
    **dict.fromkeys(("rank_pattern", "alpha_pattern", "auto_mapping"), dict),
    "modules_to_save": list,
    "task_type": str,
}

Shape = tuple[int, ...]
Read = Callable[[str], torch.Tensor]


@dataclass(frozen=True)
class Change:
    """What is done to one weight: the names of its parts in the file, and the scale.

    `a` is (r, inputs) and `b` (outputs, r); of a bias, `b` alone (outputs,). With `turned` the
    weight is (inputs, outputs): an embedding, or a Conv1D of GPT-2.
    """

    b: str
    scale: float
    a: str | None = None
    magnitude: str | None = None
    turned: bool = False

    def of(self, weight: torch.Tensor, read: Read) -> torch.Tensor:
        """Returns the merged weight, in float32 at least; one that is quantised as it is."""
        if not weight.is_floating_point() or weight.dtype.itemsize == 1:
            return weight
        exact = torch.promote_types(weight.dtype, torch.float32)
        delta = read(self.b).to(exact)
        if self.a is not None:
            delta = delta @ read(self.a).to(exact)
        merged = weight.to(exact) + self.scale * (delta.T if self.turned else delta)
        if self.magnitude is None:
            return merged
        inputs = 0 if self.turned else 1
        factor: torch.Tensor = read(self.magnitude).to(exact) / torch.linalg.norm(
            merged, dim=inputs
        )
        return merged * factor.unsqueeze(inputs)


@dataclass(frozen=True)
class Adapter:
    """An opened adapter; no weight has been read yet.

    `shapes` are those of its file. `whole` says from where weights of the model are taken as they
    are, `parts` which low-rank parts each module has: by kind, the name in the file.
    """

    folder: Path
    file: Path
    settings: Mapping[str, Any]
    shapes: Mapping[str, Shape]
    whole: Mapping[str, Place]
    whole_shapes: Mapping[str, Shape]
    parts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def files(self) -> tuple[Path, ...]:
        """Its weight files: its own, and that of a value head beside it."""
        return tuple(dict.fromkeys([self.file, *(place.file for place in self.whole.values())]))

    def changes(self, turned: Callable[[str], bool]) -> dict[str, Change]:
        """Returns what is done to weights by their names; `turned` says of which modules they are
        (inputs, outputs). Raises BadCheckpoint for parts that do not go together."""
        found = {}
        for module, parts in self.parts.items():
            embedding = "lora_embedding_A" in parts
            kinds = [f"lora_{'embedding_' if embedding else ''}{x}" for x in "AB"]
            a, b = (parts.get(kind) or parts.get(f"{kind}.weight") for kind in kinds)
            if a is None or b is None:
                raise self.refused(f"{module} has {', '.join(parts)} but not the other part")
            ranks = {self.shapes[a][0], self.shapes[b][-1]}
            if len(ranks) > 1 or {len(self.shapes[key]) for key in (a, b)} != {2}:
                raise self.refused(f"{a} and {b} are not two matrices of one rank")
            magnitude = parts.get("lora_magnitude_vector")
            if (magnitude is not None) != bool(self.settings.get("use_dora")) or (
                magnitude is not None and embedding
            ):
                raise self.refused(
                    f"{ADAPTER} and {module} disagree about DoRA, or it is one of an embedding"
                )
            scale = self._scale(module, ranks.pop())
            found[f"{module}.weight"] = Change(b, scale, a, magnitude, embedding or turned(module))
            if "lora_B.bias" in parts:
                found[f"{module}.bias"] = Change(parts["lora_B.bias"], scale)
        return found

    def shape_of(self, change: Change) -> Shape:
        """Returns the shape of the weight that a change is of."""
        if change.a is None:
            return self.shapes[change.b]
        shape = (self.shapes[change.b][0], self.shapes[change.a][1])
        return shape[::-1] if change.turned else shape

    @contextmanager
    def open(self) -> Iterator[Read]:
        """Gives what reads one of its tensors, by its name in its file."""
        with open_weights(self.file) as read:
            yield lambda key: self._floating(key, read(key))

    def refused(self, reason: str) -> BadCheckpoint:
        """Returns the error that this adapter is not usable, for a reason."""
        return BadCheckpoint(f"{self.folder}: {reason}")

    def _floating(self, key: str, part: torch.Tensor) -> torch.Tensor:
        if not part.is_floating_point() or part.dtype.itemsize == 1:
            raise self.refused(f"{key} is quantised ({part.dtype})")
        return part

    def _scale(self, module: str, rank: int) -> float:
        """Returns s of a module: see above. Raises BadCheckpoint where its rank is another."""
        r, alpha = (
            _of_module(self.settings.get(pattern), module, self.settings.get(usual))
            for pattern, usual in (("rank_pattern", "r"), ("alpha_pattern", "lora_alpha"))
        )
        if not isinstance(alpha, int | float) or r != rank:
            raise self.refused(
                f"{ADAPTER} says r {r} and lora_alpha {alpha} for {module}, whose parts have the "
                f"rank {rank}"
            )
        return alpha / (math.sqrt(rank) if self.settings.get("use_rslora") else rank)


def _read_settings(folder: Path) -> dict[str, Any]:
    """Returns adapter_config.json. Raises BadCheckpoint for values that PEFT would not write."""
    settings = read_object(folder / ADAPTER)
    for name, kind in KINDS.items():
        if settings.get(name) is not None and not isinstance(settings[name], kind):
            found = str(settings[name])[:40]
            raise BadCheckpoint(f"{folder / ADAPTER}: {name} is {found!r}, not {kind.__name__}")
    for pattern in {
        **(settings.get("rank_pattern") or {}),
        **(settings.get("alpha_pattern") or {}),
    }:
        try:
            re.compile(pattern)
        except re.error as error:
            raise BadCheckpoint(
                f"{folder / ADAPTER}: {pattern!r} is not a valid pattern ({error})"
            ) from error
    return settings


def _of_module(pattern: Any, module: str, usual: Any) -> Any:
    """Returns what a pattern of PEFT's says of a module: the first that its name ends in."""
    found = (p for p in pattern or {} if re.match(rf"(.*\.)?({p})$", module))
    return next((pattern[p] for p in found), usual)


def read_adapter(folder: Path, allow_pickle: bool) -> Adapter:
    """Returns the adapter in a folder. Raises BadCheckpoint for what is none that can be merged."""
    refuse_adapter(folder)
    _, *weights = adapter_files(folder)
    if not weights:
        refuse_shards_of_training(folder)
        raise BadCheckpoint(f"{folder}: {ADAPTER} but no adapter_model.safetensors")
    heads = [name for name in HEADS if (folder / name).is_file()][:1]
    files = tuple(folder / name for name in (*weights, *heads))
    if any(file.suffix == ".bin" for file in files) and not allow_pickle:
        raise BadCheckpoint(
            f"{folder}: an adapter in pickle format (.bin), which can run code when it is read; "
            "pass `allow_pickle=True` if you trust it"
        )
    shapes = read_shapes(files, folder)
    own, *beside = files
    parts: dict[str, dict[str, str]] = {}
    places: dict[str, Place] = {}
    sizes: dict[str, Shape] = {}
    unknown = []
    for key, shape in shapes[own].items():
        name, wrapped = WRAPPED.subn("", key)
        part = PART.fullmatch(name)
        if part:
            parts.setdefault(part[1], {})[part[2]] = key
        elif not wrapped or any(mark in name for mark in OF_OTHERS):
            unknown.append(key)
        elif (
            ".original_module." not in name
        ):  # the base's own, beside what was trained in its place
            places[KEPT.sub("", name)], sizes[KEPT.sub("", name)] = Place(own, key), shape
    if unknown:
        raise BadCheckpoint(
            f"{own}: holds weights that are not LoRA's under PEFT's names: {some(unknown)}"
        )
    for file in beside:
        places |= {key: Place(file, key) for key in shapes[file]}
        sizes |= shapes[file]
    settings = _read_settings(folder)
    return Adapter(folder, own, settings, shapes[own], places, sizes, parts)
