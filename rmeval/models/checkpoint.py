"""A checkpoint on disk: its config, the names and shapes of its weights, and its fingerprint."""

import hashlib
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import is_zipfile

import torch
from safetensors import SafetensorError, safe_open

from rmeval.errors import (
    BadCheckpoint,
    BadOption,
    UnknownName,
    Unreachable,
    first_line,
    nearest_name,
)
from rmeval.hub import fetch_snapshot, local_folder, nearest_path, shapes_on_hub
from rmeval.known import DEMO, known_checkpoints

DEMO_FOLDER = Path(__file__).parents[1] / "data" / "demo" / "model"
SAFE_INDEX, PICKLE_INDEX = "model.safetensors.index.json", "pytorch_model.bin.index.json"
SMALL_FILES = ["config.json", "*.json", "*.jinja", "*.txt", "*.model"]
PICKLE_ADVICE = (
    "only in pickle format (.bin), which can run code when it is read; convert it to "
    "safetensors, or pass --allow-pickle (allow_pickle=True) if you trust it"
)


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint; no weight has been read yet.

    `shapes` holds every tensor's shape, `shards` the files that hold them, in order. `revision`
    is the commit of a Hub snapshot, or None for a local folder.
    """

    name: str
    folder: Path
    revision: str | None
    config: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    shards: tuple[Path, ...]

    @property
    def architecture(self) -> str:
        """The first entry of config.json's `architectures`, or ""."""
        return str((self.config.get("architectures") or [""])[0])

    def is_called(self, pattern: re.Pattern[str]) -> bool:
        """Whether a pattern is found in its name, its folder's, or config.json's own."""
        names = (self.name, self.folder, self.config.get("_name_or_path", ""))
        return any(pattern.search(str(name).rstrip("/")) for name in names)

    def tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yields every weight once, shard by shard; only one tensor is held at a time."""
        for shard in self.shards:
            if shard.suffix == ".bin":
                yield from _load_pickle(shard, "cpu").items()
                continue
            with safe_open(shard, framework="pt") as tensors:
                for key in tensors.keys():  # noqa: SIM118 - not a dict
                    yield key, tensors.get_tensor(key)

    def fingerprint(self) -> str:
        """Returns a hash of config.json and of every weight file's content.

        It is made of sha256 sums, which the Hub's cache already has as file names, so that the
        same weights have the same fingerprint from the Hub and from a folder.
        """
        with ThreadPoolExecutor() as pool:
            sums = list(pool.map(_sha256, [self.folder / "config.json", *self.shards]))
        return hashlib.sha256("".join(sums).encode()).hexdigest()


def open_checkpoint(
    name: str,
    revision: str | None = None,
    allow_pickle: bool = False,
    remote_code: bool = False,
    weights: bool = True,
) -> Checkpoint:
    """Finds a checkpoint by folder, Hub name, or "demo", and reads everything but its weights.

    Without `weights` none is downloaded: of a model on the Hub only their shapes are asked for.
    Raises UnknownName, Unreachable, BadOption or BadCheckpoint, each with what to do.
    """
    folder, commit = _find(name, revision, remote_code)
    config = read_object(folder / "config.json")
    if commit is not None and not weights and not any(folder.glob("model*.safetensors")):
        return Checkpoint(name, folder, commit, config, shapes_on_hub(name, commit), ())
    if commit is not None:
        _fetch_weights(name, commit, folder, allow_pickle)
    shards = _shards(folder, allow_pickle)
    try:
        shapes = {key: shape for shard in shards for key, shape in _read_shapes(shard)}
    except (SafetensorError, UnpicklingError, EOFError, OSError, ValueError, RuntimeError) as error:
        reason = first_line(error)
        raise BadCheckpoint(f"{folder}: a weight file is unreadable: {reason}") from error
    return Checkpoint(name, folder, commit, config, shapes, tuple(shards))


def _find(name: str, revision: str | None, remote_code: bool) -> tuple[Path, str | None]:
    local = DEMO_FOLDER if name == DEMO else local_folder(name)
    if local is not None:
        if revision is not None:
            raise BadOption(f"--revision applies to models on the Hub; {name} is a local folder")
        return local, None
    known = [DEMO, *known_checkpoints()]
    if name.endswith((".json", ".safetensors", ".bin")):
        raise BadOption(f"{name} is no folder; pass the folder that holds config.json")
    if "/" in name and (name.count("/") != 1 or name.startswith((".", "/", "~"))):
        raise BadOption(f"model {name}: no such folder{nearest_path(name)}")
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        advice = "; a model is a local folder, or organisation/name on the Hub"
        raise UnknownName("model", name, known, advice)
    patterns = [*SMALL_FILES, *(["*.py"] if remote_code else [])]
    nearest = nearest_name(name, known)
    hint = f" (or did you mean {nearest!r}?)" if nearest and nearest != name else ""
    otherwise = f"pass a local folder, --model ./{name.split('/')[1]}{hint}"
    folder = fetch_snapshot(name, "model", revision, patterns, otherwise)
    return folder, folder.name


def _fetch_weights(name: str, commit: str, folder: Path, allow_pickle: bool) -> None:
    """Brings the weights into the snapshot: safetensors, and pickles only if they are trusted."""
    only_pickled = (folder / PICKLE_INDEX).exists() and not (folder / SAFE_INDEX).exists()
    if only_pickled and not allow_pickle:
        raise BadCheckpoint(f"{name}: weights {PICKLE_ADVICE}")
    otherwise = "if it has only .bin weights (pickle), convert them, or pass --allow-pickle"
    try:
        fetch_snapshot(name, "model", commit, ["model*.safetensors"], otherwise)
    except Unreachable:
        if not allow_pickle:
            raise
        fetch_snapshot(name, "model", commit, ["pytorch_model*.bin"], "it has no weights")


def read_object(path: Path) -> dict[str, Any]:
    """Returns the object in one of a checkpoint's JSON files. Raises BadCheckpoint."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadCheckpoint(f"{path.parent}: no {path.name} in this folder") from error
    except ValueError as error:
        raise BadCheckpoint(f"{path}: not valid JSON ({error})") from error
    if not isinstance(content, dict):
        raise BadCheckpoint(f"{path}: expected an object")
    return content


def _shards(folder: Path, allow_pickle: bool) -> list[Path]:
    """Returns the weight files: those of an index, else all of one kind. Safetensors win."""
    safe = _listed(folder, SAFE_INDEX) or sorted(folder.glob("model*.safetensors"))
    if safe:
        return safe
    pickled = _listed(folder, PICKLE_INDEX) or sorted(folder.glob("pytorch_model*.bin"))
    if pickled and not allow_pickle:
        raise BadCheckpoint(f"{folder}: weights {PICKLE_ADVICE}")
    if not pickled:
        raise BadCheckpoint(f"{folder}: no weights (model*.safetensors) beside config.json")
    return pickled


def _listed(folder: Path, index: str) -> list[Path]:
    """Returns the files that an index names, or nothing where there is no index."""
    if not (folder / index).exists():
        return []
    weight_map = read_object(folder / index).get("weight_map")
    if not isinstance(weight_map, dict):
        raise BadCheckpoint(f"{folder / index}: no weight_map")
    files = [folder / Path(str(name)).name for name in sorted(set(weight_map.values()))]
    for file in files:
        if not file.exists():
            raise BadCheckpoint(f"{folder}: {index} names {file.name}, which is not there")
    return files


def _read_shapes(shard: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    if shard.suffix == ".bin":
        yield from ((k, tuple(tensor.shape)) for k, tensor in _load_pickle(shard, "meta").items())
        return
    with safe_open(shard, framework="pt") as tensors:
        for key in tensors.keys():  # noqa: SIM118 - not a dict
            yield key, tuple(tensors.get_slice(key).get_shape())


def _load_pickle(shard: Path, device: str) -> dict[str, torch.Tensor]:
    """Reads tensors, and nothing else, from a pickle that the user has said they trust."""
    state = torch.load(shard, map_location=device, weights_only=True, mmap=is_zipfile(shard))
    if not isinstance(state, dict) or not all(map(torch.is_tensor, state.values())):
        raise UnpicklingError(f"{shard.name} holds something else than tensors by name")
    return state


def _sha256(file: Path) -> str:
    blob = file.resolve()
    if blob.parent.name == "blobs" and len(blob.name) == 64:  # the Hub's cache: named by sha256
        return blob.name
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
