"""How far results over the same rows agree: judges among each other, and with reward models."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from pathlib import Path
from typing import NamedTuple

from rmeval.errors import BadData
from rmeval.files import reading
from rmeval.judging.formats import LISTWISE
from rmeval.judging.record import ANSWERS
from rmeval.metrics.agreement import (
    Figure,
    cohen_kappa,
    krippendorff_alpha,
    label_of,
    share_of,
)
from rmeval.records import Result, ScoredPreference


class PairAgreement(NamedTuple):
    """How far two results prefer the same responses, over `rows` that both have.

    `same` is the share of rows with the same best response, a tie being one too; `kappa` is None
    where both always prefer the same.
    """

    a: int
    b: int
    rows: int
    same: Figure
    kappa: Figure | None


class OwnAgreement(NamedTuple):
    """What a result shows of one judge.

    `first` is the share of decided verdicts for the response shown first, of which `even` would be
    without a bias; `samples` how often two samples of one answer say the same. None where there
    are no such verdicts.
    """

    first: Figure | None
    even: float | None
    samples: Figure | None


@dataclass(frozen=True, repr=False)
class Agreement:
    """How far results agree: each two, all together (alpha), and each with itself."""

    results: tuple[Result, ...]
    pairs: tuple[PairAgreement, ...]
    alpha: Figure | None
    own: tuple[OwnAgreement, ...]

    def __repr__(self) -> str:
        alpha = "none" if self.alpha is None else f"{self.alpha.value:.3f}"
        return f"<Agreement of {len(self.results)} results, Krippendorff's alpha {alpha}>"


def find_agreement(results: Sequence[Result]) -> Agreement:
    """Returns how far results over the same rows agree. One may lack rows that others have.

    Raises BadData for results of other benchmarks, or that share no row.
    """
    rows = _rows_of(results)
    labels = [[None if item is None else label_of(item) for item in row] for row in rows]
    units = _units(rows)
    pairs = [
        _pair(a, b, [row[a] for row in labels], [row[b] for row in labels], units)
        for a, b in combinations(range(len(results)), 2)
    ]
    alpha = krippendorff_alpha(labels, units) if len(results) > 1 else None
    return Agreement(tuple(results), tuple(pairs), alpha, tuple(map(_own, results)))


def _rows_of(results: Sequence[Result]) -> list[list[ScoredPreference | None]]:
    """Returns each row that any result has, as each of them has it."""
    first, found = results[0], dict[tuple[str, str], list[ScoredPreference | None]]()
    for place, result in enumerate(results):
        if result.definition != first.definition:
            raise BadData(
                f"{first.folder} is of {first.benchmark} and {result.folder} of "
                f"{result.benchmark}: they have no rows to agree on"
            )
        for item in result.scored:
            row = found.setdefault((item.id, item.digest), [None] * len(results))
            row[place] = item
    for a, b in combinations(range(len(results)), 2):
        if not any(row[a] and row[b] for row in found.values()):
            raise BadData(f"{results[a].folder} and {results[b].folder} have no row in common")
    return list(found.values())


def _units(rows: Sequence[Sequence[ScoredPreference | None]]) -> list[int]:
    """Returns the number of each row's unit of chance."""
    known: dict[tuple[str, str], int] = {}
    units = [next(item.unit for item in row if item is not None) for row in rows]
    return [known.setdefault(unit, len(known)) for unit in units]


def _pair(
    a: int,
    b: int,
    mine: Sequence[int | None],
    theirs: Sequence[int | None],
    units: Sequence[int],
) -> PairAgreement:
    both = [
        (one, other, unit)
        for one, other, unit in zip(mine, theirs, units, strict=True)
        if one is not None and other is not None
    ]
    ones, others, their_units = (list(column) for column in zip(*both, strict=True))
    equal = [float(one == other) for one, other, _ in both]
    same = share_of(equal, [1.0] * len(both), their_units)
    return PairAgreement(a, b, len(both), same, cohen_kappa(ones, others, their_units))


def _own(result: Result) -> OwnAgreement:
    compared = [
        (item, item.comparisons)
        for item in result.scored
        if item.comparisons is not None and item.comparisons.first is not None
    ]
    known: dict[tuple[str, str], int] = {}
    told = [
        (found.first or 0, found.made - found.tied - found.unparsed, item)
        for item, found in compared
        if found.made > found.tied + found.unparsed
    ]
    if not told:
        return OwnAgreement(None, None, _consistency(result))
    firsts, decided, items = (list(column) for column in zip(*told, strict=True))
    units = [known.setdefault(item.unit, len(known)) for item in items]
    asked = result.provenance["model"].get("prompt")
    listwise = asked is not None and asked["kind"] == LISTWISE
    shares = [1 / len(item.scores) if listwise else 0.5 for item in items]
    even = sum(n * share for n, share in zip(decided, shares, strict=True)) / sum(decided)
    return OwnAgreement(share_of(firsts, decided, units), even, _consistency(result))


def _consistency(result: Result) -> Figure | None:
    """Returns how often two samples of one answer have the same verdict, or both none."""
    path = None if result.folder is None else Path(result.folder) / ANSWERS
    if path is None or not path.is_file():
        return None
    said: dict[tuple[str, str], Counter[str]] = {}
    with reading(path), path.open(encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream, 1):
            try:
                told = json.loads(line)
                question = json.dumps([told["shown"], told.get("criterion")])
                verdict = json.dumps(told.get("verdict"))
                said.setdefault((str(told["id"]), question), Counter())[verdict] += 1
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise BadData(f"{path} line {number}: not a line of answers") from error
    several = {key: found for key, found in said.items() if found.total() > 1}
    if not several:
        return None
    places: dict[str, int] = {}
    units = [places.setdefault(row, len(places)) for row, _ in several]
    equal = [float(sum(comb(n, 2) for n in found.values())) for found in several.values()]
    return share_of(equal, [float(comb(found.total(), 2)) for found in several.values()], units)
