"""`rmeval doctor`."""

import json
from pathlib import Path

import pytest
from command_line import Capture, done, refusal, small_model

from rmeval.cli import main
from rmeval.commands.doctor import format_checks
from rmeval.models.doctor.check import Check


def test_every_check_is_a_line_and_the_last_is_the_verdict(capsys: Capture) -> None:
    out, err = done(capsys, "doctor", "--device", "cpu")
    *lines, last = out.splitlines()
    assert len(lines) == 19
    assert {line.split()[0] for line in lines} == {"ok", "skip"}
    assert any(
        line.startswith("ok    alone = packed  largest difference ")
        and line.endswith("of the rewards' spread), 0 of 24 verdicts flip")
        for line in lines
    )
    assert last == "demo: fit to run"
    assert err == ""


def test_json_is_one_object(capsys: Capture) -> None:
    out, _ = done(capsys, "doctor", "--device", "cpu", "--max-length", "64", "--json")
    document = json.loads(out)
    assert list(document) == ["model", "verdict", "checks"]
    assert (document["model"], document["verdict"]) == ("demo", "fit to run, with 1 warning")
    odd = [check for check in document["checks"] if check["status"] == "warn"]
    assert [check["name"] for check in odd] == ["truncation"]
    assert list(odd[0]) == ["name", "status", "finding", "advice"]
    assert odd[0]["advice"] == "pass a larger --max-length"


def test_a_model_that_is_not_fit_ends_with_status_1(tmp_path: Path, capsys: Capture) -> None:
    folder = small_model(tmp_path, reward=3.4e38)
    assert main(["doctor", "--model", str(folder), "--device", "cpu"]) == 1
    out, err = capsys.readouterr()
    assert [line.split()[1] for line in out.splitlines() if line.startswith("FAIL")] == ["finite"]
    assert out.splitlines()[-1].endswith("not fit to run: finite")
    assert err == ""


def test_a_checkpoint_that_does_not_load_is_a_failing_line(tmp_path: Path, capsys: Capture) -> None:
    folder = small_model(tmp_path)
    (folder / "model.safetensors").write_bytes(b"no weights")
    assert main(["doctor", "--model", str(folder), "--device", "cpu", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "not fit to run: weights"
    assert "a weight file is unreadable" in document["checks"][0]["finding"]


def test_a_wrong_option_is_no_finding(capsys: Capture) -> None:
    assert "no-such" in refusal(capsys, "doctor", "--model", "./no-such-folder")
    assert "dtype" in refusal(capsys, "doctor", "--dtype", "float31")


def test_several_processes_are_refused(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert "one process" in refusal(capsys, "doctor")


def test_a_line_says_what_to_do_and_nothing_from_a_file_breaks_it() -> None:
    checks = [Check("BOS", "warn", "'<s>\n\x1b[31m'", "do it"), Check("end token", "pass", "fine")]
    assert format_checks(checks).splitlines() == [
        r"warn  BOS        '<s> \x1b[31m'; do it",
        "ok    end token  fine",
    ]
