"""`rmeval leaderboard`, in every format."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from command_line import Capture, done, refusal
from measured import keep, measured

from rmeval.files import prepare_folder
from rmeval.known import published_rows, published_tables


@pytest.fixture
def found(tmp_path: Path) -> Path:
    """Three whole results, one of them under another weighting, and a partial one."""
    folder = prepare_folder(tmp_path / "found")
    keep(folder, measured("org/second", 5))
    keep(folder, measured("org/a|b, <script>", 1))
    keep(folder, measured("org/older", 9, weighting="rewardbench-v1-2024-07"))
    keep(folder, measured("org/partial", 0, partial="9 of 2985 rows (--limit)"))
    return folder


MODELS = ["org/a|b, <script>", "org/second", "org/older", "org/partial"]


def test_json_holds_the_ranking_with_its_notes(found: Path, capsys: Capture) -> None:
    out, err = done(capsys, "leaderboard", found, "--format", "json")
    rows = json.loads(out)
    assert [row["model"] for row in rows] == MODELS
    assert [row["rank"] for row in rows] == [1, 2, 3, None]
    assert [len(row["notes"]) for row in rows] == [0, 0, 1, 1]
    assert {row["benchmark"] for row in rows} == {"rewardbench"}
    assert err == ""


def test_csv_holds_the_same(found: Path, capsys: Capture) -> None:
    rows = json.loads(done(capsys, "leaderboard", found, "--format", "json")[0])
    out, _ = done(capsys, "leaderboard", found, "--format", "csv")
    read = list(csv.DictReader(io.StringIO(out)))
    assert [row["model"] for row in read] == MODELS
    assert [float(row["Score"]) for row in read[:3]] == [row["Score"] for row in rows[:3]]
    assert read[3]["notes"] == "partial: 9 of 2985 rows (--limit)"


def test_a_table_is_the_default_and_has_footnotes(found: Path, capsys: Capture) -> None:
    out, _ = done(capsys, "leaderboard", found)
    assert out == done(capsys, "leaderboard", found, "--format", "table")[0]
    assert out.splitlines()[0].split()[:7] == [
        "rank", "group", "model", "type", "Score", "low", "high",
    ]  # fmt: skip
    assert "org/older [a] " in out
    assert "\n[a] rewardbench-v1-2024-07 weighting; the others rewardbench-v1\n" in out
    assert "\n[b] partial: 9 of 2985 rows (--limit)\n" in out
    assert out.endswith("\n")
    assert not out.endswith("\n\n")


def figures(out: str) -> list[list[str]]:
    """Model, Score and sections of a Markdown table, as printed."""
    lines = [line for line in out.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    wanted = ("model", "Score", "Chat", "Chat Hard", "Safety", "Reasoning")
    places = [cells[0].index(name) for name in wanted]
    return [[row[place] for place in places] for row in cells[2:]]


INTERNLM2 = """
internlm/internlm2-20b-reward  | 89.5 | 98.6 | 74.1 | 89.4 | 95.7
internlm/internlm2-7b-reward   | 86.6 | 98.6 | 66.7 | 88.3 | 92.8
internlm/internlm2-1_8b-reward | 80.6 | 95.0 | 58.1 | 81.8 | 87.4
"""
GRM = """
Ray2333/GRM-llama3-8B-sftreg   | 87.0 | 98.6 | 67.8 | 89.4 | 92.3
Ray2333/GRM-llama3-8B-distill  | 86.1 | 98.3 | 68.4 | 86.1 | 91.3
openai/gpt-4-0125-preview      | 85.9 | 95.3 | 74.3 | 87.2 | 86.9
sfairXC/FsfairX-LLaMA3-RM-v0.1 | 84.7 | 99.4 | 65.1 | 87.8 | 86.4
"""
INF_ORM = """
infly/INF-ORM-Llama3.1-70B               | 95.1 | 96.6 | 91.0 | 93.6 | 99.1
Skywork/Skywork-Reward-Gemma-2-27B-v0.2  | 94.3 | 96.1 | 89.9 | 93.0 | 98.1
nvidia/Llama-3.1-Nemotron-70B-Reward     | 94.1 | 97.5 | 85.7 | 95.1 | 98.1
Skywork/Skywork-Reward-Gemma-2-27B       | 93.8 | 95.8 | 91.4 | 91.9 | 96.1
SF-Foundation/TextEval-Llama3.1-70B      | 93.5 | 94.1 | 90.1 | 93.2 | 96.4
meta-metrics/MetaMetrics-RM-v1.0         | 93.4 | 98.3 | 86.4 | 90.8 | 98.2
Skywork/Skywork-Critic-Llama-3.1-70B     | 93.3 | 96.6 | 87.9 | 93.1 | 95.5
Skywork/Skywork-Reward-Llama-3.1-8B-v0.2 | 93.1 | 94.7 | 88.4 | 92.7 | 96.7
nicolinho/QRM-Llama3.1-8B                | 93.1 | 94.4 | 89.7 | 92.3 | 95.8
LxzGordon/URM-LLaMa-3.1-8B               | 92.9 | 95.5 | 88.2 | 91.1 | 97.0
"""
CARDS = {"internlm2-reward": INTERNLM2, "grm": GRM, "inf-orm": INF_ORM}
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("card", CARDS)
def test_a_model_cards_table_comes_out_row_for_row(card: str, capsys: Capture) -> None:
    wanted = [
        [cell.strip() for cell in line.split("|")] for line in CARDS[card].strip().splitlines()
    ]
    out, _ = done(capsys, "leaderboard", "--card", card, "--format", "markdown")
    assert figures(out) == wanted
    table = ROOT / "results" / "published" / f"{card}.csv"
    assert done(capsys, "leaderboard", table, "--format", "markdown")[0] == out


def test_a_card_that_nobody_ships_offers_the_nearest(capsys: Capture) -> None:
    assert "did you mean 'inf-orm'?" in refusal(capsys, "leaderboard", "--card", "inf_orm")


def test_all_published_rows_come_once_beside_what_was_measured(
    found: Path, capsys: Capture
) -> None:
    out, _ = done(capsys, "leaderboard", found, "--published", "--card", "grm", "--format", "json")
    rows = json.loads(out)
    assert len(rows) == 4 + len(published_rows())
    figures = [(row["benchmark"], row["model"], row["Score"], row["weighting"]) for row in rows]
    twice = {row for row in figures if figures.count(row) > 1}
    assert not twice


def test_results_of_several_folders_stand_together(found: Path, capsys: Capture) -> None:
    both, _ = done(capsys, "leaderboard", found / "00", found / "01", "--format", "json")
    assert [row["model"] for row in json.loads(both)] == MODELS[:2]


def test_benchmarks_have_a_table_each_and_one_can_be_chosen(found: Path, capsys: Capture) -> None:
    keep(found, measured("org/mine", 4, benchmark="demo", definition="demo"))
    out, _ = done(capsys, "leaderboard", found)
    assert out.splitlines()[0] == "demo"
    assert "\n\nrewardbench\n" in out
    html, _ = done(capsys, "leaderboard", found, "--format", "html")
    assert html.count('<table class="board') == 2
    for form in ("csv", "latex"):
        line = refusal(capsys, "leaderboard", found, "--format", form)
        assert (
            line
            == "one table per file: pass --across, or --benchmark with one of demo, rewardbench"
        )
    one, _ = done(capsys, "leaderboard", found, "--format", "csv", "--benchmark", "demo")
    assert len(one.splitlines()) == 2
    line = refusal(capsys, "leaderboard", found, "--benchmark", "dem")
    assert "did you mean 'demo'?" in line


def test_rows_of_ones_own_are_not_ranked_with_a_benchmark_of_their_name(
    found: Path, capsys: Capture
) -> None:
    keep(found, measured("org/mine", 4, definition="pairs"))
    out, _ = done(capsys, "leaderboard", found)
    assert [line for line in out.splitlines() if line.startswith("rewardbench")] == [
        "rewardbench (pairs)",
        "rewardbench",
    ]


def test_a_column_that_is_not_there_is_named(found: Path, capsys: Capture) -> None:
    line = refusal(capsys, "leaderboard", found, "--sort", "Chatt")
    assert line == "unknown column 'Chatt'; did you mean 'Chat'?"


def test_the_table_can_go_to_a_file(found: Path, capsys: Capture, tmp_path: Path) -> None:
    text, _ = done(capsys, "leaderboard", found, "--format", "html")
    target = tmp_path / "new" / "board.html"
    out, _ = done(capsys, "leaderboard", found, "--format", "html", "--output", target)
    assert out == ""
    assert target.read_text(encoding="utf-8") == text
    assert text.startswith("<!doctype html>")
    assert '<meta charset="utf-8">' in text
    assert text.count("<script>") == 1  # its own
    part, _ = done(capsys, "leaderboard", found, "--format", "html", "--fragment")
    assert part.startswith("<section")
    assert not re.findall(r"<(?:html|style|script|link|meta)", part)
    chosen = ["--columns", "model,Score,Chat", "--by", "type", "--format", "html"]
    page, _ = done(capsys, "leaderboard", found, "--benchmark", "rewardbench", *chosen)
    assert page.startswith("<!doctype html>")
    heads = re.findall(r'<th scope="col"[^>]*>([^<]*)', page)
    assert heads == ["model", "Score", "Chat", "type"]
    part, _ = done(capsys, "leaderboard", found, *chosen, "--fragment")
    assert part.startswith("<section")
    assert re.search(r"<table.*</table>", part, re.S).group() in page
    across = ["--across", "--columns", "model,rewardbench", "--format", "html"]
    page, _ = done(capsys, "leaderboard", found, *across)
    assert page.startswith("<!doctype html>")
    part, _ = done(capsys, "leaderboard", found, *across, "--fragment")
    assert part.startswith("<section")
    assert re.findall(r'<th scope="col"[^>]*>([^<]*)', part) == ["model", "rewardbench"]
    line = refusal(capsys, "leaderboard", found, "--fragment")
    assert line == "--fragment is of --format html, not table; leave it out"


@pytest.mark.parametrize(
    ("form", "shown"),
    [("table", ""), ("markdown", ""), ("csv", ""), ("json", "[]\n"), ("latex", ""), ("html", "")],
)
def test_no_results_are_no_error(form: str, shown: str, capsys: Capture, tmp_path: Path) -> None:
    out, err = done(capsys, "leaderboard", tmp_path, "--format", form, "--benchmark", "demo")
    assert out == shown
    assert err == f"no results in {tmp_path}; `rmeval run` makes one\n"


def test_results_is_the_folder_that_is_read_by_default(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal(capsys, "leaderboard") == "results: no such folder"
    keep(tmp_path / "results", measured("org/mine"))
    out, _ = done(capsys, "leaderboard", "--format", "json")
    assert [row["model"] for row in json.loads(out)] == ["org/mine"]
    out, _ = done(capsys, "leaderboard", "--published", "--format", "json")
    assert "org/mine" in out


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"schema": 2}', '{"schema": 2, "partial": null, "metrics": {}}']
)
def test_a_damaged_result_is_named_and_nothing_is_ranked(
    text: str, found: Path, capsys: Capture
) -> None:
    (found / "00/result.json").write_text(text)
    assert refusal(capsys, "leaderboard", found).startswith(f"{found}/00/result.json: ")


def test_scores_that_are_not_the_results_are_refused(found: Path, capsys: Capture) -> None:
    scores = found / "00/scores.jsonl"
    scores.write_text(scores.read_text(encoding="utf-8").replace("-1.0", "2.0", 1))
    assert "not the scores that result.json was made from" in refusal(capsys, "leaderboard", found)


def test_a_result_of_a_newer_rmeval_asks_for_an_update(found: Path, capsys: Capture) -> None:
    (found / "00/result.json").write_text('{"schema": 99}')
    line = refusal(capsys, "leaderboard", found)
    assert "schema 99" in line
    assert "update rmeval" in line


@pytest.mark.parametrize(
    ("name", "form"), [("t.csv", "csv"), ("t.md", "markdown"), ("t.html", "html"), ("t", "table")]
)
def test_the_name_of_the_output_says_the_format(
    name: str, form: str, tmp_path: Path, capsys: Capture
) -> None:
    done(capsys, "leaderboard", "--card", "grm", "--output", tmp_path / name)
    expected, _ = done(capsys, "leaderboard", "--card", "grm", "--format", form)
    assert (tmp_path / name).read_text("utf-8") == expected
    done(capsys, "leaderboard", "--card", "grm", "--output", tmp_path / name, "--format", "json")
    assert json.loads((tmp_path / name).read_text("utf-8"))


def test_published_rows_stand_beside_the_results_that_are_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    without, _ = done(capsys, "leaderboard", "--published", "--benchmark", "rewardbench")
    assert "org/mine" not in without
    keep(tmp_path / "results", measured("org/mine"))
    for asked in ("--published", "--card=grm"):
        out, _ = done(capsys, "leaderboard", asked, "--benchmark", "rewardbench")
        assert "org/mine" in out


@pytest.mark.parametrize(
    ("benchmark", "table"),
    [
        ("rewardbench", "rewardbench-leaderboard"),
        ("rewardbench-2", "rewardbench-2-leaderboard"),
        ("rm-bench", "rm-bench-leaderboard"),
        ("judgebench", "judgebench-outputs"),
        ("ppe-preference", "skywork-reward-v2"),
        ("ppe-correctness", "skywork-reward-v2"),
        ("rmb", "skywork-reward-v2"),
    ],
)
@pytest.mark.parametrize("form", ["json", "csv", "latex", "html", "markdown", "table"])
def test_published_rows_of_every_benchmark_are_ranked(
    benchmark: str, table: str, form: str, capsys: Capture
) -> None:
    arguments = ("--published", "--benchmark", benchmark, "--format", form)
    out, _ = done(capsys, "leaderboard", *arguments)
    wanted = [row for row in published_tables()[table] if row.benchmark == benchmark]
    if form == "json":
        found = {(row["model"].casefold(), row["Score"]) for row in json.loads(out)}
        assert {(row.model.casefold(), row.overall) for row in wanted} <= found
    if form == "csv":
        read = list(csv.DictReader(io.StringIO(out)))
        assert {row.overall for row in wanted} <= {float(row["Score"]) for row in read}


def test_rows_of_one_model_say_from_where_each_is(capsys: Capture) -> None:
    out, _ = done(capsys, "leaderboard", "--published", "--benchmark=rewardbench", "--format=json")
    rows = [row for row in json.loads(out) if row["model"] == "internlm/internlm2-1_8b-reward"]
    assert [row["Score"] for row in rows] == [82.17, 80.6]
    assert "from https://huggingface.co/spaces/allenai/reward-bench, 2025-12-22" in rows[0]["notes"]
    card = "from https://huggingface.co/internlm/internlm2-1_8b-reward, 2024-07-19"
    assert card in rows[1]["notes"]


def test_a_row_whose_weighting_nobody_states_and_one_of_a_part_say_so(capsys: Capture) -> None:
    out, _ = done(capsys, "leaderboard", "--published", "--benchmark=judgebench", "--format=json")
    notes = {(row["model"], row["Score"]): row["notes"] for row in json.loads(out)}
    part = notes["internlm/internlm2-7b-reward", 59.43]
    assert "the Score is of gpt-4o alone" in part
    assert "recomputed from the published outputs" in part
