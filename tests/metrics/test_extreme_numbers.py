"""Rewards, weights and magnitudes as large or as small as numbers can be."""

import json
import warnings
from dataclasses import replace
from math import isfinite
from pathlib import Path

import pytest

from rmeval.benchmarks.own import load_own
from rmeval.errors import BadData
from rmeval.metrics.accuracy import margin
from rmeval.metrics.pairs import PAIRS
from rmeval.metrics.summary import describe_scores
from rmeval.records import Result, Score, ScoredPreference
from rmeval.reports.comparison import comparison_document
from rmeval.results.comparison import compare_results, most_different
from rmeval.results.files import metric_document
from rmeval.results.scores import read_scores

LARGE, SMALL = 1e308, 5e-324


def rows(size: float, magnitude: float | None = None) -> list[ScoredPreference]:
    return [
        ScoredPreference(
            str(i),
            "s",
            1,
            (Score(sign * size, 3 + i, False), Score(-sign * size, 9, False)),
            "text",
            magnitude,
        )
        for i, sign in enumerate((1, 1, -1, 1, 1, 1, -1, 1))
    ]


@pytest.mark.parametrize("magnitude", [None, LARGE, SMALL])
@pytest.mark.parametrize("size", [LARGE, SMALL])
def test_every_number_is_one_or_is_not_given(size: float, magnitude: float | None) -> None:
    scored = rows(size, magnitude)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics = describe_scores(PAIRS, scored)
        text = json.dumps(metric_document(metrics), allow_nan=False)
        a = Result("pairs", "pairs", "a", "rows", metrics, tuple(scored), None, {})
        b = replace(
            a, scored=tuple(replace(i, scores=i.scores[::-1]) for i in scored[:2]) + a.scored[2:]
        )
        apart = most_different(a, b, 9)
        json.dumps(comparison_document(compare_results(a, b), apart), allow_nan=False)
    assert metrics.values["overall"] == 0.75
    assert isfinite(json.loads(text)["statistics"]["length"]["pearson"])
    assert {row["id"] for row in apart} == {"0", "1"}


def test_a_margin_beyond_all_numbers_is_the_largest() -> None:
    assert margin(rows(LARGE)[0]) == pytest.approx(1.797e308, rel=1e-3)
    assert margin(rows(LARGE)[2]) == pytest.approx(-1.797e308, rel=1e-3)


@pytest.mark.parametrize("weight", ["1e308", "5e-324", "0", "-1", "1e999", "NaN"])
def test_a_weight_that_cannot_be_added_up_is_refused(weight: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    line = '{"prompt": "p", "chosen": "a", "rejected": "b", "weight": %s}\n'
    path.write_text(line % "1" + line % weight)
    with pytest.raises(BadData, match=r"line 2: column 'weight' .*; fix it, or pass `columns="):
        load_own(str(path))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ('"weight": 1e308', "1 weighs 1e[+]308; a weight is from 1e-09 to 1e[+]09"),
        ('"weight": NaN', "1 weighs nan"),
        ('"weight": "x"', "not a line of scores"),
        ('"magnitude": 1e999', "the magnitude of 1 is not finite"),
    ],
)
def test_so_is_one_in_scores_jsonl(fields: str, reason: str, tmp_path: Path) -> None:
    scores = ", ".join(f'{{"value": {n}, "tokens": 3, "truncated": false}}' for n in (1, 0))
    named = '"id": "1", "subset": "s", "num_chosen": 1, "text_sha256": ""'
    path = tmp_path / "scores.jsonl"
    path.write_text(f'{{{named}, "responses": [{scores}], {fields}}}')
    with pytest.raises(BadData, match=reason):
        read_scores(path)
