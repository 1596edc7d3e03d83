"""JudgeBench's rows: which response is better, whose they are, and what of."""

import json
from pathlib import Path
from typing import Any

import pytest
from published_layouts import read, refused, without, write

from rmeval import load_benchmark
from rmeval.metrics.accuracy import subset_rows
from rmeval.records import Message

GPT, CLAUDE = "gpt-4o-2024-05-13", "claude-3-5-sonnet-20240620"
ROW: dict[str, Any] = {
    "pair_id": "b5ce",
    "original_id": None,
    "source": "mmlu-pro-law",
    "question": "Who?",
    "response_model": GPT,
    "response_A": "She.",
    "response_B": "",
    "label": "A>B",
}


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "json"])
def test_the_label_says_which_response_is_chosen(suffix: str, tmp_path: Path) -> None:
    rows = [ROW, {**ROW, "label": "B>A", "response_model": CLAUDE}]
    first, second = read("judgebench", write(tmp_path / f"rows.{suffix}", rows))
    assert first.responses == ("She.", "")
    assert second.responses == ("", "She.")
    assert (first.id, second.id) == ("gpt-4o/b5ce", "claude-3.5/b5ce")
    assert first.prompt == (Message("user", "Who?"),)


@pytest.mark.parametrize(
    ("source", "category"),
    [
        ("mmlu-pro-law", "knowledge"),
        ("mmlu-pro-math", "knowledge"),
        ("mmlu-pro-computer science", "knowledge"),
        ("livebench-reasoning", "reasoning"),
        ("livebench-math", "math"),
        ("livecodebench", "coding"),
    ],
)
def test_the_source_gives_the_category(source: str, category: str, tmp_path: Path) -> None:
    (item,) = read("judgebench", write(tmp_path / "rows.jsonl", [{**ROW, "source": source}]))
    assert item.subset == f"gpt-4o/{category}"


def test_published_judgements_beside_the_data_are_not_rows(tmp_path: Path) -> None:
    name = f"dataset=judgebench,response_model={GPT}.jsonl"
    write(tmp_path / "data" / name, [ROW])
    write(tmp_path / "outputs" / name, [{**ROW, "pair_id": "judged"}])
    assert [item.id for item in read("judgebench", tmp_path)] == ["gpt-4o/b5ce"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"label": "A=B"}, "unknown label 'A=B'; did you mean 'A>B'?"),
        ({"label": None}, "column 'label' has no value"),
        ({"source": "arc"}, "unknown source 'arc'; known: mmlu-pro, livebench-reasoning,"),
        ({"source": "livecodebenc"}, "unknown source 'livecodebenc'; did you mean 'livecodeb"),
        ({"response_model": "gpt-4o"}, "unknown response_model 'gpt-4o'; known: gpt-4o-2024"),
        ({"response_B": ["x"]}, "column 'response_B' holds list, not text"),
        ({"pair_id": "b5ce"}, "id gpt-4o/b5ce is also that of rows.jsonl line 1"),
    ],
)
def test_a_flaw_names_file_and_row(change: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [ROW, {**ROW, "pair_id": "other", **change}])
    message = refused("judgebench", path)
    assert message.startswith("rows.jsonl line 2: ")
    assert complaint in message


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [without(ROW, "label")])
    assert "rows.jsonl line 1: no column label; found: pair_id" in refused("judgebench", path)


def test_the_publishers_own_files_are_read(shared: Path) -> None:
    benchmark = load_benchmark("judgebench", shared / "raw/judgebench")
    counts = subset_rows(benchmark.preferences)
    assert sum(counts.values()) == 80
    assert {subset.partition("/")[0] for subset in counts} == {"gpt-4o", "claude-3.5"}
    with (shared / f"raw/judgebench/{GPT}.jsonl").open(encoding="utf-8") as file:
        row = json.loads(file.readline())
    item = benchmark.find(f"gpt-4o/{row['pair_id']}")
    assert row["label"] == "A>B"
    assert item.responses == (row["response_A"], row["response_B"])
