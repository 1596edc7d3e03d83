"""Names and texts that are commands to a terminal, a CI's log, a spreadsheet, a page: text."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Capture
from demo_results import PROVENANCE
from preferences_by_hand import question, result, scored

from rmeval.cli import main
from rmeval.files import prepare_folder
from rmeval.reports.tables import FORMATS, format_rows
from rmeval.results.files import write_result

PAYLOADS = [
    "\x1b[2J\x1b[1;1H",
    "\x1b]8;;http://x.example\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]52;c;cm0gLXJm\x07",
    "\x9b31m",
    "\u202egnp.exe",
    "\u2066a\u2069",
    "a\r\x08b",
    "x\n::error::taken",
    "::set-output name=a::b",
    "  ::add-mask::x",
    "##[error]taken",
    "a ##vso[task.setvariable variable=x]y",
    "=HYPERLINK(1)",
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "\t=1",
    "![x](http://x.example/i.png)",
    "[x](javascript:alert(1))",
    "<img src=x onerror=alert(1)>",
    "\\input{/etc/passwd}$x$%",
    "a|b",
    "\x85\u2028as stored",
]
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
VERBS = [
    ["aggregate", "a", "--explain"],
    ["aggregate", "a", "--json"],
    ["compare", "a", "b"],
    ["compare", "a", "b", "--json"],
    ["baseline", "a", "--output", "{}.json"],
    ["ensemble", "a", "b", "--output", "o", "--name", "{}"],
    ["export", "a", "--format", "csv"],
    ["export", "a", "--format", "latex"],
    ["export", "a", "--format", "model-index"],
    ["store", "."],
    ["check", "--result", "b", "--baseline", "baseline.json"],
    ["check", "--result", "b", "--baseline", "{}"],
    ["leaderboard", ".", "--sort", "{}"],
    ["history", ".", "--figure", "h.svg"],
    ["plot", ".", "--figure", "forest", "--output", "f", "--format", "svg"],
    ["push", ".", "--results", "{}"],
    ["pull", "{}"],
    ["run", "--model", "{}"],
    ["run", "--benchmark", "{}"],
    ["show", "{}", "1"],
    ["score", "--input", "{}", "--model", "demo", "--output", "{}"],
    ["{}"],
    *(["leaderboard", ".", "--format", form] for form in FORMATS),
]


def keep(name: str, payload: str, won: float) -> None:
    """A result in which every name and text is the payload."""
    rows = [scored(question(f"{n}{payload}", payload), won - n, 0.0) for n in range(2)]
    model = {**PROVENANCE["model"], "name": payload, "fingerprint": name, "dtype": payload}
    data = {**PROVENANCE["data"], "source": payload}
    engine = {"path": payload, "reason": payload, "device": payload}
    made = {**PROVENANCE, "model": model, "data": data, "engine": engine, "checks": payload}
    of_it = result(rows, model=payload, benchmark=payload, provenance=made)
    write_result(prepare_folder(Path(name)), of_it)


def assert_harmless(text: str, payload: str) -> None:
    assert not RAW.search(text.replace("\r\n", "\n")), (payload, text)
    for line in text.splitlines():
        assert not line.strip().startswith("::"), (payload, line)
        assert not re.search(r"##\w*\[", line), (payload, line)


@pytest.mark.parametrize("payload", PAYLOADS, ids=ascii)
def test_no_verb_prints_a_command(
    payload: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    keep("a", payload, 1.5)
    keep("b", payload, 0.5)
    assert main(["baseline", "a", "--output", "baseline.json"]) == 0
    for verb in VERBS:
        status = main([word.replace("{}", payload) for word in verb])
        out, err = capsys.readouterr()
        assert status in (0, 1, 2), verb
        assert_harmless(out + err, payload)
        assert out or err
        if "--json" in verb or verb[-1] == "json":
            json.loads(out)
    assert main(["check", "--result", "b", "--baseline", "baseline.json"]) == 0
    assert_harmless(Path("b/check.md").read_text("utf-8"), payload)


@pytest.mark.parametrize("payload", PAYLOADS, ids=ascii)
def test_what_json_holds_is_what_was_written(
    payload: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    keep("a", payload, 1.5)
    assert main(["leaderboard", ".", "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["model"] == payload


@pytest.mark.parametrize("payload", PAYLOADS, ids=ascii)
def test_cells_and_heads_are_text_in_every_format(payload: str) -> None:
    rows = [{payload: payload, "n": -1.5}]
    for cells in csv.reader(io.StringIO(format_rows(rows, "csv"), newline="")):
        assert not re.match(r"\s*[=+\-@]|[\t\r]", cells[0])
    markdown = re.sub(r"\\[^\w\s]", "", format_rows(rows, "markdown"))
    assert not re.search(r"[\[<`]", markdown)
    assert not re.search(r"<(?!/?(table|thead|tbody|tr|th|td)\b)", format_rows(rows, "html"))
    latex = format_rows(rows, "latex").replace(r"\textbackslash{}", "")
    assert r"\input" not in latex
    assert len(format_rows(rows, "table").splitlines()) == 3


def test_a_ci_is_told_what_is_rmevals_own_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    keep("a", "x\n::error::taken", 1.5)
    assert main(["baseline", "a", "--output", "baseline.json"]) == 0
    assert main(["check", "--result", "a", "--baseline", "baseline.json"]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("::")]
    assert len(told) == 1
    assert told[0].startswith("::notice title=rmeval::passed")


def process(*arguments: str, cwd: Path, stdout: str = "", **env: str):
    command = f'"{sys.executable}" -m rmeval {" ".join(arguments)} {stdout}'
    return subprocess.run(
        ["bash", "-c", command], cwd=cwd, capture_output=True, env={**os.environ, **env}
    )


CHECK = ("check", "--result", "b", "--baseline", "baseline.json")


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    keep("a", "name", 1.5)
    keep("b", "näme 世界", 1.5)
    assert main(["baseline", "a", "--output", "baseline.json"]) == 0
    keep("b", "name", 1.5)
    return tmp_path


@pytest.mark.parametrize("stdout", [">&-", "> /dev/full"])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a system without /dev/full")
def test_a_gates_word_is_not_lost_where_stdout_cannot_be_written(gate: Path, stdout: str) -> None:
    done = process(*CHECK, cwd=gate, stdout=stdout)
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"passed: name on name" in done.stderr
    assert b"Traceback" not in done.stderr
    done = process("list", "adapters", cwd=gate, stdout=stdout)
    assert done.returncode == (0 if "&" in stdout else 2)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_an_encoding_lacks_is_escaped(
    gate: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep("c", "näme 世界", 1.5)
    done = process("aggregate", "c", cwd=gate, PYTHONIOENCODING=encoding)
    assert done.returncode == 0
    assert b"\\u4e16\\u754c" in done.stdout


def test_a_bug_has_a_status_that_no_gate_has(tmp_path: Path) -> None:
    code = (
        "import sys, rmeval.commands.check as check\n"
        "from rmeval.cli import main\n"
        "check.run = lambda *_: 1 / 0\n"
        "sys.argv = ['rmeval', 'check']\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True)
    assert done.returncode == 70
    assert b"ZeroDivisionError" in done.stderr
