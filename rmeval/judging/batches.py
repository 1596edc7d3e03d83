"""Questions and answers as files of OpenAI's Batch API, for large runs at half the price.

A line asks one question, under the hash by which its answer is kept. What a batch did not answer
is asked as usual.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rmeval.errors import BadData, ServerFailure
from rmeval.files import reading, replacing
from rmeval.judging.answers import ServerAnswers
from rmeval.judging.questions import Ask
from rmeval.llm.endpoint import Answer

MOST_LINES, MOST_BYTES = 50_000, 190_000_000  # of a file; the API takes 50,000 and 200 MB
URL = "/v1/chat/completions"


def write_batches(folder: Path, asks: Mapping[bytes, Ask], answers: ServerAnswers) -> list[Path]:
    """Writes the questions into as few files as the API takes, and returns these.

    Raises OutputFailure.
    """
    parts: list[list[str]] = []
    size = MOST_BYTES
    for digest, ask in asks.items():
        body = {"model": answers.model, **answers.request(ask)}
        line = {"custom_id": digest.hex(), "method": "POST", "url": URL, "body": body}
        text = json.dumps(line) + "\n"
        if size + len(text) > MOST_BYTES or len(parts[-1]) == MOST_LINES:
            parts.append([])
            size = 0
        parts[-1].append(text)
        size += len(text)
    paths = [folder / f"batch-{number}.jsonl" for number in range(1, len(parts) + 1)]
    for path, lines in zip(paths, parts, strict=True):
        with replacing(path) as out:
            out.writelines(lines)
    return paths


def read_batch(
    path: Path, asks: Mapping[bytes, Ask], answers: ServerAnswers
) -> Iterator[tuple[bytes, Answer]]:
    """Yields the answers of a batch's output file to questions that are asked, by their hash.

    Lines of failed calls, and of other questions, are passed over. Raises BadData for a line that
    is none of a batch.
    """
    with reading(path), path.open(encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream, 1):
            try:
                told: dict[str, Any] = json.loads(line)
                digest, response = bytes.fromhex(told["custom_id"]), told.get("response") or {}
                status, body = response.get("status_code"), response.get("body")
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise BadData(f"{path} line {number}: not a line of a batch's output") from error
            if digest in asks and status == 200 and isinstance(body, dict):
                try:
                    yield digest, answers.read(body, asks[digest])
                except ServerFailure:  # an answer without choices or text: it is asked again
                    continue
