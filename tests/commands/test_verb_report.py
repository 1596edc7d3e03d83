"""`rmeval report`."""

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

from command_line import Capture, done, refusal
from preferences_by_hand import PROVENANCE, question, result, scored, write_questions

from rmeval.files import prepare_folder
from rmeval.results.files import write_result

QUESTIONS = [question("1"), question("2", "t")]
ROWS = [scored(QUESTIONS[0], 1, 0), scored(QUESTIONS[1], 0, 1)]


def kept(folder: Path, source: object = "nowhere.jsonl", **changes: Any) -> Path:
    data = {**PROVENANCE["data"], "source": str(source)}
    made = {"provenance": {**PROVENANCE, "data": data}, **changes}
    rows = made.pop("rows", ROWS)
    write_result(prepare_folder(folder), result(rows, made.pop("model", "org/m"), **made))
    return folder


def rows_in(page: Path) -> list[dict[str, Any]]:
    packed = re.search(r'<script id="rows"[^>]*>([^<]*)</script>', page.read_text("utf-8"))[1]
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def test_the_texts_are_read_again_from_where_the_run_found_them(tmp_path, capsys: Capture) -> None:
    folder = kept(tmp_path / "m", write_questions(tmp_path / "own.jsonl", QUESTIONS))
    page = tmp_path / "new" / "report.html"
    out, err = done(capsys, "report", folder, "--output", page)
    assert (out, err) == (f"{page}: 0.1 MB\n", "")
    assert [row["responses"][1] for row in rows_in(page)] == ["so that it fails"] * 2


def test_moved_texts_are_passed(tmp_path: Path, capsys: Capture) -> None:
    folder, page = kept(tmp_path / "m"), tmp_path / "report.html"
    moved = write_questions(tmp_path / "moved.jsonl", QUESTIONS)
    done(capsys, "report", folder, "--output", page, "--data", moved)
    assert [row["prompt"] for row in rows_in(page)] == [[["user", "why?"]]] * 2


def test_without_texts_there_is_a_report_of_ids_and_a_word(tmp_path: Path, capsys: Capture) -> None:
    folder, page = kept(tmp_path / "m"), tmp_path / "report.html"
    _, err = done(capsys, "report", folder, "--output", page)
    assert err.startswith("without texts: ")
    assert "nowhere.jsonl" in err
    assert err.endswith("; pass --data\n")
    assert [(row["id"], row["prompt"]) for row in rows_in(page)] == [("1", None), ("2", None)]


def test_data_that_is_passed_and_cannot_be_read_is_an_error(tmp_path, capsys: Capture) -> None:
    folder = kept(tmp_path / "m")
    message = refusal(capsys, "report", folder, "--data", tmp_path / "gone.jsonl")
    assert "gone.jsonl" in message


def test_several_folders_make_one_page(tmp_path: Path, capsys: Capture) -> None:
    folders = [kept(tmp_path / name, model=f"org/{name}") for name in "ab"]
    page = tmp_path / "report.html"
    done(capsys, "report", *folders, "--output", page)
    assert [len(row["scores"]) for row in rows_in(page)] == [2, 2]


def test_a_folder_without_a_result_is_named(tmp_path: Path, capsys: Capture) -> None:
    assert refusal(capsys, "report", tmp_path) == (
        f"{tmp_path}: no result.json here; pass the folder that `rmeval run` named"
    )


def test_scores_of_other_rows_are_refused(tmp_path: Path, capsys: Capture) -> None:
    a, b = kept(tmp_path / "a"), kept(tmp_path / "b", rows=ROWS[:1])
    page = tmp_path / "report.html"
    assert "different rows: 1 of" in refusal(capsys, "report", a, b, "--output", page)
    assert not page.exists()


def test_scores_of_other_benchmarks_are_refused(tmp_path: Path, capsys: Capture) -> None:
    rows = [scored(question("1", "math-prm"), 1, 0)]
    a = kept(tmp_path / "a", rows=rows)
    b = kept(tmp_path / "b", rows=rows, definition="rewardbench")
    assert refusal(capsys, "report", a, b, "--output", tmp_path / "r.html") == (
        f"{a} is of pairs and {b} of rewardbench: nothing to compare"
    )


def test_a_page_that_cannot_be_written_is_a_word_not_a_traceback(tmp_path, capsys: Capture) -> None:
    folder = kept(tmp_path / "m")
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "report.html"
    assert f"cannot write to {tmp_path / 'file'}" in refusal(
        capsys, "report", folder, "--output", place
    )
