"""The mean of subsets, whatever their sizes, each the accuracy of its rows."""

from rmeval.metrics.names import OVERALL
from rmeval.metrics.scheme import WIN, Part, Scheme, Strata, by_subset


def _parts(strata: Strata, weighting: str) -> list[Part]:
    leaves: dict[str, float] = {leaf: 1.0 for stratum in strata.values() for leaf in stratum.leaves}
    return [Part(OVERALL, leaves, needs_all=True)]


SUBSET_MEAN = Scheme(by_subset(WIN), _parts, ("mean",))
