"""How the rows of data without an arithmetic of their own add up, by the names in results."""

from collections.abc import Mapping

from rmeval.metrics import correctness
from rmeval.metrics.pairs import PAIRS, row_weighted
from rmeval.metrics.scheme import Scheme
from rmeval.metrics.subsets import SUBSET_MEAN

OWN = "pairs"  # wins / rows
BY_PART = "pairs-by-part"  # the same, with a section for each part of a subset's name
BY_SUBSET = "subset-mean"  # the mean of the subsets' accuracies
ANSWERS = "answers"  # right and wrong answers: how often the best is right


def parts_of(subset: str) -> tuple[str, ...]:
    """Returns the parts of a subset's name, `Security/Python`, each of which is a section."""
    parts = subset.split("/")
    return tuple(dict.fromkeys(parts)) if len(parts) > 1 else ()


ARITHMETIC: Mapping[str, Scheme] = {
    OWN: PAIRS,
    BY_PART: row_weighted(None, parts_of),
    BY_SUBSET: SUBSET_MEAN,
    ANSWERS: correctness.ANSWERS,
}
