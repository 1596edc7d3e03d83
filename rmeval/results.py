"""Results on disk: `OUTPUT/<benchmark>/<org>__<model>/` with scores.jsonl and result.json.

Both are written whole or not at all, result.json last and with the hash of the scores: where it
stands, the scores beside it are complete, and are those that it speaks of.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isclose
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from rmeval.benchmarks import scheme_of
from rmeval.duels import JUDGE
from rmeval.errors import BadData, OutputFailure, UnknownName, one_line
from rmeval.hub import local_folder
from rmeval.known import DEMO
from rmeval.metrics.accuracy import subset_rows
from rmeval.metrics.statistics import describe_scores
from rmeval.result_shape import is_number, wrong_field
from rmeval.scores import read_scores, scores_text
from rmeval.types import Metrics, Result, ScoredPreference

SCHEMA = 2
SLACK = 1e-9  # by which sums in another order may differ
SHOWN = 40  # characters of a damaged value
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
            f"{result.folder}: {one_line(name)} is {one_line(str(was))[:SHOWN]} in {RESULT}, but "
            f"its scores make {made}; `rmeval aggregate DIR --write` puts right what was made of "
            "them"
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
    )
    return result, document["metrics"]


def differing_metric(made: Mapping[str, float], stored: Mapping[str, Any]) -> str | None:
    """Returns the first metric that is not equal but for the order of sums, or None."""
    for name in {**made, **stored}:
        a, b = made.get(name), stored.get(name)
        if a is None or b is None or not is_number(b) or not isclose(a, b, abs_tol=SLACK):
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
