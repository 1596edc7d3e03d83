"""Results on disk: `OUTPUT/<benchmark>/<org>__<model>/` with scores.jsonl and result.json.

Both are written whole or not at all, result.json last and with the hash of the scores: where it
stands, the scores beside it are complete, and are those that it speaks of.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from rmeval.duels import JUDGE
from rmeval.errors import BadData, OutputFailure
from rmeval.hub import local_folder
from rmeval.known import DEMO
from rmeval.metrics.accuracy import subset_rows
from rmeval.scores import read_scores, scores_text
from rmeval.types import Interval, Metrics, Result, ScoredPreference

SCHEMA = 2
KINDS: dict[str, tuple[type, ...]] = {
    "benchmark": (str,),
    "definition": (str,),
    "model": (str,),
    "weighting": (str,),
    "partial": (str, type(None)),
    "partial_sections": (list,),
    "metrics": (dict,),
    "intervals": (dict,),
    "statistics": (dict,),
    "rows": (dict,),
    "counts": (dict,),
    "scores_sha256": (str,),
    "provenance": (dict,),
}
# What every reader of a provenance may count on; runs, judges and ensembles write more.
PROVENANCE = {
    "model": ("name", "fingerprint", "family", "dtype"),
    "engine": ("path", "reason", "device"),
    "data": ("source", "revision", "empty_responses", "identical_responses", "reading"),
    "versions": ("rmeval",),
}
RESULT, SCORES = "result.json", "scores.jsonl"


def run_folder(output: Path, benchmark: str, model: str, revision: str | None = None) -> Path:
    """Returns where the results of a model on a benchmark live.

    A Hub name keeps its organisation; a local folder takes its last two path components, since
    `checkpoint-500` alone says little. A revision that was asked for is part of the name, and
    that a model was a judge.
    """
    if model.startswith(JUDGE):
        judge = run_folder(output, benchmark, model.removeprefix(JUDGE), revision)
        return judge.with_name(f"judge-{judge.name}")
    local = None if model == DEMO else local_folder(model)
    parts = local.resolve().parts[-2:] if local else tuple(model.split("/"))
    label = "__".join(parts) + (f"@{revision}" if revision else "")
    return output / benchmark / re.sub(r"[^\w.@-]+", "_", label)


def spare_whole_result(folder: Path, partial: str | None) -> Path:
    """Returns where a run may write: a partial one never replaces a whole result."""
    path = folder / RESULT
    if partial is None or not path.exists() or read_result_document(path)["partial"]:
        return folder
    return folder / "partial"


def prepare_folder(folder: Path) -> Path:
    """Makes a folder and proves that it can be written, before hours are spent. Returns it.

    Raises OutputFailure.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder, prefix=".write-test-") as probe:
            probe.write(b"0" * 4096)
            probe.flush()
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputFailure(
            f"cannot write to {folder} ({reason}); choose another --output"
        ) from error
    return folder


def write_result(folder: Path, result: Result) -> None:
    """Writes the scores, then the result, each atomically. Raises OutputFailure."""
    scores = scores_text(result.scored)
    document = {
        "schema": SCHEMA,
        "benchmark": result.benchmark,
        "definition": result.definition,
        "model": result.model,
        "weighting": result.weighting,
        "partial": result.partial,
        **metric_document(result.metrics),
        "scores_sha256": hashlib.sha256(scores.encode()).hexdigest(),
        "provenance": result.provenance,
    }
    (folder / RESULT).unlink(missing_ok=True)  # it must never stand beside scores of another run
    write_atomically(folder / SCORES, scores)
    write_atomically(folder / RESULT, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


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


def write_atomically(path: Path, text: str) -> None:
    """Writes a file that other readers see whole or not at all. Raises OutputFailure."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise OutputFailure(f"cannot write {path} ({reason})") from error


def read_result(folder: Path) -> Result:
    """Reads a result and its scores back, and proves that they belong together.

    Raises BadData, naming the line, for scores that are damaged, repeated, missing or left over.
    """
    path = folder / RESULT if folder.is_dir() else folder
    if not path.is_file():
        raise BadData(f"{folder}: no {RESULT} here; pass the folder that `rmeval run` named")
    document = read_result_document(path)
    scored = read_scores(path.parent / SCORES)
    _require_complete(path.parent / SCORES, scored, document)
    try:
        intervals = {name: Interval(**fields) for name, fields in document["intervals"].items()}
    except TypeError as error:
        raise BadData(f"{path}: not a result of rmeval: an interval is damaged") from error
    return Result(
        benchmark=document["benchmark"],
        definition=document["definition"],
        model=document["model"],
        weighting=document["weighting"],
        metrics=Metrics(
            values=document["metrics"],
            rows=document["rows"],
            partial_sections=tuple(document["partial_sections"]),
            counts=document["counts"],
            intervals=intervals,
            statistics=document["statistics"],
        ),
        scored=scored,
        partial=document["partial"],
        provenance=document["provenance"],
        folder=path.parent,
    )


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
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        schema = document["schema"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadData(f"{path}: not a result of rmeval") from error
    if schema != SCHEMA:
        older = isinstance(schema, int) and schema < SCHEMA
        advice = "run the model again" if older else "update rmeval"
        raise BadData(f"{path}: schema {schema}, this rmeval reads {SCHEMA}; {advice}")
    for key, kinds in KINDS.items():
        if key not in document or not isinstance(document[key], kinds):
            raise BadData(f"{path}: not a result of rmeval: {key} is missing or of another kind")
    _require_provenance(path, document["provenance"])
    return document


def _require_provenance(path: Path, provenance: Mapping[str, Any]) -> None:
    for key, inner in PROVENANCE.items():
        found = provenance.get(key)
        missing = [k for k in inner if not isinstance(found, dict) or k not in found]
        if missing:
            raise BadData(f"{path}: not a result of rmeval: provenance has no {key}.{missing[0]}")
    for key, kinds in (("started", str), ("seconds", int | float)):
        if not isinstance(provenance.get(key), kinds):
            raise BadData(f"{path}: not a result of rmeval: provenance has no {key}")
