"""What a later result is held to: a file small enough to commit, or a published row.

A baseline file has the metrics, and what each row counted: a bit where rows are won or lost. So
a later result can be compared row by row without the scores that the baseline was made from.
"""

import base64
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from operator import index
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from rmeval.benchmarks import scheme_of
from rmeval.benchmarks.rewardbench import PRIOR
from rmeval.errors import BadData, BadOption
from rmeval.files import write_atomically
from rmeval.known import NOT_STATED, Published, published_of
from rmeval.metrics.intervals import metric_intervals
from rmeval.metrics.names import OVERALL, Metric
from rmeval.metrics.scheme import Floats, Strata, Stratum, Tally, metrics_of
from rmeval.records import Metrics, Result

SCHEMA = 1
KIND = "rmeval baseline"
PUBLISHED = "published"


@dataclass(frozen=True)
class Baseline:
    """What to compare with. `credits` are those of each subset's rows by id, or None.

    `source` says in words what it is; `items` is a fingerprint of the rows, texts included.
    """

    source: str
    benchmark: str
    definition: str
    weighting: str
    metrics: dict[str, float]
    items: str | None = None
    credits: dict[str, Floats] | None = None

    def tally(self, like: Tally) -> Tally | None:
        """Returns what the baseline's rows add up to, weighed and ordered as those of a result are.

        Raises BadData where they cannot be the rows of that result.
        """
        if self.credits is None:
            return None
        shapes = {name: stratum.credits.shape for name, stratum in like.strata.items()}
        if {name: credits.shape for name, credits in self.credits.items()} != shapes:
            raise BadData(f"{self.source}: its rows are not those that it names; make it again")
        strata = {
            name: replace(stratum, credits=_in_order_of(stratum, self.credits[name]))
            for name, stratum in like.strata.items()
        }
        return like.with_strata(strata)


def fingerprint_items(result: Result) -> str:
    """Returns a hash that is equal only for the same rows: ids, subsets, weights, texts."""
    rows = sorted((item.id, item.subset, item.weight, item.digest) for item in result.scored)
    return hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()


def baseline_of(result: Result, source: str) -> Baseline:
    """Returns what a later result of the same rows is held to; `source` says what it is."""
    strata = _strata(result)
    return Baseline(
        source=source,
        benchmark=result.benchmark,
        definition=result.definition,
        weighting=result.weighting,
        metrics=result.metrics.values,
        items=fingerprint_items(result),
        credits={name: stratum.credits[_by_id(stratum)] for name, stratum in strata.items()},
    )


def _strata(result: Result) -> Strata:
    return scheme_of(result.definition).tally(result.scored, result.weighting).strata


def write_baseline(path: Path, result: Result) -> None:
    """Writes a result's baseline. Raises OutputFailure."""
    strata, provenance = _strata(result), result.provenance
    document = {
        "kind": KIND,
        "schema": SCHEMA,
        "benchmark": result.benchmark,
        "definition": result.definition,
        "model": result.model,
        "weighting": result.weighting,
        "partial": result.partial,
        "metrics": result.metrics.values,
        "items_sha256": fingerprint_items(result),
        "credits": {name: _pack(stratum) for name, stratum in strata.items()},
        "made_by": {
            "fingerprint": provenance["model"]["fingerprint"],
            "dtype": provenance["model"]["dtype"],
            "revision": provenance["data"]["revision"],
            "versions": provenance["versions"],
        },
    }
    write_atomically(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def read_baseline(path: Path) -> Baseline:
    """Reads a baseline file. Raises BadData for one that is damaged, or a newer rmeval's."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        kind, schema = document["kind"], document["schema"]
    except OSError as error:
        raise BadData(f"{path}: {error.strerror}; `rmeval baseline` makes one") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadData(f"{path}: not a baseline; `rmeval baseline` makes one") from error
    if kind != KIND:
        raise BadData(f"{path}: not a baseline; `rmeval baseline` makes one")
    if schema != SCHEMA:
        raise BadData(f"{path}: schema {schema}, this rmeval reads {SCHEMA}; update rmeval")
    try:
        return Baseline(
            source=f"{path} ({document['model']})",
            benchmark=_text(document["benchmark"]),
            definition=_text(document["definition"]),
            weighting=_text(document["weighting"]),
            metrics={str(name): float(value) for name, value in document["metrics"].items()},
            items=_text(document["items_sha256"]),
            credits={name: _unpack(packed) for name, packed in document["credits"].items()},
        )
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise BadData(f"{path}: a damaged baseline; make it again") from error


def published_baselines(result: Result) -> tuple[Baseline, ...]:
    """Returns a model's published rows, the nearest first. Raises BadOption where there is none.

    A row of which nobody says how its Score adds up holds nothing.
    """
    weightings = scheme_of(result.definition).weightings
    found = published_of(result.model, result.benchmark)
    rows = [row for row in found if row.weighting in weightings]
    if not rows:
        raise BadOption(
            f"no published row for {result.model} on {result.benchmark}; pass a baseline file"
        )
    return tuple(
        Baseline(
            source=f"the published row of {result.model} ({row.cited})",
            benchmark=result.benchmark,
            definition=result.definition,
            weighting=row.weighting,
            metrics={name: value / 100 for name, value in figures.items()},
        )
        for row, _, figures, _ in nearest_first(result, rows)
    )


class Beside(NamedTuple):
    """A published row, and what was measured under its weighting, as fractions by metric.

    `apart` is how far they are apart, in points: the mean of the absolute differences over the
    figures that all rows of the model have, or None where none of them was measured.
    """

    row: Published
    measured: Metrics
    figures: dict[str, float]
    apart: float | None


def nearest_first(result: Result, rows: Sequence[Published]) -> list[Beside]:
    """Returns published rows beside what was measured, the nearest first.

    A row of which nobody says how its Score adds up is taken under the result's weighting.
    """
    made: dict[str, Metrics] = {}
    pairs = []
    for row in rows:
        weighting = row.weighting if row.weighting != NOT_STATED else result.weighting
        if weighting not in made:
            made[weighting] = _with_intervals(result, weighting)
        pairs.append((row, made[weighting], figures_of(row, made[weighting].values)))
    shared = set.intersection(*(set(figures) for _, _, figures in pairs)) if pairs else set()
    found = []
    for row, metrics, figures in pairs:
        values = metrics.values
        apart = [abs(100 * values[name] - figures[name]) for name in shared if name in values]
        found.append(Beside(row, metrics, figures, fmean(apart) if apart else None))
    return sorted(found, key=lambda beside: inf if beside.apart is None else beside.apart)


def _with_intervals(result: Result, weighting: str) -> Metrics:
    tally = scheme_of(result.definition).tally(result.scored, weighting)
    return replace(metrics_of(tally, result.scored), intervals=metric_intervals(tally))


def figures_of(row: Published, measured: Collection[str]) -> dict[str, float]:
    """Returns a published row's figures, in percent, by the names of the metrics that they are.

    A Score with Prior in it is made again of the other sections where Prior was not measured.
    """
    figures = {metric_of(name, measured): value for name, value in row.sections.items()}
    score = OVERALL if not row.of else metric_of(row.of, measured)
    prior = Metric.section(PRIOR)
    if prior not in figures or prior in measured:
        return {score: row.overall, **figures}
    del figures[prior]
    return {score: fmean(figures.values()), **figures}


def metric_of(column: str, measured: Collection[str]) -> str:
    """Returns the metric that a published column is: a section, a subset or a part of the Score."""
    names = (kind(column) for kind in (Metric.section, Metric.subset, Metric.overall))
    return next((name for name in names if name in measured), Metric.section(column))


def _pack(stratum: Stratum) -> dict[str, Any]:
    """Returns what the rows counted, in the order of their ids: a bit each, if two kinds do."""
    order = _by_id(stratum)
    kinds, codes = np.unique(stratum.credits[order], axis=0, return_inverse=True)
    codes = codes.reshape(-1)
    if len(kinds) <= 2:
        packed = np.packbits(codes.astype(np.uint8)).tobytes()
    else:
        packed = codes.astype("<u2").tobytes()
    return {
        "kinds": kinds.tolist(),
        "rows": len(codes),
        "codes": base64.b64encode(packed).decode(),
    }


def _unpack(packed: Mapping[str, Any]) -> Floats:
    """Returns (rows, leaves) credits, in the order of the rows' ids."""
    kinds: Floats = np.array(packed["kinds"], float)
    rows = index(packed["rows"])
    data = base64.b64decode(packed["codes"], validate=True)
    bits = len(kinds) <= 2
    if kinds.ndim != 2 or not np.isfinite(kinds).all():
        raise ValueError("kinds are not finite numbers in rows")
    # unpackbits would make up the bits that are missing
    if rows < 1 or len(data) != (-(-rows // 8) if bits else 2 * rows):
        raise ValueError("codes and rows differ")
    if bits:
        codes = np.unpackbits(np.frombuffer(data, np.uint8), count=rows).astype(np.uint16)
    else:
        codes = np.frombuffer(data, "<u2")
    return np.asarray(kinds[codes], float)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _by_id(stratum: Stratum) -> list[int]:
    return sorted(range(len(stratum.ids)), key=stratum.ids.__getitem__)


def _in_order_of(stratum: Stratum, credits: Floats) -> Floats:
    ordered = np.empty_like(credits)
    ordered[_by_id(stratum)] = credits
    return ordered
