"""Files as other tools write them: compressed, misnamed, saved to disk; what is in them twice."""

import csv
import gzip
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from own_rows import load, only, refused

from rmeval.benchmarks import load_benchmark
from rmeval.benchmarks.own import load_own
from rmeval.commands.shared.benchmark_options import parse_columns
from rmeval.errors import BadData, BadOption, UnknownName
from rmeval.records import Message, Preference, tools_of

ROWS: list[dict[str, Any]] = [
    {"prompt": "2+2?", "chosen": "4", "rejected": "5"},
    {"prompt": "Grüße?", "chosen": "a\nb", "rejected": ""},
]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def read(path: Path, split: str | None = None) -> list[tuple[Any, ...]]:
    found = load_own(str(path), split=split).preferences
    return [(item.prompt[0].content, *item.responses) for item in found]


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(BadData) as caught:
        load_own(str(path), **options)
    assert str(caught.value).isprintable()
    return str(caught.value)


EXPECTED = [tuple(row.values()) for row in ROWS]


def as_csv() -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(ROWS[0]))
    writer.writeheader()
    writer.writerows(ROWS)
    return text.getvalue()


TEXTS = {
    "json": json.dumps(ROWS, indent=1),
    "lines.json": LINES,
    "late lines.json": "\ufeff\n" + LINES,
    "one line.json": json.dumps(ROWS),
    "jsonl": LINES,
    "csv": as_csv(),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", TEXTS)
def test_a_file_is_read_by_what_it_holds(name: str, packed: bool, tmp_path: Path) -> None:
    path, text = tmp_path / f"rows.{name}", TEXTS[name].encode()
    if packed:
        path, text = path.with_name(f"{path.name}.gz"), gzip.compress(text)
    path.write_bytes(text)
    assert read(path) == EXPECTED
    assert read(tmp_path) == EXPECTED


@pytest.mark.parametrize("name", ["csv", "json", "jsonl"])
def test_what_does_not_unpack_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{name}.gz"
    for packed in (TEXTS[name].encode(), gzip.compress(TEXTS[name].encode())[:-12]):
        path.write_bytes(packed)
        assert f"not a readable .{name}.gz" in refusal(path)


def test_other_packings_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet.gz").write_bytes(b"")
    assert "cannot read .parquet.gz; known: .parquet, .arrow" in refusal(
        tmp_path / "rows.parquet.gz"
    )


TWICE = {
    "csv": ("prompt,chosen,rejected,chosen\na,b,c,d\n", "rows.csv: column 'chosen' appears"),
    "jsonl": ('\n{"chosen": 1, "chosen": 2}\n', "rows.jsonl line 2: .*the key 'chosen' appears"),
    "json": ('[{"chosen": 1, "chosen": 2}]', "rows.json: .*the key 'chosen' appears"),
    "deep": ('{"prompt": [{"role": "user", "role": "x"}]}', "deep line 1: .*key 'role' appears"),
}  # fmt: skip


@pytest.mark.parametrize("kind", TWICE)
def test_a_name_that_stands_twice_is_refused(kind: str, tmp_path: Path) -> None:
    text, complaint = TWICE[kind]
    path = tmp_path / ("deep.jsonl" if kind == "deep" else f"rows.{kind}")
    path.write_text(text)
    assert re.search(complaint.replace("deep line", "deep.jsonl line"), refusal(path))


def test_a_parquet_or_arrow_column_that_stands_twice_is_refused(tmp_path: Path) -> None:
    names = ["prompt", "chosen", "rejected", "chosen"]
    table = pa.Table.from_arrays([pa.array([name]) for name in "abcd"], names=names)
    pq.write_table(table, tmp_path / "rows.parquet")
    assert "rows.parquet: column 'chosen' appears twice" in refusal(tmp_path / "rows.parquet")
    saved(tmp_path / "rows.arrow", table)
    assert "rows.arrow: column 'chosen' appears twice" in refusal(tmp_path / "rows.arrow")


def test_messages_in_a_text_with_a_key_twice_are_refused(tmp_path: Path) -> None:
    text = '[{"role": "user", "content": "a", "content": "b"}]'
    row = {"prompt": text, "chosen": "a", "rejected": "b"}
    assert "messages in a text: the key 'content' appears twice" in refused(tmp_path, row)
    other = '[{"a": 1, "a": 2}]'  # a response that looks like JSON is text
    assert only(tmp_path, {**row, "prompt": "a", "chosen": other}).responses == (other, "b")


def test_columns_without_a_name_may_be_several(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(",prompt,chosen,rejected,\n0,a,b,c,\n")
    assert read(tmp_path / "rows.csv") == [("a", "b", "c")]


def saved(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as out, pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)


def save_to_disk(folder: Path, rows: list[dict[str, Any]], shards: int = 1) -> None:
    """What `datasets` 4 writes, as far as it is read."""
    for shard in range(shards):
        name = f"data-{shard:05}-of-{shards:05}.arrow"
        saved(folder / name, pa.Table.from_pylist(rows[shard::shards]))
    (folder / "dataset_info.json").write_text('{\n  "citation": ""\n}')
    (folder / "state.json").write_text('{\n  "_split": null\n}')


def test_a_saved_data_set_is_read_without_its_caches(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "own", ROWS, shards=2)
    saved(tmp_path / "own/cache-0123.arrow", pa.table({"x": [1]}))
    assert read(tmp_path / "own") == EXPECTED
    (tmp_path / "own/data-00001-of-00002.arrow").unlink()
    assert "1 of 2 parts of" in refusal(tmp_path / "own")


def test_saved_splits_are_chosen_like_others(tmp_path: Path) -> None:
    for split, rows in {"train": ROWS[:1], "test": ROWS[1:]}.items():
        save_to_disk(tmp_path / split, rows)
    listed = tmp_path / "dataset_dict.json"
    listed.write_text('{"splits": ["train", "test"]}')
    assert read(tmp_path) == EXPECTED[1:]
    benchmark = load_own(str(tmp_path), split="train")
    assert benchmark.preferences[0].subset == "train"
    assert benchmark.layout == "split train; prompt: text; chosen: text; rejected: text"
    with pytest.raises(UnknownName, match="split"):
        read(tmp_path, "validation")
    listed.write_text('{"splits": ["train", "test", "validation\\n"]}')
    assert "split validation is missing" in refusal(tmp_path)
    listed.write_text("[]")
    assert "does not say which splits there are" in refusal(tmp_path)


def test_the_files_of_the_data_sets_library_are_read(shared: Path) -> None:
    for name in ("dataset", "datasetdict"):
        assert read(shared / "cases/save-to-disk" / name) == [("2+2?", "4", "5")]


def test_an_arrow_file_that_is_no_stream_is_read_and_another_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.arrow"
    feather.write_feather(pa.Table.from_pylist(ROWS), path, compression="uncompressed")
    assert read(path) == EXPECTED
    for damaged in (b"", b"x" * 100, path.read_bytes()[:-30]):
        path.write_bytes(damaged)
        assert "not a readable arrow file" in refusal(path)


def test_a_published_benchmark_may_be_saved_too(tmp_path: Path) -> None:
    row = {**ROWS[0], "subset": "hep-go", "id": 7, "more": None}
    save_to_disk(tmp_path, [row])
    [preference] = load_benchmark("rewardbench", tmp_path).preferences
    assert preference.responses == ("4", "5")


def test_a_null_inside_a_column_of_objects_is_a_key_of_other_rows(tmp_path: Path) -> None:
    calls = [{"name": "f", "arguments": {key: 1}} for key in ("x", "y")]
    replies = [{"role": "assistant", "content": "a", "tool_calls": [call]} for call in calls]
    row = {"prompt": "hi", "chosen": [replies[0]], "rejected": [replies[1]]}
    preference = only(tmp_path, row, "parquet")
    assert [reply.fields() for reply in preference.responses] == replies
    assert preference.responses == only(tmp_path, row).responses


def test_a_null_content_is_null_in_every_format(tmp_path: Path) -> None:
    replies = [{"role": "assistant", "content": None, "tool_calls": [name]} for name in "ab"]
    row = {"prompt": "hi", "chosen": replies[:1], "rejected": replies[1:]}
    assert only(tmp_path, row, "parquet").responses == only(tmp_path, row).responses


@pytest.mark.parametrize("kept", ["type", "metadata"])
def test_objects_that_are_kept_as_json_text_are_objects(kept: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", "19", "older ones have no such type")
    tools = [{"name": "look", "parameters": {"b": 1, "a": None}}]
    table = pa.Table.from_pylist([ROWS[0]])
    text = pa.array([[json.dumps(tool) for tool in tools]])
    if kept == "type":  # pyarrow 19 and later
        text = text.cast(pa.list_(pa.json_()))
        table = table.append_column("tools", text)
    else:
        marked = pa.field("item", pa.string(), metadata={"ARROW:extension:name": "arrow.json"})
        table = table.append_column(
            pa.field("tools", pa.list_(marked)), text.cast(pa.list_(marked))
        )
    saved(tmp_path / "rows.arrow", table)
    [preference] = load_own(str(tmp_path)).preferences
    assert tools_of(preference.prompt) == tools
    broken = pa.Table.from_pylist([ROWS[0]]).append_column("tools", pa.array(["{"], pa.json_()))
    saved(tmp_path / "rows.arrow", broken)
    assert "rows.arrow: not a readable arrow file" in refusal(tmp_path)


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "csv"])
def test_tools_are_read_from_a_column(suffix: str, tmp_path: Path) -> None:
    tools = [{"name": "look", "parameters": {"b": 1, "a": 2}}]
    rows = [{**ROWS[0], "tools": tools}, {**ROWS[0], "tools": None}]
    benchmark = load(tmp_path, *rows, suffix=suffix)
    assert [tools_of(item.prompt) for item in benchmark.preferences] == [tools, None]
    assert benchmark.layout == "prompt: text; chosen: text; rejected: text; tools"
    unread = load(tmp_path, *rows, suffix=suffix, tools="")
    assert unread.preferences[0].digest == benchmark.preferences[1].digest
    assert "column 'tools': tools " in refused(tmp_path, {**ROWS[0], "tools": "hammer"})


def test_messages_keep_their_fields_and_plain_ones_their_digest(tmp_path: Path) -> None:
    ask = {"role": "user", "content": "hi"}
    call = {"role": "assistant", "content": None, "tool_calls": [{"name": "look"}]}
    answer = {"role": "tool", "content": "9", "tool_call_id": "1"}
    good, bad = ({"role": "assistant", "content": text} for text in ("good", "bad"))
    talk = [ask, call, answer]
    whole = only(tmp_path, {"chosen": [*talk, good], "rejected": [*talk, bad]})
    assert [message.fields() for message in whole.prompt] == talk
    assert whole.responses == ("good", "bad")
    calling = only(tmp_path, {"prompt": [ask], "chosen": [call], "rejected": [bad]})
    assert calling.responses == (Message("assistant", "", calling.responses[0][2]), "bad")
    plain = only(tmp_path, {"chosen": [ask, good], "rejected": [ask, bad]})
    by_hand = Preference("1", "rows", (Message("user", "hi"),), ("good", "bad"))
    assert plain == by_hand


@pytest.mark.parametrize("none", [None, "", float("nan"), ...])
def test_no_system_is_no_system_message(none: Any, tmp_path: Path) -> None:
    missing = ROWS[0] if none is ... else {**ROWS[0], "system": none}
    for rows in (
        [missing, {**ROWS[0], "system": "Be brief."}],
        [{**ROWS[0], "system": "x"}, missing],
    ):
        benchmark = load(tmp_path, *rows)
        roles = [[message.role for message in item.prompt] for item in benchmark.preferences]
        assert sorted(roles) == [["system", "user"], ["user"]]
        assert str(benchmark.layout).endswith("; system")


def test_ids_that_come_again_or_are_no_names_say_what_to_pass(tmp_path: Path) -> None:
    rows = [{**ROWS[0], "id": "p1"}, {**ROWS[1], "id": "p1"}]
    message = refused(tmp_path, *rows)
    assert message.endswith(
        "is also that of rows.jsonl line 1; pass `columns={'id': ''}` to number the rows instead"
    )
    assert [item.id for item in load(tmp_path, *rows, id="").preferences] == ["1", "2"]
    for value in (None, float("nan"), 1.5, True, ["a"], {"a": 1}, ""):
        assert "or pass `columns={'id': ''}` to leave it unread" in refused(
            tmp_path, {**ROWS[0], "id": value}
        )


@pytest.mark.parametrize("value", [1.0, 1, "1"])
def test_a_whole_number_is_an_id_however_it_is_written(value: Any, tmp_path: Path) -> None:
    assert only(tmp_path, {**ROWS[0], "id": value}).id == "1"


@pytest.mark.parametrize(
    "text",
    [
        "chosen=chosen,rejected=chosen",
        "chosen=rejected",
        "prompt=chosen",
        "system=prompt",
        "prompt=x,messages=x",
    ],
)
def test_one_column_for_two_texts_is_refused(text: str) -> None:
    with pytest.raises(BadOption, match="are both to be column"):
        parse_columns(text)


def test_a_column_may_have_two_uses_that_are_no_texts(tmp_path: Path) -> None:
    row = {**ROWS[0], "margin": 2}
    [preference] = load(tmp_path, row, magnitude="margin", weight="margin").preferences
    assert (preference.magnitude, preference.weight) == (2.0, 2.0)
    assert parse_columns("prompt=messages") == {"prompt": "messages"}


def test_a_pipe_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    os.mkfifo(path)
    assert "a pipe can be read only once; save it to a file" in refusal(path)
    with pytest.raises(BadData, match="a pipe can be read only once"):
        load_benchmark("rewardbench", path)
