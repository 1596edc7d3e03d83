"""`rmeval show`: a row as a model will read it."""

import json
from pathlib import Path

from command_line import Capture, done, refusal


def write(path: Path, **row: object) -> Path:
    path.write_text(json.dumps(row) + "\n", "utf-8")
    return path


def test_both_responses_are_shown_as_rendered_with_their_tokens(capsys: Capture) -> None:
    out, _ = done(capsys, "show", "demo", 5)
    lines = out.splitlines()
    assert lines[0] == "5 (alpacaeval-easy), 2 responses, as demo reads them"
    rules = [line.strip("- ") for line in lines if line.startswith("--- ")]
    assert rules == ["chosen, 65 tokens", "rejected, 91 tokens"]
    assert "<s><|im_start|>user" in lines
    assert lines.count("<|reward|>") == 2


def test_what_is_cut_says_so(capsys: Capture) -> None:
    out, _ = done(capsys, "show", "demo", 5, "--max-length", 48)
    assert out.count(", 48 tokens, cut to 48 -") == 2


def test_data_of_ones_own_is_shown_and_can_do_nothing_to_a_terminal(
    capsys: Capture, tmp_path: Path
) -> None:
    path = write(tmp_path / "x.jsonl", id="a", prompt="p", chosen="\x1b[2Jred\x07", rejected="b")
    out, _ = done(capsys, "show", path, "a")
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "x1b[2Jred" in out


def test_a_row_that_is_not_there_is_one_short_line(capsys: Capture) -> None:
    line = refusal(capsys, "show", "demo", "nope")
    assert line.startswith("unknown row of demo 'nope'; ")
    assert len(line) < 300


def test_one_row_is_of_one_benchmark(capsys: Capture, tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", id="a", prompt="p", chosen="a", rejected="b")
    line = refusal(capsys, "show", f"demo,{path}", "a")
    assert line == "one row is of one benchmark: pass one name"
