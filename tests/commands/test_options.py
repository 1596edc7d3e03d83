"""What is typed wrong is one line on stderr, with the nearest right thing, and status 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Capture, done, refusal

import rmeval
from rmeval.cli import VERBS, main


def test_no_arguments_print_the_verbs(capsys: Capture) -> None:
    out, err = done(capsys)
    assert all(verb in out for verb in VERBS)
    assert err == ""


@pytest.mark.parametrize("verb", [[], *[[verb] for verb in VERBS]])
def test_help_goes_to_stdout_with_status_0(verb: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*verb, "--help"])
    out, err = capsys.readouterr()
    assert caught.value.code == 0
    assert out.startswith("usage: rmeval")
    assert err == ""


def test_the_version_is_the_packages(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"rmeval {rmeval.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("rnu", "unknown verb 'rnu'; did you mean 'run'?"),
        ("evaluate", "unknown verb 'evaluate'; see rmeval --help"),
        ("run --modle demo", "unknown option '--modle'; did you mean --model?"),
        ("run --mod demo", "unknown option '--mod'"),
        ("run demo", "rmeval run takes no 'demo' here; did you mean --model demo?"),
        ("run --verbose", "unknown option '--verbose'; see rmeval run --help"),
        ("run -x", "unknown option '-x'; see rmeval run --help"),
        ("check --baseline x", "pass the folder of one result, as DIR or as --result DIR"),
        ("list --all", "unknown option '--all'"),
        ("--limit 3", "unknown option '--limit'"),
        ("run --benchmark rewardbnech", "did you mean 'rewardbench'?"),
        ("run --dtype bf16", "unknown dtype 'bf16'; did you mean 'bfloat16'?"),
        ("run --dtype int8", "unknown dtype 'int8'; known: auto, bfloat16, "),
        ("run --weighting rewardbench-v2", "did you mean 'rewardbench-v1'?"),
        ("run --limit 0", "argument --limit: '0' is not a whole number of at least 1"),
        ("run --limit -1", "'-1' is not a whole number"),
        ("run --limit x", "'x' is not a whole number"),
        ("run --limit 1.5", "'1.5' is not a whole number"),
        ("run --limit", "argument --limit: expected one argument"),
        ("run --batch-tokens 0", "argument --batch-tokens: '0'"),
        ("run --max-length -5", "argument --max-length: '-5'"),
        ("run --config", "argument --config: expected one argument"),
        ("run --benchmark demo --data x", "the demo benchmark ships with rmeval"),
        ("run --data /none", "/none: no such file or folder"),
        ("score --model demo", "arguments are required: --input, --output"),
        ("leaderboard --format josn", "unknown format 'josn'; did you mean 'json'?"),
        ("leaderboard /none", "/none: no such folder"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: str, complaint: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = refusal(capsys, *arguments.split())
    assert complaint in line
    assert len(line) < 1600
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("--device cuda:99", "device 'cuda:99' is not available"),
        ("--device coda", "unknown device 'coda'; did you mean 'cuda'?"),
        ("--device meta", "use auto, cpu, cuda or cuda:N"),
        ("--max-length 2049", "--max-length 2049: this model takes 1 to 2048 tokens"),
        ("--model dmeo", "unknown model 'dmeo'; did you mean 'demo'?"),
        ("--model internlm/internlm2-7b-rewrd", "did you mean 'internlm/internlm2-7b-reward'?"),
        ("--model internlm/internlm2-7b-reward", "wanted config.json of model internlm/internlm2"),
        ("--model .", "no config.json"),
        ("--model /none/of/these", "model /none/of/these: no such folder; / has no none"),
        ("--model ./none", "model ./none: no such folder; . has no none"),
        (f"--model {'x' * 5000}", "unknown model 'xxx"),
        ("--model demo --revision main --limit 1", "revision"),
    ],
)
def test_what_cannot_be_loaded_is_one_line(
    arguments: str, complaint: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = refusal(capsys, "run", "--benchmark", "demo", *arguments.split())
    assert complaint in line
    assert len(line) < 1600


def test_a_file_where_the_output_should_be_is_found_before_the_model(
    capsys: Capture, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("")
    run = ("run", "--benchmark", "demo", "--model", "no/model")
    assert "choose another --output" in refusal(capsys, *run, "--output", tmp_path / "out")


def rmeval_process(*arguments: str, stdout: int = subprocess.PIPE):
    buffered = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    return subprocess.run(
        [sys.executable, "-m", "rmeval", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env=buffered,
    )


def test_a_process_ends_with_the_status_and_the_line() -> None:
    process = rmeval_process("lsit")
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr == "rmeval: unknown verb 'lsit'; did you mean 'list'?\n"


@pytest.mark.parametrize("arguments", [["list"], ["--help"], []])
def test_a_reader_that_goes_away_early_is_no_error(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        process = rmeval_process(*arguments, stdout=writing)
    finally:
        os.close(writing)
    assert process.stderr == ""
    assert process.returncode == 0


def test_a_mistyped_folder_is_answered_with_the_nearest(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs/checkpoint-500").mkdir(parents=True)
    line = refusal(capsys, "run", "--benchmark", "demo", "-m", tmp_path / "runs/chekpoint-500")
    assert line.endswith(f"no such folder; did you mean {tmp_path / 'runs/checkpoint-500'}?")


@pytest.mark.parametrize("asked", [["help"], ["help", "list"]])
def test_help_is_a_verb_too(asked: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(asked)
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(" ".join(["usage: rmeval", *asked[1:]]))


def test_version_is_a_verb_too(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["version"])
    assert capsys.readouterr().out == f"rmeval {rmeval.__version__}\n"


def test_no_help_shows_a_percent_sign_twice(capsys: Capture) -> None:
    for verb in VERBS:
        with pytest.raises(SystemExit):
            main([verb, "--help"])
        assert "%%" not in capsys.readouterr().out
