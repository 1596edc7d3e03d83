"""M-RewardBench's rows: which language a file is in, and which subset a row is of."""

from pathlib import Path
from typing import Any

import pytest
from published_layouts import read, refused, without, write

from rmeval import load_benchmark
from rmeval.records import Message

ROW: dict[str, Any] = {
    "id": 30,
    "language": "deu_Latn",
    "prompt": "Wie?",
    "chosen": "So.",
    "rejected": "",
    "source": "hep-go",
}


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_a_folder_is_a_language(suffix: str, tmp_path: Path) -> None:
    bare = without(ROW, "language")
    write(tmp_path / f"deu_Latn/test-00000-of-00001.{suffix}", [bare])
    write(tmp_path / f"arb_Arab/test-00000-of-00001.{suffix}", [bare])
    write(tmp_path / f"translation/test-00000-of-00001.{suffix}", [{"no": "columns"}])
    arabic, german = read("m-rewardbench", tmp_path)
    assert (arabic.id, arabic.subset) == ("arb_Arab/30", "arb_Arab/hep-go")
    assert (german.id, german.subset) == ("deu_Latn/30", "deu_Latn/hep-go")
    assert german.prompt == (Message("user", "Wie?"),)
    assert german.responses == ("So.", "")


@pytest.mark.parametrize("name", ["deu_Latn.jsonl", "deu_Latn.parquet", "deu_Latn/test.jsonl"])
@pytest.mark.parametrize("whole", [True, False], ids=["folder", "file"])
def test_a_file_may_be_a_language(name: str, whole: bool, tmp_path: Path) -> None:
    path = write(tmp_path / name, [without(ROW, "language")])
    (item,) = read("m-rewardbench", tmp_path if whole else path)
    assert item.subset == "deu_Latn/hep-go"


def test_the_folder_of_one_language_may_be_passed(tmp_path: Path) -> None:
    write(tmp_path / "deu_Latn/test-00000-of-00001.jsonl", [without(ROW, "language")])
    assert len(read("m-rewardbench", tmp_path / "deu_Latn")) == 1


def test_one_file_says_the_language_in_a_column(tmp_path: Path) -> None:
    path = write(tmp_path / "all.jsonl", [ROW, {**ROW, "language": "zho_Hant"}])
    assert [item.id for item in read("m-rewardbench", path)] == ["deu_Latn/30", "zho_Hant/30"]


def test_older_revisions_call_the_source_subset(tmp_path: Path) -> None:
    old = {**without(ROW, "source"), "subset": "math-prm"}
    (item,) = read("m-rewardbench", write(tmp_path / "all.parquet", [old]))
    assert item.subset == "deu_Latn/math-prm"
    (item,) = read("m-rewardbench", write(tmp_path / "all.jsonl", [{**ROW, "subset": "filtered"}]))
    assert item.subset == "deu_Latn/hep-go"


def test_a_row_without_a_subset_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "all.jsonl", [without(ROW, "source")])
    assert refused("m-rewardbench", path) == "all.jsonl line 1: no column source or subset"


@pytest.mark.parametrize("name", ["deu_Lant/test.jsonl", "deu_Lant.jsonl"])
def test_an_unknown_folder_or_file_is_named_with_the_nearest(name: str, tmp_path: Path) -> None:
    write(tmp_path / name, [ROW])
    assert refused("m-rewardbench", tmp_path) == (
        f"{tmp_path}: unknown language 'deu_Lant'; did you mean 'deu_Latn'?"
    )


def test_a_folder_of_translations_alone_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "translation/test.jsonl", [ROW])
    (tmp_path / "README.md").write_text("a card")
    assert "no folder or file in it is named after a language" in refused("m-rewardbench", tmp_path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"language": "fas_Arab"}, "unknown language 'fas_Arab'; did you mean 'pes_Arab'?"),
        ({"language": None}, "column 'language' has no value"),
        ({"source": "hepgo"}, "unknown source 'hepgo'; did you mean 'hep-go'?"),
        ({"chosen": 1.5}, "column 'chosen' holds float, not text"),
        ({"rejected": None}, "column 'rejected' has no value"),
        ({"id": 30}, "id deu_Latn/30 is also that of all.jsonl line 1"),
    ],
)
def test_a_flaw_names_file_and_row(change: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    path = write(tmp_path / "all.jsonl", [ROW, {**ROW, "id": 31, **change}])
    message = refused("m-rewardbench", path)
    assert message.startswith("all.jsonl line 2: ")
    assert complaint in message


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_files_that_are_all_called_alike_are_told_by_their_folder(
    suffix: str, tmp_path: Path
) -> None:
    write(tmp_path / f"arb_Arab/test.{suffix}", [ROW])
    write(tmp_path / f"deu_Latn/test.{suffix}", [without(ROW, "chosen")])
    message = refused("m-rewardbench", tmp_path)
    assert message.startswith(f"deu_Latn/test.{suffix}")
    assert "no column chosen" in message


def test_rows_are_held_to_their_published_number(tmp_path: Path) -> None:
    benchmark = load_benchmark("m-rewardbench", write(tmp_path / "all.jsonl", [ROW]))
    assert benchmark.partial is not None
    assert benchmark.partial.startswith("1 rows instead of 65987: arb_Arab/alpacaeval-easy has 0")
