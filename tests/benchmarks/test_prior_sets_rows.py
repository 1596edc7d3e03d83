"""The prior sets: which files are splits, and whose turn is whose."""

from pathlib import Path
from typing import Any

import pytest
from published_layouts import read, refused, turns, without, write

from rmeval import load_benchmark
from rmeval.records import Message

ROW: dict[str, Any] = {
    "prompt": turns("Where to?", "Home.", "Why?"),
    "chosen": "It is late.",
    "rejected": "",
    "subset": "test",  # the publisher's own column says something else
    "id": 12,
}


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_a_file_named_after_a_split_is_that_subset(suffix: str, tmp_path: Path) -> None:
    write(tmp_path / f"data/shp-00000-of-00001.{suffix}", [ROW])
    (item,) = read("prior-sets", tmp_path)
    assert (item.id, item.subset) == ("shp/12", "shp")
    assert item.prompt == (
        Message("user", "Where to?"),
        Message("assistant", "Home."),
        Message("user", "Why?"),
    )
    assert item.responses == ("It is late.", "")
    assert item.num_chosen == 1


def test_ids_repeat_over_splits_and_other_splits_are_not_read(tmp_path: Path) -> None:
    for split in ("shp", "anthropic_hhh", "anthropic_harmless", "mtbench_gpt4"):
        write(tmp_path / f"{split}-00000-of-00001.parquet", [ROW])
    write(tmp_path / "summarize_prompted.parquet", [ROW])
    assert {item.id for item in read("prior-sets", tmp_path)} == {"shp/12", "anthropic_hhh/12"}


@pytest.mark.parametrize("name", ["shp.jsonl", "shp-00000-of-00001.jsonl"])
def test_one_file_may_be_a_split_by_its_name(name: str, tmp_path: Path) -> None:
    (item,) = read("prior-sets", write(tmp_path / name, [without(ROW, "subset")]))
    assert item.subset == "shp"


def test_one_file_of_another_name_says_the_split_in_a_column(tmp_path: Path) -> None:
    rows = [{**ROW, "subset": "summarize"}, {**ROW, "subset": "anthropic_helpful"}]
    found = read("prior-sets", write(tmp_path / "mine.jsonl", rows))
    assert [item.id for item in found] == ["summarize/12", "anthropic_helpful/12"]


@pytest.mark.parametrize("prompt", ["Where to?", ["Where to?"], turns("Where to?")])
def test_a_prompt_of_one_turn_is_text_texts_or_messages(prompt: object, tmp_path: Path) -> None:
    (item,) = read("prior-sets", write(tmp_path / "shp.jsonl", [{**ROW, "prompt": prompt}]))
    assert item.prompt == (Message("user", "Where to?"),)


def test_turns_alternate_whatever_roles_stand_there(tmp_path: Path) -> None:
    wrong = [{"role": "assistant", "content": text} for text in "abc"]
    (item,) = read("prior-sets", write(tmp_path / "shp.jsonl", [{**ROW, "prompt": wrong}]))
    assert [turn.role for turn in item.prompt] == ["user", "assistant", "user"]


def test_rows_are_held_to_their_published_number(tmp_path: Path) -> None:
    benchmark = load_benchmark("prior-sets", write(tmp_path / "shp.jsonl", [ROW]))
    assert benchmark.partial == (
        "1 rows instead of 17154: anthropic_helpful has 0 of 6192 and 3 more subsets differ"
    )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"prompt": []}, "row 2: the prompt has 0 turns; the last must be a user's"),
        ({"prompt": turns("a", "b")}, "the prompt has 2 turns; the last must be a user's"),
        ({"prompt": [{"role": "user"}]}, "row 2: column 'prompt': a message needs text"),
        ({"prompt": [1]}, "row 2: column 'prompt': a message needs text"),
        ({"prompt": 1.5}, "row 2: column 'prompt' holds float, not text"),
        ({"chosen": None}, "row 2: column 'chosen' has no value"),
        ({"rejected": ["no"]}, "row 2: column 'rejected' holds list, not text"),
        ({"id": 12}, "shp.json row 2: id shp/12 is also that of shp.json row 1"),
    ],
)
def test_a_flaw_names_file_and_row(change: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    path = write(tmp_path / "shp.json", [ROW, {**ROW, "id": 13, **change}])
    message = refused("prior-sets", path)
    assert message.startswith("shp.json row 2: ")
    assert complaint in message


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    message = refused("prior-sets", write(tmp_path / "shp.jsonl", [without(ROW, "rejected")]))
    assert message.startswith("shp.jsonl line 1: no column rejected; found: prompt, chosen")


def test_an_unknown_split_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.jsonl", [{**ROW, "subset": "sumarize"}])
    assert refused("prior-sets", path) == (
        "mine.jsonl line 1: unknown subset 'sumarize'; did you mean 'summarize'?"
    )


def test_a_folder_without_any_of_the_splits_says_what_was_looked_for(tmp_path: Path) -> None:
    write(tmp_path / "pku_safer.jsonl", [ROW])
    assert "named anthropic_helpful, anthropic_hhh, shp, summarize" in refused(
        "prior-sets", tmp_path
    )
