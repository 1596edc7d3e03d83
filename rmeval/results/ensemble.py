"""Several models' stored scores as one model: a weighted sum of what each gave a response.

Rewards have no common unit, so each member's are normalised first, over all responses of its
result. MetaMetrics-RM (arXiv 2410.02381) is an ensemble of this kind, with min-max.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any, cast

import numpy as np
import scipy
from numpy.typing import NDArray

from rmeval import __version__
from rmeval.benchmarks import scheme_of
from rmeval.errors import BadData, BadOption, OutputFailure, UnknownName
from rmeval.files import prepare_folder
from rmeval.metrics.summary import describe_scores
from rmeval.records import Comparisons, Result, Score, ScoredPreference
from rmeval.results.comparison import require_same_rows, rows_in_order_of
from rmeval.results.files import (
    RESULT,
    claim_of,
    find_place,
    read_result_document,
    run_folder,
    timing,
)
from rmeval.results.schema import Provenance
from rmeval.results.scores import scores_digest

Floats = NDArray[np.float64]
FAMILY = "ensemble"
FIXED = "fixed bounds"
logger = logging.getLogger("rmeval")


@dataclass(frozen=True, slots=True)
class Mixture:
    """How members are put together: a weight each, and how their scores are made comparable.

    `name` is what the ensemble is called; None names it after the members and their weights.
    `bounds` has each member's minimum and maximum for min-max, instead of those of its responses:
    a response's score is then its own, whatever else is scored. Beyond them is beyond 0 and 1.
    """

    weights: tuple[float, ...]
    normalise: str
    name: str | None = None
    bounds: tuple[tuple[float, float], ...] | None = None


def combine_results(
    members: Sequence[Result], mixture: Mixture, weighting: str | None = None
) -> Result:
    """Returns the ensemble of results over the same rows, evaluated as a model of its own.

    A response's score is Σ weight · normalised score; the weights are taken as they are given.
    Rows stand in the first member's order, and token counts are the first member's. Without a
    weighting it is that of all members, or the benchmark's default where they differ.

    Raises BadOption for weights that do not go with the members, BadData for members over
    different rows or one whose scores cannot be normalised.
    """
    started = datetime.now(UTC)
    _check(members, mixture)
    first = members[0]
    for other in members[1:]:
        require_same_rows(first, other)
    scored = _combine(members, mixture)
    scheme = scheme_of(first.definition)
    if weighting is None and len({member.weighting for member in members}) == 1:
        weighting = first.weighting
    weighting = scheme.check_weighting(weighting)
    provenance = _provenance(members, mixture)
    return Result(
        benchmark=first.benchmark,
        definition=first.definition,
        model=provenance["model"]["name"],
        weighting=weighting,
        metrics=describe_scores(scheme, scored, weighting),
        scored=scored,
        partial=next((member.partial for member in members if member.partial), None),
        provenance=cast(Provenance, {**provenance, **timing(started)}),
    )


def place_result(result: Result, output: Path) -> Result:
    """Returns the result with the folder where it belongs, which is made.

    Raises OutputFailure, also where a model's result stands: an ensemble never takes its place.
    """
    folder = run_folder(output, result.benchmark, result.model)
    there = folder / RESULT
    if there.is_file() and "ensemble" not in read_result_document(there)["provenance"]:
        raise OutputFailure(f"{folder} holds a model's result; choose another `name=` or `output=`")
    claim = claim_of(result.provenance, result.scored, result.partial)
    place, why = find_place(folder, claim)
    if why:
        logger.warning(why)
    return replace(result, folder=prepare_folder(place))


def _check(members: Sequence[Result], mixture: Mixture) -> None:
    weights, bounds = mixture.weights, mixture.bounds
    if mixture.normalise not in NORMALISATIONS:
        raise UnknownName("normalisation", mixture.normalise, NORMALISATIONS)
    if len(members) < 2:
        raise BadOption("an ensemble has at least two members: pass the folders of two results")
    if len(weights) != len(members):
        raise BadOption(f"{len(weights)} weights for {len(members)} members; pass one for each")
    if not all(map(isfinite, weights)) or not any(weights):
        raise BadOption("the weights must be finite, and one of them other than 0")
    if bounds is None:
        return
    if mixture.normalise != "minmax":
        raise BadOption(f"bounds go with the normalisation minmax, not with {mixture.normalise}")
    if len(bounds) != len(members):
        raise BadOption(f"{len(bounds)} bounds for {len(members)} members; pass one for each")
    for member, (low, high) in zip(members, bounds, strict=True):
        if not (isfinite(low) and isfinite(high) and low < high):
            raise BadOption(f"the bounds of {member.model}, {low:g} and {high:g}, are not a range")


def _combine(members: Sequence[Result], mixture: Mixture) -> tuple[ScoredPreference, ...]:
    """Returns the first member's rows with the ensemble's scores."""
    ordered = [_in_order_of(members[0], member) for member in members]
    scaled = []
    for place, (member, rows) in enumerate(zip(members, ordered, strict=True)):
        values = np.array([score.value for item in rows for score in item.scores])
        if mixture.bounds is None:
            values = NORMALISATIONS[mixture.normalise](values, _name(member))
        else:
            low, high = mixture.bounds[place]
            values = (values - low) / (high - low)
        scaled.append(mixture.weights[place] * values)
    total = np.sum(scaled, axis=0)
    if not np.isfinite(total).all():
        raise BadData("the weighted sum is not finite; use smaller weights or `normalise='rank'`")
    remaining = iter(total.tolist())
    return tuple(_with_scores(same, remaining) for same in zip(*ordered, strict=True))


def _with_scores(same: Sequence[ScoredPreference], values: Iterator[float]) -> ScoredPreference:
    """Returns the first member's row with the next values; a cut in any member counts.

    A tie is half a win where it is for every member; whose verdicts they were, the members say.
    """
    responses = zip(*(item.scores for item in same), strict=True)
    scores = (Score(next(values), s[0].tokens, any(m.truncated for m in s)) for s in responses)
    counts = [item.comparisons for item in same]
    judged = Comparisons(0, None, 0, 0) if all(count is not None for count in counts) else None
    return replace(same[0], scores=tuple(scores), comparisons=judged)


def _in_order_of(first: Result, member: Result) -> list[ScoredPreference]:
    """Returns a member's rows in the first one's order. Raises BadData."""
    rows = rows_in_order_of(first, member)
    for item, own in zip(first.scored, rows, strict=True):
        if (item.num_chosen, len(item.scores)) != (own.num_chosen, len(own.scores)):
            raise BadData(
                f"different rows: {item.id!r} has other responses in {_name(member)} than in "
                f"{_name(first)}"
            )
    return rows


def _min_max(values: Floats, name: str) -> Floats:
    _require_spread(values, name)
    scaled: Floats = (values - values.min()) / (values.max() - values.min())
    return scaled


def _z_score(values: Floats, name: str) -> Floats:
    _require_spread(values, name)
    scaled: Floats = (values - values.mean()) / values.std()
    return scaled


def _rank(values: Floats, _: str) -> Floats:
    """Returns the share of the other responses below each, equal ones sharing the mean rank."""
    ranks: Floats = scipy.stats.rankdata(values)
    return (ranks - 1) / (len(values) - 1)


def _as_it_is(values: Floats, _: str) -> Floats:
    return values


NORMALISATIONS: dict[str, Callable[[Floats, str], Floats]] = {
    "minmax": _min_max,
    "zscore": _z_score,
    "rank": _rank,
    "none": _as_it_is,
}


def _require_spread(values: Floats, name: str) -> None:
    if values.min() == values.max():
        raise BadData(
            f"{name}: every response has the same score, which cannot be normalised; leave this "
            "member out"
        )


def _name(result: Result) -> str:
    return f"{result.folder or result.model}"


def _bounds(members: Sequence[Result], mixture: Mixture) -> list[list[float] | None]:
    """Returns the minimum and maximum that each member was scaled with; None without min-max."""
    if mixture.bounds is not None:
        return [list(bounds) for bounds in mixture.bounds]
    if mixture.normalise != "minmax":
        return [None] * len(members)
    values = (
        [score.value for item in member.scored for score in item.scores] for member in members
    )
    return [[min(several), max(several)] for several in values]


def _provenance(members: Sequence[Result], mixture: Mixture) -> dict[str, Any]:
    """Returns who the members are and how they were put together, under every result's keys."""
    models = [member.provenance["model"] for member in members]
    anonymous = [{k: v for k, v in model.items() if k != "name"} for model in models]
    made_of: list[Any] = [anonymous, mixture.weights, mixture.normalise]
    made_of += [mixture.bounds] if mixture.bounds else []
    fingerprint = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
    return {
        "model": {
            "name": mixture.name or f"ensemble-{fingerprint[:8]}",
            "revision": None,
            "fingerprint": fingerprint,
            "family": FAMILY,
            "dtype": " and ".join(dict.fromkeys(str(model["dtype"]) for model in models)),
        },
        "kind": FAMILY,
        "ensemble": {
            "normalise": mixture.normalise,
            "over": FIXED if mixture.bounds else "all responses of a member's result",
            "tokens": "of the first member",
            "members": [
                {
                    "result": None if member.folder is None else str(member.folder),
                    "weight": weight,
                    "bounds": bounds,
                    "model": member.provenance["model"],
                    "scores_sha256": scores_digest(member.scored),
                }
                for member, weight, bounds in zip(
                    members, mixture.weights, _bounds(members, mixture), strict=True
                )
            ],
        },
        "engine": {"path": "stored scores", "reason": None, "device": "no device"},
        "versions": {"rmeval": __version__},
        "checks": "not made",
        "data": members[0].provenance["data"],
    }
