"""Proof that no training pair says what a row of the demonstration benchmark says.

Shared runs of words are counted as for any benchmark (docs/overlap.md). A paraphrase is sought by
the words that two prompts have in common, whatever their order.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

import rmeval
from demo_model.pair import Pair
from rmeval.benchmarks.overlap import plain_word

ALIKE = 0.65  # shared words by words of either prompt, from which they are the same request
FEW_WORDS = 4  # so short a text may stand anywhere: "12", "7 * 7 = 49"


class Nearest(NamedTuple):
    """The two most similar prompts: the words that both have, by the words of either."""

    similarity: float
    row: str
    pair: str


def hold_apart(pairs: Sequence[Pair]) -> str:
    """Returns what was found, in a sentence. Raises ValueError where a pair is a row's likeness."""
    benchmark = rmeval.load_benchmark("demo")
    train = (dict(zip(("prompt", "chosen", "rejected"), pair[1:], strict=True)) for pair in pairs)
    texts = {
        row.id: [row.prompt[0].content, *map(str, row.responses)] for row in benchmark.preferences
    }
    for row in rmeval.overlap(train, benchmark).rows:
        kinds = {*row.prompt, *row.responses}
        longest = max(len(text.split()) for text in texts[row.id])
        if kinds != {"exact"} or longest <= FEW_WORDS:
            raise ValueError(f"row {row.id} shares {', '.join(sorted(kinds))} with {row.place}")
    near = nearest([row[0] for row in texts.values()], sorted({pair.prompt for pair in pairs}))
    if near.similarity >= ALIKE:
        raise ValueError(f"{near.row!r} is too much like the training prompt {near.pair!r}")
    return (
        f"no 8 words in a row of its {len(texts)} rows stand in a training pair, and no prompt "
        f"of it shares more than {near.similarity:.0%} of the words with one of training."
    )


def nearest(rows: Sequence[str], pairs: Sequence[str]) -> Nearest:
    """Returns the row's and the pair's prompt that are most alike."""
    ids: dict[str, int] = {}
    one, other = (bags([words(text) for text in texts], ids) for texts in (rows, pairs))
    one.resize(len(rows), len(ids))
    both = (one @ other.T).toarray()  # (rows, pairs): how many words two prompts share
    either = one.sum(axis=1)[:, None] + other.sum(axis=1)[None, :] - both
    similarity = both / np.maximum(either, 1)
    row, pair = np.unravel_index(similarity.argmax(), similarity.shape)
    return Nearest(float(similarity[row, pair]), rows[row], pairs[pair])


def words(text: str) -> set[str]:
    return {word for word in map(plain_word, text.split()) if word}


def bags(texts: Sequence[set[str]], ids: dict[str, int]) -> csr_array:
    """Returns which words each text has (texts, words), and gives new words their ids."""
    cells = [ids.setdefault(word, len(ids)) for text in texts for word in sorted(text)]
    ends = np.cumsum([0, *map(len, texts)])
    return csr_array((np.ones(len(cells), np.float32), cells, ends), shape=(len(texts), len(ids)))
