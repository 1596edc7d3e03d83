"""Files from the Hugging Face Hub, or from its cache; only `open_pull_request` ever uploads."""

from collections.abc import Sequence
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

from rmeval.errors import BadOption, Unreachable, first_line


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
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    called = patterns[0].replace("*config.json", "config.json")  # an adapter's will do as well
    try:
        folder = snapshot_download(
            repository, repo_type=kind, revision=revision, allow_patterns=list(patterns)
        )
    except HFValidationError as error:
        raise BadOption(f"{repository!r} is no local folder and no Hub name") from error
    except GatedRepoError as error:
        raise Unreachable(
            f"{kind} {repository} is gated: accept its licence on the Hub, then `hf auth login`"
        ) from error
    except RevisionNotFoundError as error:
        raise Unreachable(f"{kind} {repository} has no revision {revision!r}") from error
    except RepositoryNotFoundError as error:
        raise Unreachable(f"the Hub has no {kind} {repository} (or it is private)") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, ConnectionError) as error:
        raise Unreachable(
            f"wanted {called} of {kind} {repository}, but the Hub cannot be reached; {otherwise}"
        ) from error
    path = Path(folder)
    if not _holds(path, patterns[0]):
        raise Unreachable(f"{kind} {repository} at {path.name} has no {called}; {otherwise}")
    return path


def _holds(folder: Path, pattern: str) -> bool:
    files = (file.relative_to(folder).as_posix() for file in folder.rglob("*"))
    return any(fnmatch(file, pattern) for file in files)


def require_repository(name: str) -> str:
    """Returns the name of a repository on the Hub. Raises BadOption for what cannot be one."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise BadOption(f"{name!r} is no repository on the Hub, ORG/NAME") from error
    if "/" not in name:
        raise BadOption(f"{name!r} is no repository on the Hub, ORG/NAME")
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
