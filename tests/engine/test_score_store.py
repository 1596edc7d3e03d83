"""Scores that survive: what was computed is kept, found again, and never mixed with others."""

import sqlite3

import pytest
from fake_networks import Adding, network, reward

from rmeval.engine.scoring import Engine, score_sequences
from rmeval.engine.store import ScoreStore
from rmeval.errors import BadReward, OutputFailure

SETTINGS = {"model": "fake", "dtype": "float32"}
SEQUENCES = [[number, 1] for number in range(8)]  # with four tokens a batch: four batches of two
EXPECTED = [reward(sequence) for sequence in SEQUENCES]


def score(net, store, batch_tokens=4):
    return score_sequences(net, SEQUENCES, Engine(batch_tokens), store=store)


def interrupt_at(forward):
    """Raises KeyboardInterrupt, as Ctrl-C does, when the given forward pass begins."""
    passes = iter(range(1, 1000))

    def check(input_ids):
        if next(passes) == forward:
            raise KeyboardInterrupt

    return check


@pytest.mark.parametrize("forward", [1, 2, 4])
def test_an_interrupted_run_computes_only_the_rest_and_ends_the_same(tmp_path, forward):
    store = ScoreStore(tmp_path, SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        score(network(Adding(interrupt_at(forward))), store)
    store.close()
    again = ScoreStore(tmp_path, SETTINGS)
    assert len(again) == forward - 1
    net = network()
    assert score(net, again) == EXPECTED
    assert len(net.backbone.calls) == 4 - (forward - 1)


def test_a_finished_run_is_not_computed_again(tmp_path):
    score(network(), ScoreStore(tmp_path, SETTINGS))
    net = network()
    assert score(net, ScoreStore(tmp_path, SETTINGS)) == EXPECTED
    assert net.backbone.calls == []


def test_each_batch_is_kept_before_the_next_begins(tmp_path):
    store, kept = ScoreStore(tmp_path, SETTINGS), []

    def look(input_ids):
        with sqlite3.connect(store.path) as other:
            kept.append(other.execute("SELECT count(*) FROM batches").fetchone()[0])
        other.close()

    score(network(Adding(look)), store)
    assert kept == [0, 1, 2, 3]


def test_rewards_come_back_to_the_last_bit(tmp_path):
    store = ScoreStore(tmp_path, SETTINGS)
    rewards = [0.1, -1e-300, 3.0, 2.0**-1074]
    store.put(b"some", rewards)
    assert store.get(b"some") == rewards
    assert store.get(b"other") is None


def test_other_settings_have_another_file(tmp_path):
    score(network(), ScoreStore(tmp_path, SETTINGS))
    other = ScoreStore(tmp_path, {**SETTINGS, "dtype": "bfloat16"})
    assert len(other) == 0
    assert other.path != ScoreStore(tmp_path, SETTINGS).path
    assert ScoreStore(tmp_path, dict(reversed(SETTINGS.items()))).path != other.path
    assert len(ScoreStore(tmp_path, dict(reversed(SETTINGS.items())))) == 4


def test_a_batch_is_known_by_its_sequences_and_not_only_by_their_tokens(tmp_path):
    store = ScoreStore(tmp_path, SETTINGS)
    score_sequences(network(), [[1, 2], [3, 4]], Engine(100), store=store)
    net = network()
    values = score_sequences(net, [[1, 2, 3], [4]], Engine(100), store=store)
    assert values == [206.0, 4.0]
    assert len(net.backbone.calls) == 1


def test_a_reward_that_is_no_number_is_not_kept(tmp_path):
    class Nan(Adding):
        def forward(self, input_ids, use_cache):
            output = super().forward(input_ids, use_cache)
            output.last_hidden_state[:] = float("nan")
            return output

    store = ScoreStore(tmp_path, SETTINGS)
    with pytest.raises(BadReward):
        score(network(Nan()), store)
    assert len(store) == 0


def damage(path, how):
    content = path.read_bytes()
    page = b"\xff" * 2048
    path.write_bytes({"text": b"no database " * 500, "a page": content[:4096] + page}[how])


@pytest.mark.parametrize("how", ["text", "a page"])
def test_a_damaged_file_is_set_aside_and_its_scores_made_anew(tmp_path, how):
    store = ScoreStore(tmp_path, SETTINGS)
    score(network(), store)
    store.close()
    damage(store.path, how)
    content = store.path.read_bytes()
    again = ScoreStore(tmp_path, SETTINGS)
    assert again.damaged
    assert again.path.with_suffix(".damaged").read_bytes() == content
    assert score(network(), again) == EXPECTED
    assert len(again) == 4


def test_a_sound_file_is_not_called_damaged(tmp_path):
    assert not ScoreStore(tmp_path, SETTINGS).damaged
    assert not ScoreStore(tmp_path, SETTINGS).damaged


def test_a_file_in_place_of_the_folder_is_an_output_failure(tmp_path):
    (tmp_path / "taken").write_text("not a folder")
    with pytest.raises(OutputFailure, match="taken"):
        ScoreStore(tmp_path / "taken", SETTINGS)


def test_a_folder_in_place_of_the_file_is_an_output_failure(tmp_path):
    path = ScoreStore(tmp_path / "a", SETTINGS).path
    (tmp_path / "b" / path.name).mkdir(parents=True)
    with pytest.raises(OutputFailure, match=path.name):
        ScoreStore(tmp_path / "b", SETTINGS)


def test_a_disk_that_fills_up_is_an_output_failure_and_keeps_what_was_scored(tmp_path):
    store = ScoreStore(tmp_path, SETTINGS)
    store.put(b"first", [1.0])
    pages = store._database.execute("PRAGMA page_count").fetchone()[0]
    store._database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OutputFailure, match="are kept"):
        store.put(b"second", [0.0] * 10000)
    assert store.get(b"first") == [1.0]


def test_two_runs_may_use_one_file_in_turn(tmp_path):
    one, other = ScoreStore(tmp_path, SETTINGS), ScoreStore(tmp_path, SETTINGS)
    one.put(b"a", [1.0])
    other.put(b"b", [2.0])
    assert (one.get(b"b"), other.get(b"a")) == ([2.0], [1.0])
