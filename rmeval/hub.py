"""Files from the Hugging Face Hub, or from its cache; only `open_pull_request` ever uploads."""

import errno
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

from rmeval.errors import BadOption, Unreachable, first_line, nearest_name

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
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        HTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.utils import logging

    called = patterns[0].replace("*config.json", "config.json")  # an adapter's will do as well
    logging.set_verbosity_error()  # each retry is a warning; what came of them is said below
    wanted = f"{called} of {kind} {repository}"
    offline = {"local_files_only": constants.HF_HUB_OFFLINE}  # for a commit some ask the Hub
    files = {"revision": revision, "allow_patterns": list(patterns), **offline}
    try:
        folder = _at_once_interruptible(
            lambda: snapshot_download(repository, repo_type=kind, **files)
        )
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
        raise Unreachable(f"wanted {wanted}, but {_why(error)}; {otherwise}") from error
    path = Path(folder)
    if not _holds(path, patterns[0]):
        raise Unreachable(f"{kind} {repository} at {path.name} has no {called}; {otherwise}")
    return path


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
