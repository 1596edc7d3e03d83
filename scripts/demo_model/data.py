"""The real text that pairs are made of: two files of public repositories at pinned commits."""

import gzip
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from demo_model import refusals
from demo_model.pair import Answered
from rmeval.benchmarks.reading.turns import parse_transcript

MOST = 160  # characters of a question, and of an answer
ALARMING = re.compile(rf"\b(?:{refusals.ALARMING})", re.IGNORECASE)
CALCULATION = re.compile(r"<<[^>]*>>")


class Source(NamedTuple):
    """A file below --data: `path` in the repository of that name, at `commit`."""

    repository: str
    commit: str
    path: str
    sha256: str


HH = Source(
    "https://github.com/anthropics/hh-rlhf",
    "354e5c3cb8960630860dd5774a6ac2a58313bf4d",
    "harmless-base/test.jsonl.gz",
    "ebfaaed21162a4de120ae85366075b34425e2a6303fac59b99555002f7016f03",
)
GSM8K = Source(
    "https://github.com/openai/grade-school-math",
    "3101c7d5072418e28b9008a6636bde82a006892c",
    "grade_school_math/data/train.jsonl",
    "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465",
)


class Material(NamedTuple):
    """What pairs are made of, besides templates.

    `talk` are turns of hh's conversations with their replies, `sums` gsm8k's problems with their
    solutions, `harmful` openings that ask for harm, `words` frequent words of `talk`.
    """

    talk: list[Answered]
    sums: list[Answered]
    harmful: list[str]
    words: list[str]


def read_source(folder: Path, source: Source) -> Iterator[dict[str, str]]:
    """Yields the rows of a file. Raises ValueError where it is not the one that is pinned."""
    file = folder / source.repository.rsplit("/", 1)[1] / source.path
    raw = file.read_bytes()
    if hashlib.sha256(raw).hexdigest() != source.sha256:
        raise ValueError(f"{file} is not {source.repository} at {source.commit}")
    text = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode("utf-8")
    return (json.loads(line) for line in text.splitlines())


def read_material(folder: Path) -> Material:
    """Reads both files below `folder`, where their repositories are cloned."""
    talk, harmful = [], []
    for row in read_source(folder, HH):
        turns = [turn.content.strip() for turn in parse_transcript(row["chosen"])]
        talk += [Answered(*two) for two in zip(turns[::2], turns[1::2], strict=False)]
        if ALARMING.search(turns[0]) and 10 < len(turns[0]) < MOST:
            harmful.append(turns[0])
    sums = [
        Answered(row["question"], solution(row["answer"])) for row in read_source(folder, GSM8K)
    ]
    talk, sums = ([one for one in some if readable(one)] for some in (talk, sums))
    return Material(talk, sums, list(dict.fromkeys(harmful)), frequent_words(talk))


def solution(answer: str) -> str:
    """Returns a gsm8k solution without its calculator's marks; the result follows '#### '."""
    return CALCULATION.sub("", answer)


def readable(one: Answered) -> bool:
    return 12 < len(one.prompt) < MOST and 20 < len(one.answer) < MOST


def frequent_words(talk: list[Answered]) -> list[str]:
    """Returns lower-case words that at least three texts have, the most frequent 150 left out."""
    counts = Counter(
        word for one in talk for word in set(re.findall(r"\b[a-z]{4,10}\b", " ".join(one)))
    )
    by_number = sorted(counts, key=lambda word: (-counts[word], word))
    return sorted(w for w in by_number[150:] if counts[w] >= 3 and not ALARMING.search(w))
