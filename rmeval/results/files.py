"""Results on disk: `OUTPUT/<benchmark>/<org>__<model>/` with scores.jsonl and result.json.

Both are written whole or not at all, result.json last and with the hash of the scores: where it
stands, the scores beside it are complete, and are those that it speaks of. The name of a folder
is for people, and tells less than what made a result: another result goes beside it.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from glob import escape
from math import isclose
from pathlib import Path
from typing import Any, NamedTuple

from rmeval.benchmarks import scheme_of
from rmeval.errors import BadData, OutputFailure, UnknownName, one_line
from rmeval.files import reading, write_together
from rmeval.hub import local_folder
from rmeval.known import SHIPPED
from rmeval.metrics.accuracy import subset_rows
from rmeval.metrics.disguises import disguised_row, disguised_text
from rmeval.metrics.summary import describe_scores
from rmeval.records import Disguised, Metrics, Preference, Result, ScoredPreference
from rmeval.results.schema import is_number, wrong_field
from rmeval.results.scores import read_scores, scores_text

SCHEMA = 2
SUM_TOLERANCE = 1e-9  # by which sums in another order may differ
VALUE_LETTERS = 40  # characters of a damaged value
RESULT, SCORES, DISGUISES = "result.json", "scores.jsonl", "disguises.jsonl"
PARTIAL, WHOLE = "partial", "rows (all of them)"


class Claim(NamedTuple):
    """What a result is of: what made its scores, its rows, and why they are not all, or None."""

    settings: Mapping[str, Any]
    rows: Sequence[tuple[str, str, str]]
    partial: str | None

    @property
    def rows_sha256(self) -> str:
        """The hash of the rows that a provenance has as `data.sha256`."""
        return hashlib.sha256("".join(map(repr, self.rows)).encode()).hexdigest()


def claim_of(
    provenance: Mapping[str, Any],
    rows: Iterable[Preference | ScoredPreference],
    partial: str | None,
) -> Claim:
    """Returns what a result of these rows is of.

    Versions, device and tokens in a forward pass are not in it: the scores are the same but for
    rounding.
    """
    settings = {"path": provenance["engine"]["path"], **unnamed(provenance["model"])}
    return Claim(settings, [(row.id, row.subset, row.digest) for row in rows], partial)


def unnamed(model: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what is known of a model, and of those that it holds, but what they are called."""
    return {
        key: unnamed(value) if isinstance(value, dict) else value
        for key, value in model.items()
        if key != "name"
    }


def run_folder(output: Path, benchmark: str, model: str, revision: str | None = None) -> Path:
    """Returns what the folder is called for the results of a model on a benchmark.

    A Hub name keeps its organisation; a local folder takes its last two path components, since
    `checkpoint-500` alone says little. A revision that was asked for is part of the name, and
    what stands before a colon: the results of `judge:NAME` are in `judge-NAME`. Names may come
    from files: none leads out of `output`.
    """
    kind, colon, name = model.partition(":")
    prefixed = colon and kind.isalpha() and local_folder(model) is None
    prefix, name = (f"{kind}-", name) if prefixed else ("", model)
    local = None if name in SHIPPED else local_folder(name)
    parts = local.resolve().parts[-2:] if local else tuple(name.split("/"))
    label = "__".join(parts) + (f"@{revision}" if revision else "")
    return output / folder_name(benchmark) / f"{prefix}{folder_name(label)}"


def folder_name(name: str) -> str:
    """Returns a name as that of a folder, which is no path."""
    return re.sub(r"^\.*$", "_", re.sub(r"[^\w.@-]+", "_", name))


def claim_mark(claim: Claim) -> str:
    """Returns the hash that is in a folder's name where another result has the plain one."""
    content = json.dumps([claim.settings, claim.rows_sha256], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:8]


def find_place(folder: Path, claim: Claim) -> tuple[Path, str | None]:
    """Returns where a result may be written, and why that is not `folder`, or None.

    What stands there gives way to a result of the same model, settings and rows, a partial one to
    what has all of its rows. A partial one goes below a whole one; any other goes beside what
    stands there, under a name with a hash of what it is of. Raises OutputFailure where that is
    taken too.
    """
    places, first = (folder, folder.with_name(f"{folder.name}-{claim_mark(claim)}")), None
    for place in places:
        other = _what_differs(place, claim)
        if other is None:
            return place, first
        first = first or f"{folder} holds a result of other {other}: this one goes to {places[1]}"
        if other == WHOLE and _what_differs(place / PARTIAL, claim) is None:
            return place / PARTIAL, None
    raise OutputFailure(f"{' and '.join(map(str, places))} hold other results; move one of them")


def results_of(folder: Path) -> Iterator[Path]:
    """Yields every result.json that `find_place` gives this folder's results to."""
    for place in (folder, *folder.parent.glob(f"{escape(folder.name)}-{'[0-9a-f]' * 8}")):
        yield from (p for p in (place / RESULT, place / PARTIAL / RESULT) if p.is_file())


def _what_differs(folder: Path, claim: Claim) -> str | None:
    """Returns in what a result that stands here is another, or None where it may be replaced."""
    path = folder / RESULT
    if not path.exists():
        return None
    try:
        document = read_result_document(path)
        provenance = document["provenance"]
        there = claim_of(provenance, (), document["partial"]).settings
        other = [key for key in {**there, **claim.settings} if _differ(there, claim.settings, key)]
        if other:
            return ", ".join(other)
        if claim.partial and not document["partial"]:
            return WHOLE
        if provenance["data"].get("sha256") == claim.rows_sha256:
            return None
        kept = set(claim_of(provenance, read_scores(folder / SCORES), None).rows)
    except BadData as error:
        return f"rows, or none that can be read ({error})"
    same = kept <= set(claim.rows) if document["partial"] else kept == set(claim.rows)
    return None if same else "rows"


def _differ(a: Mapping[str, Any], b: Mapping[str, Any], key: str) -> bool:
    """Whether two settings differ, of which one was read from JSON."""
    here, there = (json.dumps(settings.get(key), sort_keys=True) for settings in (a, b))
    return here != there


def write_result(folder: Path, result: Result, beside: Mapping[str, str] | None = None) -> None:
    """Writes scores, files `beside` them by name, and the result, in one. Raises OutputFailure.

    What was there stays until all of it is on the disk.
    """
    scores, disguises = scores_text(result.scored), disguised_text(result.disguised)
    sha256 = {"disguises_sha256": hashlib.sha256(disguises.encode()).hexdigest()}
    document = {
        "schema": SCHEMA,
        "benchmark": result.benchmark,
        "definition": result.definition,
        "model": result.model,
        **({} if result.name is None else {"name": result.name}),
        "weighting": result.weighting,
        "partial": result.partial,
        **metric_document(result.metrics),
        "scores_sha256": hashlib.sha256(scores.encode()).hexdigest(),
        **(sha256 if disguises else {}),
        "provenance": result.provenance,
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    files = {SCORES: scores, **({DISGUISES: disguises} if disguises else {}), **(beside or {})}
    files[RESULT] = text
    write_together({folder / name: content for name, content in files.items()})


def timing(started: datetime) -> dict[str, Any]:
    """Returns when a result was begun, and how many seconds it has taken until now."""
    seconds = (datetime.now(UTC) - started).total_seconds()
    return {"started": started.isoformat(timespec="seconds"), "seconds": round(seconds, 3)}


def metric_document(metrics: Metrics) -> dict[str, Any]:
    """Returns metrics as result.json has them: fractions, intervals and statistics."""
    return {
        "partial_sections": list(metrics.partial_sections),
        "metrics": metrics.values,
        "intervals": {name: interval._asdict() for name, interval in metrics.intervals.items()},
        "statistics": metrics.statistics,
        "rows": metrics.rows,
        "counts": metrics.counts,
    }


def read_result(folder: Path) -> Result:
    """Reads a result and its scores back, and proves that they and its numbers belong together.

    Intervals and statistics are made again, and so are the same whoever wrote the result. Raises
    BadData, naming the line, for scores that are damaged, repeated, missing or left over, and for
    a metric that these scores do not make.
    """
    result, stored = remake_result(folder)
    name = differing_metric(result.metrics.values, stored)
    if name is not None:
        was, made = stored.get(name, "absent"), result.metrics.values.get(name, "none")
        raise BadData(
            f"{result.folder}: {one_line(name)} is {one_line(str(was))[:VALUE_LETTERS]} in "
            f"{RESULT}, but its scores make {made}; `rmeval aggregate DIR --write` corrects "
            "the numbers"
        )
    return result


def remake_result(folder: Path) -> tuple[Result, dict[str, Any]]:
    """Returns a result with every number made of its scores, and the metrics that it had stored.

    Raises BadData, as `read_result` does, for scores that are not those of the result.
    """
    path = folder / RESULT if folder.is_dir() else folder
    if not path.is_file():
        raise BadData(f"{folder}: no {RESULT} here; pass the folder that `rmeval run` named")
    document = read_result_document(path)
    scored = read_scores(path.parent / SCORES)
    _require_complete(path.parent / SCORES, scored, document)
    try:
        metrics = describe_scores(scheme_of(document["definition"]), scored, document["weighting"])
    except (BadData, UnknownName) as error:
        raise BadData(f"{path}: {error}") from error
    result = Result(
        **{key: document[key] for key in ("benchmark", "definition", "model", "weighting")},
        metrics=metrics,
        scored=scored,
        partial=document["partial"],
        provenance=document["provenance"],
        folder=path.parent,
        name=document.get("name"),
        disguised=_read_disguised(path.parent / DISGUISES, document.get("disguises_sha256")),
    )
    return result, document["metrics"]


def _read_disguised(path: Path, sha256: str | None) -> tuple[Disguised, ...]:
    """Returns the rows whose rejected response was disguised too. Raises BadData."""
    if sha256 is None:
        return ()
    try:
        with reading(path):
            content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != sha256:
            raise BadData(f"{path}: not what {RESULT} was written with; run the model again")
        return tuple(map(disguised_row, content.decode().splitlines()))
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        raise BadData(f"{path}: not lines of scores in disguise; run the model again") from error


def differing_metric(made: Mapping[str, float], stored: Mapping[str, Any]) -> str | None:
    """Returns the first metric that is not equal but for the order of sums, or None."""
    for name in {**made, **stored}:
        a, b = made.get(name), stored.get(name)
        if a is None or b is None or not is_number(b) or not isclose(a, b, abs_tol=SUM_TOLERANCE):
            return name
    return None


def _require_complete(
    path: Path, scored: Sequence[ScoredPreference], document: Mapping[str, Any]
) -> None:
    found, expected = subset_rows(scored), document["rows"]
    for subset in {**expected, **found}:
        if found.get(subset, 0) != expected.get(subset, 0):
            raise BadData(
                f"{path}: {found.get(subset, 0)} rows of {subset}, but {RESULT} was made from "
                f"{expected.get(subset, 0)}; run the model again"
            )
    if hashlib.sha256(path.read_bytes()).hexdigest() != document["scores_sha256"]:
        raise BadData(f"{path}: not the scores that {RESULT} was made from; run the model again")


def find_results(folders: Iterable[Path]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yields every result.json below the folders, sorted by path, with its content.

    Raises BadData for one that is damaged, or that a newer rmeval wrote.
    """
    seen = set()
    for folder in folders:
        if not folder.is_dir():
            raise BadData(f"{folder}: no such folder")
        for path in sorted(folder.rglob(RESULT)):
            if path.resolve() not in seen:
                seen.add(path.resolve())
                yield path, read_result_document(path)


def read_result_document(path: Path) -> dict[str, Any]:
    """Reads a result.json. Raises BadData."""
    try:
        with reading(path):
            document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        schema = document["schema"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadData(f"{path}: not a result of rmeval") from error
    if schema != SCHEMA:
        older = isinstance(schema, int) and schema < SCHEMA
        advice = "run the model again" if older else "update rmeval"
        raise BadData(f"{path}: schema {schema}, this rmeval reads {SCHEMA}; {advice}")
    wrong = wrong_field(document)
    if wrong is not None:
        raise BadData(f"{path}: not a result of rmeval: {wrong} is missing or of another kind")
    return document
