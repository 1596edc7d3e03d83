"""`rmeval score`: conversations in, the same with their scores out."""

import gzip
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import Capture, count_batches, done, interrupt_after, refusal, small_model

import rmeval
from rmeval.cli import main
from rmeval.commands.shared import lines


def conversation(*turns: str) -> list[dict[str, str]]:
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": turn} for i, turn in enumerate(turns)]


ITEMS: list[dict[str, Any]] = [
    {"messages": conversation("Hello", "Hi"), "id": 7, "tags": ["a", None]},
    {"note": "first", "messages": conversation("Grüße 世界", "🙂")},
    {"messages": conversation("a", "b", "c", "d" * 300), "score": "old"},
    {"messages": conversation("Hello", "Hi"), "again": True},
    {"messages": conversation("Hello", "")},
]


def write(path: Path, items: list[Any]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Files:
    """A model, an input and an output, and the command that joins them."""

    def __init__(self, folder: Path, items: list[Any], reward: float | None = None) -> None:
        self.folder = folder
        self.model = small_model(folder / "model", reward=reward)
        self.input = write(folder / "in.jsonl", items)
        self.output = folder / "new/out.jsonl"

    @property
    def command(self) -> tuple[object, ...]:
        model = ("--model", self.model, "--device", "cpu")
        return ("score", *model, "--input", self.input, "--output", self.output)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path, ITEMS)


def test_order_and_fields_are_kept_and_only_the_score_is_new(files: Files, capsys: Capture) -> None:
    out, err = done(capsys, *files.command)
    written = read(files.output)
    for item, line in zip(ITEMS, written, strict=True):
        assert {**item, "score": line["score"]} == line
        assert isinstance(line["score"], float)
    assert list(written[1]) == ["note", "messages", "score"]
    assert "Grüße 世界" in files.output.read_text(encoding="utf-8")
    assert out == ""
    assert err.splitlines()[-1] == f"5 conversations scored: {files.output}"


def test_the_scores_are_those_of_the_python_interface(files: Files, capsys: Capture) -> None:
    done(capsys, *files.command)
    model = rmeval.load_model(str(files.model), device="cpu")
    expected = model.score([item["messages"] for item in ITEMS])
    assert [line["score"] for line in read(files.output)] == expected
    assert expected[0] == expected[3]
    assert len(set(expected)) == 4


def test_beside_the_output_stands_what_made_the_scores(files: Files, capsys: Capture) -> None:
    done(capsys, *files.command)
    record = files.output.with_name("out.jsonl.provenance.json")
    assert sorted(files.output.parent.iterdir()) == [files.output, record]
    made = json.loads(record.read_text())
    assert made["model"]["name"] == str(files.model)
    assert made["model"]["fingerprint"] == rmeval.load_model(files.model, device="cpu").fingerprint
    assert made["lines_sha256"] == hashlib.sha256(files.output.read_bytes()).hexdigest()


def test_blank_lines_are_passed_over(files: Files, capsys: Capture) -> None:
    files.input.write_text("\n" + files.input.read_text().replace("\n", "\n\n"))
    done(capsys, *files.command)
    assert len(read(files.output)) == 5


def test_the_output_may_be_the_input(files: Files, capsys: Capture) -> None:
    files.output = files.input
    done(capsys, *files.command)
    assert ["score" in line for line in read(files.input)] == [True] * 5


def test_windows_change_nothing_but_the_memory(
    files: Files, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(capsys, *files.command)
    whole = [line["score"] for line in read(files.output)]
    monkeypatch.setattr(lines, "WINDOW", 2)
    done(capsys, *files.command)
    assert [line["score"] for line in read(files.output)] == pytest.approx(whole, abs=5e-5)


def test_cut_conversations_are_counted(files: Files, capsys: Capture) -> None:
    _, err = done(capsys, *files.command, "--max-length", 40)
    assert "5 conversations scored; 1 were cut to 40 tokens" in err


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "not a readable row"),
        ("[]", "expected an object"),
        ("3", "expected an object"),
        ("[" * 100_000, "not a readable row"),
        ('{"id": 1}', "no field messages; found: id"),
        ("{}", "no field messages; found: none"),
        ('{"messages": []}', "no messages"),
        ('{"messages": "hello"}', "expected a list of messages"),
        ('{"messages": {"role": "user", "content": "x"}}', "expected a list of messages"),
        ('{"messages": null}', "expected a list of messages"),
        ('{"messages": ["hello"]}', "a message must be"),
        ('{"messages": [{"role": "user"}]}', 'text in "role" and in "content"'),
        ('{"messages": [{"role": "user", "content": null}]}', 'text in "role" and in "content"'),
        ('{"messages": [{"role": 1, "content": "x"}]}', 'text in "role" and in "content"'),
        ('{"messages": [{"role": "user", "content": "\\ud83d"}]}', ""),
    ],
)
def test_a_bad_line_is_named_before_the_model_is_loaded(
    line: str, complaint: str, tmp_path: Path, capsys: Capture
) -> None:
    path = write(tmp_path / "in.jsonl", ITEMS)
    path.write_text(path.read_text() + line + "\n")
    output = tmp_path / "out.jsonl"
    message = refusal(capsys, "score", "--model", "no/model", "--input", path, "--output", output)
    assert message.startswith("in.jsonl line 6: ")
    assert complaint in message
    assert not output.exists()


def test_a_surrogate_in_another_field_loses_nothing(files: Files, capsys: Capture) -> None:
    write(files.input, [{**ITEMS[0], "other": "half \ud83d"}])
    status = main([str(argument) for argument in files.command])
    message = capsys.readouterr().err.splitlines()[-1]
    assert status == 0 or message.startswith("rmeval: in.jsonl line 1")


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_input_is_refused(text: str, files: Files, capsys: Capture) -> None:
    files.input.write_text(text)
    assert refusal(capsys, *files.command) == f"{files.input}: no lines"


def test_an_input_that_is_not_there_is_named(files: Files, capsys: Capture) -> None:
    files.input.unlink()
    assert refusal(capsys, *files.command) == f"{files.input}: no such file"


def test_bytes_that_are_no_text_are_named(files: Files, capsys: Capture) -> None:
    files.input.write_bytes(files.input.read_bytes() + b'{"messages": "\xff"}\n')
    assert refusal(capsys, *files.command).startswith("in.jsonl line 6: not a readable row")


@pytest.mark.parametrize("place", ["folder", ".", "in.jsonl/below"])
def test_an_output_that_cannot_be_written_is_found_before_scoring(
    place: str, files: Files, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files.folder)
    (files.folder / "folder").mkdir()
    files.output = Path(place)
    computed = count_batches(monkeypatch)
    message = refusal(capsys, *files.command)
    assert place in message
    assert computed == []


def test_a_reward_that_is_not_finite_names_the_line(tmp_path: Path, capsys: Capture) -> None:
    many = [{"messages": conversation("Hello", "well " * n)} for n in range(1, 40)]
    files = Files(tmp_path, many, reward=3.4e38)  # finite, and infinite times some state
    assert re.match(
        r"in\.jsonl line \d+: the reward is -?inf", refusal(capsys, *files.command, "--no-checks")
    )
    assert not files.output.exists()


def test_a_conversation_that_the_template_refuses_names_the_line(
    files: Files, capsys: Capture
) -> None:
    settings = json.loads((files.model / "tokenizer_config.json").read_text())
    settings["chat_template"] = (
        "{% if messages[0]['role'] != 'user' %}{{ raise_exception('users begin') }}{% endif %}x"
    )
    (files.model / "tokenizer_config.json").write_text(json.dumps(settings))
    write(files.input, [ITEMS[0], {"messages": [{"role": "system", "content": "x"}]}])
    message = refusal(capsys, *files.command, "--no-checks")
    assert "users begin" in message
    assert message.startswith("in.jsonl line 2: ")


def test_a_run_that_was_interrupted_ends_with_the_same_bytes(
    files: Files, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(files.input, [{"messages": conversation("q", "x" * n)} for n in range(1, 200, 5)])
    command = (*files.command, "--batch-tokens", 64)
    with monkeypatch.context() as patch:
        computed = count_batches(patch)
        done(capsys, *command)
    whole = files.output.read_bytes()
    files.output.unlink()
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        assert main([str(argument) for argument in command]) == 130
    assert capsys.readouterr().err.splitlines()[-1].startswith("rmeval: interrupted")
    assert not files.output.exists()
    with monkeypatch.context() as patch:
        rest = count_batches(patch)
        done(capsys, *command)
    assert len(rest) == len(computed) - 3
    assert files.output.read_bytes() == whole


@pytest.mark.parametrize("verb", ["score", "rank", "filter", "pairs", "best-of-n"])
def test_a_pipe_is_refused(verb: str, tmp_path: Path, capsys: Capture) -> None:
    os.mkfifo(tmp_path / "pipe")
    came = "--prompts" if verb == "best-of-n" else "--input"
    model = () if verb == "pairs" else ("--model", "demo")
    generator = ("--generator", "x") if verb == "best-of-n" else ()
    command = (verb, *model, *generator, came, tmp_path / "pipe", "--output", tmp_path / "out")
    assert "a pipe can be read only once; save it to a file" in refusal(capsys, *command)


def test_a_key_that_stands_twice_is_refused(files: Files, capsys: Capture) -> None:
    files.input.write_text('{"messages": [], "messages": []}')
    said = "in.jsonl line 1: not a readable row (the key 'messages' appears twice)"
    assert refusal(capsys, *files.command) == said


def test_lines_may_be_packed_or_columns(files: Files, capsys: Capture) -> None:
    done(capsys, *files.command)
    expected = [line["score"] for line in read(files.output)]
    text, table = files.input.read_bytes(), [{"messages": item["messages"]} for item in ITEMS]
    (files.folder / "in.jsonl.gz").write_bytes(gzip.compress(text))
    pq.write_table(pa.Table.from_pylist(table), files.folder / "in.parquet")
    for name in ("in.jsonl.gz", "in.parquet"):
        files.input = files.folder / name
        done(capsys, *files.command)
        assert [line["score"] for line in read(files.output)] == expected


def test_a_model_in_parts_is_for_run_alone(files: Files, capsys: Capture) -> None:
    line = refusal(capsys, *files.command, "--parallel", "tensor")
    assert line.startswith("--parallel is of `rmeval run`; here give each process a part")
