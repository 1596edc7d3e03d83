"""A checkpoint on disk: its config, the names and shapes of its weights, and its fingerprint."""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from rmeval.errors import BadCheckpoint, BadOption, UnknownName, Unreachable, nearest_name
from rmeval.hub import fetch_snapshot, local_folder, nearest_path, shapes_on_hub
from rmeval.known import SHIPPED, known_checkpoints
from rmeval.models.checkpoints.config_shape import require_kinds
from rmeval.models.checkpoints.json_files import read_object as read_object
from rmeval.models.checkpoints.not_readable import (
    ADAPTER,
    adapter_files,
    refuse_folder_of_a_run,
    refuse_gguf,
    refuse_quantised,
    refuse_shards_of_training,
)
from rmeval.models.checkpoints.weight_files import (
    HEADS,
    PARTS,
    PICKLE_ADVICE,
    PICKLED,
    SAFE,
    Place,
    Shapes,
    WeightFiles,
    choose_files,
    find_weights,
    open_weights,
    read_ahead,
    read_index,
    read_shapes,
)
from rmeval.models.text.tokenizer_files import has_tokenizer

if TYPE_CHECKING:
    from rmeval.models.checkpoints.adapted import Adaptation

# The first must be there: config.json, or an adapter's adapter_config.json
SMALL_FILES = ["*config.json", "*.json", "*.jinja", "*.txt", "*.model"]


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint; no weight has been read yet.

    `shapes` holds every tensor's shape, `shards` the files that hold them, in order, and `places`
    from which of them each is taken; `unclaimed` are weight files beside them that nothing reads.
    `revision` is the commit of a Hub snapshot, or None for a local folder. With an `adaptation` the
    checkpoint is a base, in `folder`, with an adapter merged into it: `name` is the adapter's, and
    `overrides` are the settings that take the place of config.json's (`config` has them).
    """

    name: str
    folder: Path
    revision: str | None
    config: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    shards: tuple[Path, ...]
    places: Mapping[str, Place] = field(default_factory=dict)
    unclaimed: tuple[Path, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)
    adaptation: "Adaptation | None" = None

    @property
    def architecture(self) -> str:
        """The first entry of config.json's `architectures`, or ""."""
        return str((self.config.get("architectures") or [""])[0])

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where its files are: an adapter's folder before its base's."""
        return (*([self.adaptation.folder] if self.adaptation else []), self.folder)

    @property
    def tokenizer_folder(self) -> Path:
        """The folder of its tokenizer and chat template: the adapter's if it has one."""
        return next((folder for folder in self.folders if has_tokenizer(folder)), self.folder)

    def is_same(self, other: "Checkpoint") -> bool:
        """Whether both are of the same folders."""
        return [f.resolve() for f in self.folders] == [f.resolve() for f in other.folders]

    def is_called(self, pattern: re.Pattern[str]) -> bool:
        """Whether a pattern is found in its name, its folder's, or config.json's own."""
        names = (self.name, self.folder, self.config.get("_name_or_path", ""))
        return any(pattern.search(str(name).rstrip("/")) for name in names)

    def tensors(self, names: Collection[str] | None = None) -> Iterator[tuple[str, torch.Tensor]]:
        """Yields every weight once, or those of `names`; only one tensor is held at a time.

        What an adapter changes comes merged, in float32 at least.
        """
        merging = self.adaptation.merging() if self.adaptation else nullcontext()
        with merging as merged, ThreadPoolExecutor(1) as ahead:
            for shard, following in zip(self.shards, [*self.shards[1:], None], strict=True):
                if following is not None:
                    ahead.submit(read_ahead, following)
                with open_weights(shard) as read:
                    for name, key in self.held_by(shard).items():
                        if names is not None and name not in names:
                            continue
                        yield name, merged(name, read(key)) if merged else read(key)

    def held_by(self, shard: Path) -> dict[str, str]:
        """Returns the weights that are taken from a file: their names, and those in the file."""
        return {name: key for name, (file, key) in self.places.items() if file == shard}

    def fingerprint(self) -> str:
        """Returns a hash of config.json, an adapter's, and of every weight file's content.

        It is made of sha256 sums, which the Hub's cache already has as file names, so that the
        same weights have the same fingerprint from the Hub and from a folder.
        """
        configs = [self.folder / "config.json"]
        configs += [self.adaptation.folder / ADAPTER] if self.adaptation else []
        with ThreadPoolExecutor() as pool:
            sums = list(pool.map(_sha256, [*configs, *self.shards]))
        return hashlib.sha256("".join(sums).encode()).hexdigest()


@dataclass(frozen=True)
class Opening:
    """How a checkpoint is opened; what each field means, `open_checkpoint` says."""

    allow_pickle: bool
    remote_code: bool
    weights: bool
    base: str | None


def open_checkpoint(
    name: str,
    revision: str | None = None,
    allow_pickle: bool = False,
    remote_code: bool = False,
    weights: bool = True,
    base: str | None = None,
) -> Checkpoint:
    """Finds a checkpoint by folder, Hub name, or "demo", and reads everything but its weights.

    An adapter is opened with its base, and merged as the weights are read. `base` is for an adapter
    that does not say where its base is. Without `weights` none of a model on the Hub is downloaded:
    only their shapes are asked for.
    Raises UnknownName, Unreachable, BadOption or BadCheckpoint, each with what to do.
    """
    opening = Opening(allow_pickle, remote_code, weights, base)
    folder, commit = find_checkpoint(name, revision, opening.remote_code)
    if adapter_files(folder):
        from rmeval.models.checkpoints.adapted import open_adapted  # which opens checkpoints, too

        return open_adapted(name, folder, commit, opening)
    return open_whole(name, folder, commit, opening)


def open_whole(name: str, folder: Path, commit: str | None, opening: Opening) -> Checkpoint:
    """Returns the checkpoint of config.json and whole weights, whatever lies beside them."""
    if not (folder / "config.json").exists():
        refuse_shards_of_training(folder)
        refuse_folder_of_a_run(folder)
        refuse_gguf(folder)
    config = read_object(folder / "config.json")
    require_kinds(folder / "config.json", config)
    refuse_quantised(folder, config)
    shapes: Mapping[Path, Shapes]
    if commit is not None and not opening.weights and not any(folder.glob(SAFE.others)):
        files, shapes = _ask_for_shapes(name, commit, folder, config)
    else:
        if commit is not None:
            _fetch_weights(name, commit, folder, opening.allow_pickle)
        files = find_weights(folder, opening.allow_pickle)
        shapes = read_shapes(files.files, folder)
    places = files.places(shapes)
    sizes = {name: shapes[file][key] for name, (file, key) in places.items()}
    here = tuple(file for file in files.files if file.is_file())
    return Checkpoint(name, folder, commit, config, sizes, here, places, files.unclaimed)


def find_checkpoint(
    name: str, revision: str | None, remote_code: bool = False
) -> tuple[Path, str | None]:
    """Returns the folder with everything but the weights, and the commit of one on the Hub."""
    local = SHIPPED[name].folder if name in SHIPPED else local_folder(name)
    if local is not None:
        if revision is not None:
            raise BadOption(f"`revision=` applies to models on the Hub; {name} is a local folder")
        return local, None
    known = [*SHIPPED, *known_checkpoints()]
    if name.endswith((".json", ".safetensors", ".bin")):
        raise BadOption(f"{name} is not a folder; pass the folder that holds config.json")
    if "/" in name and (name.count("/") != 1 or name.startswith((".", "/", "~"))):
        raise BadOption(f"model {name}: no such folder{nearest_path(name)}")
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        advice = "; a model is a local folder, or organisation/name on the Hub"
        raise UnknownName("model", name, known, advice)
    patterns = [*SMALL_FILES, *(["*.py"] if remote_code else [])]
    nearest = nearest_name(name, known)
    hint = f" (or did you mean {nearest!r}?)" if nearest and nearest != name else ""
    otherwise = f"pass a local folder, such as ./{name.split('/')[1]}{hint}"
    folder = fetch_snapshot(name, "model", revision, patterns, otherwise)
    return folder, folder.name


def _ask_for_shapes(
    name: str, commit: str, folder: Path, config: Mapping[str, Any]
) -> tuple[WeightFiles, dict[Path, Shapes]]:
    """Returns the weight files of a model on the Hub, none of which is here, and their shapes."""
    causal = [str(name).endswith("ForCausalLM") for name in config.get("architectures") or ()]
    found = shapes_on_hub(name, commit, [SAFE.head] if any(causal) else [])
    files = choose_files(folder, SAFE, [file for file in found if file != SAFE.head])
    if files is None:
        raise Unreachable(f"model {name} has no readable safetensors on the Hub")
    head = (folder / SAFE.head,) if SAFE.head in found else ()
    whole = WeightFiles(files.files + head, files.unclaimed, files.index)
    return whole, {file: found[file.name] for file in whole.files}


def _fetch_weights(name: str, commit: str, folder: Path, allow_pickle: bool) -> None:
    """Brings the weights into the snapshot: safetensors, and pickles only if they are trusted.

    Of many files those that an index names, and what would contradict it.
    """
    index, pickled = read_index(folder / SAFE.index), read_index(folder / PICKLED.index)
    if pickled and not index and not allow_pickle:
        raise BadCheckpoint(f"{name}: weights {PICKLE_ADVICE}")
    heads = [name for name in (*HEADS, *PARTS) if allow_pickle or name.endswith(".safetensors")]
    safe = [*sorted(set(index.values())), SAFE.whole] if index else ["model*.safetensors"]
    otherwise = "if it has only .bin weights (pickle), convert them, or pass `allow_pickle=True`"
    try:
        fetch_snapshot(name, "model", commit, [*safe, *heads], otherwise)
    except Unreachable:
        if not allow_pickle:
            raise
        fetch_snapshot(name, "model", commit, ["pytorch_model*.bin", *heads], "it has no weights")


def _sha256(file: Path) -> str:
    blob = file.resolve()
    if blob.parent.name == "blobs" and len(blob.name) == 64:  # the Hub's cache: named by sha256
        return blob.name
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
