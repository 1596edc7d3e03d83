"""scores.jsonl: a line for each row of a result, with the score of every response."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from rmeval.errors import BadData
from rmeval.files import reading
from rmeval.records import WEIGHTS, Comparisons, Score, ScoredPreference


def scores_text(scored: Iterable[ScoredPreference]) -> str:
    """Returns the content of scores.jsonl."""
    return "".join(_score_line(item) for item in scored)


def scores_digest(scored: Iterable[ScoredPreference]) -> str:
    """Returns the hash of scores.jsonl as `rmeval` writes it, result.json's `scores_sha256`."""
    return hashlib.sha256(scores_text(scored).encode()).hexdigest()


def read_scores(path: Path) -> tuple[ScoredPreference, ...]:
    """Reads a scores.jsonl. Raises BadData for a line that is not one of ours, or a second time."""
    if not path.is_file():
        raise BadData(f"{path}: no such file; run the model again")
    lines: dict[str, int] = {}
    scored = []
    with reading(path), path.open(encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream, 1):
            item = _read_score_line(line, f"{path} line {number}")
            if item.id in lines:
                raise BadData(
                    f"{path} line {number}: id {item.id} is also on line {lines[item.id]}"
                )
            lines[item.id] = number
            scored.append(item)
    return tuple(scored)


def _read_score_line(line: str, place: str) -> ScoredPreference:
    try:
        item = json.loads(line)
        scores = tuple(map(_read_score, item["responses"]))
        compared = item.get("comparisons")
        preference = ScoredPreference(
            str(item["id"]),
            str(item["subset"]),
            int(item["num_chosen"]),
            scores,
            item["text_sha256"],
            None if item.get("magnitude") is None else float(item["magnitude"]),
            float(item.get("weight", 1.0)),
            compared and Comparisons(**compared),
            str(item.get("cluster", "")),
            tuple(map(int, item.get("answers", ()))),
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise BadData(f"{place}: not a line of scores") from error
    if not all(isfinite(score.value) for score in scores):
        raise BadData(f"{place}: a score of {preference.id} is not finite; run the model again")
    if not WEIGHTS[0] <= preference.weight <= WEIGHTS[1]:
        least, most = WEIGHTS
        raise BadData(
            f"{place}: {preference.id} weighs {preference.weight:g}; a weight is from {least:g} to "
            f"{most:g}"
        )
    if not isfinite(preference.magnitude or 0.0):
        raise BadData(f"{place}: the magnitude of {preference.id} is not finite")
    if not scores or not 0 <= preference.num_chosen <= len(scores):
        raise BadData(
            f"{place}: {preference.id} has {preference.num_chosen} of {len(scores)} chosen"
        )
    if preference.answers and len(preference.answers) != len(scores):
        raise BadData(f"{place}: {preference.id} has not one answer for each response")
    return preference


def _read_score(entry: Mapping[str, Any]) -> Score:
    score = Score(float(entry["value"]), int(entry["tokens"]), bool(entry["truncated"]))
    return score._replace(objectives=tuple(map(float, entry.get("objectives", ()))))


def _score_line(item: ScoredPreference) -> str:
    line = {
        "id": item.id,
        "subset": item.subset,
        "num_chosen": item.num_chosen,
        "responses": [_score_fields(score) for score in item.scores],
        "text_sha256": item.digest,
        **({} if item.magnitude is None else {"magnitude": item.magnitude}),
        **({} if item.weight == 1 else {"weight": item.weight}),
        **({} if item.comparisons is None else {"comparisons": item.comparisons._asdict()}),
        **({"cluster": item.cluster} if item.cluster else {}),
        **({"answers": item.answers} if item.answers else {}),
    }
    return json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"


def _score_fields(score: Score) -> dict[str, Any]:
    fields = score._asdict()
    return fields if score.objectives else {k: v for k, v in fields.items() if k != "objectives"}
