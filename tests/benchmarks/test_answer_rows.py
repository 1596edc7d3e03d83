"""Data of one's own that are questions with right and wrong answers, in every format."""

import json
from pathlib import Path

import pandas as pd
import pytest
from own_rows import written

import rmeval
from rmeval.benchmarks import load_benchmark
from rmeval.cli import main
from rmeval.errors import BadData, RmevalError
from rmeval.results.scores import read_scores

ROW = {
    "id": "q1",
    "prompt": "2 + 2?",
    "responses": ["5", "4", "four", "22"],
    "correct": [False, True, True, False],
    "answers": ["5", "4", "4", None],
}


@pytest.mark.parametrize("suffix", ["jsonl", "json", "parquet", "csv"])
def test_right_answers_come_first_whatever_the_file(suffix: str, tmp_path: Path) -> None:
    benchmark = load_benchmark(written(tmp_path, suffix, ROW))
    (item,) = benchmark.preferences
    assert (item.responses, item.num_chosen) == (("4", "four", "5", "22"), 2)
    first, second, third, last = item.answers
    assert first == second
    assert len({first, third, last}) == 3
    assert benchmark.definition == "answers"
    assert benchmark.layout is not None
    assert "responses: right and wrong answers, told by correct" in benchmark.layout


def test_one_file_says_what_is_right_in_one_column(tmp_path: Path) -> None:
    first = {"prompt": "q", "responses": ["a", "b"], "correct": [True, False]}
    second = {"prompt": "r", "responses": ["a", "b"], "scores": [1, 0]}
    fault = "line 2: correct is in column 'scores', and in 'correct' at .* line 1"
    with pytest.raises(BadData, match=fault):
        load_benchmark(written(tmp_path, "jsonl", first, second))


def test_scores_of_1_and_0_say_it_too_and_other_names_can_be_passed(tmp_path: Path) -> None:
    told = {"prompt": "q", "responses": ["a", "b"], "scores": [0, 1.0]}
    assert load_benchmark(written(tmp_path, "jsonl", told)).preferences[0].responses == ("b", "a")
    named = {"question": "q", "candidates": ["a", "b"], "label": [1, 0]}
    columns = {"prompt": "question", "responses": "candidates", "correct": "label"}
    benchmark = load_benchmark(written(tmp_path, "jsonl", named), columns=columns)
    assert benchmark.preferences[0].responses == ("a", "b")


def test_messages_a_system_prompt_and_frames_are_read() -> None:
    turns = [{"role": "user", "content": "hi"}]
    reply = {"role": "assistant", "content": "ho"}
    row = {"messages": turns, "responses": [reply, "ha"], "correct": [0, 1], "system": "be kind"}
    (item,) = load_benchmark([row]).preferences
    assert [message.role for message in item.prompt] == ["system", "user"]
    assert item.responses == ("ha", "ho")
    frame = pd.DataFrame([ROW, {**ROW, "id": "q2", "correct": [True] * 4}])
    assert [item.num_chosen for item in load_benchmark(frame).preferences] == [2, 4]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"correct": [True]}, "1 in 'correct' for 4 responses"),
        ({"correct": [0.5, 0, 0, 1]}, r"'correct'\[1\] is 0.5; it must be true or false, 1 or 0"),
        ({"correct": ["yes", 0, 0, 1]}, "is 'yes'; it must be"),
        ({"correct": [float("nan"), 0, 0, 1]}, "is nan; it must be"),
        ({"correct": True}, "holds bool, not a list of true and false"),
        ({"responses": []}, "no responses, the list is empty"),
        ({"responses": "4"}, "responses. must be a list of texts"),
        ({"responses": [4, 5, 6, 7]}, "must be a list of texts"),
        ({"answers": ["4"]}, "'answers' must be a list of 4 answers"),
        ({"prompt": None}, "row 2"),
        ({"correct": "[1,"}, "'correct' is text, not a list"),
        ({"correct": "[" * 100_000}, "'correct' is text, not a list"),
    ],
)
def test_a_row_that_is_none_is_named(change: dict[str, object], fault: str) -> None:
    with pytest.raises(BadData, match=fault) as caught:
        load_benchmark([ROW, {**ROW, "id": "q2", **change}])
    assert "row 2" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_responses_need_to_know_which_are_right() -> None:
    with pytest.raises(BadData, match="no column correct that says which are right"):
        load_benchmark([{"prompt": "q", "responses": ["a"]}])
    with pytest.raises(BadData, match="correct beside chosen or rejected"):
        load_benchmark(
            [{"prompt": "q", "chosen": "a", "rejected": "b", "ok": [1]}], columns={"correct": "ok"}
        )


def test_preferences_that_happen_to_have_such_columns_stay_preferences() -> None:
    row = {"prompt": "q", "chosen": "a", "rejected": "b", "answers": "c", "correct": 7, "scores": 1}
    benchmark = load_benchmark([row])
    assert (benchmark.definition, benchmark.preferences[0].answers) == ("pairs", ())


def hard(path: Path) -> Path:
    """Twelve prompts with three to five answers, of which some prompts have but one kind."""
    rows = [
        {
            "prompt": f"How do I boil {n} eggs?",
            "responses": [f"Put them into water for {n + i} minutes." for i in range(3 + n % 3)],
            "correct": [(n + i) % 4 == 0 or n == 3 for i in range(3 + n % 3)],
            "answers": [str((n + i) % 2) for i in range(3 + n % 3)],
        }
        for n in range(12)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_from_run_to_report_every_verb_takes_such_a_result(tmp_path: Path, capsys) -> None:
    data, out = hard(tmp_path / "eggs.jsonl"), tmp_path / "results"
    command = ["run", "--model", "demo", "--benchmark", str(data), "--device", "cpu"]
    assert main([*command, "--output", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "best of n is right" in printed
    assert "the most frequent answer is right in" in printed
    folder = out / "eggs" / "demo"
    scored = read_scores(folder / "scores.jsonl")
    assert [len(item.answers) for item in scored] == [3 + n % 3 for n in range(12)]
    result = rmeval.read_result(folder)
    answers = result.metrics.statistics["answers"]
    assert [point["n"] for point in answers["curve"]] == [1, 2, 3]
    assert result.overall == result.metrics.values["overall"]
    base = tmp_path / "b.json"
    assert main(["baseline", str(folder), "--output", str(base)]) == 0
    assert main(["check", str(folder), "--baseline", str(base)]) == 0
    assert main(["compare", str(folder), str(folder)]) == 0
    assert main(["aggregate", str(folder), "--explain"]) == 0
    assert main(["leaderboard", str(out)]) == 0
    assert "pairs by prompt" in capsys.readouterr().out
    assert main(["plot", str(folder), "--output", str(tmp_path / "plots")]) == 0
    assert (tmp_path / "plots" / "best-of-n.png").is_file()
    page = tmp_path / "r.html"
    assert main(["report", str(folder), "--output", str(page)]) == 0
    assert "The best of n answers is right" in page.read_text(encoding="utf-8")
    assert len(result.to_frame("preference")) == 12
    assert result.to_frame("preference")["won"].isna().sum() == 2  # of one kind


def test_scores_whose_answers_do_not_fit_are_refused(tmp_path: Path) -> None:
    data, out = hard(tmp_path / "eggs.jsonl"), tmp_path / "results"
    result = rmeval.evaluate(
        rmeval.load_model("demo", device="cpu"), load_benchmark(data), output=out
    )
    assert result.folder is not None
    path = result.folder / "scores.jsonl"
    path.write_text(path.read_text().replace('"answers": [0, 1, 0]', '"answers": [0, 1]', 1))
    with pytest.raises(RmevalError, match="has not one answer for each response"):
        read_scores(path)
