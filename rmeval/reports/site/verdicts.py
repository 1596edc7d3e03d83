"""What every row counted, packed for a browser, which tests two models of these on its own.

All pairs of 300 models are 44,850 on every benchmark, so no p-value is made here: a page has what
each row counts towards each leaf with each model, and how leaves make the metrics. From these
paired.js makes the difference that `rmeval compare` does, by the same rules.
"""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rmeval.benchmarks import scheme_of
from rmeval.metrics.names import Metric
from rmeval.metrics.scheme import Strata, Stratum, Tally, leaf_shares
from rmeval.records import Result
from rmeval.reports.labels import metric_label
from rmeval.results.baselines import fingerprint_items
from rmeval.results.comparison import rows_in_order_of

LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
Packed = dict[str, Any]


def pack_verdicts(results: Mapping[str, Result]) -> str | None:
    """Returns what results on one benchmark counted, by their keys in the page.

    None where no two can be compared.

    Gzip in base64, so that no text is ever read as HTML. Only results over the same rows, text by
    text, can be compared: each such group is packed apart.
    """
    groups: dict[str, dict[str, Result]] = {}
    for key, result in results.items():
        groups.setdefault(fingerprint_items(result), {})[key] = result
    packed = [_group(members) for members in groups.values() if len(members) > 1]
    if not packed:
        return None
    text = json.dumps(packed, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.b64encode(gzip.compress(text, mtime=0)).decode()  # the same bytes every time


def _group(members: Mapping[str, Result]) -> Packed:
    first = next(iter(members.values()))
    scheme = scheme_of(first.definition)
    usual = scheme.weightings[0]
    names = dict.fromkeys([usual, *(member.weighting for member in members.values())])
    tallies = {name: scheme.tally(first.scored, name) for name in names}
    strata = {
        key: scheme.strata(rows_in_order_of(first, member)) for key, member in members.items()
    }
    return {
        "default": usual,
        "of": {key: member.weighting for key, member in members.items()},
        "weightings": {name: _metrics(tally) for name, tally in tallies.items()},
        "strata": _strata(tallies[usual].strata, list(strata.values())),
        "credits": {key: [_credits(s) for s in found.values()] for key, found in strata.items()},
    }


def _metrics(tally: Tally) -> list[Packed]:
    """Returns each metric with what it is called, its level, and its leaves' shares in it."""
    counting = [
        s.leaves[column]
        for s in tally.strata.values()
        for block, _ in s.blocks()
        for column in block
    ]
    shares = leaf_shares(counting, tally.parts)
    return [
        {
            "name": name,
            "label": metric_label(name),
            "level": "/".join(map(str, Metric(name).level)),
            "shares": shares[name],
        }
        for name in tally.values
    ]


def _strata(first: Strata, all_strata: Sequence[Strata]) -> list[Packed]:
    """Returns the rows of each subset: ids, weights in each leaf, and the units they belong to."""
    known: dict[tuple[str, str], int] = {}
    found = []
    for name, stratum in first.items():
        units = stratum.units
        for other in all_strata:  # results of before rows had clusters know none
            both = zip(units, other[name].units, strict=True)
            units = tuple(mine if mine[0] else theirs for mine, theirs in both)
        weights = stratum.weights.T
        found.append(
            {
                "leaves": list(stratum.leaves),
                "ids": list(stratum.ids),
                "units": [known.setdefault(unit, len(known)) for unit in units],
                "weights": [w[0].item() if (w == w[0]).all() else w.tolist() for w in weights],
            }
        )
    return found


def _credits(stratum: Stratum) -> Packed:
    """Returns (rows × leaves) credits: their values, and a letter for each cell where these do."""
    values, codes = np.unique(stratum.credits.ravel(), return_inverse=True)
    if len(values) > len(LETTERS):
        return {"values": stratum.credits.ravel().tolist()}
    return {"values": values.tolist(), "letters": "".join(LETTERS[code] for code in codes)}
