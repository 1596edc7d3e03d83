"""Which token the reward is read from, by each rule."""

import numpy as np
import pytest
import torch
from fake_networks import network, reward
from hypothesis import given
from hypothesis import strategies as st
from tiny_families import family_tree, in_one_pack, tiny, tokens

from rmeval.engine.forward import forward_padded
from rmeval.engine.plan import LAST, Pool, lay_out, scored_place
from rmeval.engine.scoring import Engine, score_sequences
from rmeval.records import POOLS

PAD = 9


@pytest.mark.parametrize(
    ("ids", "last", "not_pad", "before_pad"),
    [
        ([5, 6, 7], 2, 2, 2),
        ([5, 6, PAD], 2, 1, 1),
        ([5, PAD, PAD], 2, 0, 0),
        ([5, PAD, 7], 2, 2, 0),  # in the middle of the text
        ([5, PAD, 7, PAD], 3, 2, 0),
        ([PAD, 6, 7], 2, 2, 2),  # before the first token stands none
        ([PAD, 6, PAD], 2, 1, 2),
        ([PAD, PAD], 1, 0, 1),  # everything is padding
        ([PAD], 0, 0, 0),
        ([5], 0, 0, 0),
    ],
)
def test_places_by_hand(ids, last, not_pad, before_pad):
    found = [scored_place(tokens(ids), Pool(rule, PAD)) for rule in POOLS]
    assert found == [last, not_pad, before_pad]
    assert {scored_place(tokens(ids), Pool(rule, None)) for rule in POOLS} == {len(ids) - 1}


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(0, 4))
def test_places_are_those_of_transformers_formulas(ids, pad):
    """The classes' own tensor code, new and old, on one sequence alone."""
    row = torch.tensor([ids])
    newer = (torch.arange(len(ids)) * (row != pad).int()).argmax(-1)
    older = (torch.eq(row, pad).int().argmax(-1) - 1) % row.shape[-1]
    assert scored_place(tokens(ids), Pool("last-not-pad", pad)) == int(newer)
    assert scored_place(tokens(ids), Pool("before-first-pad", pad)) == int(older)


def test_a_batch_pads_with_zeros_that_no_rule_takes_for_text():
    sequences = [[4, 0, 1], [7, 0], [0, 0], [1, 2, 3, 4, 5, 6]]
    for rule, kept in [("last", [3, 2, 2, 6]), ("last-not-pad", [3, 1, 1, 6])]:
        net = network(pool=Pool(rule, 0))
        expected = [reward(ids[:end]) for ids, end in zip(sequences, kept, strict=True)]
        assert score_sequences(net, sequences, Engine(10**6)) == expected


def test_a_layout_says_where_the_scored_tokens_are_even_in_what_is_shared():
    pack = [tokens(ids) for ids in ([1, 2, PAD], [1, 2, PAD, PAD], [1, 3])]
    assert lay_out(pack).scored.tolist() == lay_out(pack).ends.tolist() == [2, 3, 4]
    layout = lay_out(pack, Pool("last-not-pad", PAD))
    assert (layout.scored.tolist(), layout.ends.tolist()) == ([1, 1, 4], [2, 3, 4])


@pytest.mark.parametrize("name", ["llama", "gemma2"])
@pytest.mark.parametrize("rule", POOLS)
def test_packs_and_batches_read_the_state_of_the_scored_token(name, rule):
    """The states are causal, so they are those of the text that ends there."""
    net = tiny(name)
    tree = family_tree()
    pad = tree[0][4]  # which most of them share
    sequences = [np.array(ids) for ids in dict.fromkeys(map(tuple, [*tree, [*tree[0], pad, pad]]))]
    cut = [ids[: scored_place(ids, Pool(rule, pad)) + 1] for ids in sequences]
    expected = [forward_padded(net, [tokens(ids)])[0] for ids in cut]
    net.pool = Pool(rule, pad)
    try:
        together = forward_padded(net, [tokens(ids) for ids in sequences])
        packed = in_one_pack(net, sequences)
    finally:
        net.pool = LAST
    assert together == pytest.approx(expected, abs=1e-4)
    assert packed == pytest.approx(expected, abs=1e-4)
