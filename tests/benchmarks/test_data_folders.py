"""Which files a path stands for: a file, a folder, the Hub's layout, the Hub's cache."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rmeval import load_benchmark
from rmeval.benchmarks.rewardbench import ROWS
from rmeval.errors import BadData, BadOption, Unreachable
from rmeval.metrics.accuracy import subset_rows

COMMIT = "0123456789abcdef0123456789abcdef01234567"
KNOWN = ".parquet, .arrow, .jsonl, .json, .csv, .jsonl.gz, .json.gz, .csv.gz"


def row(number: int) -> dict[str, object]:
    responses = {"chosen": "yes", "rejected": "no"}
    return {"prompt": f"p{number}", **responses, "subset": "hep-go", "id": number}


def write(path: Path, *numbers: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [row(number) for number in numbers]
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(item) + "\n" for item in rows))
    return path


def ids(path: Path) -> list[str]:
    return [item.id for item in load_benchmark("rewardbench", path).preferences]


def refused(path: Path) -> str:
    with pytest.raises(BadData) as caught:
        load_benchmark("rewardbench", path)
    return str(caught.value)


def test_in_a_hub_folder_only_the_wanted_split_is_read_in_order(tmp_path: Path) -> None:
    write(tmp_path / "data/filtered-00001-of-00002.parquet", 3)
    write(tmp_path / "data/filtered-00000-of-00002.parquet", 1, 2)
    write(tmp_path / "data/raw-00000-of-00001.parquet", 4)
    (tmp_path / "standin.csv").write_text("subset,rows\nhep-go,3\n")
    (tmp_path / "README.md").write_text("a card")
    assert ids(tmp_path) == ["1", "2", "3"]


def test_a_folder_with_one_file_of_any_name_needs_no_split(tmp_path: Path) -> None:
    write(tmp_path / "mine.jsonl", 5)
    assert ids(tmp_path) == ["5"]


def test_hidden_files_and_folders_are_not_read(tmp_path: Path) -> None:
    write(tmp_path / "mine.jsonl", 5)
    write(tmp_path / ".mine.jsonl", 6)
    write(tmp_path / ".cache/huggingface/mine.jsonl", 7)
    assert ids(tmp_path) == ["5"]


def test_an_id_in_two_files_names_both(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", 1)
    write(tmp_path / "b.jsonl", 2, 1)
    assert refused(tmp_path) == "b.jsonl line 2: id 1 is also that of a.jsonl line 1"


def test_a_folder_of_several_formats_is_ambiguous(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", 1)
    write(tmp_path / "a.parquet", 1)
    assert "which of a.jsonl, a.parquet? Pass the file itself" in refused(tmp_path)


def test_a_folder_without_rows_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    assert refused(tmp_path) == f"{tmp_path}: no {KNOWN} file in this folder"


def test_a_folder_that_is_called_like_a_file_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "old.csv").mkdir()
    assert f"no {KNOWN} file" in refused(tmp_path)


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "none") == f"{tmp_path / 'none'}: no such file or folder"


def test_a_file_of_another_kind_says_which_are_known(tmp_path: Path) -> None:
    (tmp_path / "rows.xlsx").write_text("")
    assert f"cannot read .xlsx; known: {KNOWN}" in refused(tmp_path / "rows.xlsx")


def test_a_revision_of_local_rows_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", 1)
    with pytest.raises(BadOption, match="revision"):
        load_benchmark("rewardbench", path, revision="main")


def test_rows_that_are_not_the_whole_benchmark_are_marked_partial(tmp_path: Path) -> None:
    benchmark = load_benchmark("rewardbench", write(tmp_path / "rows.jsonl", 1, 2))
    assert benchmark.partial is not None
    assert benchmark.partial.startswith("2 rows instead of 2985: alpacaeval-easy has 0 of 100")
    assert benchmark.revision is None


def test_the_stand_in_has_every_subset_whole(shared: Path) -> None:
    benchmark = load_benchmark("rewardbench", shared / "hub/reward-bench-standin")
    assert subset_rows(benchmark.preferences) == ROWS  # a dict: the order is not compared
    assert len(benchmark) == 2985
    assert benchmark.partial is None


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the Hub, and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "datasets--allenai--reward-bench"


def fill(cache: Path, file: str) -> None:
    (cache / "refs").mkdir(parents=True)
    (cache / "refs/main").write_text(COMMIT)
    write(cache / "snapshots" / COMMIT / file, 1, 2)


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_rows_in_the_hubs_cache_need_no_network(hub_cache: Path, revision: str | None) -> None:
    fill(hub_cache, "data/filtered-00000-of-00001.parquet")
    benchmark = load_benchmark("rewardbench", revision=revision)
    assert [item.id for item in benchmark.preferences] == ["1", "2"]
    assert benchmark.revision == COMMIT
    assert benchmark.provenance()["source"] == "allenai/reward-bench"


def test_a_cache_without_the_split_says_which_file_is_missing(hub_cache: Path) -> None:
    fill(hub_cache, "data/raw-00000-of-00001.parquet")
    with pytest.raises(Unreachable, match=r"has no data/filtered-\*; pass `data=FOLDER_OR_FILE`"):
        load_benchmark("rewardbench")


@pytest.mark.parametrize("revision", [None, "v2", COMMIT])
def test_without_network_and_cache_the_file_and_the_way_out_are_named(
    hub_cache: Path, revision: str | None
) -> None:
    with pytest.raises(Unreachable) as caught:
        load_benchmark("rewardbench", revision=revision)
    assert "data/filtered-* of dataset allenai/reward-bench" in str(caught.value)
    assert "pass `data=FOLDER_OR_FILE`" in str(caught.value)
    assert not hub_cache.exists() or not list(hub_cache.rglob("*.parquet"))


def test_a_hub_that_refuses_the_connection_is_one_line(tmp_path: Path) -> None:
    closed = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "rmeval", "run", "--benchmark", "rewardbench"],
        env={**os.environ, **closed},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "pass --data FOLDER_OR_FILE" in done.stderr
