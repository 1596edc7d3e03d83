"""The demonstration rows, and what every benchmark can do: be limited, be told apart."""

from dataclasses import replace

import pytest

from rmeval import load_benchmark
from rmeval.benchmarks.rewardbench import ROWS
from rmeval.errors import BadOption, UnknownName
from rmeval.metrics.accuracy import subset_rows

DEMO = load_benchmark("demo")


def test_the_demo_has_sixteen_rows_of_each_subset() -> None:
    assert subset_rows(DEMO.preferences) == dict.fromkeys(ROWS, 16)
    assert DEMO.partial is None
    assert DEMO.revision is None


def test_the_demos_texts_and_ids_are_all_its_own() -> None:
    assert len({item.id for item in DEMO.preferences}) == 368
    assert len({item.prompt for item in DEMO.preferences}) == 368
    for item in DEMO.preferences:
        assert item.num_chosen == 1
        assert len(set(item.responses)) == 2
        assert all(text.strip() for text in (item.prompt[0].content, *item.responses))


def test_the_longer_response_does_not_give_the_answer_away() -> None:
    longer = [len(item.responses[0]) > len(item.responses[1]) for item in DEMO.preferences]
    assert 0.35 <= sum(longer) / len(longer) <= 0.65


@pytest.mark.parametrize("other", [{"data": "rows.csv"}, {"revision": "main"}])
def test_the_demo_takes_no_other_rows(other: dict[str, str]) -> None:
    with pytest.raises(BadOption, match="the demo benchmark ships with rmeval"):
        load_benchmark("demo", **other)


def test_an_unknown_benchmark_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match="'reward-bench'; did you mean 'rewardbench'"):
        load_benchmark("reward-bench")


def test_a_weighting_that_is_not_asked_for_is_todays() -> None:
    assert DEMO.scheme.check_weighting(None) == "rewardbench-v1"
    assert DEMO.scheme.check_weighting("rewardbench-v1-2024-07") == "rewardbench-v1-2024-07"
    with pytest.raises(UnknownName, match="did you mean 'rewardbench-v1'"):
        DEMO.scheme.check_weighting("rewardbench-1")


@pytest.mark.parametrize("limit", range(23, 368, 49))
def test_a_limit_spreads_over_every_subset(limit: int) -> None:
    limited = DEMO.limited(limit)
    assert len(limited) == limit
    assert set(subset_rows(limited.preferences)) == set(ROWS)
    assert limited.partial == f"{limit} of 368 rows, evenly spread"


def test_limited_rows_are_evenly_spread_and_in_order() -> None:
    every_sixteenth = DEMO.preferences[::16]
    assert DEMO.limited(23).preferences == every_sixteenth
    assert DEMO.limited(1).preferences == DEMO.preferences[:1]
    third = tuple(DEMO.preferences[place] for place in (0, 122, 245))
    assert DEMO.limited(3).preferences == third


@pytest.mark.parametrize("limit", [368, 369, 10**9])
def test_a_limit_of_all_rows_changes_nothing(limit: int) -> None:
    assert DEMO.limited(limit) == DEMO


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_of_no_row_is_refused(limit: int) -> None:
    with pytest.raises(BadOption, match=f"`limit={limit}`: at least one row is needed"):
        DEMO.limited(limit)


def test_the_digest_is_that_of_the_rows_and_their_order() -> None:
    assert load_benchmark("demo").digest == DEMO.digest
    assert replace(DEMO, name="other").digest == DEMO.digest
    assert DEMO.limited(367).digest != DEMO.digest
    assert replace(DEMO, preferences=DEMO.preferences[::-1]).digest != DEMO.digest


@pytest.mark.parametrize("field", ["id", "subset", "prompt", "responses", "num_chosen"])
def test_any_change_of_a_row_changes_the_digest(field: str) -> None:
    first, second, *_ = DEMO.preferences
    other = {"subset": "hep-go", "num_chosen": 2}.get(field, getattr(second, field))
    changed = replace(first, **{field: other})
    rows = (changed, *DEMO.preferences[1:])
    assert replace(DEMO, preferences=rows).digest != DEMO.digest


def test_text_that_moves_between_responses_changes_the_digest() -> None:
    first, *rest = DEMO.preferences
    one = replace(first, responses=("ab", "c"))
    other = replace(first, responses=("a", "bc"))
    digests = {replace(DEMO, preferences=(item, *rest)).digest for item in (one, other)}
    assert len(digests) == 2
