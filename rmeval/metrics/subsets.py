"""The mean of subsets, whatever their sizes, each the accuracy of its rows."""

from rmeval.metrics.accuracy import win_chance
from rmeval.metrics.scheme import Part, Scheme, Strata, win_strata


def _parts(strata: Strata, weighting: str) -> list[Part]:
    leaves = {leaf: 1.0 for stratum in strata.values() for leaf in stratum.leaves}
    return [Part("overall", leaves, needs_all=True)]


SUBSET_MEAN = Scheme(win_strata, _parts, ("mean",), win_chance)
