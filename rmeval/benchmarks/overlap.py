"""Which rows of a benchmark stand in training data too: whole texts, and runs of their words.

The measure is GPT-3's (arXiv 2005.14165, appendix C): a word is lowercase, delimited by white space
and without punctuation; a text is touched where any run of n of its words stands anywhere in the
training data. n is 13, its filter's, and 8, the least that it allows. Every character of Chinese or
Japanese is a word too. With a tokenizer, 13 is of its tokens, as elsewhere (PaLM's and Llama's).

The benchmark is kept as an index, and training data go by as a stream: memory does not grow with
them. A run that is found is compared word by word; a hash alone finds nothing.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rmeval.benchmarks.reading.turns import TRANSCRIPT_START, parse_transcript
from rmeval.errors import BadOption, Blaming
from rmeval.records import Preference, as_message

Ids = NDArray[np.int32]
LONG, SHORT = 13, 8
EXACT = "exact"
UNKNOWN = 0  # the id of a word that the benchmark has not, and of what stands between two texts
NOTHING = -1  # of what was only punctuation
AT_ONCE = 4 << 20  # characters that are sought together
REMEMBERED = 1 << 18  # words as they are written
FACTOR = 0x9E3779B97F4A7C15
PART = 1 << 16  # runs that are compared at once
TABLE_BITS = 24  # of a hash, by which most runs are told to be none
EACH_A_WORD = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")


def plain_word(written: str) -> str:
    """Returns a word in lower case without punctuation and symbols, which may leave nothing."""
    kept = (c for c in written.lower() if unicodedata.category(c)[0] not in "PS")
    return "".join(kept)


Talks = Sequence[Sequence[str]]
"""The texts of a row: conversations turn by turn, or single texts."""


class Cut(NamedTuple):
    """Texts cut into units: the ids of all of them, one behind the other, and how many each has."""

    ids: Ids
    lengths: NDArray[np.int64]

    def laid_out(self) -> Ids:
        """Returns the ids with an UNKNOWN after each text, and enough of them at the end."""
        found = np.full(len(self.ids) + len(self.lengths) + LONG, UNKNOWN, np.int32)
        gaps = np.repeat(np.arange(len(self.lengths)), self.lengths)
        found[np.arange(len(self.ids)) + gaps] = self.ids
        return found

    def ends(self) -> NDArray[np.int64]:
        """Returns where the UNKNOWN after each text stands."""
        return np.cumsum(self.lengths + 1) - 1

    def known(self) -> dict[int, bytes]:
        """Returns, by their place, the ids of texts with units of which none is UNKNOWN."""
        unknown = np.concatenate([[0], np.cumsum(self.ids == UNKNOWN)])
        ends = np.cumsum(self.lengths)
        starts = ends - self.lengths
        whole = np.flatnonzero((unknown[ends] == unknown[starts]) & (self.lengths > 0))
        return {int(at): self.ids[starts[at] : ends[at]].tobytes() for at in whole}


class Units(Protocol):
    """What texts are cut into: words, or the tokens of a tokenizer."""

    label: str

    def cut(self, texts: Sequence[str], *, learn: bool = False) -> Cut:
        """Returns the ids of the texts' units; those that were never learnt are UNKNOWN."""


class Words:
    """Words by id; remembers how they were written, up to a bound."""

    label = "words"

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._written: dict[str, int] = {}

    def cut(self, texts: Sequence[str], *, learn: bool = False) -> Cut:
        """Returns the ids of the texts' words."""
        split = [self._split(text) for text in texts]
        written = list(chain.from_iterable(split))
        if learn or len(self._written) > REMEMBERED:
            self._written.clear()
        for one in set(written).difference(self._written):
            self._written[one] = self._id(plain_word(one), learn)
        ids = np.fromiter(map(self._written.__getitem__, written), np.int32, len(written))
        words = np.concatenate([[0], np.cumsum(ids != NOTHING)])
        ends = np.cumsum([len(one) for one in split], dtype=np.int64)
        return Cut(ids[ids != NOTHING], np.diff(words[ends], prepend=0))

    def _id(self, word: str, learn: bool) -> int:
        if learn and word:
            self._ids.setdefault(word, len(self._ids) + 1)
        return self._ids.get(word, UNKNOWN) if word else NOTHING

    @staticmethod
    def _split(text: str) -> list[str]:
        return (text if text.isascii() else EACH_A_WORD.sub(r" \1 ", text)).split()


class Tokens:
    """The tokens of a tokenizer.json."""

    label = "tokens"

    def __init__(self, file: Path) -> None:
        from tokenizers import Tokenizer

        with Blaming(BadOption, f"{file}: not a tokenizer.json"):
            self._tokenizer = Tokenizer.from_file(str(file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def cut(self, texts: Sequence[str], *, learn: bool = False) -> Cut:
        """Returns the ids of the texts' tokens, from 1."""
        found = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        lengths = np.array([len(one.ids) for one in found], np.int64)
        ids = np.fromiter(chain.from_iterable(one.ids for one in found), np.int32, lengths.sum())
        return Cut(ids + 1, lengths)


class Runs:
    """All runs of n units in a benchmark's texts, and which of them were found."""

    def __init__(self, n: int, texts: Cut) -> None:
        self.n, self._ids, self._factor = n, texts.laid_out(), FACTOR
        starts = _whole_runs(self._ids, n)
        windows = sliding_window_view(self._ids, n)
        while True:  # until no two runs share a hash
            hashes = _hashes(self._ids, n, self._factor)[starts]
            self._hashes, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
            self._at = starts[first]  # where each distinct run stands
            if _all_equal(windows, starts, self._at[inverse]):
                break
            self._factor += 2
        self._of = np.split(inverse, np.searchsorted(starts, texts.ends()[:-1]))
        self._table = np.zeros(1 << TABLE_BITS, bool)
        self._table[self._hashes >> np.uint64(64 - TABLE_BITS)] = True
        self._first = np.zeros(len(self._hashes), np.int64)

    def seek(self, texts: Cut, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Notes the runs that are found in training texts, and returns where they were new.

        `rows` says of each text in which row it stands, from 1.
        """
        ids = texts.laid_out()
        starts, place = self._same_hash(ids)
        windows, sought = (sliding_window_view(some, self.n) for some in (ids, self._ids))
        same = (windows[starts] == sought[self._at[place]]).all(axis=1)
        place, first = np.unique(place[same], return_index=True)
        new = self._first[place] == 0
        found = rows[np.searchsorted(texts.ends(), starts[same][first[new]])]
        self._first[place[new]] = found
        return np.unique(found)

    def _same_hash(self, ids: Ids) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns where runs start that have the hash of one sought, and which."""
        starts = _whole_runs(ids, self.n)
        hashes = _hashes(ids, self.n, self._factor)[starts]
        near = self._table[hashes >> np.uint64(64 - TABLE_BITS)]
        starts, hashes = starts[near], hashes[near]
        place = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        same = self._hashes[place] == hashes
        return starts[same], place[same]

    def found(self, text: int) -> tuple[float, int]:
        """Returns the share of a text's units in runs that were found, and where the first was."""
        rows = self._first[self._of[text]]
        if not rows.any():
            return 0.0, 0
        covered = np.zeros(len(rows) + self.n, np.int64)
        np.add.at(covered, np.flatnonzero(rows), 1)
        np.add.at(covered, np.flatnonzero(rows) + self.n, -1)
        share = float((np.cumsum(covered)[:-1] > 0).mean())
        return share, int(rows[rows > 0].min())


class Finding(NamedTuple):
    """What was found of a text: by EXACT and each kind of run, the share of it, if any was.

    `row` is the training row in which it was found first, from 1, and `place` what that is called.
    """

    shares: Mapping[str, float]
    row: int
    place: str


@dataclass
class Index:
    """A benchmark's texts, ready to be sought.

    `kinds` are the runs by what they are called, `whole` the texts by the ids of their words, of
    `turns` turns at most. `where` is the training row in which a whole text was found first, and
    `places` names the rows that matter.
    """

    kinds: Mapping[str, tuple[Units, Runs]]
    words: Words
    whole: dict[bytes, list[int]]
    turns: int
    where: dict[int, int] = field(default_factory=dict)
    places: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, texts: Sequence[Sequence[str]], tokens: Units | None = None) -> "Index":
        """Returns the index of texts, each of which is a text or the turns of several."""
        words = Words()
        joined = ["\n".join(text) for text in texts]
        cut = words.cut(joined, learn=True)
        units: Units = tokens or words
        whole: dict[bytes, list[int]] = {}
        for number, found in cut.known().items():
            whole.setdefault(found, []).append(number)
        kinds: dict[str, tuple[Units, Runs]] = {
            f"{LONG} {units.label}": (units, Runs(LONG, tokens.cut(joined) if tokens else cut)),
            f"{SHORT} {words.label}": (words, Runs(SHORT, cut)),
        }
        return cls(kinds, words, whole, max(map(len, texts), default=1))

    def seek(self, rows: Iterable[tuple[str, Talks]]) -> int:
        """Looks for the texts in training rows, each with its place; returns how many there are."""
        batch: list[tuple[int, str, Talks]] = []
        size = number = 0
        for number, (place, talks) in enumerate(rows, 1):
            batch.append((number, place, talks))
            size += sum(len(turn) for talk in talks for turn in talk)
            if size >= AT_ONCE:
                self._seek(batch)
                batch, size = [], 0
        self._seek(batch)
        return number

    def _seek(self, batch: Sequence[tuple[int, str, Talks]]) -> None:
        texts = [turn for _, _, talks in batch for talk in talks for turn in talk]
        rows = [row for row, _, talks in batch for talk in talks for _ in talk]
        words = self.words.cut(texts)
        lengths = [len(talk) for _, _, talks in batch for talk in talks]
        touching = self._seek_whole(words.known(), rows, lengths)
        for units, runs in self.kinds.values():
            cut = words if units is self.words else units.cut(texts)
            touching |= set(runs.seek(cut, np.array(rows, np.int64)).tolist())
        self.places |= {row: place for row, place, _ in batch if row in touching}

    def _seek_whole(
        self, known: Mapping[int, bytes], rows: Sequence[int], lengths: Sequence[int]
    ) -> set[int]:
        """Notes the texts that are whole in a row: a turn alone, or a conversation's beginning.

        `known` are turns by their place, `lengths` the turns of each conversation.
        """
        keys = [(rows[place], key) for place, key in known.items()]
        first = 0
        for length in lengths:
            begun = known.get(first, b"")
            for place in range(first + 1, first + min(length, self.turns)):
                if not begun or place not in known:
                    break
                begun += known[place]
                keys.append((rows[first], begun))
            first += length
        touching = set()
        for row, key in keys:
            for text in self.whole.get(key, ()):
                if self.where.setdefault(text, row) == row:
                    touching.add(row)
        return touching

    def finding(self, text: int) -> Finding:
        """Returns what was found of a text."""
        shares, rows = {}, []
        if text in self.where:
            shares[EXACT], rows = 1.0, [self.where[text]]
        for name, (_, runs) in self.kinds.items():
            share, row = runs.found(text)
            if row:
                shares[name] = share
                rows.append(row)
        first = min(rows, default=0)
        return Finding(shares, first, self.places.get(first, ""))


def texts_of(item: Preference) -> list[list[str]]:
    """Returns a row's prompt, as its turns without the system's, and its responses."""
    prompt = [turn.content for turn in item.prompt if turn.role != "system"]
    return [prompt, *([as_message(response).content] for response in item.responses)]


def training_texts(values: Mapping[str, Any]) -> list[list[str]]:
    """Returns every text of a training row, whatever its layout: conversations turn by turn.

    A conversation begins after the system's message.
    """
    found: list[list[str]] = []
    _collect(values, found)
    return found


def _collect(value: Any, found: list[list[str]]) -> None:
    if isinstance(value, str):
        if value.startswith(TRANSCRIPT_START):
            found.append([turn.content for turn in parse_transcript(value)])
        elif value:
            found.append([value])
    elif isinstance(value, Mapping):
        for inner in value.values():
            _collect(inner, found)
    elif isinstance(value, list):
        turns = [_said(item) for item in value]
        if turns and None not in turns:
            said = [
                turn for turn, item in zip(turns, value, strict=True) if _role(item) != "system"
            ]
            found.append([turn or "" for turn in said])
        else:
            for inner in value:
                _collect(inner, found)


def _said(item: Any) -> str | None:
    """Returns what a message says, or None for what is no message."""
    if not isinstance(item, Mapping) or not {"role", "from"} & item.keys():
        return None
    said = item.get("content", item.get("value"))
    return said if isinstance(said, str) else None


def _role(item: Mapping[str, Any]) -> Any:
    return item.get("role", item.get("from"))


def _all_equal(windows: Ids, some: NDArray[np.int64], others: NDArray[np.int64]) -> bool:
    """Whether windows are equal, one by one; a part of them at a time, since they overlap."""
    parts = (slice(start, start + PART) for start in range(0, len(some), PART))
    return all((windows[some[part]] == windows[others[part]]).all() for part in parts)


def _whole_runs(ids: Ids, n: int) -> NDArray[np.int64]:
    """Returns where n units stand together of which none is UNKNOWN."""
    broken = np.concatenate([[0], np.cumsum(ids == UNKNOWN)])
    return np.flatnonzero(broken[n:] == broken[:-n]) if len(ids) >= n else np.zeros(0, np.int64)


def _hashes(ids: Ids, n: int, factor: int) -> NDArray[np.uint64]:
    """Returns a hash of each run of n units: a polynomial in an odd factor, modulo 2^64."""
    units, found = ids.astype(np.uint64), np.zeros(max(0, len(ids) - n + 1), np.uint64)
    for place in range(n):
        found *= np.uint64(factor)
        found += units[place : place + len(found)]
    return found
