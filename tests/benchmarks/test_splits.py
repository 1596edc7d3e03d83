"""Which files of a data set are read: no training rows for test rows, and no part of a split."""

import pytest

from rmeval.benchmarks.reading.splits import choose_split, split_name
from rmeval.errors import BadData, BadOption, UnknownName


def chosen(*files: str, split: str | None = None, or_all: bool = False) -> tuple[str | None, str]:
    name, wanted = choose_split(files, split, "org/data", or_all=or_all)
    return name, " ".join(wanted)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("test.jsonl", "test"),
        ("test.jsonl.gz", "test"),
        ("data/test_prefs-00000-of-00001.parquet", "test_prefs"),
        ("data/test-00000-of-00002-0123456789abcdef.parquet", "test"),
        ("my.rows.csv", "my.rows"),
        ("gpt-4-of-5.jsonl", "gpt-4-of-5"),
    ],
)
def test_a_split_is_called_as_its_files_are(file: str, name: str) -> None:
    assert split_name(file) == name


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ("train.csv test.csv validation.csv", "test"),
        ("train.csv validation.csv", "validation"),
        ("train.csv dev.csv", "dev"),
        ("train_prefs.csv test_prefs.csv", "test_prefs"),
        ("TRAIN.csv Test.csv", "Test"),
        ("train.csv", "train"),
        ("filtered.csv", "filtered"),
    ],
)
def test_the_test_split_comes_first_then_validation_then_the_only_one(
    files: str, name: str
) -> None:
    assert chosen(*files.split()) == (name, f"{name}.csv")


@pytest.mark.parametrize(
    ("files", "shown"),
    [
        ("filtered.csv raw.csv", "filtered, raw"),
        ("train_b.csv train_a.csv", "train_a, train_b"),
        ("train.csv test_prefs.csv test_gen.csv", "test_gen, test_prefs"),
        ("train.csv contest.csv", "contest, train"),
    ],
)
def test_a_choice_is_the_users_and_the_splits_are_named(files: str, shown: str) -> None:
    with pytest.raises(BadOption, match=rf"pass one of them as `split=`: {shown}$"):
        chosen(*files.split())


def test_a_split_that_is_asked_for_is_taken() -> None:
    files = ["train.csv", "test_prefs.csv", "test_gen.csv", "test.csv"]
    assert chosen(*files, split="train") == ("train", "train.csv")
    assert chosen(*files, split="test_gen") == ("test_gen", "test_gen.csv")
    assert chosen(*files, split="test") == ("test", "test.csv")
    assert chosen("train.csv", "test_prefs.csv", split="test") == ("test_prefs", "test_prefs.csv")
    with pytest.raises(BadOption, match="`split=`: test_gen, test_prefs"):
        chosen(*files[:3], split="test")
    with pytest.raises(UnknownName, match="split of org/data 'tset'; did you mean 'test'"):
        chosen(*files, split="tset")


def test_files_of_one_split_in_several_folders_belong_together() -> None:
    files = ["a/test.jsonl", "b/test.jsonl", "b/train.jsonl"]
    assert chosen(*files) == ("test", "a/test.jsonl b/test.jsonl")


def test_all_files_of_a_folder_are_meant_unless_they_are_called_like_splits() -> None:
    assert chosen("a.csv", "b.csv", or_all=True) == (None, "a.csv b.csv")
    assert chosen("a.csv", "train.csv", "test.csv", or_all=True) == ("test", "test.csv")
    with pytest.raises(BadOption, match="`split=`: a, train"):
        chosen("a.csv", "train.csv", or_all=True)


@pytest.mark.parametrize("or_all", [False, True])
def test_a_split_of_which_a_part_is_missing_is_refused(or_all: bool) -> None:
    parts = [f"data/rows-0000{part}-of-00003.parquet" for part in range(3)]
    assert chosen(*parts, or_all=or_all)[1] == " ".join(parts)
    with pytest.raises(BadData, match="org/data: only 2 of 3 parts of data/rows are here"):
        chosen(*parts[1:], or_all=or_all)


def test_parts_are_counted_in_each_folder() -> None:
    one, two = (f"{folder}/test-00000-of-00001.parquet" for folder in "ab")
    assert chosen(one, two) == ("test", f"{one} {two}")
