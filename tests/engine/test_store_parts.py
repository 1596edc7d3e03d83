"""Several files of one store: parts, damage to single scores, versions, and what is deleted."""

import shutil
import sqlite3

import pytest
from fake_networks import Adding, network, reward

from rmeval.engine.scoring import Engine, score_sequences
from rmeval.engine.store import SCHEMA, ScoreStore, drop_store, store_files
from rmeval.errors import OutputFailure

SETTINGS = {"model": "fake", "dtype": "float32"}
SEQUENCES = [[number, 1] for number in range(8)]  # with four tokens a batch: four batches of two
EXPECTED = [reward(sequence) for sequence in SEQUENCES]


def score(net, store):
    return score_sequences(net, SEQUENCES, Engine(4), store=store)


def change(path, statement, *values):
    with sqlite3.connect(path) as database:
        database.execute(statement, values)
    database.close()


def flip_a_byte(path, digest):
    with sqlite3.connect(path) as database:
        query = "SELECT rewards FROM batches WHERE digest = ?"
        blob = bytearray(database.execute(query, (digest,)).fetchone()[0])
        blob[3] ^= 1
        database.execute("UPDATE batches SET rewards = ? WHERE digest = ?", (bytes(blob), digest))
    database.close()


def digests(path):
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT digest FROM batches ORDER BY rowid").fetchall()
    database.close()
    return [row[0] for row in rows]


def many_kept(folder):
    """A store of 400 batches, on some dozen pages."""
    store = ScoreStore(folder, SETTINGS)
    store._database.execute("PRAGMA synchronous = OFF")  # no power will fail here
    for number in range(400):
        store.put(number.to_bytes(32), [float(number)] * 8)
    store.close()
    return store


def test_parts_see_each_others_scores_once_refreshed(tmp_path):
    zero, one = ScoreStore(tmp_path, SETTINGS), ScoreStore(tmp_path, SETTINGS, part=1)
    assert zero.path != one.path
    zero.put(b"a", [1.0])
    one.put(b"b", [2.0])
    zero.refresh()
    assert (zero.get(b"b"), one.get(b"a")) == ([2.0], [1.0])
    assert (len(zero), len(one)) == (1, 1)


def test_a_part_that_was_there_before_is_seen_at_once(tmp_path):
    ScoreStore(tmp_path, SETTINGS, part=2).put(b"a", [1.0])
    assert ScoreStore(tmp_path, SETTINGS).get(b"a") == [1.0]
    assert ScoreStore(tmp_path, {**SETTINGS, "dtype": "bfloat16"}).get(b"a") is None


@pytest.mark.parametrize("part", [0, 1])
def test_a_run_goes_on_from_another_part(tmp_path, part):
    score(network(), ScoreStore(tmp_path, SETTINGS, part=part))
    net = network()
    assert score(net, ScoreStore(tmp_path, SETTINGS, part=1 - part)) == EXPECTED
    assert net.backbone.calls == []


@pytest.mark.parametrize("part", [0, 1])
def test_a_batch_with_a_flipped_bit_is_computed_again_and_no_other(tmp_path, part):
    store = ScoreStore(tmp_path, SETTINGS, part=part)
    score(network(), store)
    store.close()
    flip_a_byte(store.path, digests(store.path)[1])
    net, again = network(), ScoreStore(tmp_path, SETTINGS)
    assert not again.damaged
    assert score(net, again) == EXPECTED
    assert net.backbone.calls == [[[2, 1], [3, 1]]]
    again.close()
    never = network(Adding(pytest.fail))
    assert score(never, ScoreStore(tmp_path, SETTINGS)) == EXPECTED


def test_what_is_sound_in_a_damaged_file_is_taken_over(tmp_path, caplog):
    store = many_kept(tmp_path)
    content = bytearray(store.path.read_bytes())
    content[-4096:] = b"\xff" * 4096
    store.path.write_bytes(content)
    again = ScoreStore(tmp_path, SETTINGS)
    assert again.damaged
    assert 200 < len(again) < 400
    for number in range(400):
        assert again.get(number.to_bytes(32)) in (None, [float(number)] * 8)
    assert f"{len(again)} groups recovered" in caplog.text


def test_a_sound_row_with_a_wrong_checksum_is_not_taken_over(tmp_path):
    store = many_kept(tmp_path)
    flip_a_byte(store.path, (3).to_bytes(32))
    content = bytearray(store.path.read_bytes())
    content[-4096:] = b"\xff" * 4096
    store.path.write_bytes(content)
    again = ScoreStore(tmp_path, SETTINGS)
    assert again.damaged
    assert again.get((2).to_bytes(32)) == [2.0] * 8
    assert again.get((3).to_bytes(32)) is None


def test_a_damaged_part_of_another_process_is_passed_over_with_a_word(tmp_path, caplog):
    other = ScoreStore(tmp_path, SETTINGS, part=1)
    score(network(), other)
    other.close()
    other.path.write_bytes(b"no database " * 500)
    assert score(network(), ScoreStore(tmp_path, SETTINGS)) == EXPECTED
    assert f"{other.path} is skipped" in caplog.text
    assert other.path.exists()


def test_a_file_cut_short_is_mended(tmp_path):
    store = ScoreStore(tmp_path, SETTINGS)
    score(network(), store)
    store.close()
    content = store.path.read_bytes()
    for size in (0, 17, 4096, len(content) - 100):
        store.path.write_bytes(content[:size])
        again = ScoreStore(tmp_path, SETTINGS)
        assert score(network(), again) == EXPECTED
        again.close()


@pytest.mark.parametrize("part", [0, 1])
def test_a_store_of_a_newer_version_is_left_alone(tmp_path, part):
    store = ScoreStore(tmp_path, SETTINGS, part=part)
    store.close()
    change(store.path, f"PRAGMA user_version = {SCHEMA + 1}")
    content = store.path.read_bytes()
    with pytest.raises(OutputFailure, match=r"newer rmeval.*`fresh=True`"):
        ScoreStore(tmp_path, SETTINGS)
    assert store.path.read_bytes() == content
    drop_store(tmp_path, SETTINGS)
    assert len(ScoreStore(tmp_path, SETTINGS)) == 0


def test_fresh_drops_every_part_of_one_setting_and_nothing_else(tmp_path):
    other = {**SETTINGS, "dtype": "bfloat16"}
    for settings, part in ((SETTINGS, 0), (SETTINGS, 1), (SETTINGS, 11), (other, 0), (other, 1)):
        store = ScoreStore(tmp_path, settings, part=part)
        store.put(b"a", [float(part)])
        store.close()
    drop_store(tmp_path, SETTINGS)
    assert len(list(tmp_path.glob("*.sqlite"))) == 2
    assert ScoreStore(tmp_path, SETTINGS).get(b"a") is None
    assert ScoreStore(tmp_path, other).get(b"a") == [0.0]


def test_nothing_is_dropped_where_nothing_is(tmp_path):
    drop_store(tmp_path / "missing", SETTINGS)


def test_the_files_of_stores_are_counted_with_their_settings(tmp_path):
    folders = [tmp_path / "b/x/store", tmp_path / "a/store", tmp_path / "a/other"]
    for folder in folders:
        score(network(), ScoreStore(folder, SETTINGS, part=3))
    shutil.copy(next(folders[0].iterdir()), folders[0] / "copy.damaged")
    found = list(store_files(tmp_path))
    assert [file.path.parent for file in found] == [folders[1], folders[0]]
    assert [(file.groups, file.rewards) for file in found] == [(4, 8)] * 2
    assert found[0].settings == SETTINGS


def test_files_that_are_no_stores_are_passed_over_with_a_word(tmp_path, caplog):
    ScoreStore(tmp_path / "store", SETTINGS).put(b"a", [1.0])
    (tmp_path / "store/text.sqlite").write_text("no database " * 500)
    (tmp_path / "store/empty.sqlite").write_text("")
    assert [file.rewards for file in store_files(tmp_path)] == [1]
    assert "text.sqlite is skipped" in caplog.text
    assert "empty.sqlite is skipped" in caplog.text


def damaged(path, first, last):
    """The file with pages of 4096 bytes overwritten, from `first` (of 0) to before `last`."""
    content = bytearray(path.read_bytes())
    content[27] ^= 1  # sqlite's count of changes: what it has read before, it reads again
    content[4096 * first : 4096 * last] = b"\xff" * 4096 * (last - first)
    return bytes(content)


def test_a_page_that_is_damaged_costs_its_own_rows_alone(tmp_path):
    """4096 bytes hold at most 39 rows of 104: digest, eight rewards, checksum, and sqlite's own."""
    store = many_kept(tmp_path)
    whole = store.path.read_bytes()
    for page in range(2, len(whole) // 4096, 3):
        store.path.write_bytes(whole)
        store.path.write_bytes(damaged(store.path, page, page + 1))
        again = ScoreStore(tmp_path, SETTINGS)
        assert 400 - len(again) <= 39
        again.close()


def test_a_file_cut_short_by_a_page_keeps_all_others(tmp_path, caplog):
    store = many_kept(tmp_path)
    store.path.write_bytes(store.path.read_bytes()[:-4096])
    again = ScoreStore(tmp_path, SETTINGS)
    assert again.damaged
    assert 400 - len(again) <= 39
    assert caplog.text.count("was damaged") == 1


@pytest.mark.parametrize("part", [0, 1])
def test_nothing_in_a_row_is_no_score(tmp_path, part):
    store = ScoreStore(tmp_path, SETTINGS, part=part)
    store.close()
    with sqlite3.connect(store.path) as database:
        database.execute("DROP TABLE batches")
        database.execute("CREATE TABLE batches (digest UNIQUE, rewards, checksum)")
        rows = [(b"a", None, None), (b"b", "text", 3), (b"c", b"12345678", None), (None,) * 3]
        database.executemany("INSERT INTO batches VALUES (?, ?, ?)", rows)
    database.close()
    again = ScoreStore(tmp_path, SETTINGS)
    assert [again.get(digest) for digest in (b"a", b"b", b"c")] == [None] * 3
    again.put(b"a", [2.0])
    assert again.get(b"a") == [2.0]


@pytest.mark.parametrize("part", [0, 1])
def test_damage_that_comes_late_costs_no_traceback(tmp_path, part, caplog):
    store = many_kept(tmp_path)
    if part:
        store.path.rename(store.path.with_name(f"{store.path.stem}.part-1.sqlite"))
    again = ScoreStore(tmp_path, SETTINGS)
    (path,) = (p for p in tmp_path.glob("*.sqlite") if p.stat().st_size > 40_000)
    path.write_bytes(damaged(path, 3, 12))
    values = [again.get(number.to_bytes(32)) for number in range(400)]
    assert set(map(str, values)) <= {"None", *(str([float(n)] * 8) for n in range(400))}
    again.put(b"new", [1.0])
    assert again.get(b"new") == [1.0]
    assert len(caplog.records) == 1


def test_a_full_disk_while_a_store_opens_is_not_called_another_run(tmp_path, monkeypatch):
    real = sqlite3.connect

    def full(*arguments, **options):
        database = real(*arguments, **options)
        database.execute("PRAGMA max_page_count = 1")
        return database

    monkeypatch.setattr(sqlite3, "connect", full)
    with pytest.raises(OutputFailure, match="full") as caught:
        ScoreStore(tmp_path, SETTINGS)
    assert "another run" not in str(caught.value)
