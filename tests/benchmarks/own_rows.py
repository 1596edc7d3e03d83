"""A user's own rows in every layout, written in every format and loaded again."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rmeval.benchmarks.benchmark import Benchmark
from rmeval.benchmarks.own import load_own
from rmeval.errors import BadData
from rmeval.records import Preference

Fields = dict[str, Any]

USER, ASSISTANT = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}
LAST = {"role": "user", "content": "and?"}
GOOD, BAD = {"role": "assistant", "content": "good"}, {"role": "assistant", "content": "bad"}
SAID = "\n\nHuman: hi\n\nAssistant: ho\n\nHuman: and?"
SHORT = [("user", "hi")]
LONG = [("user", "hi"), ("assistant", "ho"), ("user", "and?")]
BOTH_TEXT = {"chosen": "good", "rejected": "bad"}


def written(folder: Path, suffix: str, *rows: Fields) -> Path:
    path = folder / f"rows.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif suffix == "json":
        path.write_text(json.dumps(rows))
    elif suffix == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows({k: _cell(v) for k, v in row.items()} for row in rows)
    return path


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list) else value


def load(folder: Path, *rows: Fields, suffix: str = "jsonl", **columns: str) -> Benchmark:
    return load_own(str(written(folder, suffix, *rows)), columns=columns)


def only(folder: Path, row: Fields, suffix: str = "jsonl") -> Preference:
    [preference] = load(folder, row, suffix=suffix).preferences
    return preference


def refused(folder: Path, *rows: Fields, suffix: str = "jsonl", **columns: str) -> str:
    with pytest.raises(BadData) as caught:
        load(folder, *rows, suffix=suffix, **columns)
    assert "\n" not in str(caught.value)
    return str(caught.value)


LAYOUTS = {
    "plain": ({"prompt": "hi", **BOTH_TEXT}, SHORT),
    "text prompt": ({"prompt": SAID, **BOTH_TEXT}, LONG),
    "text prompt with cue": ({"prompt": SAID + "\n\nAssistant: ", **BOTH_TEXT}, LONG),
    "cut before the space": (
        {"prompt": SAID + "\n\nAssistant:", "chosen": " good", "rejected": " bad"},
        LONG,
    ),
    "message prompt": ({"prompt": [USER, ASSISTANT, LAST], **BOTH_TEXT}, LONG),
    "messages": ({"messages": [USER, ASSISTANT, LAST], **BOTH_TEXT}, LONG),
    "from and value": ({"prompt": [{"from": "human", "value": "hi"}], **BOTH_TEXT}, SHORT),
    "TRL explicit": ({"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}, SHORT),
    "text and messages": ({"prompt": "hi", "chosen": [GOOD], "rejected": [BAD]}, SHORT),
    "TRL implicit": ({"chosen": [USER, GOOD], "rejected": [USER, BAD]}, SHORT),
    "longer": (
        {"chosen": [USER, ASSISTANT, LAST, GOOD], "rejected": [USER, ASSISTANT, LAST, BAD]},
        LONG,
    ),
    "greeted": (
        {"chosen": [ASSISTANT, USER, GOOD], "rejected": [ASSISTANT, USER, BAD]},
        [("assistant", "ho"), ("user", "hi")],
    ),
    "hh-rlhf": (
        {"chosen": SAID + "\n\nAssistant: good", "rejected": SAID + "\n\nAssistant: bad"},
        LONG,
    ),
    "UltraFeedback": (
        {
            "prompt": "hi ",
            "chosen": [USER, GOOD],
            "rejected": [USER, BAD],
            "messages": [USER, GOOD],
            "score_chosen": 8.5,
        },
        SHORT,
    ),
    "repeated messages": (
        {"prompt": [USER], "chosen": [USER, GOOD], "rejected": [USER, BAD]},
        SHORT,
    ),
    "repeated text": (
        {
            "prompt": SAID + "\n\nAssistant:",
            "chosen": SAID + "\n\nAssistant: good",
            "rejected": SAID + "\n\nAssistant: bad",
        },
        LONG,
    ),
}
