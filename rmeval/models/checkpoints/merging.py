"""Two checkpoints of one architecture averaged tensor by tensor, as INF-ORM v3 is of v1 and v2.

An average of what does not match would load and give numbers that look like scores, so all that
can be compared is, before a byte is written. Memory holds about one weight file.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from rmeval.errors import BadCheckpoint, OutputFailure, first_line
from rmeval.files import only_owner, write_atomically
from rmeval.models.checkpoints.checkpoint import Checkpoint
from rmeval.models.checkpoints.json_files import read_object
from rmeval.models.checkpoints.not_readable import refuse_adapter
from rmeval.models.checkpoints.weight_files import SAFE, open_weights
from rmeval.models.text.tokenizer_files import BESIDE, TOKENIZER_FILES

NAMES = ("_name_or_path", "_commit_hash", "transformers_version")  # say nothing of the network
OF_TOKENIZER = (*TOKENIZER_FILES, *BESIDE, "chat_template.jinja")
RECORD = "merge.json"
UNFINISHED, LOCK, MOVING = ".unfinished", ".lock", "moving.json"
AVERAGED = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Merge:
    """`weight` of `a` and the rest of `b`, for every tensor. Raises BadCheckpoint if they differ.

    What must be equal: config.json but for names, the names and shapes of the weights, the
    tokenizer's vocabulary and the chat template. dtypes are compared as the tensors are read.
    """

    a: Checkpoint
    b: Checkpoint
    weight: float

    def __post_init__(self) -> None:
        for checkpoint in (self.a, self.b):
            if checkpoint.adaptation is not None:
                refuse_adapter(checkpoint.adaptation.folder, "two whole models are averaged")
        _require_same_config(self.a, self.b)
        _require_same_shapes(self.a, self.b)
        _require_same_tokenizer(self.a, self.b)

    def write(self, folder: Path) -> None:
        """Writes weights, index, config.json, tokenizer files and merge.json, all or nothing.

        `folder` must be there, and empty but for what a killed merge left. Weights are computed in
        float32 (float64 in a float64 model) and keep their dtype. Raises BadCheckpoint for tensors
        that cannot be averaged, OutputFailure for a folder that is not empty, cannot be written,
        or is being written.
        """
        with all_or_nothing(folder) as unfinished:
            self._write_all(unfinished)

    def _write_all(self, folder: Path) -> None:
        weight_map: dict[str, str] = {}
        total = 0
        for shard in self.a.shards:
            tensors = dict(self._averaged(shard))
            save_file(tensors, folder / shard.name, metadata={"format": "pt"})
            weight_map |= dict.fromkeys(tensors, shard.name)
            total += sum(tensor.nbytes for tensor in tensors.values())
            del tensors  # before the next file's are there
        write_object(
            folder / SAFE.index, {"metadata": {"total_size": total}, "weight_map": weight_map}
        )
        for name in ("config.json", *OF_TOKENIZER):
            if (self.a.folder / name).is_file():
                shutil.copyfile(self.a.folder / name, folder / name)
        write_object(folder / RECORD, self._record())

    def _averaged(self, shard: Path) -> Iterator[tuple[str, torch.Tensor]]:
        """Yields the tensors of one of a's weight files, averaged with b's of the same names."""
        with _tensors_of(self.b) as theirs, open_weights(shard) as ours:
            for name, key in self.a.held_by(shard).items():
                yield name, self._average(name, ours(key), theirs(name))

    def _average(self, key: str, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        if a.dtype != b.dtype:
            raise self._differ(f"the dtype of {key}", a.dtype, b.dtype)
        if not a.is_floating_point():
            if not torch.equal(a, b):
                raise BadCheckpoint(f"{key} holds {a.dtype}, which cannot be averaged, and differs")
            return a.clone()
        if a.dtype not in AVERAGED:
            raise BadCheckpoint(f"{key} is quantised ({a.dtype}): merge the models in bfloat16")
        exact = torch.promote_types(a.dtype, torch.float32)
        mean = (self.weight * a.to(exact) + (1 - self.weight) * b.to(exact)).to(a.dtype)
        if not torch.isfinite(mean).all():
            raise BadCheckpoint(f"{key} would not be finite; look at both models' weights")
        return mean

    def _differ(self, what: str, a: object, b: object) -> BadCheckpoint:
        return _differ(self.a, self.b, what, a, b)

    def _record(self) -> dict[str, Any]:
        """Returns what made the merge, for whoever finds its folder."""
        parts = ((self.a, self.weight), (self.b, 1 - self.weight))
        return {
            "merged": [
                {
                    "name": checkpoint.name,
                    "revision": checkpoint.revision,
                    "fingerprint": checkpoint.fingerprint(),
                    "weight": weight,
                }
                for checkpoint, weight in parts
            ]
        }


def require_empty(folder: Path) -> None:
    """Raises OutputFailure for what is no folder, or holds more than a killed merge's work."""
    own = {UNFINISHED, LOCK, *(path.name for path in _moved(folder))}
    if folder.exists() and not (folder.is_dir() and {p.name for p in folder.iterdir()} <= own):
        raise OutputFailure(f"{folder} is not empty; choose another `output=`")


def _moved(folder: Path) -> list[Path]:
    """Returns what a merge that was killed on the way had moved to its place, or was about to."""
    record = folder / UNFINISHED / MOVING
    names = read_object(record).get("files", []) if record.is_file() else []
    return [folder / Path(str(name)).name for name in names]


def _clear(folder: Path) -> None:
    """Deletes a merge's unfinished work."""
    for path in _moved(folder):
        path.unlink(missing_ok=True)
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)


@contextmanager
def all_or_nothing(folder: Path) -> Iterator[Path]:
    """Gives a place for a checkpoint's files, which become those of `folder` when all are written.

    Raises OutputFailure for a folder that is not empty or cannot be written.
    """
    unfinished = folder / UNFINISHED
    with only_owner(folder / LOCK, folder):
        require_empty(folder)
        try:
            _clear(folder)
            unfinished.mkdir()
            yield unfinished
            _move_all(folder)
        except (OSError, SafetensorError) as error:
            raise OutputFailure(f"cannot write to {folder} ({first_line(error)})") from error
        finally:
            _clear(folder)


def _move_all(folder: Path) -> None:
    """Moves what is whole to its place, config.json last; a kill on the way can be told."""
    files = sorted((folder / UNFINISHED).iterdir(), key=lambda file: file.name == "config.json")
    names = json.dumps({"files": [file.name for file in files]})
    write_atomically(folder / UNFINISHED / MOVING, names)
    for file in files:
        file.replace(folder / file.name)
    (folder / UNFINISHED / MOVING).unlink()


@contextmanager
def _tensors_of(checkpoint: Checkpoint) -> Iterator[Callable[[str], torch.Tensor]]:
    """Opens every weight file, of which none is read, and gives what reads a tensor by its name."""
    with ExitStack() as stack:
        files = {s: stack.enter_context(open_weights(s)) for s in checkpoint.shards}
        places = checkpoint.places
        yield lambda name: files[places[name].file](places[name].key)


def _require_same_config(a: Checkpoint, b: Checkpoint) -> None:
    ours, theirs = _network_of(a), _network_of(b)
    for key in dict.fromkeys([*ours, *theirs]):
        if ours.get(key) != theirs.get(key):
            raise _differ(a, b, f"{key} in config.json", ours.get(key), theirs.get(key))


def _network_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """Returns config.json without names; `dtype` was called `torch_dtype` until 2025."""
    kept = {key: value for key, value in checkpoint.config.items() if key not in NAMES}
    if "torch_dtype" in kept:
        kept["dtype"] = kept.pop("torch_dtype")
    return kept


def _require_same_shapes(a: Checkpoint, b: Checkpoint) -> None:
    for key in dict.fromkeys([*a.shapes, *b.shapes]):
        if a.shapes.get(key) != b.shapes.get(key):
            found = [c.shapes.get(key, "not there") for c in (a, b)]
            raise _differ(a, b, f"the shape of {key}", *found)


def _require_same_tokenizer(a: Checkpoint, b: Checkpoint) -> None:
    for name in (*TOKENIZER_FILES, "merges.txt"):
        ours, theirs = (_vocabulary(checkpoint.folder / name) for checkpoint in (a, b))
        if ours != theirs:
            raise BadCheckpoint(
                f"cannot merge {a.name} and {b.name}: their vocabularies differ in {name}"
            )
    if _chat_template(a.folder) != _chat_template(b.folder):
        raise BadCheckpoint(f"cannot merge {a.name} and {b.name}: their chat templates differ")


def _vocabulary(path: Path) -> object:
    """Returns what a tokenizer's file says of its vocabulary, or None where it is not there.

    tokenizer.json also says how to pad and cut, which is no difference.
    """
    if not path.is_file():
        return None
    if path.name != "tokenizer.json":
        return path.read_bytes()
    content = read_object(path)
    return {key: value for key, value in content.items() if key not in ("padding", "truncation")}


def _chat_template(folder: Path) -> object:
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_bytes().decode(errors="replace")
    settings = folder / "tokenizer_config.json"
    return read_object(settings).get("chat_template") if settings.is_file() else None


def _differ(a: Checkpoint, b: Checkpoint, what: str, *found: object) -> BadCheckpoint:
    shown = " and ".join(str(value) for value in found)
    return BadCheckpoint(f"cannot merge {a.name} and {b.name}: {what} is {shown}")


def write_object(path: Path, content: Mapping[str, Any]) -> None:
    """Writes one of a checkpoint's JSON files."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
