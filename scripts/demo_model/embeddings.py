"""Where token embeddings begin: what stands near a token in text, and not at random.

Two megabytes of text and some minutes are too little for a network to find out which words are
alike. Counting finds it in seconds: the positive pointwise mutual information of tokens that stand
within a few places of each other, and its leading singular vectors (Levy and Goldberg, 2014).
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import svds
from torch import Tensor

WINDOW = 4  # places to either side
SMOOTHING = 0.75  # of how frequent a neighbour is, against rare ones


def from_neighbours(texts: Sequence[Sequence[int]], tokens: int, size: int) -> Tensor:
    """Returns embeddings (tokens, size) of unit mean square; zero for a token that no text has."""
    counts = coo_matrix((tokens, tokens), dtype=np.float64).tocsr()
    ids = np.concatenate([np.array([*text, *[-1] * WINDOW]) for text in texts])  # -1 parts texts
    for distance in range(1, WINDOW + 1):
        counts += cooccurrences(ids[:-distance], ids[distance:], tokens)
    left, values, _ = svds(mutual_information(counts), k=size, random_state=0)
    found = torch.from_numpy(left * np.sqrt(values)).float()
    lengths = found.pow(2).mean(dim=1, keepdim=True).sqrt()
    return torch.where(lengths > 1e-6, found / lengths.clamp_min(1e-6), 0.0)


def cooccurrences(one: NDArray[np.int64], other: NDArray[np.int64], tokens: int) -> coo_matrix:
    """Returns how often two ids stand at the same place of both arrays, in either order."""
    both = (one >= 0) & (other >= 0)
    pairs = coo_matrix((np.ones(both.sum()), (one[both], other[both])), shape=(tokens, tokens))
    return (pairs + pairs.T).tocsr()


def mutual_information(counts: coo_matrix) -> coo_matrix:
    """Returns log p(a, b) / (p(a) p(b)) where it is positive."""
    cells = counts.tocoo()
    total = cells.data.sum()
    often = np.asarray(counts.sum(axis=1)).ravel()
    smooth = often**SMOOTHING / (often**SMOOTHING).sum()
    values = np.log(cells.data / total / (often[cells.row] / total) / smooth[cells.col])
    kept = values > 0
    where = (cells.row[kept], cells.col[kept])
    return coo_matrix((values[kept], where), shape=counts.shape).tocsc()
