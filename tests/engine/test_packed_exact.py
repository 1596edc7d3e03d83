"""A sequence's reward in a pack is its reward alone, whatever lies beside it."""

import numpy as np
import pytest
import torch
from checkpoints import golden_cases, load_golden
from conftest import GOLDEN
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_families import (
    PACKED,
    VOCABULARY,
    WINDOW,
    WINDOWED,
    alone,
    family_tree,
    in_one_pack,
    tiny,
)

from rmeval.engine.scoring import Engine, score_sequences

FAMILIES = [*PACKED, "internlm2"]
LAYOUTS = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())
CLOSE = {torch.float32: 5e-5, torch.float64: 1e-6}
dtypes = pytest.mark.parametrize("dtype", CLOSE, ids=lambda dtype: str(dtype)[6:])

# few ids, so that sequences repeat, are prefixes of others, and share more or less of them
some_sequences = st.lists(
    st.lists(st.sampled_from([3, 40]), min_size=1, max_size=3 * WINDOW), min_size=1, max_size=8
)


def packed(network, sequences, budget=10**6):
    return score_sequences(network, sequences, Engine(budget, packed=True))


def near(expected, dtype=torch.float32):
    return pytest.approx(expected, abs=CLOSE[dtype], rel=0)


@dtypes
@pytest.mark.parametrize("family", FAMILIES)
def test_in_a_pack_a_sequence_scores_as_alone(family, dtype):
    network, sequences = tiny(family, dtype), family_tree()
    expected = alone(network, sequences)
    assert max(expected) - min(expected) > 1
    assert in_one_pack(network, sequences) == near(expected, dtype)
    for budget in (1, 20, 45, 90):
        assert packed(network, sequences, budget) == near(expected, dtype)


@dtypes
@pytest.mark.parametrize("layout", LAYOUTS)
def test_golden_checkpoints_score_packed_as_alone(layout, dtype):
    network = load_golden(layout, str(dtype).removeprefix("torch.")).network
    sequences = golden_cases(GOLDEN / layout)[0]
    sequences = [*sequences, sequences[3][:1], sequences[3][:-1], [*sequences[3], 9]]
    expected = alone(network, sequences)
    for budget in (1, 300, 10**6):
        assert packed(network, sequences, budget) == near(expected, dtype)


@pytest.mark.parametrize("family", ["internlm2", "gemma3", "mistral", "gpt2"])
@settings(max_examples=12, deadline=None)
@given(sequences=some_sequences, budget=st.sampled_from([1, 7, 30, 10**6]))
def test_any_sequences_in_any_budget_score_as_alone(family, sequences, budget):
    network = tiny(family)
    assert packed(network, sequences, budget) == near(alone(network, sequences))


@settings(max_examples=8, deadline=None)
@given(random=st.randoms(use_true_random=False))
def test_order_and_duplicates_move_no_bit(random):
    network, sequences = tiny("llama"), family_tree()
    expected = packed(network, sequences)
    order = [random.randrange(len(sequences)) for _ in range(9)] + list(range(len(sequences)))
    random.shuffle(order)
    shuffled = packed(network, [sequences[index] for index in order])
    assert shuffled == [expected[index] for index in order]


@pytest.mark.parametrize("family", WINDOWED)
@pytest.mark.parametrize("shared", [0, 3, WINDOW, 2 * WINDOW + 3])
def test_beyond_twice_a_window_with_and_without_shared_prefixes(family, shared):
    network, draw = tiny(family), np.random.default_rng(1)
    prefix = draw.integers(0, VOCABULARY, shared).tolist()
    sequences = [prefix + draw.integers(0, VOCABULARY, own).tolist() for own in (30, 25, 19, 4, 1)]
    assert in_one_pack(network, sequences) == near(alone(network, sequences))


@pytest.mark.parametrize("family", ["qwen2", "gemma2", "gemma3"])
def test_the_windows_of_these_tests_are_felt(family, monkeypatch):
    """One token more in each window moves the reward by much more than these tests allow."""
    network, sequences = tiny(family), family_tree()[:1]
    before = in_one_pack(network, sequences)[0]
    for layer in network.backbone.layers:
        if layer.self_attn.sliding_window:
            monkeypatch.setattr(layer.self_attn, "sliding_window", WINDOW + 1)
    assert abs(in_one_pack(network, sequences)[0] - before) > 1e-2


@pytest.mark.parametrize("family", FAMILIES)
def test_a_changed_neighbour_moves_no_other_score(family):
    network, sequences = tiny(family), family_tree()
    before = in_one_pack(network, sequences)
    for changed in (0, 3, len(sequences) - 1):
        neighbours = list(sequences)
        neighbours[changed] = [*sequences[changed][:-1], 95 - sequences[changed][-1]]
        after = in_one_pack(network, neighbours)
        assert abs(after[changed] - before[changed]) > 1e-2
        assert after[:changed] + after[changed + 1 :] == near(
            before[:changed] + before[changed + 1 :]
        )


def pairs_of_one_prompt(count):
    """First and second of each pair in turn; they differ in their last token."""
    draw = np.random.default_rng(1)
    for _ in range(count):
        length = int(draw.integers(3, 28))
        first = draw.integers(0, VOCABULARY, length).tolist()
        yield first
        yield [*first[:-1], (first[-1] + 1) % VOCABULARY]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_half_precision_flips_no_more_verdicts_packed_than_padded(dtype):
    """Against float32, over 200 pairs; rounding decides a few of them, so 2 more are allowed."""
    sequences = list(pairs_of_one_prompt(200))

    def verdicts(precision, engine):
        scores = score_sequences(tiny("llama", precision), sequences, engine)
        return [a > b for a, b in zip(scores[::2], scores[1::2], strict=True)]

    exact = verdicts(torch.float32, Engine(512))
    by_packed, by_padded = (
        sum(a != b for a, b in zip(verdicts(dtype, engine), exact, strict=True))
        for engine in (Engine(512, packed=True), Engine(512))
    )
    assert by_packed <= by_padded + 2
    assert by_packed <= 10
