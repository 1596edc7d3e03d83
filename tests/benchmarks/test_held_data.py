"""Data that is in memory is read as the same rows in a file are."""

import json

import pandas as pd
import pytest

import rmeval
from rmeval.errors import BadData, BadOption, UnknownName

datasets = pytest.importorskip("datasets")
ROWS = [
    {"prompt": "2 + 2?", "chosen": "4", "rejected": "5", "subset": "sums", "magnitude": 2},
    {"prompt": "Why?", "chosen": "So.", "rejected": "No.", "subset": "words", "magnitude": 0.5},
]
CHATS = [
    {
        "prompt": [{"role": "user", "content": "Cold in Oslo?"}],
        "chosen": [{"role": "assistant", "content": "Yes."}],
        "rejected": [{"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}],
    }
]


def held(rows):
    return {
        "list": rows,
        "frame": pd.DataFrame(rows),
        "dataset": datasets.Dataset.from_list(rows),
        "stream": datasets.Dataset.from_list(rows).to_iterable_dataset(),
        "chosen": datasets.Dataset.from_list([*rows, *rows]).select(range(len(rows))),
        "splits": datasets.DatasetDict(
            train=datasets.Dataset.from_list([rows[0]]), test=datasets.Dataset.from_list(rows)
        ),
    }


@pytest.mark.parametrize("kind", held(ROWS))
@pytest.mark.parametrize("rows", [ROWS, CHATS], ids=["texts", "chats"])
def test_rows_in_memory_are_those_of_a_file(kind, rows, tmp_path):
    file = tmp_path / ("test.jsonl" if kind == "splits" else "rows.jsonl")
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    expected = rmeval.load_benchmark(file)
    found = rmeval.load_benchmark(held(rows)[kind])
    assert found.preferences == expected.preferences
    assert found.digest == expected.digest
    assert found.layout.removeprefix("split test; ") == expected.layout
    assert found.definition == "pairs"


@pytest.fixture
def configured(tmp_path, monkeypatch):
    """A data set as it lies on the Hub: two configurations, each of two splits."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    card, folder = ["---", "configs:"], tmp_path / "repository"
    for name, row in (("sums", ROWS[0]), ("words", ROWS[1])):
        card += [f"- config_name: {name}", "  data_files:"]
        for split, chosen in (("train", "later"), ("test", row["chosen"])):
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / name / f"{split}.jsonl").write_text(json.dumps({**row, "chosen": chosen}))
            card += [f"  - split: {split}", f"    path: {name}/{split}.jsonl"]
    (folder / "README.md").write_text("\n".join([*card, "---", ""]))
    return folder


@pytest.mark.parametrize("streaming", [False, True])
def test_what_datasets_loads_by_configuration_and_split_is_what_its_file_holds(
    configured, streaming, tmp_path
):
    loaded = datasets.load_dataset(str(configured), "words", streaming=streaming)
    for split in ("train", "test"):
        expected = rmeval.load_benchmark(configured / "words" / f"{split}.jsonl").preferences
        assert rmeval.load_benchmark(loaded, split=split).preferences == expected
        assert rmeval.load_benchmark(loaded[split]).preferences == expected
        assert rmeval.load_benchmark(loaded[split].take(1)).preferences == expected
    assert rmeval.load_benchmark(loaded).layout.startswith("split test; ")
    if not streaming:
        loaded.save_to_disk(tmp_path / "saved")
        saved = rmeval.load_benchmark(tmp_path / "saved")
        assert saved.preferences == rmeval.load_benchmark(loaded["test"]).preferences


def test_a_file_takes_columns_as_on_the_command_line(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("question,chosen,rejected\nWhy?,So.,No.\n")
    found = rmeval.load_benchmark(file, columns={"prompt": "question"})
    assert (found.name, len(found)) == ("mine", 1)


def test_what_is_wrong_names_the_row():
    with pytest.raises(BadData, match="row 2: expected a mapping, not str"):
        rmeval.load_benchmark([ROWS[0], "row"])
    with pytest.raises(BadData, match="DataFrame row 2: column 'chosen' has no value"):
        rmeval.load_benchmark(pd.DataFrame([ROWS[0], {**ROWS[1], "chosen": None}]))
    with pytest.raises(BadData, match="a list in memory: no rows"):
        rmeval.load_benchmark([])
    with pytest.raises(BadData, match="int is not a benchmark; pass a name, a file"):
        rmeval.load_benchmark(3)
    with pytest.raises(BadData, match="the DataFrame: not a readable table"):
        rmeval.load_benchmark(pd.DataFrame({"prompt": ["a", 3], "chosen": "b", "rejected": "c"}))


def test_options_that_do_not_apply_are_refused():
    with pytest.raises(BadOption, match="split 'test': only a DatasetDict"):
        rmeval.load_benchmark(ROWS, split="test")
    with pytest.raises(BadOption, match="revision does not apply"):
        rmeval.load_benchmark(ROWS, revision="main")
    with pytest.raises(BadOption, match="columns does not apply"):
        rmeval.load_benchmark("demo", columns={"prompt": "question"})
    with pytest.raises(UnknownName, match="did you mean 'demo'"):
        rmeval.load_benchmark("dmeo")
    with pytest.raises(UnknownName, match="split of the DatasetDict 'dev'"):
        rmeval.load_benchmark(held(ROWS)["splits"], split="dev")
