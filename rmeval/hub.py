"""Files from the Hugging Face Hub, or from its cache.

Only `open_pull_request` and `commit_files` ever upload, when the user asks for it.
"""

import errno
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from rmeval.errors import BadData, BadOption, Unreachable, first_line, nearest_name

NO_ROOM = (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT)
BROKEN_OFF = {"RemoteProtocolError", "ReadError", "ReadTimeout", "WriteError", "CloseError"}


def local_folder(name: str) -> Path | None:
    """Returns the folder on this machine that a model's name stands for, or None."""
    path = local_path(name)
    return path if path and path.is_dir() else None


def local_path(name: str) -> Path | None:
    """Returns the file or folder on this machine that a name stands for, or None."""
    try:
        path = Path(name).expanduser()
        return path if path.is_file() or path.is_dir() else None
    except (OSError, RuntimeError):  # too long for a path; no such user's home
        return None


def shapes_on_hub(
    repository: str, revision: str, also: Sequence[str] = ()
) -> dict[str, dict[str, tuple[int, ...]]]:
    """Returns the shapes of a model's weights on the Hub by file, from the heads of its files.

    They are those of model.safetensors or of an index, and of the files in `also` that are there.
    Raises Unreachable where it has no safetensors or cannot be reached.
    """
    from huggingface_hub import get_safetensors_metadata, parse_safetensors_file_metadata
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HTTPError,
        NotASafetensorsRepoError,
        SafetensorsParsingError,
    )

    try:
        files = dict(get_safetensors_metadata(repository, revision=revision).files_metadata)
        for name in also:
            with suppress(EntryNotFoundError):
                files[name] = parse_safetensors_file_metadata(repository, name, revision=revision)
    except (NotASafetensorsRepoError, SafetensorsParsingError) as error:
        raise Unreachable(f"model {repository} has no readable safetensors on the Hub") from error
    except (HTTPError, ConnectionError) as error:
        raise Unreachable(
            f"wanted the shapes of model {repository}'s weights, but the Hub cannot be reached"
        ) from error
    return {
        name: {key: tuple(info.shape) for key, info in file.tensors.items()}
        for name, file in files.items()
    }


def fetch_snapshot(
    repository: str, kind: str, revision: str | None, patterns: Sequence[str], otherwise: str
) -> Path:
    """Returns the local folder of a repository's snapshot; its name is the commit.

    Args:
        repository: "organisation/name".
        kind: "model" or "dataset".
        revision: branch, tag or commit; None is the default branch.
        patterns: globs of the files that are wanted; the first one must match some file.
        otherwise: what a user without a network can do instead, for the error message.

    Raises:
        Unreachable: no such repository or revision, no access, or no network and nothing cached.
    """
    from huggingface_hub import constants, snapshot_download

    called = patterns[0].replace("*config.json", "config.json")  # an adapter's will do as well
    offline = {"local_files_only": constants.HF_HUB_OFFLINE}  # for a commit some ask the Hub
    files = {"revision": revision, "allow_patterns": list(patterns), **offline}
    with _asking(repository, kind, revision, called, otherwise):
        folder = _at_once_interruptible(
            lambda: snapshot_download(repository, repo_type=kind, **files)
        )
    path = Path(folder)
    if not _holds(path, patterns[0]):
        raise Unreachable(f"{kind} {repository} at {path.name} has no {called}; {otherwise}")
    return path


@contextmanager
def _asking(
    repository: str, kind: str, revision: str | None, called: str, otherwise: str
) -> Iterator[None]:
    """Says of what the Hub refuses in the block what is wrong, and what to do now."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        HTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # each retry is a warning; what came of them is said below
    try:
        yield
    except HFValidationError as error:
        raise BadOption(f"{repository!r} is neither a local folder nor a Hub name") from error
    except GatedRepoError as error:
        raise Unreachable(
            f"{kind} {repository} is gated: accept its licence on the Hub, then `hf auth login`"
        ) from error
    except RevisionNotFoundError as error:
        raise Unreachable(f"{kind} {repository} has no revision {revision!r}") from error
    except RepositoryNotFoundError as error:
        raise Unreachable(f"the Hub has no {kind} {repository} (or it is private)") from error
    except (HTTPError, OSError) as error:
        wanted = f"{called} of {kind} {repository}"
        raise Unreachable(f"wanted {wanted}, but {_why(error)}; {otherwise}") from error


def _holds(folder: Path, pattern: str) -> bool:
    files = (file.relative_to(folder).as_posix() for file in folder.rglob("*"))
    return any(fnmatch(file, pattern) for file in files)


def _at_once_interruptible(work: Callable[[], str]) -> str:
    """Returns what `work` returns; Ctrl-C waits for none of the downloads that it began."""
    worker = ThreadPoolExecutor(1)
    found = worker.submit(work)
    worker.shutdown(wait=False)
    return found.result()


def _why(error: BaseException) -> str:
    """Returns in words why the Hub gave nothing: its status, what broke, or that it is not there.

    What was tried first stands behind an error as its cause.
    """
    status, chain = None, [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) and inner not in chain:
        chain.append(inner)
    for one in chain:
        status = status or getattr(getattr(one, "response", None), "status_code", None)
    names = {type(one).__name__ for one in chain}
    full = next((o.strerror for o in chain if isinstance(o, OSError) and o.errno in NO_ROOM), None)
    if full:
        return f"its cache cannot be written ({full})"
    if status in (401, 403):
        return f"the Hub refuses access ({status}): `hf auth login`, with a token that may read it"
    if status == 429:
        return "the Hub has had too many requests (429): wait a while, or `hf auth login`"
    if status is not None and status >= 500:
        return f"the Hub fails at the moment ({status}): try again later"
    if status is not None and status >= 400:
        return f"the Hub answers {status}"
    if names & BROKEN_OFF:
        return "the connection to the Hub was lost: run the same command again to continue"
    return "the Hub cannot be reached"


def nearest_path(name: str) -> str:
    """Returns what there is in the place of a path that is not there, in words, or ""."""
    try:
        path = Path(name).expanduser()
        there = next((above for above in path.parents if above.is_dir()), Path("/"))
        names = [entry.name for entry in there.iterdir() if entry.is_dir()]
    except (OSError, RuntimeError):  # too long, or not to be read; no such user's home
        return ""
    missing = path.relative_to(there).parts[0] if path.is_relative_to(there) else path.parts[0]
    near = nearest_name(missing, names)
    return f"; did you mean {there / near}?" if near else f"; {there} has no {missing}"


def require_repository(name: str) -> str:
    """Returns the name of a repository on the Hub. Raises BadOption for what cannot be one."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise BadOption(f"{name!r} is not a repository on the Hub, ORG/NAME") from error
    if "/" not in name:
        raise BadOption(f"{name!r} is not a repository on the Hub, ORG/NAME")
    return name


def open_pull_request(repository: str, path: str, text: str, message: str) -> str:
    """Opens a pull request on a model's repository that writes one file; returns its address.

    Raises Unreachable where the Hub refuses or cannot be reached.
    """
    from huggingface_hub import upload_file
    from huggingface_hub.errors import HTTPError

    try:
        commit = upload_file(
            path_or_fileobj=text.encode(),
            path_in_repo=path,
            repo_id=repository,
            commit_message=message,
            create_pr=True,
        )
    except (HTTPError, OSError) as error:  # OSError: no token, offline, no such repository
        reason = first_line(error)
        raise Unreachable(
            f"cannot open a pull request on {repository} ({reason}); `hf auth login`?"
        ) from error
    return str(commit.pr_url)


class HubFile(NamedTuple):
    """A file of a repository on the Hub: its size in bytes, and the hash that the Hub knows.

    That is sha256 of its content where it is stored apart, and git's own of a small text.
    """

    path: str
    size: int
    digest: str

    def holds(self, content: bytes) -> bool:
        """Whether this is the file's content."""
        as_blob = b"blob %d\0" % len(content) + content
        known = hashlib.sha256(content).hexdigest(), hashlib.sha1(as_blob).hexdigest()
        return self.size == len(content) and self.digest in known


def list_files(
    repository: str, kind: str, revision: str | None, most: int
) -> tuple[str, list[HubFile]]:
    """Returns a repository's commit, and the files that it has there.

    Raises Unreachable, as `fetch_snapshot` does, and BadData for more than `most` files.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    api = HfApi()
    with _asking(repository, kind, revision, "the list of files", "try again later"):
        commit = str(api.repo_info(repository, repo_type=kind, revision=revision).sha)
        tree = api.list_repo_tree(repository, repo_type=kind, revision=commit, recursive=True)
        entries = list(islice(tree, most + 1))
    if len(entries) > most:
        raise BadData(f"{kind} {repository} has more than {most:,} files: not what rmeval reads")
    files = [entry for entry in entries if isinstance(entry, RepoFile)]
    return commit, [HubFile(f.path, f.size, f.lfs.sha256 if f.lfs else f.blob_id) for f in files]


def commit_files(
    repository: str,
    kind: str,
    files: Mapping[str, bytes],
    message: str,
    description: str,
    *,
    parent: str,
    direct: bool,
) -> str:
    """Uploads files by their paths in one commit, and returns the address of what it made.

    That is a pull request, or with `direct` a commit on the main branch, which must still be at
    `parent`. What was uploaded is held to what the Hub then has. Raises Unreachable where it
    refuses, cannot be reached, or left a file out.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HTTPError

    added = [CommitOperationAdd(path, content) for path, content in files.items()]
    place = {"repo_type": kind, "commit_message": message, "commit_description": description}
    try:
        made = HfApi().create_commit(
            repository, added, **place, create_pr=not direct, parent_commit=parent
        )
    except (HTTPError, OSError, ValueError, RuntimeError) as error:
        # ValueError: an answer of another form. RuntimeError: an upload failed, for its cause.
        reason = first_line(error.__cause__ or error)
        raise Unreachable(
            f"cannot write to {kind} {repository} ({reason}); nothing was committed; is it there, "
            "and `hf auth login` done with a token that may write?"
        ) from error
    _, there = list_files(repository, kind, made.oid, most=10**6)
    found = {file.path: file for file in there}
    lost = [path for path, content in files.items()
            if path not in found or not found[path].holds(content)]  # fmt: skip
    address = str(made.commit_url if direct else made.pr_url)
    if lost:
        raise Unreachable(
            f"{address} lacks {lost[0]}, or has it changed: does .gitignore of {repository} name "
            "it?"
        )
    return address


def find_pull_request(repository: str, kind: str, title: str) -> str | None:
    """Returns the address of an open pull request of this title, or None. Raises Unreachable."""
    from huggingface_hub import HfApi

    with _asking(repository, kind, None, "the pull requests", "try again later"):
        opened = HfApi().get_repo_discussions(
            repository, repo_type=kind, discussion_type="pull_request", discussion_status="open"
        )
        return next((request.url for request in opened if request.title == title), None)
