"""Served rewards against a model's own: every mistake is named, and what is right raises no alarm.

The engine's side is transformers' own class in the engine's dtype, head and all, which shares no
code with what computes the expectation.
"""

import json
from functools import cache
from pathlib import Path
from statistics import fmean, pstdev

import numpy as np
import pytest
from readable import load
from served import COUNTS, WRONG, Served, random_llama

from rmeval.engines.parity import Told, judge, measure, rank_correlation, written_in
from rmeval.models.doctor.expected import expect, expect_right, in_other_dtypes, probe_rows
from rmeval.models.doctor.mistakes import RIGHT, Expected

SEEDS = (1, 3)
LONGEST = 1200  # tokens of a row, for the time that it takes


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    root = tmp_path_factory.mktemp("models")
    return {seed: random_llama(root / str(seed), seed) for seed in (*SEEDS, 9)}


@pytest.fixture(scope="module")
def known(folders: dict[int, Path]):
    @cache
    def of(seed: int) -> Expected:
        model = load(folders[seed])
        return in_other_dtypes(model, expect(model, probe_rows(model, LONGEST)))

    return of


@pytest.fixture(scope="module")
def served(folders: dict[int, Path]):
    return cache(lambda seed, dtype: Served(folders[seed], dtype))


def ids_of(expected: Expected) -> list[list[int]]:
    return [row.ids[RIGHT.text] for row in expected.rows]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_right_raises_no_alarm(known, served, seed, dtype):
    expected = known(seed)
    ids = ids_of(expected)
    rewards = [served(seed, dtype).reward(one) for one in ids]
    for tokens in (None, list(map(len, ids))):
        check = judge("ids", Told(rewards, tokens), expected)
        assert check.status == ("pass" if dtype == "float32" else "warn"), check
        assert ("only rounding: computed in bfloat16" in check.finding) == (dtype == "bfloat16")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", WRONG)
def test_every_mistake_is_named(known, served, seed, dtype, name):
    expected = known(seed)
    ids = ids_of(expected)
    rewards = [WRONG[name](served(seed, dtype), one) for one in ids]
    counts = [COUNTS.get(name, int)(len(one)) for one in ids]
    for tokens in (counts, None):
        check = judge("ids", Told(rewards, tokens), expected)
        assert check.status == "fail"
        assert f"why: {name}" in check.finding, check.finding


def scored_in(known, served, seed=1, dtype="float32"):
    expected = known(seed)
    return expected, [served(seed, dtype).reward(one) for one in ids_of(expected)]


def test_mean_and_standard_deviation_taken_out_is_named_with_its_numbers(known, served):
    expected, rewards = scored_in(known, served)
    mean, spread = fmean(rewards), pstdev(rewards)
    check = judge("ids", Told([(r - mean) / spread for r in rewards]), expected)
    assert (
        f"why: the reward scaled and shifted, {1 / spread:.3g} r {-mean / spread:+.3g}"
        in check.finding
    )


def test_another_checkpoint_is_told_by_the_rank_correlation(known, served):
    expected = known(1)
    rewards = [served(9, "float32").reward(one) for one in ids_of(expected)]
    check = judge("ids", Told(rewards, list(map(len, ids_of(expected)))), expected)
    found = f"rank correlation {rank_correlation(rewards, expected.right):.2f}"
    assert check.status == "fail"
    assert f"nothing known explains it, {found}: another checkpoint?" in check.finding
    assert "same numbers of tokens" in check.finding


def test_other_tokens_that_no_mistake_reads_are_another_template(known, served):
    expected = known(1)
    rewards = [served(1, "float32").reward([5, 6, 7, *one]) for one in ids_of(expected)]
    told = Told(rewards, [len(one) + 3 for one in ids_of(expected)])
    check = judge("messages", told, expected)
    assert "+3 tokens in 17 of 17 rows" in check.finding
    assert "another chat template or tokenizer" in check.finding
    assert "own chat template" in check.advice


def test_equal_rewards_with_other_tokens_are_not_the_same(known, served):
    expected, rewards = scored_in(known, served)
    told = Told(rewards, [len(one) + 1 for one in ids_of(expected)])
    assert judge("text", told, expected).status == "fail"


def test_a_cut_to_an_unusual_length_is_found_by_the_lengths_of_what_differs(known, served):
    expected = known(1)
    rewards = [served(1, "float32").reward(one[:401]) for one in ids_of(expected)]
    check = judge("text", Told(rewards), expected)
    lengths = sorted(len(one) for one in ids_of(expected) if len(one) > 401)
    assert f"those of {lengths[0]} tokens and more, so they are cut" in check.finding


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.25, "all 17 rewards are 0.25"), (float("nan"), "17 of 17 rewards are no numbers")],
)
def test_rewards_that_say_nothing(known, value, words):
    expected = known(1)
    rows = expected.only(range(17))
    check = judge("ids", Told([value] * 17), rows)
    assert (check.status, words) == ("fail", check.finding)


def test_a_measure_is_the_largest_difference_and_its_share_of_the_spread():
    found = measure([1.0, 2.5, 3.0], [1.0, 2.0, 3.0])
    assert found == (0.5, pytest.approx(0.5 / pstdev([1, 2, 3])), 3)


def test_rank_correlation_is_spearmans():
    assert rank_correlation([1, 2, 3, 4], [10, 30, 20, 90]) == pytest.approx(0.8)
    assert rank_correlation([1, 1, 2], [1, 2, 3]) == pytest.approx(3**0.5 / 2)  # as scipy has it


def test_of_a_row_that_is_right_nothing_more_is_computed(folders):
    model = load(folders[1])
    expected = expect_right(model, probe_rows(model, 300))
    assert list(expected.rewards["float32"]) == [RIGHT]
    assert expected.right == model.score_tokens(ids_of(expected))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("max_len", "dtype"), [(256, "bfloat16"), (512, "bfloat16"), (256, "float32")]
)
def test_openrlhfs_server_cuts_from_the_right_in_bfloat16(
    known, served, folders, seed, max_len, dtype
):
    """It counts no tokens and computes in bfloat16, head and all; the end of long texts is lost."""
    expected, tokenizer = known(seed), load(folders[seed]).tokenizer
    texts = [row.text for row in expected.rows]
    rewards = served(seed, dtype).as_openrlhf(tokenizer, texts, max_len)
    check = judge("rendered text", Told(rewards), expected)
    assert f"why: cut to {max_len} tokens, the end lost" in check.finding, check.finding
    assert ("in bfloat16" in check.finding) == (dtype == "bfloat16")


@pytest.mark.parametrize(("folder", "dtype"), [("bf16-maxlen256", "bfloat16"), ("float32", None)])
def test_recorded_rewards_of_openrlhf_say_in_which_dtype_they_were_made(shared, folder, dtype):
    recorded = sorted((shared / "engines/openrlhf-serve_rm-3c3be623" / folder).glob("*.json"))
    answers = [json.loads(file.read_text())["response"] for file in recorded]
    rewards = [r for one in answers if isinstance(one, dict) for r in one.get("rewards", ())]
    assert len(set(rewards)) in (2, 3)
    assert written_in([*rewards, 1.5]) == dtype


@pytest.mark.parametrize(
    ("rewards", "dtype"),
    [
        ([0.5, 1.25, -3.0], "bfloat16"),
        ([0.1, 0.2, 0.3], None),
        ([float(np.float16(r)) for r in (0.1, 0.2, 0.3)], "float16"),
        ([1.0, 1.0, 1.0], None),
    ],
)
def test_rewards_that_are_all_numbers_of_a_half_precision(rewards, dtype):
    assert written_in(rewards) == dtype
