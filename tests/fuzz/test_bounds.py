"""What would take a machine's memory or time is refused first; what a seed found, kept by name."""

import gzip
import json
import os
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from worlds import ROWS, lines, write_model

import rmeval
from rmeval.benchmarks.reading import unpacking
from rmeval.cli import main
from rmeval.engine.workers import count_processes
from rmeval.errors import BadCheckpoint, BadConversation, BadData, BadOption, Blaming
from rmeval.files import reading
from rmeval.models.text import tokenizer
from rmeval.models.text.patience import within

TALK = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")


def said(capsys: Capture, *arguments: object) -> str:
    assert main([str(argument) for argument in arguments]) == 2
    return capsys.readouterr().err.splitlines()[-1]


def edit(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"num_hidden_layers": 2_000_000}, "num_hidden_layers is 2,000,000, and its weights have"),
        ({"head_dim": 2**40}, "head_dim is 1,099,511,627,776"),
        ({"vocab_size": 0}, "vocab_size is 0, and must be a whole number above 0"),
        ({"model_type": ["llama"]}, "model_type is ['llama'], and must be a text"),
        ({"architectures": "LlamaForSequenceClassification"}, "must be a list of texts"),
        ({"rope_scaling": 1}, "rope_scaling is 1, and must be an object"),
        ({"num_attention_heads": 0}, "transformers"),
        ({"hidden_act": "x"}, "KeyError: 'x'"),
    ],
)
def test_a_config_that_no_network_can_have_is_refused(
    model: Path, changes: dict[str, object], word: str
) -> None:
    edit(model, **changes)
    begun = time.monotonic()
    with pytest.raises(BadCheckpoint) as error:
        rmeval.load_model(model, device="cpu")
    assert word in str(error.value)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    "changes", [{"pad_token_id": 300}, {"num_hidden_layers": 1, "head_dim": 8}, {"id2label": None}]
)
def test_a_config_that_is_only_unusual_is_read(model: Path, changes: dict[str, object]) -> None:
    expected = rmeval.load_model(model, device="cpu").score([TALK])
    edit(model, **changes)
    assert rmeval.load_model(model, device="cpu").score([TALK]) == expected


@pytest.mark.parametrize(
    "template",
    [
        "{{ 9 ** (9 ** 9) }}",
        "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    ],
)
def test_a_template_that_never_ends_is_stopped(
    model: Path, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer, "SECONDS", 0.2)
    (model / "chat_template.jinja").write_text(template)
    with pytest.raises(BadConversation, match=r"it was still running after 0\.2 seconds"):
        rmeval.load_model(model, device="cpu", checks=False).score([TALK])


def test_a_limit_of_time_leaves_what_was_set_before_and_other_threads_alone() -> None:
    import signal

    before = signal.getsignal(signal.SIGALRM)
    signal.setitimer(signal.ITIMER_REAL, 100)
    with within(50):
        assert 49 < signal.getitimer(signal.ITIMER_REAL)[0] <= 50
    assert 98 < signal.setitimer(signal.ITIMER_REAL, 0)[0] <= 100
    assert signal.getsignal(signal.SIGALRM) == before
    done: list[bool] = []

    def work() -> None:
        with within(0.001):
            time.sleep(0.01)
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


def test_a_file_that_unpacks_beyond_all_texts_is_refused(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "SURELY_FITS", 1 << 20)
    file = tmp_path / "rows.jsonl.gz"
    file.write_bytes(gzip.compress(lines(ROWS).encode() + b" " * (4 << 20)))
    assert "more than 1,048,576 bytes come out of" in said(capsys, "show", file, "r0")


def test_a_file_of_many_like_rows_is_read(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl.gz"
    file.write_bytes(gzip.compress(b"".join(b'{"a": 1}\n' for _ in range(20_000))))  # 600 to 1
    with unpacking.open_data(file) as stream:
        assert sum(1 for _ in stream) == 20_000


def test_a_parquet_file_of_more_rows_than_bytes_is_refused(tmp_path: Path, capsys: Capture) -> None:
    file, rows = tmp_path / "rows.parquet", 2_000_000
    column = pa.array(["a"]).take(pa.array([0] * rows, pa.int32()))
    pq.write_table(pa.table(dict.fromkeys(("id", "prompt", "chosen", "rejected"), column)), file)
    assert "2,000,000 rows come out of" in said(capsys, "show", file, "a")


@pytest.mark.parametrize("value", ["x", "-1", "0", "1.5", "²", "9" * 5000])
def test_a_launcher_that_says_no_number_is_named(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", value)
    with pytest.raises(BadOption, match=r"^WORLD_SIZE=.* unset it to run in one$"):
        count_processes()


def test_two_processes_without_a_launcher_are_refused(
    model: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    (tmp_path / "rows.jsonl").write_text(lines(ROWS))
    told = ("run", "--model", model, "--benchmark", tmp_path / "rows.jsonl", "--no-checks")
    message = said(capsys, *told, "--output", tmp_path / "out")
    assert "WORLD_SIZE=2 says that there are others" in message
    assert "RANK" in message


@pytest.mark.parametrize("word", ["", " ", "\udcff", "a\0b"])
def test_a_word_that_is_none_is_named_with_its_option(word: str, capsys: Capture) -> None:
    assert "--model is " in said(capsys, "run", "--model", word)
    assert "DIR is " in said(capsys, "aggregate", word)


def test_an_error_of_the_system_names_the_file(tmp_path: Path) -> None:
    broken = pytest.raises(BadData, match=r"^x: cannot be read \(Input/output error\)")
    with broken, reading(Path("x")):
        raise OSError(5, os.strerror(5))
    with pytest.raises(BadCheckpoint, match="Is a directory"), reading(kind=BadCheckpoint):
        tmp_path.read_text()
    with pytest.raises(BrokenPipeError), reading():
        raise BrokenPipeError


def test_a_folder_without_the_right_to_read_it_is_named(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:  # root may read all, so it is told otherwise
        raise PermissionError(13, os.strerror(13), str(tmp_path / "rows.jsonl"))

    (tmp_path / "rows.jsonl").write_text(lines(ROWS))
    monkeypatch.setattr(Path, "open", refuse)
    message = said(capsys, "show", tmp_path / "rows.jsonl", "r0")
    assert f"{tmp_path}/rows.jsonl: cannot be read (Permission denied)" in message


def test_blame_is_for_what_others_raise() -> None:
    class PanicException(BaseException):  # pyo3's, which no module exports
        pass

    for error in (Exception("rust"), PanicException("rust"), KeyError("rust"), MemoryError()):
        blamed = pytest.raises(BadCheckpoint, match=r"^f cannot be read \(.*(rust|MemoryError)")
        with blamed, Blaming(BadCheckpoint, "f cannot be read"):
            raise error
    for error in (BadData("ours"), KeyboardInterrupt(), StopIteration()):
        with pytest.raises(type(error)), Blaming(BadCheckpoint, "f cannot be read"):
            raise error


def test_an_arrow_file_that_points_outside_itself_is_refused(
    tmp_path: Path, capsys: Capture
) -> None:
    table = pa.table({name: ["x" * 1234] for name in ("id", "prompt", "chosen", "rejected")})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    ends, far = (bytes(4) + end.to_bytes(4, "little") + b"x" for end in (1234, 2**30))
    data, file = sink.getvalue().to_pybytes(), tmp_path / "rows.arrow"
    assert data.count(ends) == 4
    file.write_bytes(data.replace(ends, far))
    assert "not a readable arrow file" in said(capsys, "show", file, "r0")
