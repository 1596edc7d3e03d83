"""Weights into a network: streamed tensor by tensor, each checked, on one device or several."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError

from rmeval.engine.plan import Pool
from rmeval.errors import BadCheckpoint, Blaming, ServerFailure, UnknownName
from rmeval.hub import fetch_snapshot
from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.checkpoints.config_shape import require_sizes
from rmeval.models.checkpoints.conversion import Conversion
from rmeval.models.checkpoints.weight_files import some
from rmeval.models.family import Family, Placed
from rmeval.models.network import Network
from rmeval.models.placement import device_of, dispatch, map_devices
from rmeval.models.tensor_parallel import Parts, cut, join_parts
from rmeval.records import DTYPES

HEAD = "head."  # what the names of a head's weights begin with
NORMALISED = 1e-3  # from 1, the length of a state; those of a network are about sqrt(H) long
OLD_ANGLES = "rotary_emb.inv_freq"  # until 2023 each layer saved what the body computes once today


def choose_dtype(dtype: str, config: Mapping[str, Any], device: torch.device) -> torch.dtype:
    """Returns the dtype of the backbone.

    "auto" is the checkpoint's own on a GPU, as the authors ran it, and float32 on a CPU, where
    half precision is slower and coarser. Raises UnknownName, or BadCheckpoint for a
    config.json whose dtype is none.
    """
    own = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    own = own.removeprefix("torch.")
    real = [name for name in DTYPES if name != "auto"]
    if own not in real:  # transformers cannot read such a config.json either
        raise BadCheckpoint(
            f"config.json: dtype (or torch_dtype) is {own!r}; set it to that of the weights: "
            f"{', '.join(real)}"
        )
    if dtype == "auto":
        dtype = "float32" if device.type == "cpu" else own
    if dtype not in DTYPES:
        raise UnknownName("dtype", dtype, DTYPES)
    chosen: torch.dtype = getattr(torch, dtype)
    return chosen


def load_network(
    family: Family,
    device: torch.device,
    dtype: torch.dtype,
    *,
    spread: bool,
    base: Network | None = None,
    parallel: bool = False,
) -> Network:
    """Builds a family's network and fills it with the checkpoint's weights.

    Host memory holds the model at most once, and one tensor more. With `spread`, a model that
    is too large for `device` goes over all devices and the host, layer by layer. What an adapter
    leaves alone of its `base`, where that is loaded, is not read again: the two networks share it.
    With `parallel`, each process of the launch keeps its part alone.

    Raises BadCheckpoint naming every weight that is missing, left over, or of another shape.
    """
    network, parts = empty_network(family, dtype), Parts()
    if parallel:
        parts = join_parts(device)
        cut(network, parts)
    device_map = map_devices(network, device, dtype, spread=spread)
    shared = set() if base is None or "" not in device_map else _share(network, family, base)
    _fill(network, family, device_map, dtype, shared, parts)
    network.eval().requires_grad_(False)
    dispatched: Network = dispatch(network, device_map, device)
    return dispatched


def empty_network(family: Family, dtype: torch.dtype) -> Network:
    """Returns the network without memory for its weights; its buffers (rotary angles) are real."""
    from accelerate import init_empty_weights

    config = family.config()
    config.dtype = dtype
    _leave_out_pad(config, family.checkpoint.folder)
    # sdpa would drop Gemma-2's soft cap without a word; eager computes it
    softcap = getattr(config, "attn_logit_softcapping", None)
    require_sizes(config, family.checkpoint.shapes, family.checkpoint.folder)
    told = f"{family.checkpoint.folder}: transformers cannot build a network from this config.json"
    with Blaming(BadCheckpoint, told, StrictDataclassError):
        head = family.head()
        with init_empty_weights(include_buffers=False):
            backbone = family.backbone(config, "eager" if softcap else None)
    pool = Pool(family.pool, family.pad_token_id())
    return Network(backbone, head.to("meta") if head is not None else None, pool=pool)


def head_weights(family: Family) -> dict[str, torch.Tensor]:
    """Returns the weights of a family's head, by their names there; no others are read.

    Of a model on the Hub, only the files that hold them are fetched.
    """
    checkpoint = family.checkpoint
    meta = {key: torch.empty(shape, device="meta") for key, shape in checkpoint.shapes.items()}
    keys = [key for key, tensor in meta.items() if _of_head(family.place(key, tensor))]
    files = dict.fromkeys(checkpoint.places[key][0] for key in keys)
    absent = [file.name for file in files if not file.is_file()]
    if absent:
        fetch_snapshot(checkpoint.name, "model", checkpoint.revision, absent, "its head is needed")
    read = replace(checkpoint, shards=tuple(files)).tensors(keys)
    placed = (named for key, tensor in read for named in family.place(key, tensor))
    return {name.removeprefix(HEAD): value for name, value in placed if name.startswith(HEAD)}


def _of_head(placed: Placed) -> bool:
    return any(name.startswith(HEAD) for name, _ in placed)


def head_alone(family: Family) -> Callable[[list[list[float]]], list[list[float]]]:
    """Returns a family's head in float32: states of scored tokens in, reward and objectives out.

    What it returns raises ServerFailure for states that are not those of this model's body.
    """
    head = family.head()
    assert head is not None
    with Blaming(BadCheckpoint, f"{family.checkpoint.folder}: its head cannot be loaded"):
        head.load_state_dict(head_weights(family))
    head = head.float().eval().requires_grad_(False)
    size = int(family.config().get_text_config().hidden_size)

    @torch.inference_mode()
    def apply(states: list[list[float]]) -> list[list[float]]:
        if wrong := next((len(state) for state in states if len(state) != size), None):
            raise ServerFailure(f"states of {wrong} numbers, where the model's have {size}")
        found = torch.tensor(states, dtype=torch.float32)  # (N, H)
        if torch.allclose(found.norm(dim=1), torch.ones(len(found)), atol=NORMALISED):
            raise ServerFailure("states of length 1: they are normalised, and rewards are lost")
        rows: list[list[float]] = head(found).reshape(len(found), -1).tolist()
        return rows

    return apply


def _fill(
    network: Network,
    family: Family,
    device_map: Mapping[str, Any],
    dtype: torch.dtype,
    shared: set[str],
    parts: Parts,
) -> None:
    from accelerate.utils import set_module_tensor_to_device

    head_dtype = torch.float64 if dtype == torch.float64 else torch.float32
    state = network.state_dict()
    shapes = {name: tensor.shape for name, tensor in state.items()} | parts.shapes
    floating = {name for name, tensor in state.items() if tensor.is_floating_point()}
    waiting, left_over = shapes.keys() - shared, []
    adaptation = family.checkpoint.adaptation
    names = adaptation.changed if shared and adaptation else None
    # buffers that older versions saved and newer ones compute
    computed = {name for name, _ in network.named_buffers()} - shapes.keys()
    known = tuple(OLD_ANGLES for name in computed if name.endswith(OLD_ANGLES))
    convert = Conversion(network, _placed_names(family))
    for key, tensor in family.checkpoint.tensors(names):
        placed = family.place(key, tensor)
        for name, value in (converted for named in placed for converted in convert(*named)):
            if name not in shapes:
                left_over += [] if name in computed or name.endswith(known) else [key]
                continue
            _require_floating(family.checkpoint, key, value, floating=name in floating)
            told = name if name in convert.fused else key
            _require_shape(family.checkpoint, told, value.shape, shapes[name])
            _require_finite(value, key, family.checkpoint)
            wanted = head_dtype if name.startswith("head.") else dtype
            wanted = wanted if value.is_floating_point() else value.dtype
            where = device_of(name, device_map)
            value = parts.of(name, value)
            set_module_tensor_to_device(  # emptying the allocator each time takes seconds
                network, name, where, value=value, dtype=wanted, clear_cache=False
            )
            waiting.discard(name)
    _require_all_found(network, family.checkpoint, waiting, left_over)


def _placed_names(family: Family, keys: Collection[str] | None = None) -> Iterator[str]:
    for key, shape in family.checkpoint.shapes.items():
        if keys is None or key in keys:
            yield from (name for name, _ in family.place(key, torch.empty(shape, device="meta")))


def _share(network: Network, family: Family, base: Network) -> set[str]:
    """Puts the base's weights where an adapter changes nothing, and returns their names.

    Nothing is shared with a base that is spread over devices, or whose weights are fused as they
    are read.
    """
    adaptation = family.checkpoint.adaptation
    if adaptation is None or hasattr(base, "hf_device_map"):
        return set()
    if Conversion(network, _placed_names(family)).fused:
        return set()
    own = set(_placed_names(family, adaptation.changed))
    shared = network.state_dict().keys() & base.state_dict().keys() - own
    for name in shared:
        module, _, attribute = name.rpartition(".")
        setattr(network.get_submodule(module), attribute, base.get_parameter(name))
    return shared


def _leave_out_pad(config: Any, folder: Path) -> None:
    """Takes a pad id that is no token from the backbone's config: no padding is ever embedded.

    Raises BadCheckpoint where the model counts its positions from that id.
    """
    text = config.get_text_config()
    pad, size = (getattr(text, name, None) for name in ("pad_token_id", "vocab_size"))
    if pad is None or size is None or 0 <= pad < size:
        return
    if "roberta" in text.model_type:
        raise BadCheckpoint(
            f"{folder}/config.json: pad_token_id {pad} is not one of the {size} tokens, and "
            f"{text.model_type} counts positions from it"
        )
    text.pad_token_id = None


def _require_shape(
    checkpoint: Checkpoint, told: str, found: torch.Size, wanted: torch.Size
) -> None:
    if found != wanted:
        raise BadCheckpoint(
            f"{checkpoint.folder}: {told} has shape {tuple(found)} where config.json asks for "
            f"{tuple(wanted)}"
        )


def _require_floating(
    checkpoint: Checkpoint, key: str, value: torch.Tensor, *, floating: bool
) -> None:
    """Quantised weights mean nothing without their scales. Raises BadCheckpoint."""
    if floating and (value.dtype.itemsize == 1 or not value.dtype.is_floating_point):
        raise BadCheckpoint(
            f"{checkpoint.folder}: {key} is quantised ({value.dtype}); pass the checkpoint in 16 "
            "bits, or dequantise it first"
        )


def _require_finite(value: torch.Tensor, key: str, checkpoint: Checkpoint) -> None:
    """A NaN that only some tokens meet leaves other rewards finite, and they look like scores."""
    if value.is_floating_point() and value.numel():
        ends = torch.stack(torch.aminmax(value))  # NaN where any is
        if not torch.isfinite(ends).all():
            raise BadCheckpoint(
                f"{checkpoint.folder}: {key} holds NaN or infinite weights; fetch or save it again"
            )


def _require_all_found(
    network: Network, checkpoint: Checkpoint, waiting: set[str], left_over: list[str]
) -> None:
    """A fresh weight gives numbers that look like scores, so none may stay as it was made."""
    missing = sorted(waiting)
    ignored = getattr(network.backbone, "_keys_to_ignore_on_load_unexpected", None) or []
    left_over = [key for key in left_over if not any(re.search(p, key) for p in ignored)]
    if missing:
        raise BadCheckpoint(f"{checkpoint.folder}: weights are missing: {some(missing)}")
    if left_over:
        raise BadCheckpoint(
            f"{checkpoint.folder}: weights that no part of the model uses: {some(left_over)}"
        )
