"""Rows from files: every format alike, and every flaw named with its place."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rmeval import Preference, load_benchmark
from rmeval.errors import BadData

ROWS: list[dict[str, Any]] = [
    {
        "prompt": 'Say "hi", please\nin two lines',
        "chosen": "hi,\r\n\r\nthere",
        "rejected": "",
        "subset": "hep-go",
        "id": 7,
    },
    {
        "prompt": "Grüße, 世界 🙂",
        "chosen": "long " * 30_000,  # 150,000 characters; csv's own limit is 131,072
        "rejected": "short",
        "subset": "math-prm",
        "id": 8,
    },
]


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


WRITERS = {"parquet": write_parquet, "jsonl": write_jsonl, "csv": write_csv}
every_format = pytest.mark.parametrize("suffix", WRITERS)


def written(folder: Path, suffix: str, rows: list[dict[str, Any]]) -> Path:
    path = folder / f"rows.{suffix}"
    WRITERS[suffix](path, rows)
    return path


def read(path: Path) -> tuple[Preference, ...]:
    return load_benchmark("rewardbench", path).preferences


def refused(path: Path) -> str:
    with pytest.raises(BadData) as caught:
        load_benchmark("rewardbench", path)
    return str(caught.value)


@every_format
def test_every_format_gives_the_same_rows(suffix: str, tmp_path: Path) -> None:
    first, second = read(written(tmp_path, suffix, ROWS))
    assert first.prompt[0].fields() == {"role": "user", "content": ROWS[0]["prompt"]}
    assert first.responses == ("hi,\r\n\r\nthere", "")
    assert (first.id, first.subset, first.num_chosen) == ("7", "hep-go", 1)
    assert second.responses == (ROWS[1]["chosen"], "short")


@every_format
def test_columns_that_are_not_needed_are_passed_over(suffix: str, tmp_path: Path) -> None:
    wide = [{"chosen_model": "m", **row, "more": 1} for row in ROWS]
    assert read(written(tmp_path, suffix, wide)) == read(written(tmp_path, suffix, ROWS))


@every_format
def test_missing_columns_are_named(suffix: str, tmp_path: Path) -> None:
    rows = [{key: row[key] for key in ("prompt", "rejected", "id")} for row in ROWS]
    message = refused(written(tmp_path, suffix, rows))
    assert "no column chosen, subset; found: prompt, rejected, id" in message
    assert message.startswith(f"rows.{suffix}")


@every_format
def test_a_repeated_id_names_both_places(suffix: str, tmp_path: Path) -> None:
    message = refused(written(tmp_path, suffix, [ROWS[1], {**ROWS[1], "chosen": "x"}]))
    row, other = ("line 3", "line 2") if suffix == "csv" else ("2", "1")
    assert "id 8" in message
    assert message.startswith(f"rows.{suffix}")
    assert message.index(row) < message.index(other)


@every_format
def test_an_unknown_subset_names_the_row_and_the_nearest(suffix: str, tmp_path: Path) -> None:
    message = refused(written(tmp_path, suffix, [ROWS[1], {**ROWS[1], "id": 9, "subset": "hepgo"}]))
    assert f"rows.{suffix}" in message
    assert "unknown subset 'hepgo'; did you mean 'hep-go'?" in message


@every_format
def test_a_file_without_rows_is_refused(suffix: str, tmp_path: Path) -> None:
    path = written(tmp_path, suffix, ROWS)
    header = {"parquet": None, "jsonl": b"\n \n", "csv": b"prompt,chosen,rejected,subset,id\n"}
    if suffix == "parquet":
        pq.write_table(pq.read_table(path).slice(0, 0), path)
    else:
        path.write_bytes(header[suffix] or b"")
    assert refused(path) == f"{path}: no rows"


@every_format
def test_a_file_of_no_bytes_is_refused(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"rows.{suffix}").write_bytes(b"")
    assert f"rows.{suffix}: no" in refused(tmp_path / f"rows.{suffix}")


@every_format
def test_a_file_of_other_bytes_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{suffix}"
    path.write_bytes(b"prompt,chosen,rejected,subset,id\n\xff\xfe,b,c,hep-go,1\n")
    message = refused(path)
    assert f"rows.{suffix}" in message
    assert "not a readable" in message


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (None, "column 'chosen' has no value"),
        (float("nan"), "column 'chosen' has no value"),
        (["a", "b"], "column 'chosen' holds list, not text"),
        (True, "column 'chosen' holds bool, not text"),
        (1.5, "column 'chosen' holds float, not text"),
    ],
)
def test_a_value_that_is_no_text_names_row_and_column(
    suffix: str, value: object, complaint: str, tmp_path: Path
) -> None:
    message = refused(written(tmp_path, suffix, [{**ROWS[0], "chosen": value}]))
    assert complaint in message
    assert message.startswith(f"rows.{suffix}")


def test_a_parquet_file_that_was_cut_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "parquet", ROWS)
    path.write_bytes(path.read_bytes()[:-100])
    assert "not a readable parquet file" in refused(path)


def test_parquet_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    offsets = pa.array([0, 2], pa.int32()).buffers()[1]
    text = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"\xff\xfe")])
    columns = {**{key: [ROWS[1][key]] for key in ROWS[1]}, "prompt": text}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    assert "rows.parquet" in refused(tmp_path / "rows.parquet")


@pytest.mark.parametrize(
    "line",
    ['{"prompt": "cut', "[1, 2]", "null", '"text"', "{'prompt': 1}", "[" * 100_000],
    ids=["cut", "list", "null", "text", "python", "deep"],
)
def test_an_unreadable_json_line_is_named(line: str, tmp_path: Path) -> None:
    path = written(tmp_path, "jsonl", ROWS)
    path.write_text(path.read_text(encoding="utf-8") + "\n" + line + "\n", encoding="utf-8")
    assert refused(path).startswith("rows.jsonl line 4: ")  # line 3 is blank


@pytest.mark.parametrize("column", ["prompt", "chosen"])
def test_half_a_surrogate_pair_is_no_text(column: str, tmp_path: Path) -> None:
    path = written(tmp_path, "jsonl", [{**ROWS[0], column: "half \ud83d"}])
    assert refused(path).startswith("rows.jsonl line 1: ")


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_byte_order_mark_is_passed_over(suffix: str, tmp_path: Path) -> None:
    path = written(tmp_path, suffix, ROWS)
    plain = read(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read(path) == plain


def test_a_csv_row_with_too_many_fields_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("prompt,chosen,rejected,subset,id\na,b,c,hep-go,1\na,b,c,hep-go,2,x\n")
    assert refused(path) == "rows.csv line 3: more fields than the header has columns"


def test_a_csv_row_with_too_few_fields_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("prompt,chosen,rejected,subset,id\na,b,c,hep-go\n")
    assert refused(path) == "rows.csv line 2: column 'id' has no value"


def test_a_csv_quote_that_never_ends_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('prompt,chosen,rejected,subset,id\n"a,b,c,hep-go,1\n')
    assert "not a readable row" in refused(path)


@every_format
def test_empty_and_identical_responses_are_kept_and_counted(suffix: str, tmp_path: Path) -> None:
    rows = [
        ROWS[0],
        {**ROWS[0], "id": 1, "chosen": "same", "rejected": "same"},
        {**ROWS[0], "id": 2, "chosen": " \n", "rejected": "b"},
    ]
    provenance = load_benchmark("rewardbench", written(tmp_path, suffix, rows)).provenance()
    assert provenance["rows"] == 3
    assert provenance["empty_responses"] == 2
    assert provenance["identical_responses"] == 1
