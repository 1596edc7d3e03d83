"""RewardBench 2's rows: which responses are correct, and what a row is called."""

from pathlib import Path
from typing import Any

import pytest
from published_layouts import read, refused, without, write

from rmeval import load_benchmark
from rmeval.records import Message

FOUR: dict[str, Any] = {
    "id": "3",
    "prompt": "How many?",
    "chosen": ["two"],
    "rejected": ["one", "", "four"],
    "num_correct": 1,
    "num_incorrect": 3,
    "total_completions": 4,
    "subset": "Math",
}
TIED: dict[str, Any] = {
    **FOUR,
    "id": "tied:0",
    "subset": "Ties",
    "chosen": ["red", "blue"],
    "rejected": ["dog"],
    "num_correct": 2,
    "num_incorrect": 1,
    "total_completions": 3,
}


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "json"])
def test_correct_responses_come_first_in_every_format(suffix: str, tmp_path: Path) -> None:
    write(tmp_path / f"data/test-00000-of-00001.{suffix}", [FOUR, TIED])
    four, tied = read("rewardbench-2", tmp_path)
    assert four.responses == ("two", "one", "", "four")
    assert (four.id, four.subset, four.num_chosen) == ("Math/3", "Math", 1)
    assert four.prompt == (Message("user", "How many?"),)
    assert tied.responses == ("red", "blue", "dog")
    assert (tied.id, tied.subset, tied.num_chosen) == ("tied:0", "Ties", 2)


def test_an_id_may_be_in_two_subsets_but_not_twice_in_one(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [FOUR, {**FOUR, "subset": "Focus"}])
    assert [item.id for item in read("rewardbench-2", path)] == ["Math/3", "Focus/3"]
    write(path, [FOUR, FOUR])
    assert refused("rewardbench-2", path) == (
        "rows.jsonl line 2: id Math/3 is also that of rows.jsonl line 1"
    )


def test_the_numbers_of_responses_need_not_be_stated(tmp_path: Path) -> None:
    bare = {key: FOUR[key] for key in ("id", "prompt", "chosen", "rejected", "subset")}
    (item,) = read("rewardbench-2", write(tmp_path / "rows.parquet", [bare]))
    assert item.num_chosen == 1


@pytest.mark.parametrize(
    ("row", "change", "complaint"),
    [
        (FOUR, {"chosen": ["a", "b"], "num_correct": 2, "total_completions": 5}, "2 chosen resp"),
        (FOUR, {"chosen": []}, "column 'chosen' is an empty list"),
        (FOUR, {"rejected": []}, "column 'rejected' is an empty list"),
        (FOUR, {"rejected": "one"}, "column 'rejected' holds str, not a list of texts"),
        (FOUR, {"rejected": ["a", None, "b"]}, "column 'rejected[2]' holds NoneType, not text"),
        (FOUR, {"num_correct": 2}, "num_correct is 2, but there are 1 responses"),
        (FOUR, {"num_incorrect": 2}, "num_incorrect is 2, but there are 3 responses"),
        (FOUR, {"total_completions": 3}, "total_completions is 3, but there are 4 responses"),
        (FOUR, {"num_correct": "1"}, "column 'num_correct' holds str, not a whole number"),
        (FOUR, {"num_correct": True}, "column 'num_correct' holds bool, not a whole number"),
        (FOUR, {"subset": "ties"}, "unknown subset 'ties'; did you mean 'Ties'?"),
        (FOUR, {"subset": "Zz"}, "unknown subset 'Zz'; known: Factuality, Precise IF, Math,"),
        (TIED, {"id": "0"}, "id '0' of Ties; it must be ref:N or tied:N"),
        (TIED, {"id": "tied:"}, "id 'tied:' of Ties"),
        (TIED, {"id": "other:1"}, "id 'other:1' of Ties"),
    ],
)
def test_a_flaw_names_file_and_row(
    row: dict[str, Any], change: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "rows.jsonl", [{**FOUR, "id": "1"}, {**row, **change}])
    message = refused("rewardbench-2", path)
    assert message.startswith("rows.jsonl line 2: ")
    assert complaint in message


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_the_numbers_of_responses_are_checked_where_they_are(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"rows.{suffix}", [{**FOUR, "num_incorrect": 2}])
    assert "num_incorrect is 2, but there are 3 responses" in refused("rewardbench-2", path)


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_a_missing_column_is_named(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"rows.{suffix}", [without(FOUR, "rejected")])
    assert "no column rejected; found: id, prompt, chosen" in refused("rewardbench-2", path)


def test_an_unknown_subset_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [{**FOUR, "subset": "\x1b[31mMath\n" + "x" * 999}])
    message = refused("rewardbench-2", path)
    assert message.isprintable()
    assert len(message) < 250


def test_rows_are_held_to_their_published_number(tmp_path: Path) -> None:
    benchmark = load_benchmark("rewardbench-2", write(tmp_path / "rows.jsonl", [FOUR, TIED]))
    assert benchmark.partial == (
        "2 rows instead of 1865: Factuality has 0 of 475 and 5 more subsets differ"
    )
