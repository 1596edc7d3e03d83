"""`rmeval check`: the gate, its exit statuses and all that it writes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import Capture, done, refusal
from demo_results import PROVENANCE, ZERO, keep

from rmeval.benchmarks import scheme_of
from rmeval.benchmarks.rewardbench import ROWS
from rmeval.cli import main
from rmeval.files import prepare_folder
from rmeval.records import Result, Score, ScoredPreference
from rmeval.results.files import read_result, write_result

WORSE = {"hep-go": 10, "hep-cpp": 10}  # 12 rows fewer: p = 2^-12


@pytest.fixture(autouse=True)
def nowhere_near_github(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def baseline(folder: Path, capsys: Capture) -> Path:
    done(capsys, "baseline", keep(folder / "before"), "--output", folder / "baseline.json")
    return folder / "baseline.json"


def check(capsys: Capture, made: Path, held_to: object, *more: object) -> tuple[int, str, str]:
    words = ["check", "--result", made, "--baseline", held_to, *more]
    status = main([str(word) for word in words])
    return status, *capsys.readouterr()


def test_the_same_scores_pass_with_0(tmp_path: Path, capsys: Capture) -> None:
    status, out, err = check(capsys, keep(tmp_path / "a"), baseline(tmp_path, capsys))
    assert (status, err) == (0, "")
    assert out.splitlines()[-1].startswith("passed: org/m on demo, held to ")
    assert [line.split()[0] for line in out.splitlines()[2:7]] == [
        "Score", "Chat", "Chat", "Safety", "Reasoning",
    ]  # fmt: skip


def test_a_real_drop_fails_with_1_and_names_what_is_worse(tmp_path: Path, capsys: Capture) -> None:
    status, out, err = check(capsys, keep(tmp_path / "a", WORSE), baseline(tmp_path, capsys))
    assert (status, err) == (1, "")
    assert out.splitlines()[-1].startswith("regressed: Score, Reasoning: org/m on demo")


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--max-drop", "5"], 1),  # the Score drops by 1.56, Reasoning by 6.25
        (["--max-drop", "5", "--per", "overall"], 0),
        (["--max-drop", "17"], 0),
        (["--max-drop", "17", "--per", "subset"], 0),  # 23 subsets: 6 losses prove nothing
        (["--alpha", "0.0001"], 0),
        (["--alpha", "0"], 0),
    ],
)
def test_what_is_allowed_may_be_chosen(
    options: list[str], status: int, tmp_path: Path, capsys: Capture
) -> None:
    made = keep(tmp_path / "a", WORSE)
    assert check(capsys, made, baseline(tmp_path, capsys), *options)[0] == status


def test_reports_are_written_beside_the_result_or_where_they_are_asked_for(
    tmp_path: Path, capsys: Capture
) -> None:
    held_to, made = baseline(tmp_path, capsys), keep(tmp_path / "a", WORSE)
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    check(capsys, made, held_to)
    assert '<testsuite name="rmeval.demo" tests="5" failures="2"' in (
        (made / "check.xml").read_text("utf-8")
    )
    assert (made / "check.md").read_text("utf-8").startswith("### rmeval: regressed: Score")
    check(capsys, made, held_to, "--junit", tmp_path / "x/j.xml", "--markdown", tmp_path / "m.md")
    assert (tmp_path / "x/j.xml").read_bytes() == (made / "check.xml").read_bytes()
    assert (tmp_path / "m.md").read_bytes() == (made / "check.md").read_bytes()
    assert before == {name: (made / name).read_bytes() for name in before}


def test_github_gets_a_summary_that_grows_and_annotations(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    made, held_to = keep(tmp_path / "a", WORSE), baseline(tmp_path, capsys)
    _, out, _ = check(capsys, made, held_to)
    found = [line for line in out.splitlines() if line.startswith("::")]
    assert len(found) == 2
    assert found[0].startswith("::error title=rmeval::Score dropped by 1.56, from 100.00 to 98.44")
    assert page.read_text() == "before\n" + (made / "check.md").read_text()
    _, out, _ = check(capsys, keep(tmp_path / "b"), held_to)
    assert out.splitlines()[-1].startswith("::notice title=rmeval::passed")


def test_a_summary_page_that_cannot_be_written_is_said_in_a_line(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "none/page.md"))
    status, _, err = check(capsys, keep(tmp_path / "a"), baseline(tmp_path, capsys))
    assert status == 2
    assert err.startswith("rmeval: cannot write")
    assert err.count("\n") == 1
    assert "page.md" in err


def test_a_gate_that_could_not_tell_says_why_on_stderr_and_in_every_report(
    tmp_path: Path, capsys: Capture
) -> None:
    rows = read_result(keep(tmp_path / "whole")).scored
    made = keep(tmp_path / "a", scored=(replace(rows[0], digest="new"), *rows[1:]))
    status, out, err = check(capsys, made, baseline(tmp_path, capsys))
    reason = "could not tell (the baseline was made from other rows or other texts): org/m on demo"
    assert (status, out) == (2, "")
    assert err.startswith(f"rmeval: {reason}, held to {tmp_path / 'baseline.json'}")
    assert err.count("\n") == 1
    assert 'errors="1"' in (made / "check.xml").read_text()
    assert "could not tell" in (made / "check.md").read_text()


def test_the_baseline_of_another_benchmark_leaves_it_unknown(
    tmp_path: Path, capsys: Capture
) -> None:
    held_to = baseline(tmp_path, capsys)
    document = json.loads(held_to.read_text())
    held_to.write_text(json.dumps({**document, "definition": "rewardbench", "benchmark": "other"}))
    status, out, err = check(capsys, keep(tmp_path / "a"), held_to)
    assert (status, out) == (2, "")
    assert "could not tell (the baseline is of other)" in err


def published(folder: Path, won: float) -> Path:
    """A result on RewardBench in which a share of each subset is won."""
    rows = tuple(
        ScoredPreference(
            f"{subset}/{i}", subset, 1, (Score(1.0 if i < won * n else -1.0, 9, False), ZERO), "t"
        )
        for subset, n in ROWS.items()
        for i in range(n)
    )
    named = ("rewardbench", "rewardbench", "internlm/internlm2-1_8b-reward", "rewardbench-v1")
    metrics = scheme_of("rewardbench").metrics(rows)
    result = Result(*named, metrics, rows, None, PROVENANCE)
    write_result(prepare_folder(folder), result)
    return folder


def test_the_authors_row_is_held_to_on_the_drop_alone(tmp_path: Path, capsys: Capture) -> None:
    status, out, _ = check(capsys, published(tmp_path / "a", 1.0), "published")
    assert status == 0
    assert "the published row of internlm/internlm2-1_8b-reward (" in out
    status, out, _ = check(capsys, published(tmp_path / "b", 0.78), "published", "--per", "overall")
    assert status == 1
    assert "a drop counts even where it could be noise" in out
    assert out.splitlines()[2].split()[:2] == ["Score", "80.60"]


def test_the_nearest_published_row_is_held_to_and_the_other_stands_beside(
    tmp_path: Path, capsys: Capture
) -> None:
    """Of 0.82 the leaderboard's 82.17 is nearer than the card's 80.6."""
    folder = published(tmp_path / "a", 0.82)
    status, out, _ = check(capsys, folder, "published", "--per", "overall")
    lines = out.splitlines()
    assert (status, lines[-1].split()[0]) == (0, "passed")
    assert "https://huggingface.co/spaces/allenai/reward-bench, 2025-12-22" in lines[-1]
    (other,) = (line for line in lines if line.startswith("also published, but further away"))
    assert "https://huggingface.co/internlm/internlm2-1_8b-reward, 2024-07-19" in other
    assert [line.split()[1] for line in lines if line.startswith("Score")] == ["80.60", "82.17"]
    page = (folder / "check.md").read_text("utf-8")
    assert page.index("rmeval: passed") < page.index("rmeval: also published")
    assert (folder / "check.xml").read_text("utf-8").count("<testcase") == 1


def test_a_model_without_a_published_row_is_told_so(tmp_path: Path, capsys: Capture) -> None:
    line = refusal(capsys, "check", "--result", keep(tmp_path / "a"), "--baseline", "published")
    assert line == "no published row for org/m on demo; pass a baseline file"


def test_a_partial_result_is_not_held_to_a_published_row(tmp_path: Path, capsys: Capture) -> None:
    folder = published(tmp_path / "a", 1.0)
    result = replace(read_result(folder), partial="9 rows")
    write_result(folder, result)
    status, out, err = check(capsys, folder, "published")
    assert (status, out) == (2, "")
    assert "could not tell (the result is partial: 9 rows)" in err


DAMAGE: dict[str, Any] = {
    "a code too few": lambda d: d["credits"]["hep-go"].update(codes=""),
    "a subset too few": lambda d: d["credits"].pop("hep-go"),
    "a subset too many": lambda d: d["credits"].update(x=d["credits"]["hep-go"]),
    "other rows": lambda d: d["credits"]["hep-go"].update(kinds=[[0.5]]),
    "another metric": lambda d: d["metrics"].update(overall=0.5),
    "a metric that is not a number": lambda d: d["metrics"].update(overall=float("nan")),
    "no metrics": lambda d: d.update(metrics=[]),
    "an unknown weighting": lambda d: d.update(weighting="rewardbench-v9"),
    "a newer schema": lambda d: d.update(schema=2),
    "another kind of file": lambda d: d.update(kind="x"),
    "no score": lambda d: d["metrics"].pop("overall"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_baseline_never_passes(kind: str, tmp_path: Path, capsys: Capture) -> None:
    held_to, made = baseline(tmp_path, capsys), keep(tmp_path / "a")
    document = json.loads(held_to.read_text())
    DAMAGE[kind](document)
    held_to.write_text(json.dumps(document))
    before = held_to.read_bytes()
    status, out, err = check(capsys, made, held_to)
    assert (status, out) == (2, "")
    assert err.startswith("rmeval: ")
    assert err.count("\n") == 1
    assert str(held_to) in err
    assert held_to.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--max-drop", "-1"], "is not a number from 0 to 100"),
        (["--max-drop", "nan"], "'nan' is not a number from 0 to 100"),
        (["--alpha", "5"], "'5' is not a number from 0 to 1"),
        (["--alpha", "x"], "'x' is not a number from 0 to 1"),
        (["--per", "sections"], "unknown level 'sections'; did you mean 'section'?"),
    ],
)
def test_options_out_of_range_are_refused(
    options: list[str], message: str, tmp_path: Path, capsys: Capture
) -> None:
    arguments = ["check", "--result", tmp_path, "--baseline", "x", *options]
    assert message in refusal(capsys, *arguments)


def test_nothing_is_written_where_the_result_cannot_be_read(
    tmp_path: Path, capsys: Capture
) -> None:
    held_to, made = baseline(tmp_path, capsys), keep(tmp_path / "a")
    (made / "scores.jsonl").unlink()
    line = refusal(capsys, "check", "--result", made, "--baseline", held_to)
    assert line == f"{made / 'scores.jsonl'}: no such file; run the model again"
    assert [path.name for path in made.iterdir()] == ["result.json"]


def test_no_verdict_of_an_earlier_check_stands_beside_an_error(
    tmp_path: Path, capsys: Capture
) -> None:
    folder = keep(tmp_path / "result")
    done(capsys, "baseline", folder, "--output", tmp_path / "b.json")
    done(capsys, "check", "--result", folder, "--baseline", tmp_path / "b.json")
    assert (folder / "check.xml").exists()
    refusal(capsys, "check", "--result", folder, "--baseline", tmp_path / "none.json")
    assert not (folder / "check.xml").exists()
    assert not (folder / "check.md").exists()


def test_the_folder_may_stand_without_an_option(tmp_path: Path, capsys: Capture) -> None:
    made = keep(tmp_path / "a")
    done(capsys, "baseline", made, "--output", tmp_path / "b.json")
    out, _ = done(capsys, "check", made, "--baseline", tmp_path / "b.json")
    assert out == done(capsys, "check", "--result", made, "--baseline", tmp_path / "b.json")[0]
    both = ("check", made, "--result", made, "--baseline", tmp_path / "b.json")
    assert refusal(capsys, *both).startswith("pass the folder of one result")
