"""Data of the user's own: files, folders and the Hub, their names, subsets and splits."""

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from own_rows import BOTH_TEXT, written

from rmeval.benchmarks.own import load_own
from rmeval.errors import BadData, BadOption, UnknownName, Unreachable
from rmeval.metrics.accuracy import subset_rows
from rmeval.metrics.pairs import PAIRS

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ROW = {"prompt": "hi", **BOTH_TEXT}


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows or (ROW,)))
    return path


def test_a_file_becomes_a_benchmark_of_pairs_called_like_it(tmp_path: Path) -> None:
    path = write(tmp_path / "my pairs.v2.jsonl", ROW, ROW)
    benchmark = load_own(str(path))
    assert (benchmark.name, benchmark.definition) == ("my-pairs.v2", "pairs")
    assert (benchmark.source, benchmark.revision) == (str(path), None)
    assert benchmark.scheme is PAIRS
    assert benchmark.partial is None
    assert benchmark.layout == "prompt: text; chosen: text; rejected: text"
    assert [item.id for item in benchmark.preferences] == ["1", "2"]
    assert subset_rows(benchmark.preferences) == {"my pairs.v2": 2}


@pytest.mark.parametrize(
    ("name", "safe"), [("..a", "a"), ("a:b\\c", "a-b-c"), ("Grüße", "Grüße"), (" ", "-")]
)
def test_the_name_can_be_that_of_a_folder(name: str, safe: str, tmp_path: Path) -> None:
    assert load_own(str(write(tmp_path / f"{name}.jsonl"))).name == safe


def test_a_home_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "rows.jsonl")
    assert len(load_own("~/rows.jsonl")) == 1


def test_a_folder_is_all_its_files_each_a_subset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "own/b.jsonl", ROW)
    write(tmp_path / "own/a.jsonl", ROW, ROW)
    write(tmp_path / "own/more/a.jsonl", ROW)
    (tmp_path / "own/about.json").write_text("{}")
    monkeypatch.chdir(tmp_path / "own")
    benchmark = load_own(".")
    assert benchmark.name == "own"
    assert subset_rows(benchmark.preferences) == {"a": 2, "b": 1, "more/a": 1}
    assert [item.id for item in benchmark.preferences] == ["1", "2", "3", "4"]


def test_files_of_a_folder_must_be_alike(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", ROW)
    write(tmp_path / "more/a.jsonl", {**ROW, "chosen": ["good"]})
    with pytest.raises(BadData, match=r"^more/a.jsonl line 1: .* in a.jsonl line 1 \(mixed"):
        load_own(str(tmp_path))


def test_a_folder_of_splits_is_its_test_split_or_the_one_that_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "test.jsonl", {**ROW, "prompt": "test"})
    write(tmp_path / "train.jsonl", {**ROW, "prompt": "train"})
    for split, expected in ((None, "test"), ("test", "test"), ("train", "train")):
        benchmark = load_own(str(tmp_path), split=split)
        assert [item.prompt[0].content for item in benchmark.preferences] == [expected]
        assert benchmark.layout is not None
        assert benchmark.layout.startswith(f"split {expected}; prompt: text")
    with pytest.raises(UnknownName, match="'dev'; known: test, train"):
        load_own(str(tmp_path), split="dev")


def test_a_split_or_a_revision_of_a_file_is_refused(tmp_path: Path) -> None:
    path = str(write(tmp_path / "rows.jsonl"))
    with pytest.raises(BadOption, match=r"`split='test'`: .* is one file"):
        load_own(path, split="test")
    with pytest.raises(BadOption, match="a data set's revision applies to the Hub"):
        load_own(path, revision="main")


@pytest.mark.parametrize(
    "source", ["nothing", "no/such.jsonl", "/no/such", "a/b/c", "", "a b/c", "x" * 5000, "~nobody"]
)
def test_a_source_that_is_neither_here_nor_a_hub_name_is_refused(source: str) -> None:
    with pytest.raises(BadData, match="no such file or folder, and not a data set ORG"):
        load_own(source)


def test_names_of_columns_are_checked_before_anything_is_read() -> None:
    with pytest.raises(UnknownName, match="'chose'; did you mean 'chosen'"):
        load_own("org/data", columns={"chose": "a"})


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet"])
def test_data_without_any_of_our_columns_says_what_it_has(suffix: str, tmp_path: Path) -> None:
    path = written(tmp_path, suffix, {"x": 1, "y": "a"}, {"x": 2, "y": "b"})
    with pytest.raises(BadData, match="no column chosen, rejected; found: x, y; pass `columns="):
        load_own(str(path))


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet"])
def test_a_file_that_is_no_data_is_refused(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"rows.{suffix}").write_bytes(b"\xff\xfe{")
    with pytest.raises(BadData, match=f"rows.{suffix}"):
        load_own(str(tmp_path / f"rows.{suffix}"))


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set in the Hub's cache, and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    folder = tmp_path / "datasets--org--pairs"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs/main").write_text(COMMIT)
    return folder / "snapshots" / COMMIT


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_a_data_set_on_the_hub_is_its_test_split(hub_cache: Path, revision: str | None) -> None:
    write(hub_cache / "data/test-00000-of-00002.jsonl", ROW, ROW)
    write(hub_cache / "data/test-00001-of-00002.jsonl", ROW)
    write(hub_cache / "data/train-00000-of-00001.jsonl", ROW)
    (hub_cache / "infos.json").write_text("{}")
    benchmark = load_own("org/pairs", revision=revision)
    assert (benchmark.name, benchmark.source) == ("org__pairs", "org/pairs")
    assert benchmark.revision == COMMIT
    assert subset_rows(benchmark.preferences) == {"test": 3}
    assert benchmark.layout is not None
    assert benchmark.layout.startswith("split test; ")


def test_folders_on_the_hub_are_subsets(hub_cache: Path) -> None:
    for folder in ("harmless-base", "helpful-base"):
        write(hub_cache / folder / "test.jsonl", ROW)
    subsets = subset_rows(load_own("org/pairs").preferences)
    assert subsets == {"harmless-base/test": 1, "helpful-base/test": 1}


def test_the_only_split_on_the_hub_is_taken_and_a_choice_is_the_users(hub_cache: Path) -> None:
    write(hub_cache / "filtered.jsonl", ROW)
    (hub_cache / "dataset_infos.json").write_text("{}")
    assert len(load_own("org/pairs")) == 1
    write(hub_cache / "raw.jsonl", ROW, ROW)
    with pytest.raises(BadOption, match="pass one of them as `split=`: filtered, raw"):
        load_own("org/pairs")
    assert len(load_own("org/pairs", split="raw")) == 2


def test_a_data_set_without_files_to_read_is_refused(hub_cache: Path) -> None:
    hub_cache.mkdir(parents=True)
    (hub_cache / "README.md").write_text("a card")
    with pytest.raises(BadData, match=r"data set org/pairs has no \.parquet"):
        load_own("org/pairs")


def test_files_of_several_kinds_in_a_split_are_ambiguous(hub_cache: Path) -> None:
    write(hub_cache / "test.jsonl", ROW)
    written(hub_cache, "csv", ROW).rename(hub_cache / "test.csv")
    with pytest.raises(BadData, match=r"org/pairs: which of test.csv, test.jsonl\?"):
        load_own("org/pairs")


def test_without_a_network_and_a_cache_it_is_one_line(hub_cache: Path) -> None:
    with pytest.raises(Unreachable, match="dataset other/pairs, but the Hub cannot be reached"):
        load_own("other/pairs")


def test_only_the_wanted_columns_of_a_parquet_file_are_read(tmp_path: Path) -> None:
    wide = {**ROW, "embedding": [0.5] * 1000}
    path = str(written(tmp_path, "parquet", *[wide] * 1000))
    load_own(path)  # imports what it needs
    tracemalloc.start()
    load_own(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6  # the embeddings alone would be 32 MB as Python's numbers


ROWS = {
    "gsm8k_pairs": 1163,
    "hh_rlhf_harmless": 2307,
    "judgebench": 620,
    "rewardbench_v1_exact14": 1693,
    "rm_bench": 798,
    "xstest_pairs": 380,
}


@pytest.mark.parametrize("name", ROWS)
def test_real_rows_load_whole(name: str, shared: Path) -> None:
    benchmark = load_own(str(shared / f"benchmarks/{name}.jsonl"))
    assert (benchmark.name.removeprefix("own-"), len(benchmark), benchmark.partial) == (
        name,
        ROWS[name],
        None,
    )
    num_chosen = 3 if name == "rm_bench" else 1
    assert {item.num_chosen for item in benchmark.preferences} == {num_chosen}
    assert {len(item.responses) for item in benchmark.preferences} == {2 * num_chosen}


def test_real_dialogues_survive_the_way_through_a_text(shared: Path, tmp_path: Path) -> None:
    expected = load_own(str(shared / "benchmarks/hh_rlhf_harmless.jsonl")).preferences
    speakers = {"user": "Human", "assistant": "Assistant"}
    rows = []
    for item in expected:
        chosen, rejected = (
            "".join(f"\n\n{speakers[role]}: {content}" for role, content in conversation)
            for conversation in item.conversations()
        )
        rows.append({"id": item.id, "subset": item.subset, "chosen": chosen, "rejected": rejected})
    benchmark = load_own(str(write(tmp_path / "hh.jsonl", *rows)))
    assert benchmark.preferences == expected
    assert benchmark.partial is None
    assert max(len(item.prompt) for item in expected) == 35


def test_data_called_like_a_benchmark_is_not_taken_for_it(tmp_path: Path) -> None:
    (tmp_path / "demo.jsonl").write_text('{"prompt": "p", "chosen": "a", "rejected": "b"}\n')
    assert load_own(str(tmp_path / "demo.jsonl")).name == "own-demo"


def test_what_was_left_out_is_still_told_of_a_part(tmp_path: Path) -> None:
    whole = {"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: q\n\nAssistant: b"}
    parted = {**whole, "rejected": "\n\nHuman: other\n\nAssistant: b"}
    rows = [whole, whole, parted]
    (tmp_path / "hh.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    partial = load_own(str(tmp_path / "hh.jsonl")).limited(1).partial
    assert partial is not None
    assert partial.startswith("2 of 3 rows; left out 1 ")
    assert partial.endswith("; 1 of 2 rows, evenly spread")


def test_gzipped_lines_are_read_and_cut_ones_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"prompt": "p", "chosen": "a", "rejected": "b"}\n' * 3))
    assert len(load_own(str(path)).preferences) == 3
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BadData, match=r"not a readable \.jsonl\.gz"):
        load_own(str(path))
