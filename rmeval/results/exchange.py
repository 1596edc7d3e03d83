"""A results repository: what several people measured, in one data set on the Hub.

It has the layout of a `results` folder, `results/<benchmark>/<model>/`, with result.json,
scores.jsonl and, where they were made, disguises.jsonl. Whoever wrote it is not trusted: paths,
sizes and hashes are looked at before a file is read, every number is made again of the scores, and
what is on this machine is never written over.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from rmeval.errors import BadData, RmevalError, one_line
from rmeval.files import prepare_folder, reading, write_together
from rmeval.hub import HubFile, commit_files, fetch_snapshot, find_pull_request, list_files
from rmeval.records import Result
from rmeval.results.files import (
    DISGUISES,
    RESULT,
    SCORES,
    Claim,
    claim_mark,
    claim_of,
    folder_name,
    read_result,
    read_result_document,
)

KIND = "dataset"
TOP = "results"
MOST_BYTES = {RESULT: 2**24, SCORES: 2**30, DISGUISES: 2**30}
MOST_FILES = 200_000
LATER = "run the same command again"
NAME_LETTERS = 200  # of a folder, so that every file system takes it
HASHED = re.compile(r"-[0-9a-f]{8}")
HASHES = ("scores_sha256", "disguises_sha256")
SETTINGS = ("judge", "ensemble", "own")  # families whose fingerprint is of settings, not weights


class Outcome(Enum):
    """What became of a result."""

    NEW = "new"
    THERE = "there already"
    DIFFERS = "differs"
    REFUSED = "refused"


class Item(NamedTuple):
    """A result on its way: where it is, or would be, what becomes of it, and why, in words."""

    folder: str
    outcome: Outcome
    reason: str = ""
    result: Result | None = None


@dataclass(frozen=True)
class Push:
    """What a push would do: the items, and the files that go, by their paths in the repository.

    `commit` is where the repository stood when this was found out.
    """

    repository: str
    commit: str
    items: tuple[Item, ...]
    files: dict[str, bytes]

    @property
    def title(self) -> str:
        """What its commit is called; the same files have the same title."""
        parts = [f"{path} {hashlib.sha256(c).hexdigest()}\n" for path, c in self.files.items()]
        digest = hashlib.sha256("".join(sorted(parts)).encode()).hexdigest()[:12]
        count = sum(item.outcome is Outcome.NEW for item in self.items)
        return f"Add {count} result{'s' if count != 1 else ''} (rmeval {digest})"


def model_label(model: str) -> str:
    """Returns what a model's folder is called, on every machine: `org__m`, `checkpoints__step-9`.

    Of a path these are the last two parts, as of a name on the Hub; `judge:m` is `judge-m`.
    """
    kind, colon, name = model.partition(":")
    prefix, name = (f"{kind}-", name) if colon and kind.isalpha() else ("", model)
    parts = [part for part in name.split("/") if part not in ("", ".", "..", "~")]
    return prefix + folder_name("__".join(parts[-2:]))[:NAME_LETTERS]


def is_named_for(folder: str, model: str) -> bool:
    """Whether a folder has a model's name; a revision or a hash may follow, a folder go before."""
    label = model_label(model)
    bare = HASHED.sub("", folder.partition("@")[0])
    return label in (folder, bare) or bare.endswith(f"__{label}")


def plan_push(results: Sequence[Result], repository: str, *, replace: bool = False) -> Push:
    """Returns what of the results a repository lacks; nothing is uploaded.

    A result of another model, setting or rows goes beside one that has its name. One of the same
    that has other scores is left, or with `replace` takes its place. Raises Unreachable, and
    BadData for a repository that is none of results.
    """
    commit, files = list_files(repository, KIND, None, MOST_FILES)
    there = _fetch_documents(repository, commit, files, results)
    items: list[Item] = []
    wanted: dict[str, bytes] = {}
    for result in results:
        item = _place(result, there, replace)
        content = _contents(result) if item.outcome is Outcome.NEW else {}
        mine = {f"{item.folder}/{name}": text for name, text in content.items()}
        if mine.keys() & wanted.keys():
            item = item._replace(outcome=Outcome.REFUSED, reason="two of these have this place")
            mine = {}
        items.append(item)
        wanted |= mine
    return Push(repository, commit, tuple(items), wanted)


def push(plan: Push, *, direct: bool = False) -> tuple[str, bool]:
    """Uploads what was planned; returns the address of the pull request, and whether it is new.

    An open pull request with the same files is not made again. With `direct` it is a commit on
    the main branch. Raises Unreachable.
    """
    proposed = None if direct else find_pull_request(plan.repository, KIND, plan.title)
    if proposed is not None:
        return proposed, False
    lines = [f"- `{i.folder}` {i.reason}".rstrip() for i in plan.items if i.outcome is Outcome.NEW]
    address = commit_files(
        plan.repository,
        KIND,
        plan.files,
        plan.title,
        "\n".join(lines),
        parent=plan.commit,
        direct=direct,
    )
    return address, True


def pull(
    repository: str,
    output: Path,
    *,
    benchmark: str | None = None,
    revision: str | None = None,
) -> list[Item]:
    """Brings a repository's results below a folder, and returns what became of each, by path.

    What is there and equal stays, what differs stays too and is reported. What is damaged, too
    large, named like another, or no result, is refused. Raises Unreachable, OutputFailure, and
    BadData for a repository without results.
    """
    commit, files = list_files(repository, KIND, revision, MOST_FILES)
    folders = _folders(files)
    if benchmark is not None:
        folders = {path: f for path, f in folders.items() if path.split("/")[1] == benchmark}
    if not folders:
        of = f" of {benchmark}" if benchmark else ""
        raise BadData(
            f"{KIND} {repository} has no results{of}: none at {TOP}/<benchmark>/<model>/{RESULT}"
        )
    refused = {path: why for path, found in folders.items() if (why := _what_is_wrong(path, found))}
    wanted = [f.path for path, found in folders.items() if path not in refused
              for f in found.values()]  # fmt: skip
    snapshot = fetch_snapshot(repository, KIND, commit, wanted, LATER) if wanted else Path()
    return [
        Item(path, Outcome.REFUSED, refused[path])
        if path in refused
        else _take(path, found, snapshot, output)
        for path, found in folders.items()
    ]


def fingerprint_conflicts(results: Iterable[Result]) -> list[str]:
    """Returns in words which results say that they are of one model, but of other weights."""
    seen: dict[tuple[str, str], dict[str, Path | None]] = {}
    for result in results:
        model = result.provenance["model"]
        if model["family"] not in SETTINGS and model.get("revision"):
            key = (result.model, str(model.get("revision")))
            seen.setdefault(key, {}).setdefault(model["fingerprint"], result.folder)
    return [
        one_line(
            f"{name}: weights of {len(by)} fingerprints, in {' and '.join(map(str, by.values()))}"
        )
        for (name, _), by in seen.items()
        if len(by) > 1
    ]


def _folders(files: Iterable[HubFile]) -> dict[str, dict[str, HubFile]]:
    """Returns the files of each folder in the layout that has a result.json, by path."""
    found: dict[str, dict[str, HubFile]] = {}
    for file in files:
        *folder, name = file.path.split("/")
        if len(folder) == 3 and folder[0] == TOP and name in MOST_BYTES:
            found.setdefault("/".join(folder), {})[name] = file
    return {path: found[path] for path in sorted(found) if RESULT in found[path]}


def _what_is_wrong(path: str, files: Mapping[str, HubFile]) -> str | None:
    """Returns why a folder is refused before anything of it is downloaded, or None."""
    for name in path.split("/")[1:]:
        if folder_name(name) != name or name.startswith(".") or len(name.encode()) > NAME_LETTERS:
            return "a name that is none of rmeval's"
    if SCORES not in files:
        return f"no {SCORES}"
    for name, file in files.items():
        if file.size > MOST_BYTES[name]:
            return f"{name} has {file.size:,} bytes; more than {MOST_BYTES[name]:,} are not read"
    return None


def _take(path: str, files: Mapping[str, HubFile], snapshot: Path, output: Path) -> Item:
    """Copies one folder of a snapshot to where it belongs, if it is what it says."""
    _, benchmark, name = path.split("/")
    try:
        contents = {n: _held(file, snapshot) for n, file in files.items()}
        result = read_result(snapshot / path)
    except BadData as error:
        return Item(path, Outcome.REFUSED, _without(str(error), snapshot))
    if folder_name(result.benchmark) != benchmark or not is_named_for(name, result.model):
        of = f"{result.model} on {result.benchmark}"
        return Item(path, Outcome.REFUSED, one_line(f"it is a result of {of}"))
    place = output / benchmark / name
    if (place / RESULT).exists():
        return _compared(path, place, result)
    prepare_folder(place)
    order = [n for n in (SCORES, DISGUISES, RESULT) if n in contents]
    write_together({place / n: contents[n].decode() for n in order})
    return Item(path, Outcome.NEW, _told(result), dataclasses.replace(result, folder=place))


def _held(file: HubFile, snapshot: Path) -> bytes:
    """Returns a downloaded file's content. Raises BadData where it is not what the Hub lists."""
    path = snapshot / file.path
    with reading(path):
        content = path.read_bytes() if path.stat().st_size == file.size else b""
    if not file.holds(content):
        raise BadData(f"{file.path} is not what the Hub lists; delete {path} and pull again")
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise BadData(f"{file.path} is not UTF-8") from error
    return content


def _compared(path: str, place: Path, theirs: Result) -> Item:
    try:
        mine = read_result(place)
    except RmevalError as error:
        return Item(path, Outcome.DIFFERS, f"what is here cannot be read ({error})")
    if _same(mine, theirs):
        return Item(path, Outcome.THERE, _told(mine), mine)
    reason = f"{place} has {_told(mine)}, the repository {_told(theirs)}"
    return Item(path, Outcome.DIFFERS, reason, mine)


def _same(a: Result, b: Result) -> bool:
    """Whether two results have the same scores, made alike; when they were run is no difference."""
    claims = [claim_of(r.provenance, (), r.partial).settings for r in (a, b)]
    return claims[0] == claims[1] and (a.scored, a.disguised, a.weighting) == (
        b.scored,
        b.disguised,
        b.weighting,
    )


def _told(result: Result) -> str:
    score = result.overall
    return "no Score" if score is None else f"Score {100 * score:.2f}"


def _without(text: str, snapshot: Path) -> str:
    """Returns a message without the place of the cache."""
    return one_line(text.replace(f"{snapshot}/", ""))


def _contents(result: Result) -> dict[str, bytes]:
    """Returns the files of a result by name, as they are on this machine. Raises BadData."""
    assert result.folder is not None
    found: dict[str, bytes] = {}
    for name in (SCORES, DISGUISES, RESULT):
        path = result.folder / name
        if name == DISGUISES and not result.disguised:
            continue
        with reading(path):
            found[name] = path.read_bytes()
        if len(found[name]) > MOST_BYTES[name]:
            raise BadData(f"{path}: {len(found[name]):,} bytes; {MOST_BYTES[name]:,} are the most")
    return found


def _places(result: Result) -> tuple[str, str]:
    """Returns where a result goes, and where it goes if another has that place."""
    own = result.folder.name if result.folder else ""
    name = own if is_named_for(own, result.model) else model_label(result.model)
    place = f"{TOP}/{folder_name(result.benchmark)}/{name}"
    return place, f"{place}-{claim_mark(_claim(result))}"


def _claim(result: Result) -> Claim:
    return claim_of(result.provenance, result.scored, result.partial)


def _place(result: Result, there: Mapping[str, Mapping[str, Any]], replace: bool) -> Item:
    """Returns where a result goes, beside those that are there, or why it does not."""
    told = _told(result)
    for place in _places(result):
        document = there.get(place)
        if document is None:
            return Item(place, Outcome.NEW, told, result)
        if not document or not _is_of_the_same(result, document):
            continue
        if _has_these_scores(result, document):
            return Item(place, Outcome.THERE, told, result)
        if replace:
            return Item(place, Outcome.NEW, f"{told}, in the place of other scores", result)
        reason = f"it has other scores there; `replace=True` puts these ({told}) in their place"
        return Item(place, Outcome.DIFFERS, reason, result)
    return Item(place, Outcome.REFUSED, "other results have its places", result)


def _is_of_the_same(result: Result, document: Mapping[str, Any]) -> bool:
    """Whether a result.json is of the same model, settings and rows."""
    claim, provenance = _claim(result), document["provenance"]
    same = claim_of(provenance, (), None).settings == json.loads(json.dumps(claim.settings))
    rows = provenance["data"].get("sha256") or result.provenance["data"].get("sha256")
    return same and rows in (None, claim.rows_sha256)


def _has_these_scores(result: Result, document: Mapping[str, Any]) -> bool:
    assert result.folder is not None
    mine = read_result_document(result.folder / RESULT)
    return all(mine.get(key) == document.get(key) for key in HASHES)


def _fetch_documents(
    repository: str, commit: str, files: Sequence[HubFile], results: Sequence[Result]
) -> dict[str, dict[str, Any]]:
    """Returns the result.json of each place that one of the results may have, by path.

    Of one that cannot be read it is empty.
    """
    places = {place for result in results for place in _places(result)}
    folders = {path: found for path, found in _folders(files).items() if path in places}
    small = [path for path, found in folders.items() if not _what_is_wrong(path, found)]
    wanted = [folders[path][RESULT].path for path in small]
    snapshot = fetch_snapshot(repository, KIND, commit, wanted, LATER) if wanted else Path()
    documents: dict[str, dict[str, Any]] = {path: {} for path in folders}
    for path in small:
        with suppress(BadData):
            documents[path] = read_result_document(snapshot / path / RESULT)
    return documents
