"""Which sequences share a pack, and how they lie in it: every distinct prefix once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_families import tokens

from rmeval.engine.plan import (
    KEYS_PER_TOKEN,
    common_prefix,
    lay_out,
    plan_packs,
    unique_tokens,
)

# few ids, so that much is shared; and ids of two to four bytes, so that their order is tried
alphabets = st.sampled_from([(0, 1), (0, 1, 2), (1, 255, 256, 65536, 2**31 - 1)])
sets_of_sequences = alphabets.flatmap(
    lambda ids: st.lists(
        st.lists(st.sampled_from(ids), min_size=1, max_size=12).map(tuple), unique=True, max_size=30
    )
)
budgets = st.integers(1, 60)


def plan(sequences, budget):
    """The packs, each a list of sequences, in the order in which they are computed."""
    packs = plan_packs([tokens(sequence) for sequence in sequences], budget)
    return [[sequences[index] for index in pack] for pack in packs]


def prefixes(sequences):
    return {tuple(s[:end]) for s in sequences for end in range(1, len(s) + 1)}


def laid_out(sequences):
    return lay_out([tokens(sequence) for sequence in sequences])


def paths_of(layout):
    return np.split(layout.paths, np.cumsum(layout.lengths)[:-1])


@given(sequences=sets_of_sequences, budget=budgets)
def test_every_sequence_is_in_exactly_one_pack(sequences, budget):
    packs = plan_packs([tokens(sequence) for sequence in sequences], budget)
    assert sorted(index for pack in packs for index in pack) == list(range(len(sequences)))
    assert all(packs)


@given(sequences=sets_of_sequences, budget=budgets)
def test_a_pack_is_within_its_unique_tokens_or_a_single_sequence(sequences, budget):
    for pack in plan(sequences, budget):
        assert len(pack) == 1 or len(prefixes(pack)) <= budget


@given(sequences=sets_of_sequences, budget=budgets)
def test_a_pack_gathers_few_keys_or_is_a_single_sequence(sequences, budget):
    for pack in plan(sequences, budget):
        assert len(pack) == 1 or sum(map(len, pack)) <= KEYS_PER_TOKEN * budget


@given(sequences=sets_of_sequences, budget=budgets)
def test_within_a_pack_sequences_are_in_lexicographic_order(sequences, budget):
    for pack in plan(sequences, budget):
        assert pack == sorted(pack)


@given(sequences=sets_of_sequences.filter(bool), budget=budgets)
def test_the_longest_sequence_is_in_the_first_pack(sequences, budget):
    assert max(map(len, plan(sequences, budget)[0])) == max(map(len, sequences))


@given(sequences=sets_of_sequences, budget=budgets, random=st.randoms(use_true_random=False))
def test_the_plan_does_not_know_the_order_of_the_input(sequences, budget, random):
    shuffled = random.sample(sequences, len(sequences))
    assert plan(shuffled, budget) == plan(sequences, budget)


@given(sequences=sets_of_sequences.filter(bool))
def test_in_one_pack_every_distinct_prefix_is_one_token(sequences):
    ordered = sorted(sequences)
    assert unique_tokens([tokens(s) for s in ordered]) == len(prefixes(ordered))
    assert len(laid_out(ordered).ids) == len(prefixes(ordered))
    assert len(plan(sequences, sum(map(len, sequences)))) == 1


@given(sequences=sets_of_sequences.filter(bool), budget=budgets)
def test_along_its_path_each_sequence_is_found_with_its_positions(sequences, budget):
    for pack in plan(sequences, budget):
        layout = laid_out(pack)
        for sequence, path, end in zip(pack, paths_of(layout), layout.ends, strict=True):
            assert tuple(layout.ids[path]) == sequence
            assert layout.positions[path].tolist() == list(range(len(sequence)))
            assert path[-1] == end


@given(sequences=sets_of_sequences.filter(bool))
def test_the_new_tokens_of_each_sequence_lie_together_at_the_end_of_its_path(sequences):
    ordered = sorted(sequences)
    layout = laid_out(ordered)
    starts = np.cumsum([0, *layout.new_lengths])
    for path, new, start in zip(paths_of(layout), layout.new_lengths, starts, strict=False):
        assert new >= 1
        assert path[len(path) - new :].tolist() == list(range(start, start + new))
        assert (path[: len(path) - new] < start).all()
    assert starts[-1] == len(layout.ids) == len(layout.positions)
    assert layout.lengths == list(map(len, ordered))


@given(a=st.lists(st.integers(0, 2), max_size=9), b=st.lists(st.integers(0, 2), max_size=9))
def test_a_common_prefix_is_as_long_as_it_can_be(a, b):
    size = common_prefix(tokens(a), tokens(b))
    assert a[:size] == b[:size]
    assert size == min(len(a), len(b)) or a[size] != b[size]


def test_a_layout_worked_by_hand():
    # 5 6 7 8: all new; 5 6 9: one new; 5 6 9 1 2: two new; 8: shares nothing
    layout = laid_out([(5, 6, 7, 8), (5, 6, 9), (5, 6, 9, 1, 2), (8,)])
    assert layout.ids.tolist() == [5, 6, 7, 8, 9, 1, 2, 8]
    assert layout.positions.tolist() == [0, 1, 2, 3, 2, 3, 4, 0]
    assert layout.new_lengths == [4, 1, 2, 1]
    assert layout.lengths == [4, 3, 5, 1]
    assert layout.paths.tolist() == [0, 1, 2, 3, *(0, 1, 4), *(0, 1, 4, 5, 6), 7]
    assert layout.ends.tolist() == [3, 4, 6, 7]


def test_a_plan_worked_by_hand():
    # in order: 1 1 | 1 1 2 | 1 3 3 3 | 2; unique 2, 3, 6, 7
    sequences = [(2,), (1, 3, 3, 3), (1, 1, 2), (1, 1)]
    assert plan(sequences, 7) == [[(1, 1), (1, 1, 2), (1, 3, 3, 3), (2,)]]
    assert plan(sequences, 6) == [[(1, 1), (1, 1, 2), (1, 3, 3, 3)], [(2,)]]
    # the pack of the longest comes first, the others keep their order
    assert plan(sequences, 5) == [[(1, 3, 3, 3), (2,)], [(1, 1), (1, 1, 2)]]
    assert plan(sequences, 1) == [[(1, 3, 3, 3)], [(1, 1)], [(1, 1, 2)], [(2,)]]


def test_many_answers_to_a_long_prompt_are_cut_by_the_keys_they_gather():
    # each answer is one new token, so unique tokens allow 21 of them; keys allow 16 x 220 / 200
    prompt = tuple(range(199))
    sequences = [(*prompt, answer) for answer in range(200, 220)]
    assert [len(pack) for pack in plan(sequences, 220)] == [17, 3]


def test_a_sequence_beyond_the_budget_is_alone_and_nothing_joins_it():
    assert plan([(1,), (2,) * 50, (3,)], 10) == [[(2,) * 50], [(1,)], [(3,)]]


@pytest.mark.parametrize("budget", [1, 10])
def test_nothing_is_planned_for_nothing(budget):
    assert plan_packs([], budget) == []
    assert unique_tokens([]) == 0
