"""`rmeval doctor --endpoint`: servers on this machine that are right, and wrong in every way."""

import json
from pathlib import Path

import pytest
from readable import TEMPLATE, load
from served import WRONG, Served, random_llama
from served_over_http import OpenRLHF, Vllm, answering

from rmeval.cli import main

pytest.importorskip("httpx2")

Capture = pytest.CaptureFixture[str]

PROMPTING = TEMPLATE + "{% if add_generation_prompt %}<|assistant|>{% endif %}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_llama(tmp_path_factory.mktemp("model"), 4, template=PROMPTING)


@pytest.fixture(scope="module")
def served(folder: Path) -> Served:
    return Served(folder)


@pytest.fixture(scope="module")
def record(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("record") / "parity.json"
    options = ["--model", str(folder), "--device", "cpu", "--max-length", "700"]
    assert main(["doctor", *options, "--record", str(path)]) == 0
    return path


@pytest.fixture
def vllm(served: Served, folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("RMEVAL_API_KEY", raising=False)
    tokenizer = load(folder).tokenizer
    return lambda **how: Vllm(how.pop("served", served), tokenizer, **how)


def refusal(capsys: Capture, *arguments: object) -> str:
    """The last line on stderr of a command that a user can mend."""
    assert main([str(argument) for argument in arguments]) == 2
    return capsys.readouterr().err.splitlines()[-1]


def asked(capsys: Capture, url: str, *arguments: object, engine: str = "vllm"):
    """The exit status, the lines by the name of the check, and the verdict."""
    command = ["doctor", *arguments, "--endpoint", url, "--engine", engine]
    status = main([str(argument) for argument in command])
    *lines, verdict = capsys.readouterr().out.splitlines()
    names = ("engine", "ids alone", "ids in a batch", "messages", "rendered text", "asked again")
    found = {name: line for line in lines for name in names if line[6:].startswith(name)}
    assert len(found) == len(lines)
    return status, found, verdict


def test_an_engine_that_is_right_but_for_text_with_a_second_bos(
    vllm, folder: Path, capsys: Capture
) -> None:
    with answering(vllm(max_model_len=800)) as url:
        status, found, verdict = asked(capsys, url, "--model", folder, "--device", "cpu")
    assert status == 1
    assert found["engine"].startswith("ok    engine          vllm 0.32.0, model rm, at most 800")
    for name in ("ids alone", "ids in a batch", "messages", "asked again"):
        assert found[name].startswith("ok  "), found[name]
    text = found["rendered text"]
    assert text.startswith("FAIL  rendered text")
    assert "+1 tokens in" in text
    assert "why: BOS doubled (" in text
    assert "add_special_tokens" in text
    assert verdict == f"{folder} at {url}: not what was evaluated: rendered text"


def test_ways_are_those_that_clients_take(vllm, record: Path, capsys: Capture) -> None:
    server = vllm()
    with answering(server) as url:
        status, found, verdict = asked(capsys, url, "--against", record, "--ways", "messages,ids")
    assert (status, list(found)) == (0, ["engine", "messages", "ids alone", "asked again"])
    assert verdict.endswith(": what was evaluated")
    assert not any(isinstance(body.get("input"), str) for body in server.asked)


@pytest.mark.parametrize(
    ("how", "way", "why"),
    [
        ({"deaf": True}, "ids", "why: sigmoid of the reward ("),
        ({"deaf": True}, "text", "why: BOS doubled and sigmoid of the reward ("),
        ({"prompt": True}, "messages", "why: a generation prompt appended ("),
        ({"change": lambda ids: ids[:128]}, "ids", "why: cut to 128 tokens, the end lost ("),
        (
            {"change": lambda ids: ids[-300:]},
            "ids",
            "why: cut to 300 tokens; not known is which part",
        ),
        ({"reward": WRONG["mean pooling"]}, "ids", "why: mean pooling ("),
        ({"reward": WRONG["the state normalised"]}, "ids", "why: the state normalised ("),
        ({"reward": WRONG["softmax over one label"]}, "ids", "softmax over one label"),
        ({}, "unasked", "why: sigmoid of the reward ("),
    ],
)
def test_what_is_wrong_is_named_by_a_record_without_the_model(
    vllm, record: Path, capsys: Capture, how, way, why
) -> None:
    with answering(vllm(**how)) as url:
        command = ["doctor", "--against", str(record), "--endpoint", url, "--engine", "vllm"]
        assert main([*command, "--ways", way, "--json"]) == 1
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert why in next(check for check in checks if check["status"] == "fail")["finding"]


def test_a_cut_to_any_length_is_named_where_the_model_is_at_hand(
    vllm, folder: Path, capsys: Capture
) -> None:
    with answering(vllm(change=lambda ids: ids[-300:], max_model_len=700)) as url:
        options = ["--model", folder, "--device", "cpu", "--ways", "batch,ids"]
        _, found, _ = asked(capsys, url, *options)
    for name in ("ids alone", "ids in a batch"):
        assert "why: cut to 300 tokens, the beginning lost (" in found[name]


def test_openrlhfs_server_takes_text_alone_and_is_found_out(
    folder: Path, record: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = OpenRLHF(Served(folder, "bfloat16"), load(folder).tokenizer, max_len=256)
    with answering(server) as url:
        status, found, _ = asked(capsys, url, "--against", record, engine="openrlhf")
    assert status == 1
    assert found["ids alone"].startswith("skip  ids alone       openrlhf takes no token ids")
    assert found["messages"].startswith("skip")
    assert "why: cut to 256 tokens, the end lost (" in found["rendered text"]
    assert "in bfloat16)" in found["rendered text"]


def test_rounding_is_a_warning(vllm, folder: Path, record: Path, capsys: Capture) -> None:
    with answering(vllm(served=Served(folder, "bfloat16"))) as url:
        status, found, verdict = asked(capsys, url, "--against", record, "--ways", "ids,batch")
    assert status == 0
    assert found["ids alone"].startswith("warn")
    assert "only rounding: computed in bfloat16; serve in float32" in found["ids alone"]
    assert verdict.endswith("what was evaluated, up to rounding")


def test_rows_that_an_engine_refuses_are_counted(vllm, record: Path, capsys: Capture) -> None:
    with answering(vllm(refuses=lambda length: length > 400)) as url:
        status, found, _ = asked(capsys, url, "--against", record, "--ways", "ids,batch")
    assert status == 1
    assert found["ids alone"].startswith("warn")
    assert "rows refused: " in found["ids alone"]
    assert "maximum context length is short" in found["ids alone"]
    assert found["ids in a batch"].startswith("FAIL  ids in a batch  0 rows answered: ")


def test_another_checkpoint_at_the_same_address(
    vllm, record: Path, capsys: Capture, tmp_path: Path
) -> None:
    with answering(vllm(served=Served(random_llama(tmp_path / "other", 5)))) as url:
        status, found, _ = asked(capsys, url, "--against", record, "--ways", "ids")
    assert status == 1
    assert "nothing known explains it, rank correlation " in found["ids alone"]


def test_a_record_says_whose_it_is(record: Path, folder: Path) -> None:
    told = json.loads(record.read_text())
    assert (told["kind"], told["schema"], told["dtype"]) == ("rmeval parity record", 1, "float32")
    assert told["model"]["name"] == str(folder)
    assert told["model"]["fingerprint"] == load(folder).fingerprint
    assert {"template_sha256", "max_length"} <= told["model"].keys()
    assert {"rmeval", "torch", "transformers"} <= told["versions"].keys()
    assert set(told["mistakes"][0]["rewards"]) == {"float32", "bfloat16", "float16"}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda told: told.pop("rows"), "rows is missing or no part of a rmeval parity record"),
        (lambda told: told.update(kind="x"), "kind is missing or no part"),
        (lambda told: told["mistakes"][0]["rewards"]["float32"].pop(), "make it again"),
        (lambda told: told["mistakes"].pop(0), "make it again"),
        (lambda told: told["rows"][0].update(ids={}), "make it again"),
        (lambda told: told["mistakes"][0]["rewards"]["float32"].__setitem__(0, "x"), "mistakes.0"),
    ],
)
def test_a_broken_record_is_refused_in_one_line(
    record: Path, tmp_path: Path, capsys: Capture, spoil, words
) -> None:
    told = json.loads(record.read_text())
    spoil(told)
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(told))
    options = ["--endpoint", "http://127.0.0.1:1", "--engine", "vllm", "--against", broken]
    assert words in refusal(capsys, "doctor", *options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--endpoint", "http://127.0.0.1:1"], "--endpoint names no engine: pass --engine vllm|"),
        (["--engine", "vllm"], "pass its address, --endpoint URL"),
        (["--against", "x.json"], "--against goes with --endpoint only"),
        (["--ways", "ids"], "--ways goes with --endpoint only"),
        (
            ["--endpoint", "http://h", "--engine", "tei", "--model", "demo", "--against", "x"],
            "leave --model out",
        ),
        (["--endpoint", "http://h", "--engine", "vlm"], "did you mean 'vllm'?"),
        (["--endpoint", "http://h", "--engine", "tei", "--against", "./no.json"], "cannot be read"),
        (["--record", "."], "is a folder; name a file"),
    ],
)
def test_options_that_make_no_sense(capsys: Capture, options, words) -> None:
    assert words in refusal(capsys, "doctor", *options)


def test_ways_that_nobody_knows(record: Path, capsys: Capture) -> None:
    command = ["doctor", "--against", record, "--endpoint", "http://127.0.0.1:1"]
    told = refusal(capsys, *command, "--engine", "vllm", "--ways", "id,text")
    assert "unknown way of --ways 'id'; did you mean 'ids'?" in told


def test_nobody_answers(record: Path, capsys: Capture) -> None:
    command = ["doctor", "--against", record, "--endpoint", "http://127.0.0.1:1"]
    assert "http://127.0.0.1:1" in refusal(capsys, *command, "--engine", "vllm", "--ways", "ids")
