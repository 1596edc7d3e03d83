"""Which files hold a checkpoint's weights, and from which of them each tensor is taken.

What transformers reads is read: an index, or one file, or numbered files. An index is obeyed tensor
by tensor. Whatever would make a weight a guess is refused, with the names of what disagrees.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple
from zipfile import is_zipfile

import torch
from safetensors import SafetensorError, safe_open

from rmeval.errors import BadCheckpoint, first_line
from rmeval.models.checkpoints.json_files import read_object
from rmeval.models.checkpoints.not_readable import refuse_gguf, refuse_shards_of_training

PICKLE_ADVICE = (
    "only in pickle format, which can run code when it is read; convert it to "
    "safetensors, or pass `allow_pickle=True` if you trust it"
)
NAMED_AT_MOST = 4

Shapes = Mapping[str, tuple[int, ...]]  # of the tensors in one file, by their names in it


class Place(NamedTuple):
    """Where a tensor is taken from: a weight file, and its name in that file."""

    file: Path
    key: str


@dataclass(frozen=True)
class Format:
    """What the files of one format are called. `head` is LLaMA-Factory's value head, kept apart."""

    whole: str
    index: str
    numbered: re.Pattern[str]
    head: str
    others: str


SAFE = Format(
    "model.safetensors",
    "model.safetensors.index.json",
    re.compile(r"model-(\d+)-of-(\d+)\.safetensors"),
    "value_head.safetensors",
    "*.safetensors",
)
PICKLED = Format(
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    re.compile(r"pytorch_model-(\d+)-of-(\d+)\.bin"),
    "value_head.bin",
    "pytorch_model*.bin",
)
HEADS = (SAFE.head, PICKLED.head)
# LDL-Reward keeps two heads apart, whose weights have one name in both: the file tells them apart.
PARTS = {
    f"{part}{suffix}": f"{part}."
    for part in ("regression_layer", "gating_layer")
    for suffix in (".pt", ".safetensors")  # which wins
}
PICKLES = (".bin", ".pt")


@dataclass(frozen=True)
class WeightFiles:
    """The weight files of a folder, in order, and those beside them that nothing claims.

    `index` says which file each tensor is in, by its name; None where there is no index.
    """

    files: tuple[Path, ...]
    unclaimed: tuple[Path, ...]
    index: Mapping[str, str] | None

    def places(self, shapes: Mapping[Path, Shapes]) -> dict[str, Place]:
        """Returns the place of every tensor, of the shapes in each file.

        Raises BadCheckpoint for an index that the files contradict, and for a tensor in two files
        between which no index decides.
        """
        found: dict[str, Place] = {}
        for file, held in shapes.items():
            indexed = self.index if self.index and file.name in self.index.values() else None
            for key in held:
                if indexed is not None and key not in indexed:
                    raise BadCheckpoint(
                        f"{file.parent}: {file.name} holds {key}, which the index does not name"
                    )
                if indexed is not None and indexed[key] != file.name:
                    continue  # a copy of what the index takes from another file
                name = PARTS.get(file.name, "") + plain_name(key)
                if name in found:
                    both = f"{found[name].file.name} and {file.name}"
                    raise BadCheckpoint(
                        f"{file.parent}: {name} is in {both}, and nothing says which one counts; "
                        "remove the file that does not belong to this model"
                    )
                found[name] = Place(file, key)
        for key, file_name in (self.index or {}).items():
            if plain_name(key) not in found:
                raise BadCheckpoint(
                    f"{next(iter(shapes)).parent}: the index says that {key} is in {file_name}, "
                    "which lacks it"
                )
        return found


def plain_name(key: str) -> str:
    """Returns a weight's name without what torch.compile and data-parallel wrappers add."""
    return key.replace("_orig_mod.", "").removeprefix("module.")


def find_weights(folder: Path, allow_pickle: bool) -> WeightFiles:
    """Returns the weight files of a folder. Safetensors win. Raises BadCheckpoint."""
    safe = choose_files(folder, SAFE, _names(folder, SAFE))
    chosen = safe or choose_files(folder, PICKLED, _names(folder, PICKLED))
    if chosen is None:
        refuse_shards_of_training(folder)
        refuse_gguf(folder)
        others = sorted(file.name for file in folder.glob(SAFE.others))
        beside = f"; nothing says what {some(others)} is" if others else ""
        raise BadCheckpoint(f"{folder}: no weights (model*.safetensors) beside config.json{beside}")
    heads = [folder / name for name in HEADS if (folder / name).is_file()][:1]
    parts = {part: folder / name for name, part in PARTS.items() if (folder / name).is_file()}
    apart = [file for file in (*heads, *parts.values()) if file not in chosen.files]
    files = (*chosen.files, *apart)
    if not allow_pickle and (pickled := [file.name for file in files if file.suffix in PICKLES]):
        raise BadCheckpoint(f"{folder}: weights ({some(pickled)}) {PICKLE_ADVICE}")
    unclaimed = tuple(file for file in chosen.unclaimed if file not in files)
    return WeightFiles(files, unclaimed, chosen.index)


def choose_files(folder: Path, kind: Format, names: list[str]) -> WeightFiles | None:
    """Returns which of the files of one format, `names`, are the weights; None if none are."""
    index = read_index(folder / kind.index)
    if index is not None:
        chosen = sorted(set(index.values()))
        if kind.whole in names and kind.whole not in chosen:
            raise BadCheckpoint(
                f"{folder}: {kind.whole} and {kind.index} are both here and name different "
                f"weights; delete {kind.index} with its files, or {kind.whole}, whichever is older"
            )
        for name in chosen:
            if name not in names:
                raise BadCheckpoint(f"{folder}: {kind.index} names {name}, which is missing")
    elif kind.whole in names:
        chosen = [kind.whole]
    else:
        chosen = _numbered(folder, kind, names)
    if not chosen:
        return None
    unclaimed = tuple(folder / name for name in names if name not in chosen)
    return WeightFiles(tuple(folder / name for name in chosen), unclaimed, index)


def read_index(path: Path) -> dict[str, str] | None:
    """Returns which file each tensor is in, or None where there is no index."""
    if not path.exists():
        return None
    weight_map = read_object(path).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise BadCheckpoint(f"{path}: no weight_map")
    for name in weight_map.values():
        if not isinstance(name, str) or Path(name).name != name:
            raise BadCheckpoint(f"{path}: {name!r} is not the name of a file in this folder")
    return weight_map


def _names(folder: Path, kind: Format) -> list[str]:
    """Returns the names of the files that may be weights of a format; those of an index may be
    called anything."""
    listed = set((read_index(folder / kind.index) or {}).values())
    there = {name for name in listed if (folder / name).is_file()}
    return sorted(there | {file.name for file in folder.glob(kind.others)})


def _numbered(folder: Path, kind: Format, names: list[str]) -> list[str]:
    """Returns `…-00001-of-0000N` to the N-th. Raises BadCheckpoint where one is missing."""
    found = [match for match in map(kind.numbered.fullmatch, names) if match]
    if not found:
        return []
    totals = {int(match[2]) for match in found}
    there = {int(match[1]) for match in found}
    if len(totals) > 1:
        raise BadCheckpoint(
            f"{folder}: the weight files are of {len(totals)} saves "
            f"({some([match[0] for match in found])}), and no {kind.index} says which one counts"
        )
    missing = [number for number in range(1, max(totals) + 1) if number not in there]
    if missing or max(there) > max(totals):
        lacking = some([f"{number} of {max(totals)}" for number in missing])
        raise BadCheckpoint(
            f"{folder}: of the numbered weight files {lacking or 'some'} are missing, and there is "
            f"no {kind.index}"
        )
    return [match[0] for match in found]


def read_shapes(files: tuple[Path, ...], folder: Path) -> dict[Path, Shapes]:
    """Returns the shapes of the tensors in each file, by their names in it."""
    try:
        return {file: dict(_shapes_in(file)) for file in files}
    except (SafetensorError, UnpicklingError, EOFError, OSError, ValueError, RuntimeError) as error:
        reason = first_line(error)
        raise BadCheckpoint(f"{folder}: a weight file is unreadable: {reason}") from error


def _shapes_in(file: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    if file.suffix in PICKLES:
        yield from ((k, tuple(tensor.shape)) for k, tensor in _load_pickle(file, "meta").items())
        return
    with safe_open(file, framework="pt") as tensors:
        for key in tensors.keys():  # noqa: SIM118 - not a dict
            yield key, tuple(tensors.get_slice(key).get_shape())


@contextmanager
def open_weights(file: Path) -> Iterator[Callable[[str], torch.Tensor]]:
    """Opens a weight file and gives what reads one of its tensors, by its name in it."""
    if file.suffix in PICKLES:
        yield _load_pickle(file, "cpu").__getitem__
        return
    with safe_open(file, framework="pt") as tensors:
        yield tensors.get_tensor


def read_ahead(file: Path) -> None:
    """Has the system bring a file into its memory, which a mapped one enters page by page."""
    if hasattr(os, "posix_fadvise"):
        with file.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def _load_pickle(file: Path, device: str) -> dict[str, Any]:
    """Reads tensors, and nothing else, from a pickle that the user has said they trust."""
    state = torch.load(file, map_location=device, weights_only=True, mmap=is_zipfile(file))
    if not isinstance(state, dict) or not all(map(torch.is_tensor, state.values())):
        raise UnpicklingError(f"{file.name} holds something other than named tensors")
    return state


def some(names: list[str]) -> str:
    """Returns the first few names, and how many more there are."""
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return ", ".join(names[:NAMED_AT_MOST]) + more
