"""Results on disk: `OUTPUT/<benchmark>/<org>__<model>/` with scores.jsonl and result.json.

Both are written whole or not at all, result.json last and with the hash of the scores: where it
stands, the scores beside it are complete, and are those that it speaks of.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from rmeval.errors import BadData, OutputFailure
from rmeval.hub import local_folder
from rmeval.known import DEMO
from rmeval.types import Result, Score, ScoredPreference

SCHEMA = 1
KEYS = ("benchmark", "model", "weighting", "partial", "metrics", "provenance")
RESULT, SCORES = "result.json", "scores.jsonl"


def run_folder(output: Path, benchmark: str, model: str, revision: str | None = None) -> Path:
    """Returns where the results of a model on a benchmark live.

    A Hub name keeps its organisation; a local folder takes its last two path components, since
    `checkpoint-500` alone says little. A revision that was asked for is part of the name.
    """
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
    scores = "".join(_score_line(item) for item in result.scored)
    document = {
        "schema": SCHEMA,
        "benchmark": result.benchmark,
        "model": result.model,
        "weighting": result.weighting,
        "partial": result.partial,
        "partial_sections": list(result.metrics.partial_sections),
        "metrics": result.metrics.values,
        "rows": result.metrics.rows,
        "counts": result.metrics.counts,
        "scores_sha256": hashlib.sha256(scores.encode()).hexdigest(),
        "provenance": result.provenance,
    }
    (folder / RESULT).unlink(missing_ok=True)  # it must never stand beside scores of another run
    write_atomically(folder / SCORES, scores)
    write_atomically(folder / RESULT, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


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


def read_scores(path: Path) -> tuple[ScoredPreference, ...]:
    """Reads a scores.jsonl. Raises BadData for a line that is not one of ours."""
    scored = []
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            try:
                item = json.loads(line)
                scores = tuple(
                    Score(entry["value"], entry["tokens"], entry["truncated"])
                    for entry in item["responses"]
                )
                scored.append(
                    ScoredPreference(item["id"], item["subset"], item["num_chosen"], scores)
                )
            except (ValueError, KeyError, TypeError) as error:
                raise BadData(f"{path} line {number}: not a line of scores") from error
    return tuple(scored)


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
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(f"{path}: not a result of rmeval") from error
    if schema != SCHEMA:
        raise BadData(f"{path}: schema {schema}, this rmeval reads {SCHEMA}; update rmeval")
    missing = [key for key in KEYS if key not in document]
    if missing:
        raise BadData(f"{path}: not a result of rmeval, which has {', '.join(missing)}")
    return document


def _score_line(item: ScoredPreference) -> str:
    line = {
        "id": item.id,
        "subset": item.subset,
        "num_chosen": item.num_chosen,
        "responses": [score._asdict() for score in item.scores],
    }
    return json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"
