"""Which of a data set's files are meant: its splits, by the names that files have on the Hub.

https://huggingface.co/docs/hub/datasets-file-names-and-splits: `data/test-00000-of-00001.parquet`,
`test.jsonl`, `harmless-base/test.jsonl`. Folders of `datasets`' save_to_disk are called like their
splits: `test/data-00000-of-00001.arrow`.
"""

import re
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

from rmeval.errors import BadData, BadOption, UnknownName, one_line

SPLITS = {
    "test": ("test", "testing", "eval", "evaluation"),
    "validation": ("validation", "valid", "val", "dev"),
    "train": ("train", "training"),
}
PREFERRED = ("test", "validation")
SAVED = ("data", "dataset")  # what save_to_disk calls the file of any split; older ones the second
_SHARD = re.compile(r"-(\d{5,})-of-(\d{5,})(-[0-9a-f]{16})?$")  # some names end in a hash


def split_name(file: str) -> str:
    """Returns a file's name without its endings and the number of its part.

    What `datasets` saved on disk is called like the folder above it, where `file` has one.
    """
    name, folder = _SHARD.sub("", _stem(file)), PurePosixPath(file).parent.name
    return folder if folder and file.endswith(".arrow") and name in SAVED else name


def choose_split(
    files: Sequence[str], asked: str | None, source: str, *, or_all: bool = False
) -> tuple[str | None, list[str]]:
    """Returns the name of the split that is meant, and its files.

    Unasked, that is the test split, else the validation split, else the only one; with `or_all`,
    files of which none is called like a split are all meant, and the name is None. Nobody is given
    training rows for test rows. Raises BadOption or UnknownName where there is no such split or
    a choice, BadData where a part of its files is missing.
    """
    splits: dict[str, list[str]] = {}
    for file in files:
        splits.setdefault(split_name(file), []).append(file)
    if asked is not None:
        name = _asked(asked, splits, source)
    elif or_all and not any(_kinds(split) for split in splits):
        _require_whole(files, source)
        return None, list(files)
    else:
        name = _default(list(splits), source)
    _require_whole(splits[name], source)
    return name, splits[name]


def _asked(asked: str, splits: Collection[str], source: str) -> str:
    if asked in splits:
        return asked
    found = [name for name in splits if asked in _kinds(name)]
    if not found:
        raise UnknownName(f"split of {source}", asked, sorted(splits))
    return _only(found, source)


def _default(names: list[str], source: str) -> str:
    for kind in PREFERRED:
        found = [name for name in names if kind in _kinds(name)]
        if found:
            return _only(found, source)
    return _only(names, source)


def _only(names: Sequence[str], source: str) -> str:
    if len(names) > 1:
        shown = one_line(", ".join(sorted(names)))[:300]
        raise BadOption(f"{source} has several splits; pass one of them as `split=`: {shown}")
    return names[0]


def _kinds(name: str) -> set[str]:
    """Returns which usual splits a file's name speaks of: `test_prefs` of test."""
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    return {kind for kind, names in SPLITS.items() if words & set(names)}


def _require_whole(files: Sequence[str], source: str) -> None:
    """Raises BadData where a file says that it is one of more than there are."""
    parts: dict[tuple[PurePosixPath, int], int] = {}
    for file in files:
        part = _SHARD.search(_stem(file))
        if part is not None:
            key = PurePosixPath(file).with_name(split_name(file)), int(part[2])
            parts[key] = parts.get(key, 0) + 1
    for (path, total), here in parts.items():
        if here != total:
            raise BadData(f"{source}: only {here} of {total} parts of {path} are here")


def _stem(file: str) -> str:
    return PurePosixPath(PurePosixPath(file).name.removesuffix(".gz")).stem
