"""An adapter on its base: one checkpoint, whose weights are merged as they are read."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from rmeval.errors import Unreachable
from rmeval.hub import fetch_snapshot
from rmeval.models.checkpoints.adapter import Adapter, Change, Shape, read_adapter
from rmeval.models.checkpoints.adapter_base import EMBEDDING, as_trained, open_base
from rmeval.models.checkpoints.checkpoint import Checkpoint, Opening
from rmeval.models.checkpoints.not_readable import refuse_adapter
from rmeval.models.checkpoints.weight_files import HEADS, some

CONV1D = {  # modules whose weights are (inputs, outputs), by model_type
    "gpt2": ("c_attn", "c_proj", "c_fc", "q_attn"),
    "openai-gpt": ("c_attn", "c_proj", "c_fc"),
}
LOGITS = "lm_head.weight"


@dataclass(frozen=True)
class Adaptation:
    """An adapter, its base, and what it does to the base's weights, by name."""

    adapter: Adapter
    base: Checkpoint
    changes: Mapping[str, Change]

    @property
    def folder(self) -> Path:
        """The adapter's folder."""
        return self.adapter.folder

    @property
    def changed(self) -> set[str]:
        """The names of all weights that are not the base's."""
        return {*self.changes, *self.adapter.whole}

    @contextmanager
    def merging(self) -> Iterator[Callable[[str, torch.Tensor], torch.Tensor]]:
        """Gives what merges one of the base's weights: itself where nothing changes it."""
        with self.adapter.open() as read:
            yield (
                lambda name, weight: (
                    self.changes[name].of(weight, read) if name in self.changes else weight
                )
            )

    def provenance(self) -> dict[str, Any]:
        """Returns the base, and the kind of the adapter, as a result names them."""
        return {
            "name": self.base.name,
            "revision": self.base.revision,
            "fingerprint": self.base.fingerprint(),
            "adapter": str(self.adapter.settings["peft_type"]),
        }


def open_adapted(name: str, folder: Path, commit: str | None, opening: Opening) -> Checkpoint:
    """Opens an adapter with its base. Raises BadCheckpoint for two that do not go together."""
    refuse_adapter(folder)
    if commit is not None:
        _fetch_adapter(name, commit, folder, opening.allow_pickle)
    adapter = read_adapter(folder, opening.allow_pickle)
    base = open_base(adapter, commit, opening)
    return replace(adapt(base, adapter), name=name, revision=commit)


def adapt(base: Checkpoint, adapter: Adapter) -> Checkpoint:
    """Returns a base with an adapter on it. Raises BadCheckpoint where they do not go together."""
    base, overrides = as_trained(base, adapter)
    turned = CONV1D.get(str(base.config.get("model_type")), ())
    changes = adapter.changes(lambda module: module.rpartition(".")[2] in turned)
    base, tied = _untied(base, adapter, changes)
    _require_same_shapes(base, adapter, changes)
    _require_all_targets(base, adapter)
    overrides |= tied
    return replace(
        base,
        config={**base.config, **overrides},
        shapes={**base.shapes, **adapter.whole_shapes},
        shards=(*base.shards, *adapter.files),
        places={**base.places, **adapter.whole},
        unclaimed=tuple(file for file in base.unclaimed if file not in adapter.files),
        overrides=overrides,
        adaptation=Adaptation(adapter, base, changes),
    )


def _fetch_adapter(name: str, commit: str, folder: Path, allow_pickle: bool) -> None:
    """Brings an adapter's weights into its snapshot, and a value head beside them."""
    heads = HEADS if allow_pickle else HEADS[:1]
    kinds = ["adapter_model.safetensors", *(["adapter_model.bin"] if allow_pickle else [])]
    pattern, *also = kinds
    try:
        fetch_snapshot(name, "model", commit, [pattern, *heads], "pass a local folder")
    except Unreachable:
        if not also:
            raise
        fetch_snapshot(name, "model", commit, [*also, *heads], "pass a local folder")


def _untied(
    base: Checkpoint, adapter: Adapter, changes: Mapping[str, Change]
) -> tuple[Checkpoint, dict[str, Any]]:
    """Returns a base with logits of their own where they, or the embedding, were trained.

    PEFT trains each module by itself, also where config.json ties the two.
    """
    causal = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(base.config.get("model_type"))
    embedding = next((name for name in base.shapes if EMBEDDING.search(name)), None)
    trained = {LOGITS, embedding} & {*changes, *adapter.whole}
    if embedding is None or not trained or base.architecture != causal:
        return base, {}
    if LOGITS not in base.shapes:
        base = replace(
            base,
            shapes={**base.shapes, LOGITS: base.shapes[embedding]},
            places={**base.places, LOGITS: base.places[embedding]},
        )
    return base, {"tie_word_embeddings": False}


def _require_same_shapes(base: Checkpoint, adapter: Adapter, changes: Mapping[str, Change]) -> None:
    """Raises BadCheckpoint where a base lacks a weight that is changed, or has another shape."""
    for name, change in changes.items():
        if name not in {*base.shapes, *adapter.whole}:
            raise adapter.refused(f"it changes {name}, which its base {base.name} does not have")
        _require_same_shape(base, adapter, name, adapter.shape_of(change))
    for name, shape in adapter.whole_shapes.items():
        _require_same_shape(base, adapter, name, shape)


def _require_same_shape(base: Checkpoint, adapter: Adapter, name: str, shape: Shape) -> None:
    here = base.shapes.get(name, shape)
    if here == shape:
        return
    if EMBEDDING.search(name) or name == LOGITS:
        raise adapter.refused(
            f"{name} is of {shape[0]} tokens, and of {here[0]} in its base {base.name}: an adapter "
            "that adds tokens is not merged here (peft: merge_and_unload after "
            "resize_token_embeddings)"
        )
    raise adapter.refused(
        f"it changes {name} of shape {shape}, which has {here} in {base.name}: it belongs to "
        "another base"
    )


def _require_all_targets(base: Checkpoint, adapter: Adapter) -> None:
    """A base with more layers than the adapter is another one. Raises BadCheckpoint."""
    targets = adapter.settings.get("target_modules")
    narrowed = ("exclude_modules", "layers_to_transform")
    if not isinstance(targets, list) or any(adapter.settings.get(key) for key in narrowed):
        return
    done = {*adapter.parts, *(name.rpartition(".")[0] for name in adapter.whole)}
    ends = tuple(f".{target}.weight" for target in targets)
    modules = [
        name.removesuffix(".weight")
        for name, shape in base.shapes.items()
        if f".{name}".endswith(ends) and len(shape) == 2 and ".experts." not in name
    ]
    if without := [module for module in modules if module not in done]:
        raise adapter.refused(
            f"it has nothing for {some(without)}, which {base.name} has: it belongs to another base"
        )
