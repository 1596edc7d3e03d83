"""A site's folder: whole or as it was, and never in the place of anything else."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from rmeval.errors import OutputFailure
from rmeval.files import only_owner, prepare_folder, real, writing

MARKER = ".rmeval-site.json"  # which files are the site's, so that no other is ever deleted


class NewSite:
    """A folder that is being filled, beside the one whose place it will take."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[str] = []

    def write(self, path: str, text: str) -> None:
        """Writes a file below the folder. Raises OutputFailure."""
        parts = PurePosixPath(path).parts
        if not parts or ".." in parts or PurePosixPath(path).is_absolute():
            raise ValueError(f"{path!r} leads out of the site")
        target = self._folder.joinpath(*parts)
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="\n")
        self._files.append(path)

    def finish(self) -> None:
        """Says which files there are."""
        text = json.dumps({"made by": "rmeval site", "files": sorted(self._files)}, indent=1)
        self.write(MARKER, text + "\n")


@contextmanager
def new_site(folder: Path) -> Iterator[NewSite]:
    """Gives a site to write, which takes the folder's place when the block ends well.

    Until then, and if it does not, what was there stays. Raises OutputFailure where the folder
    holds anything that no earlier site has put there, or another process is writing it.
    """
    target = real(folder)
    require_site(target)
    prepare_folder(target.parent)
    fresh, old = (target.with_name(f".{target.name}.{kind}") for kind in ("unfinished", "old"))
    with only_owner(target.with_name(f".{target.name}.lock"), folder):
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            with writing(folder):
                fresh.mkdir()
            made = NewSite(fresh)
            yield made
            made.finish()
            require_site(target)  # it may have been written to while this was being made
            with writing(folder):
                _swap(fresh, target, old)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


def _swap(fresh: Path, target: Path, old: Path) -> None:
    shutil.rmtree(old, ignore_errors=True)
    with suppress(FileNotFoundError):
        target.rename(old)
    try:
        fresh.rename(target)
    except OSError:
        with suppress(FileNotFoundError):
            old.rename(target)
        raise


def require_site(folder: Path) -> None:
    """Raises OutputFailure unless a folder is absent, empty, or a site and nothing else."""
    if folder.exists() and not folder.is_dir():
        raise OutputFailure(f"{folder} is a file; name a folder for the site")
    if not folder.is_dir():
        return
    with writing(folder):
        there = {
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*")
            if path.is_symlink() or not path.is_dir()
        }
    foreign = sorted(there - _files_of(folder / MARKER) - {MARKER})
    if foreign:
        raise OutputFailure(
            f"{folder} holds {foreign[0]}, which is of no site that rmeval wrote; move it, or name "
            "another folder"
        )


def _files_of(marker: Path) -> set[str]:
    try:
        return set(json.loads(marker.read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, LookupError, TypeError):
        return set()
