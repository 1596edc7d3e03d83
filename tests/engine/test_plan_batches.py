"""Which sequences share a padded forward pass."""

from hypothesis import given
from hypothesis import strategies as st

from rmeval.engine.plan import plan_batches

lengths_of_any_kind = st.lists(st.integers(1, 60), max_size=40)
budgets = st.integers(1, 200)


@given(lengths=lengths_of_any_kind, budget=budgets, may_pad=st.booleans())
def test_every_sequence_is_in_exactly_one_batch(lengths, budget, may_pad):
    plan = plan_batches(lengths, budget, may_pad=may_pad)
    assert sorted(index for batch in plan for index in batch) == list(range(len(lengths)))
    assert all(plan)


@given(lengths=lengths_of_any_kind, budget=budgets, may_pad=st.booleans())
def test_a_batch_with_its_padding_is_within_budget_or_a_single_sequence(lengths, budget, may_pad):
    for batch in plan_batches(lengths, budget, may_pad=may_pad):
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget


@given(lengths=lengths_of_any_kind, budget=budgets)
def test_without_padding_a_batch_has_one_length(lengths, budget):
    for batch in plan_batches(lengths, budget, may_pad=False):
        assert len({lengths[index] for index in batch}) == 1


@given(lengths=lengths_of_any_kind, budget=budgets, may_pad=st.booleans())
def test_the_longest_come_first_and_equals_keep_their_order(lengths, budget, may_pad):
    order = [i for batch in plan_batches(lengths, budget, may_pad=may_pad) for i in batch]
    assert order == sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))


def test_a_plan_worked_by_hand():
    # two of width 5 fill ten; 4 and 3 make eight, and a third would make twelve
    assert plan_batches([3, 5, 4, 5, 2, 1], 10) == [(1, 3), (2, 0), (4, 5)]
    assert plan_batches([3, 5, 4, 5, 2, 1], 10, may_pad=False) == [(1, 3), (2,), (0,), (4,), (5,)]


def test_a_sequence_beyond_the_budget_is_alone_and_nothing_joins_it():
    assert plan_batches([1, 50, 1], 10) == [(1,), (0, 2)]


def test_the_budget_is_used_to_the_last_token():
    assert plan_batches([5, 5, 5], 15) == [(0, 1, 2)]
    assert plan_batches([5, 5, 5], 14) == [(0, 1), (2,)]


def test_nothing_is_planned_for_nothing():
    assert plan_batches([], 10) == []
