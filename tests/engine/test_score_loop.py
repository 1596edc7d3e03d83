"""The one loop, over networks whose rewards are worked out by hand."""

import random
from types import SimpleNamespace

import pytest
import torch
from fake_networks import Adding, Mean, network, reward
from hypothesis import given, settings
from hypothesis import strategies as st

from rmeval.engine.scoring import Engine, MemoryStore, score_sequences
from rmeval.engine.workers import Workers
from rmeval.errors import BadOption, BadReward, OutputFailure, PeerLost
from rmeval.records import Progress

SEQUENCES = [[4, 1], [7], [1, 2, 3, 4], [0, 0, 0], [9, 9]]


def score(net, sequences, batch_tokens=8, **options):
    return score_sequences(net, sequences, Engine(batch_tokens), **options)


@pytest.mark.parametrize("batch_tokens", [1, 2, 4, 8, 10**9])
def test_scores_come_back_in_order_whatever_the_batching(batch_tokens):
    # sums, and a hundred for each step of the last token's position
    assert score(network(), SEQUENCES, batch_tokens) == [105.0, 7.0, 310.0, 200.0, 118.0]


@settings(max_examples=50)
@given(
    sequences=st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=9), max_size=12),
    batch_tokens=st.integers(1, 40),
)
def test_any_sequences_get_their_own_rewards(sequences, batch_tokens):
    expected = [reward(sequence) for sequence in sequences]
    assert score(network(), sequences, batch_tokens) == expected


def test_shuffled_sequences_have_shuffled_scores():
    order = [3, 0, 4, 2, 1]
    random.Random(0).shuffle(order)
    expected = [reward(SEQUENCES[index]) for index in order]
    assert score(network(), [SEQUENCES[index] for index in order]) == expected


def test_equal_sequences_are_computed_once():
    net = network()
    assert score(net, [[1, 2], [3], [1, 2], [1, 2], [3]]) == [103.0, 3.0, 103.0, 103.0, 3.0]
    assert sum(len(batch) for batch in net.backbone.calls) == 2


def test_sequences_that_begin_alike_are_not_equal():
    assert score(network(), [[1, 2], [1, 2, 0], [1]]) == [103.0, 203.0, 1.0]


def test_no_sequences_need_no_forward():
    net = network()
    assert score(net, []) == []
    assert net.backbone.calls == []


def test_a_network_that_pools_for_itself_gets_a_mask_over_real_tokens_only():
    net = network(Mean(), head=False)
    assert score(net, [[2, 4], [0, 0, 9], [5]], 100) == [3.0, 3.0, 5.0]
    assert net.backbone.calls == [[[1, 1, 1], [1, 1, 0], [1, 0, 0]]]


def test_what_may_not_be_padded_is_batched_by_length():
    net = network(Mean(), head=False, may_pad=False)
    assert score(net, [[2, 4], [1], [6, 6], [3]], 100) == [3.0, 1.0, 6.0, 3.0]
    assert net.backbone.calls == [[[1, 1], [1, 1]], [[1], [1]]]


def test_progress_counts_distinct_tokens_up_to_all_of_them():
    seen = []
    score(network(), [[1, 2, 3], [1, 2, 3], [4], [5, 6]], 3, on_progress=seen.append)
    assert seen == [Progress(3, 6, 9), Progress(5, 6, 9), Progress(6, 6, 9)]


class Broken(Adding):
    """Gives `value` for every sequence that holds the id 13."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, input_ids, use_cache):
        states = super().forward(input_ids, use_cache).last_hidden_state
        states[(input_ids == 13).any(1)] = self.value
        return SimpleNamespace(last_hidden_state=states)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("batch_tokens", [1, 100])
def test_a_reward_that_is_no_number_stops_the_run_and_names_its_sequence(value, batch_tokens):
    with pytest.raises(BadReward) as error:
        score(network(Broken(value)), [[1, 2, 3], [4], [5, 13], [6]], batch_tokens)
    assert error.value.index == 2
    assert "sequence 2" in str(error.value)


def test_of_equal_sequences_the_first_is_named():
    with pytest.raises(BadReward) as error:
        score(network(Broken(float("nan"))), [[1], [13], [13]])
    assert error.value.index == 1


def out_of_memory_above(tokens):
    def check(input_ids):
        if input_ids.numel() > tokens:
            raise torch.OutOfMemoryError("CUDA out of memory")

    return check


def test_out_of_memory_halves_the_batch_and_changes_no_score(caplog):
    net = network(Adding(out_of_memory_above(4)))
    assert score(net, SEQUENCES, 10**9) == [reward(sequence) for sequence in SEQUENCES]
    assert "continuing with 1/" in caplog.text


def test_a_sequence_that_alone_is_too_large_for_memory_is_an_option_to_change():
    net = network(Adding(out_of_memory_above(3)))
    with pytest.raises(BadOption, match=r"out of memory.*4 tokens.*`max_length=`"):
        score(net, SEQUENCES, 10**9)


class Late(MemoryStore):
    """What others have kept is seen after so many looks, as NFS shows a folder late."""

    def __init__(self, looks):
        super().__init__()
        self.looks, self.hidden = looks, False

    def get(self, digest):
        return None if self.hidden else super().get(digest)

    def refresh(self):
        self.looks -= 1
        self.hidden = self.looks > 0


def two_of():
    """The place of rank 0 of two; the other says what it says."""
    peers = SimpleNamespace(
        gather=lambda value: [value, value],
        require_all=lambda: None,
        require_in_touch=lambda: None,
    )
    return Workers(0, 1, peers), Workers(0, 2, peers)


def test_what_others_have_kept_is_waited_for(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    one, two = two_of()
    store, sequences = Late(1), [[number, 1] for number in range(8)]
    score(network(), sequences, 4, store=store, workers=one)  # as the other would have
    store.looks = 4
    found = score(network(), sequences, 4, store=store, workers=two)
    assert found == list(map(reward, sequences))
    assert store.looks == 0


def test_what_never_comes_is_said_in_one_line_and_nothing_is_made_up(monkeypatch):
    monkeypatch.setattr("rmeval.engine.scoring.LATEST_SEEN", 0.2)
    store = Late(10**6)
    with pytest.raises(OutputFailure, match=r"^4 of 4 groups that were scored are not to be seen"):
        score(network(), [[n, 1] for n in range(8)], 4, store=store, workers=two_of()[1])


def test_a_process_that_was_stopped_keeps_nothing_more_and_others_gone_stop_it():
    def gone():
        raise PeerLost("gone")

    _, two = two_of()
    for name, forwards in (("require_in_touch", 1), ("require_all", 0)):
        peers = SimpleNamespace(**{**vars(two.peers), name: gone})
        net, store = network(), MemoryStore()
        with pytest.raises(PeerLost):
            score(net, SEQUENCES, store=store, workers=Workers(0, 2, peers))
        assert (len(net.backbone.calls), store) == (forwards, {})


@pytest.mark.parametrize(("rank", "kept"), [(0, 5), (1, 0)])
def test_of_processes_that_hold_a_part_each_all_compute_all_and_one_keeps_it(
    monkeypatch, rank, kept
):
    monkeypatch.setattr("rmeval.engine.scoring._Todo.await_all", lambda *_: None)
    peers, net, store = two_of()[1].peers, network(), MemoryStore()
    peers.gather = lambda said: [[list(range(5)), said[1]], said] if said else [said, said]
    workers = Workers(rank, 2, peers, together=True)
    try:
        score_sequences(net, SEQUENCES, Engine(1, processes=2), store=store, workers=workers)
    except AssertionError:  # rank 0's part would be there now
        assert rank == 1
    assert (len(net.backbone.calls), len(store)) == (5, kept)


def test_processes_that_hold_a_part_each_never_go_ways_of_their_own():
    engine = Engine(10**9, processes=2)
    assert score_sequences(network(), SEQUENCES, engine) == list(map(reward, SEQUENCES))
    with pytest.raises(BadOption, match=r"workers=join_workers\(together=True\)"):
        score_sequences(network(), SEQUENCES, engine, store=MemoryStore())
    net = network(Adding(out_of_memory_above(4)))
    with pytest.raises(BadOption, match="in one of several processes: use a smaller `batch_tok"):
        score_sequences(net, SEQUENCES, engine)
    assert len(net.backbone.calls) <= 1
