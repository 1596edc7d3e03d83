"""The rows that a report lets its reader browse: as many as one file can carry, and it says so."""

import base64
import gzip
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmeval.errors import one_line
from rmeval.metrics.accuracy import margin
from rmeval.metrics.scheme import Scheme
from rmeval.records import Message, Preference, Result, Score, ScoredPreference, as_message
from rmeval.reports.metric_tables import MetricTables

MANY_ROWS = 20_000  # more are thinned out evenly
MANY_SCORES = 300_000  # of all models together
MANY_BYTES = 6_000_000  # of rows as they stand in the page; beyond it texts are left out
BLOCK = 16  # rows, alike enough to be compressed together
Row = dict[str, Any]
Scores = Sequence[ScoredPreference]  # of one row by every model


@dataclass(frozen=True)
class Texts:
    """The questions behind the scores, by id, or why they are not at hand."""

    by_id: Mapping[str, Preference]
    missing: str | None = None


@dataclass(frozen=True)
class PageRows:
    """Rows as the page's script reads them, and what a reader should know of them."""

    packed: str
    notes: tuple[str, ...]
    has_sections: bool


def pack_rows(
    results: Sequence[Result], scheme: Scheme, texts: Texts, needed: Collection[str] = ()
) -> PageRows:
    """Returns the rows with the scores of every model, and with their texts as far as they fit.

    The rows `needed`, by id, are among them however many there are.
    """
    section_of = MetricTables(results[0], scheme).section_of
    others = [{item.id: item for item in result.scored} for result in results]
    kept, notes = thinned(results, needed)
    scores: list[Scores] = [
        [other[results[0].scored[index].id] for other in others] for index in kept
    ]
    rows = [_row(items, section_of(items[0].subset), texts) for items in scores]
    notes += _notes_of_texts(rows, texts)
    packed = _compress(rows)
    if len(packed) > MANY_BYTES:
        rows, note = _with_texts_that_fit(rows, scores)
        packed = _compress(rows)
        notes.append(note)
    if any(len(items[0].scores) > 2 for items in scores):
        notes.append("A row is won where every chosen response is above every rejected one.")
    return PageRows(packed, tuple(notes), any(row["section"] != row["subset"] for row in rows))


def thinned(results: Sequence[Result], needed: Collection[str] = ()) -> tuple[list[int], list[str]]:
    """Returns which rows the page holds, evenly spread where there are too many, and notes."""
    total = len(results[0].scored)
    widest = max(len(item.scores) for item in results[0].scored)
    most = max(1, min(MANY_ROWS, MANY_SCORES // (widest * len(results))))
    if total <= most:
        return list(range(total)), []
    asked = {i for i, item in enumerate(results[0].scored) if item.id in needed}
    kept = sorted({index * total // most for index in range(most)} | asked)
    return kept, [
        f"{len(kept):,} of {total:,} rows are listed, evenly spread; everything above covers every "
        "row."
    ]


def _row(items: Scores, section: str, texts: Texts) -> Row:
    first = items[0]
    question = texts.by_id.get(first.id)
    if question is not None and question.digest != first.digest:
        question = None  # another version of the data
    return {
        "id": first.id,
        "subset": first.subset,
        "section": section,
        "chosen": first.num_chosen,
        "scores": [[_short(score) for score in item.scores] for item in items],
        "prompt": question and [[m.role, _shown(m)] for m in question.prompt],
        "responses": question and [_shown(as_message(r)) for r in question.responses],
    }


def _shown(message: Message) -> str:
    """Returns all that a message says: its content, its other fields and its tools, as JSON."""
    return "\n".join(text for text in (message.tools, message.content, message.extra) if text)


def _short(score: Score) -> list[float | int]:
    """Returns a score in few digits; equal ones stay equal, and others in their order."""
    single = np.float32(score.value)
    value = float(str(single)) if float(single) == score.value else score.value
    return [value, score.tokens, int(score.truncated)]


def _notes_of_texts(rows: Sequence[Row], texts: Texts) -> list[str]:
    if texts.missing:
        why = one_line(texts.missing)
        return [f"The texts are not available ({why}): rows show ids and scores."]
    lost = sum(row["prompt"] is None for row in rows)
    if not lost:
        return []
    return [f"The texts of {lost:,} rows are no longer those that were scored, and are left out."]


def _with_texts_that_fit(rows: Sequence[Row], scores: Sequence[Scores]) -> tuple[list[Row], str]:
    """Returns the rows, of which those that most models lose, by most, keep their texts."""
    bare = [{**row, "prompt": None, "responses": None} for row in rows]
    left, found = MANY_BYTES - len(_compress(bare)), list(bare)
    margins = np.nan_to_num([[margin(item) for item in items] for items in scores]).tolist()
    order = sorted(range(len(rows)), key=lambda i: (sum(m > 0 for m in margins[i]), margins[i][0]))
    shown = 0
    for start in range(0, len(order), BLOCK):
        block = [i for i in order[start : start + BLOCK] if rows[i]["prompt"] is not None]
        size = len(_compress([rows[i] for i in block]))
        if size <= left:
            left, shown = left - size, shown + len(block)
            for index in block:
                found[index] = rows[index]
    return found, (
        f"The texts of {shown:,} of {len(rows):,} rows are here, those lost by most first; with "
        "more of them the file would be too large."
    )


def _compress(rows: Sequence[Row]) -> str:
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.b64encode(gzip.compress(text, mtime=0)).decode()  # the same bytes every time
