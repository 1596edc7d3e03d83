"""Benchmarks of which two make a Score together: a model's results on both are joined into one."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from rmeval.benchmarks import prior_sets, rmb
from rmeval.benchmarks.rewardbench import REWARDBENCH_WITH_PRIOR
from rmeval.errors import BadData
from rmeval.metrics.scheme import Scheme
from rmeval.records import Result, ScoredPreference


@dataclass(frozen=True)
class Joint:
    """Benchmarks by their names, and the arithmetic of their rows together.

    `above` is what is put before the subsets and ids of each, where they would be the same.
    """

    members: tuple[str, ...]
    scheme: Scheme
    above: tuple[str, ...] = ()

    def join(self, results: Sequence[Result]) -> Result:
        """Returns a model's results on the members as one, without its metrics."""
        by_name = {result.definition: result for result in results}
        ordered = [by_name[name] for name in self.members]
        above = self.above or ("",) * len(ordered)
        rows = [_below(a, row) for a, r in zip(above, ordered, strict=True) for row in r.scored]
        return replace(
            ordered[0],
            benchmark=" with ".join(self.members),
            weighting=self.scheme.weightings[0] if self.above else ordered[0].weighting,
            scored=tuple(rows),
            partial=next((r.partial for r in ordered if r.partial), None),
        )


JOINTS = (
    Joint((prior_sets.CORE, prior_sets.PRIOR_SETS_V1.name), REWARDBENCH_WITH_PRIOR),
    Joint((rmb.RMB_PAIRWISE.name, rmb.RMB_BON.name), rmb.JOINT_SCHEME, rmb.SETS),
)


def find_joints(definitions: Collection[str]) -> list[Joint]:
    """Returns the joints all of whose members are among these benchmarks."""
    return [joint for joint in JOINTS if set(joint.members) <= set(definitions)]


def join_results(results: Sequence[Result]) -> tuple[Result, Scheme]:
    """Returns a model's results on benchmarks that make a Score together, as one, and its scheme.

    Raises BadData unless they are these, of one model.
    """
    fingerprints = {result.provenance["model"]["fingerprint"] for result in results}
    definitions = sorted(result.definition for result in results)
    found = [joint for joint in JOINTS if sorted(joint.members) == definitions]
    if not found or len(fingerprints) != 1:
        known = ", or on ".join(" and on ".join(joint.members) for joint in JOINTS)
        raise BadData(
            f"only a model's results on {known} make a Score together; pass one folder, or those "
            "two"
        )
    return found[0].join(results), found[0].scheme


def _below(above: str, row: ScoredPreference) -> ScoredPreference:
    """Returns a row under another name, for itself, its subset and its cluster."""
    if not above:
        return row
    cluster = f"{above}/{row.cluster}" if row.cluster else ""
    return replace(row, id=f"{above}/{row.id}", subset=f"{above}/{row.subset}", cluster=cluster)
