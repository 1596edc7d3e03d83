"""RM-Bench's rows: where the domain of a row stands, and three of each kind."""

from pathlib import Path
from typing import Any

import pytest
from published_layouts import read, refused, without, write

from rmeval import load_benchmark
from rmeval.metrics.accuracy import subset_rows
from rmeval.records import Message

ROW: dict[str, Any] = {
    "id": 8,
    "prompt": "Sort it.",
    "chosen": ["a", "b", "c"],
    "rejected": ["d", "e", "f"],
    "subset": "alpacaeval",  # not the domain
}


@pytest.mark.parametrize("folder", [".", "data"])
def test_the_domain_is_the_name_of_the_file(folder: str, tmp_path: Path) -> None:
    write(tmp_path / folder / "chat_filtered.json", [ROW])
    write(tmp_path / folder / "safety-refuse_filtered.json", [ROW])
    (tmp_path / folder / "settings.json").write_text("{}")
    chat, refuse = read("rm-bench", tmp_path)
    assert (chat.id, chat.subset) == ("chat/8", "chat")
    assert (refuse.id, refuse.subset) == ("safety-refuse/8", "safety-refuse")
    assert chat.responses == ("a", "b", "c", "d", "e", "f")
    assert chat.num_chosen == 3
    assert chat.prompt == (Message("user", "Sort it."),)


@pytest.mark.parametrize(
    "name", ["total_dataset.json", "train-00000-of-00001.parquet", "mine.jsonl"]
)
@pytest.mark.parametrize("whole", [True, False], ids=["folder", "file"])
def test_the_domain_is_a_column_of_files_of_all(name: str, whole: bool, tmp_path: Path) -> None:
    path = write(tmp_path / "data" / name, [{**ROW, "domain": "code"}, {**ROW, "domain": "chat"}])
    found = read("rm-bench", tmp_path if whole else path)
    assert [item.id for item in found] == ["code/8", "chat/8"]


def test_the_file_of_all_domains_is_not_read_beside_those_of_each(tmp_path: Path) -> None:
    write(tmp_path / "chat_filtered.json", [ROW])
    write(tmp_path / "total_dataset.json", [{**ROW, "domain": "code"}, {**ROW, "domain": "chat"}])
    assert len(read("rm-bench", tmp_path)) == 2


def test_files_of_the_publishers_code_are_not_rows(tmp_path: Path) -> None:
    write(tmp_path / "data/chat_filtered.json", [ROW])
    write(tmp_path / "scripts/results/code_filtered.json", [ROW])
    assert [item.subset for item in read("rm-bench", tmp_path)] == ["chat"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"chosen": ["a", "b"]}, "2 chosen and 3 rejected responses; RM-Bench has 3 of each"),
        ({"rejected": list("defg")}, "3 chosen and 4 rejected responses; RM-Bench has 3 of each"),
        ({"rejected": []}, "column 'rejected' is an empty list"),
        ({"chosen": "abc"}, "column 'chosen' holds str, not a list of texts"),
        ({"prompt": None}, "column 'prompt' has no value"),
        ({"domain": "safety"}, "unknown domain 'safety'; did you mean 'safety-refuse'?"),
        ({"domain": "cod"}, "unknown domain 'cod'; did you mean 'code'?"),
        ({"id": 1}, "id chat/1 is also that of total_dataset.json row 1"),
    ],
)
def test_a_flaw_names_file_and_row(change: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    first = {**ROW, "id": 1, "domain": "chat"}
    path = write(tmp_path / "total_dataset.json", [first, {**first, "id": 2, **change}])
    message = refused("rm-bench", path)
    assert message.startswith("total_dataset.json row 2: ")
    assert complaint in message


def test_a_file_that_names_no_domain_needs_the_column(tmp_path: Path) -> None:
    message = refused("rm-bench", write(tmp_path / "safety_filtered.json", [ROW]))
    assert message.startswith("safety_filtered.json row 1: no column domain; found: id, prompt")
    path = write(tmp_path / "chat.json", [without(ROW, "chosen")])
    assert "no column chosen" in refused("rm-bench", path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"id":\n1}', "expected a list of objects, [{...}, ...], or one a line"),
        ("[1]", "row 1: expected an object"),
        ("[{]", "not readable JSON"),
        ('[{"id": "\\ud83d"}]', "not readable JSON"),
        ("[]", "no rows"),
        ("[" * 100_000, "not readable JSON"),
    ],
)
def test_a_json_file_of_another_shape_is_refused(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "chat_filtered.json"
    path.write_text(text)
    message = refused("rm-bench", path)
    assert "chat_filtered.json" in message
    assert complaint in message


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert refused("rm-bench", tmp_path / "none").endswith("none: no such file or folder")


def test_the_publishers_own_files_are_read(shared: Path) -> None:
    benchmark = load_benchmark("rm-bench", shared / "raw/rm_bench")
    assert subset_rows(benchmark.preferences) == {"chat": 40, "safety-response": 40}
    assert benchmark.preferences[0].id == "chat/8"
    assert benchmark.partial is not None
    assert benchmark.partial.startswith("80 rows instead of 1327: chat has 40 of 129")


def test_copies_may_call_the_domain_subset_and_have_it_in_the_id(tmp_path: Path) -> None:
    prompt = [{"role": "user", "content": "Sort it."}]
    copied = {**ROW, "id": "safety/3", "prompt": prompt, "subset": "safety-refuse"}
    (item,) = read("rm-bench", write(tmp_path / "rm_bench.jsonl", [copied]))
    assert (item.id, item.subset) == ("safety/3", "safety-refuse")
    assert item.prompt == (Message("user", "Sort it."),)
