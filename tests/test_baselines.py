"""Baseline files: small, whole, and refused in one line when they are not."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measured import measured

from rmeval.benchmarks import scheme_of
from rmeval.benchmarks.rewardbench import ROWS
from rmeval.errors import BadData, BadOption
from rmeval.known import published_from, published_of
from rmeval.metrics.pairs import PAIRS
from rmeval.records import Result, Score, ScoredPreference
from rmeval.results.baselines import (
    figures_of,
    fingerprint_items,
    metric_of,
    nearest_first,
    published_baselines,
    read_baseline,
    write_baseline,
)

PROVENANCE = {
    "model": {"fingerprint": "f", "dtype": "float32"},
    "data": {"revision": "r"},
    "versions": {"rmeval": "1"},
}


def row(row_id: str, margin: float, subset: str = "s", weight: float = 1.0, text: str = "text"):
    scores = (Score(margin, 9, False), Score(0.0, 8, False))
    return ScoredPreference(row_id, subset, 1, scores, text, None, weight)


def result(scored: list[ScoredPreference], definition: str = "pairs") -> Result:
    scheme = scheme_of(definition)
    named = (definition, definition, "org/m", scheme.weightings[0])
    return Result(*named, scheme.metrics(scored), tuple(scored), None, PROVENANCE)


SMALL = result([row(str(i), 1.0 if i % 3 else -1.0) for i in range(20)])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_baseline(tmp_path / "baseline.json", SMALL)
    return tmp_path / "baseline.json"


def test_a_baseline_is_metrics_and_a_bit_for_each_row_in_the_order_of_ids(path: Path) -> None:
    document = json.loads(path.read_text("utf-8"))
    assert (document["kind"], document["schema"]) == ("rmeval baseline", 1)
    assert document["metrics"] == SMALL.metrics.values
    assert document["items_sha256"] == fingerprint_items(SMALL)
    assert document["made_by"]["versions"] == {"rmeval": "1"}
    packed = document["credits"]["s"]
    assert (packed["kinds"], packed["rows"]) == ([[0.0], [1.0]], 20)
    bits = "".join("1" if int(i) % 3 else "0" for i in sorted(map(str, range(20))))
    expected = int(bits.ljust(24, "0"), 2).to_bytes(3, "big")
    assert base64.b64decode(packed["codes"]) == expected


def test_a_baseline_of_all_2985_rows_is_small_enough_to_commit(tmp_path: Path) -> None:
    rows = [row(f"{s}/{i}", i % 7 - 1.0, s) for s, n in ROWS.items() for i in range(n)]
    write_baseline(tmp_path / "b.json", result(rows, "rewardbench"))
    assert (tmp_path / "b.json").stat().st_size < 8_000


def test_what_each_row_counted_comes_back_whatever_the_order_of_the_rows(path: Path) -> None:
    order = np.random.default_rng(0).permutation(20).tolist()
    scheme = scheme_of("pairs")
    tally = read_baseline(path).tally(scheme.tally([SMALL.scored[i] for i in order]))
    assert tally is not None
    assert tally.strata["s"].ids == tuple(SMALL.scored[i].id for i in order)
    assert tally.strata["s"].credits[:, 0].tolist() == [float(i % 3 > 0) for i in order]


def test_rows_that_count_in_many_ways_come_back_too(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    scored = [
        ScoredPreference(
            str(i), "chat", 3, tuple(Score(float(v), 1, False) for v in draw.normal(size=6))
        )
        for i in range(40)
    ]
    from rmeval.benchmarks.rm_bench import SCHEME as RM_BENCH
    from rmeval.results.baselines import _pack, _unpack

    stratum = RM_BENCH.tally(scored).strata["chat"]
    order = sorted(range(40), key=lambda i: stratum.ids[i])
    packed = json.loads(json.dumps(_pack(stratum)))
    assert len(packed["kinds"]) > 2
    assert (_unpack(packed) == stratum.credits[order]).all()


@pytest.mark.parametrize("won", [0, 20])
def test_rows_that_are_all_alike_come_back(won: int, tmp_path: Path) -> None:
    made = result([row(str(i), 1.0 if i < won else -1.0) for i in range(20)])
    write_baseline(tmp_path / "b.json", made)
    tally = read_baseline(tmp_path / "b.json").tally(scheme_of("pairs").tally(made.scored))
    assert tally is not None
    assert tally.values["overall"] == won / 20


def test_ids_that_end_in_nul_are_kept_apart(tmp_path: Path) -> None:
    made = result([row("a\0", 1.0), row("a", -1.0)])
    write_baseline(tmp_path / "b.json", made)
    backward = scheme_of("pairs").tally(made.scored[::-1])
    tally = read_baseline(tmp_path / "b.json").tally(backward)
    assert tally is not None
    assert tally.strata["s"].credits[:, 0].tolist() == [0.0, 1.0]


def test_the_fingerprint_is_of_rows_and_texts_and_not_of_their_order_or_scores() -> None:
    first = fingerprint_items(SMALL)
    assert fingerprint_items(replace(SMALL, scored=SMALL.scored[::-1])) == first
    other = [
        replace(SMALL.scored[0], scores=SMALL.scored[0].scores[::-1]),
        *(replace(SMALL.scored[0], **{key: new}) for key, new in CHANGES.items()),
    ]
    same, *changed = (
        fingerprint_items(replace(SMALL, scored=(item, *SMALL.scored[1:]))) for item in other
    )
    assert same == first
    assert first not in changed
    assert fingerprint_items(replace(SMALL, scored=SMALL.scored[1:])) != first


CHANGES: dict[str, Any] = {"digest": "other", "id": "x", "subset": "t", "weight": 2.0}


def changed(path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    document = json.loads(path.read_text("utf-8"))
    change(document)
    path.write_text(json.dumps(document), "utf-8")
    return path


def put(key: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda document: document.update({key: value})


def put_rows(**values: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda document: document["credits"]["s"].update(values)


def encoded(*content: int) -> str:
    return base64.b64encode(bytes(content)).decode()


DAMAGE = {
    "no benchmark": lambda d: d.pop("benchmark"),
    "a benchmark that is no text": put("benchmark", None),
    "a definition that is no text": put("definition", ["demo"]),
    "a weighting that is no text": put("weighting", 5),
    "no weighting": put("weighting", None),
    "a fingerprint that is no text": put("items_sha256", None),
    "metrics that are a list": put("metrics", [1]),
    "a metric that is text": put("metrics", {"overall": "high"}),
    "a metric that is huge": put("metrics", {"overall": 10**400}),
    "no rows": lambda d: d.pop("credits"),
    "rows that are a list": put("credits", [1]),
    "a subset that is a number": put("credits", {"s": 1}),
    "no kinds": put_rows(kinds=[]),
    "kinds without columns": put_rows(kinds=[0.0, 1.0]),
    "kinds of several lengths": put_rows(kinds=[[0.0], [1.0, 2.0]]),
    "kinds that are text": put_rows(kinds=[["a"], ["b"]]),
    "kinds that are not a number": put_rows(kinds=[[float("nan")], [1.0]]),
    "kinds that are infinite": put_rows(kinds=[[float("inf")], [1.0]]),
    "kinds that are huge": put_rows(kinds=[[10**400], [1.0]]),
    "kinds of which one is missing": put_rows(kinds=[[1.0]]),
    "base64 cut within four characters": put_rows(codes=encoded(1, 2, 3)[:-1]),
    "base64 cut at four characters": put_rows(codes=""),
    "base64 with other characters": put_rows(codes="é###"),
    "a byte too few": put_rows(codes=encoded(255, 255)),
    "a byte too many": put_rows(codes=encoded(255, 255, 255, 255)),
    "codes that are a number": put_rows(codes=7),
    "half a code": put_rows(kinds=[[0.0], [0.5], [1.0]], codes=encoded(1, 2, 3)),
    "a code of no kind": put_rows(kinds=[[0.0], [0.5], [1.0]], codes=encoded(*[9, 0] * 20)),
    "fewer rows than codes": put_rows(rows=12),
    "more rows than codes": put_rows(rows=28),
    "more rows than memory": put_rows(rows=10**12),
    "no rows in a subset": put_rows(rows=0, codes=""),
    "rows below 0": put_rows(rows=-4),
    "rows that are no whole number": put_rows(rows=20.5),
    "rows that are text": put_rows(rows="20"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_baseline_is_named_in_one_line(
    damage: Callable[[dict[str, Any]], Any], path: Path
) -> None:
    changed(path, damage)
    before = path.read_bytes()
    with pytest.raises(BadData, match=r"baseline\.json: a damaged baseline; make it again$"):
        read_baseline(path)
    assert path.read_bytes() == before


NO_BASELINE = ["", "{", "[]", "[1]", "1", "null", "{}", '{"kind": "rmeval baseline"}', "[" * 99_999]


@pytest.mark.parametrize("text", [*NO_BASELINE, '{"kind": "x", "schema": 1}'])
def test_what_is_no_baseline_is_named(text: str, path: Path) -> None:
    path.write_text(text)
    with pytest.raises(BadData, match=r"baseline\.json: not a baseline; `rmeval baseline` makes"):
        read_baseline(path)


def test_bytes_that_are_no_text_are_no_baseline(path: Path) -> None:
    path.write_bytes(b"\xff\xfe" + path.read_bytes())
    with pytest.raises(BadData, match="not a baseline"):
        read_baseline(path)


def test_a_baseline_cut_anywhere_is_never_read_as_something_else(path: Path) -> None:
    whole = path.read_bytes()
    for length in range(0, len(whole) - 2, 7):
        path.write_bytes(whole[:length])
        with pytest.raises(BadData, match="not a baseline"):
            read_baseline(path)


def test_the_baseline_of_a_newer_rmeval_is_not_guessed_at(path: Path) -> None:
    with pytest.raises(BadData, match="schema 2, this rmeval reads 1; update rmeval"):
        read_baseline(changed(path, put("schema", 2)))


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"x\.json: No such file or directory; `rmeval baseline`"):
        read_baseline(tmp_path / "x.json")
    with pytest.raises(BadData, match="Is a directory"):
        read_baseline(tmp_path)


def test_the_rows_of_another_result_are_refused(path: Path) -> None:
    baseline = read_baseline(path)
    one = PAIRS.tally([row("1", 1.0)])
    with pytest.raises(BadData, match=r"baseline\.json .org/m.: its rows are not those"):
        baseline.tally(one)


def test_published_rows_are_there_for_models_that_have_one_the_nearest_first() -> None:
    """InternLM2-Reward's card and the leaderboard differ: 80.6 and 82.17."""
    known = measured("internlm/internlm2-1_8b-reward", lost=9)
    nearest, card = published_baselines(known)
    assert (card.weighting, card.items) == ("rewardbench-v1-2024-07", None)
    assert nearest.weighting == "rewardbench-v1"
    assert card.metrics == pytest.approx(
        {
            "overall": 0.806,
            "section/Chat": 0.95,
            "section/Chat Hard": 0.581,
            "section/Safety": 0.818,
            "section/Reasoning": 0.874,
        }
    )
    assert nearest.metrics["overall"] == pytest.approx(0.8217)
    assert card.tally({}) is None
    other = measured("org/unknown")
    with pytest.raises(BadOption, match=f"no published row for {other.model} on"):
        published_baselines(other)


def test_distance_is_the_mean_over_the_figures_that_all_rows_have() -> None:
    made = measured("org/m", lost=9)
    values = {name.partition("/")[2]: 100 * v for name, v in made.metrics.values.items()}
    figures = {"Score": 100 * made.metrics.values["overall"] - 1, "Chat": values["Chat"] + 3}
    facts = {"benchmark": "rewardbench", "model": "org/m", "type": "", "note": "", "date": ""}
    facts["weighting"] = "rewardbench-v1"
    near, far = (
        published_from({**facts, **figures, "source": "near", "Safety": 0}, "here"),
        published_from({**facts, **figures, "source": "far", "Chat": 50.0}, "here"),
    )
    found = nearest_first(made, [far, near])
    assert [one.row.source for one in found] == ["near", "far"]
    assert [one.apart for one in found] == pytest.approx([2.0, (1 + values["Chat"] - 50) / 2])
    (alone,) = nearest_first(made, [near])
    assert alone.apart == pytest.approx((1 + 3 + values["Safety"]) / 3)


def test_a_score_with_prior_in_it_is_made_again_of_its_sections_where_prior_was_not_measured() -> (
    None
):
    row = published_of("sfairXC/FsfairX-LLaMA3-RM-v0.1", "rewardbench")[1]
    assert (row.overall, row.sections["Prior"]) == (83.38, 74.92)
    figures = figures_of(row, measured().metrics.values)
    assert figures["overall"] == pytest.approx((99.44 + 65.13 + 86.76 + 86.44) / 4)
    assert "section/Prior" not in figures
    with_prior = figures_of(row, ["section/Prior"])
    assert (with_prior["overall"], with_prior["section/Prior"]) == (83.38, 74.92)


def test_a_published_column_is_the_section_subset_or_level_of_its_name() -> None:
    measured_names = ["overall", "section/chat", "subset/Ties", "overall/hard"]
    names = [metric_of(name, measured_names) for name in ("chat", "Ties", "hard", "none")]
    assert names == ["section/chat", "subset/Ties", "overall/hard", "section/none"]
    row = published_of("internlm/internlm2-7b-reward", "judgebench")[0]
    figures = figures_of(row, ["section/gpt-4o", "subset/gpt-4o/math"])
    assert figures["section/gpt-4o"] == 59.43
    assert figures["subset/gpt-4o/math"] == 71.43
    assert "overall" not in figures
