"""Which rows are drawn together: those of one prompt, of one problem, of one translated row."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from rmeval.benchmarks import load_benchmark
from rmeval.benchmarks.clusters import by_problem, by_prompt, by_translated_row, with_clusters
from rmeval.benchmarks.own import load_own
from rmeval.duels import scored_row
from rmeval.records import Message, Preference, Score
from rmeval.results.scores import read_scores, scores_text

STANDIN = Path(__file__).parents[2] / "../shared/data/hub/reward-bench-standin"
HEP = ("cpp", "go", "java", "js", "python", "rust")


def row(row_id: str, subset: str, prompt: str) -> Preference:
    return Preference(row_id, subset, (Message("user", prompt),), ("good", "bad"))


def names(rows, keys) -> list[str]:
    return [item.cluster for item in with_clusters(rows, keys)]


def test_rows_of_one_prompt_are_called_by_the_first_and_others_by_nothing() -> None:
    rows = [row(name, "s", prompt) for name, prompt in (("1", "a"), ("2", "b"), ("3", "a"))]
    assert names(rows, by_prompt) == ["1", "", "1"]


def test_what_shares_one_key_with_each_of_two_joins_them() -> None:
    rows = [row(name, "s", "x") for name in "1234"]
    assert names(rows, lambda _: [["a"], ["b"], ["a", "b"], ["c"]]) == ["1", "1", "1", ""]


def hep(language: str = "", lost: tuple[str, int] = ("", 0)) -> list[Preference]:
    """164 problems in six languages, numbered one language after the other from 5,000 on."""
    return [
        row(f"{language}{5000 + 164 * k + n}", f"{language}hep-{name}", f"{language}{name} {n}")
        for k, name in enumerate(HEP)
        for n in range(164)
        if (name, n) != lost
    ]


def test_a_problem_has_six_languages() -> None:
    found = with_clusters(hep(), by_problem)
    assert Counter(Counter(item.cluster for item in found).values()) == {6: 164}
    assert {item.cluster for item in found if item.id in ("5007", "5171", "5827")} == {"5007"}


def test_without_all_problems_nobody_can_say_which_is_which() -> None:
    assert set(names(hep(lost=("go", 0)), by_problem)[164:327]) == {""}
    inside = with_clusters(hep(lost=("go", 9)), by_problem)  # its numbers say which is missing
    assert Counter(Counter(item.cluster for item in inside).values()) == {6: 163, 5: 1}
    assert set(names([row(f"{n}", "hep-go", f"{n}") for n in range(6)], by_problem)) == {""}


def test_a_translated_row_is_one_unit_with_its_problem() -> None:
    rows = [*hep("deu_Latn/"), *hep("fra_Latn/"), row("deu_Latn/9", "deu_Latn/x", "eins")]
    found = with_clusters([*rows, row("fra_Latn/9", "fra_Latn/x", "un")], by_translated_row)
    assert Counter(Counter(item.cluster for item in found).values()) == {12: 164, 2: 1}


@pytest.mark.skipif(not STANDIN.is_dir(), reason="no ../shared/data")
def test_rewardbench_has_its_problems_and_its_prompts_as_units() -> None:
    found = load_benchmark("rewardbench", STANDIN).preferences
    problems = {item.cluster for item in found if item.subset.startswith("hep-")}
    assert len(problems) == 164
    alpaca = [item.cluster for item in found if item.subset.startswith("alpacaeval")]
    assert max(Counter(filter(None, alpaca)).values()) == 3  # one prompt, three pairs of models


def own(folder: Path, *rows: dict[str, str]) -> list[str]:
    path = folder / "rows.jsonl"
    lines = ({"chosen": "good", "rejected": "bad", **fields} for fields in rows)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return [item.cluster for item in load_own(str(path)).preferences]


def test_own_rows_have_a_column_or_else_their_prompts(tmp_path: Path) -> None:
    prompts = [{"prompt": text} for text in "aba"]
    assert own(tmp_path, *prompts) == ["1", "", "1"]
    told = [{"prompt": text, "cluster": name} for text, name in (("a", "x"), ("b", "x"), ("a", ""))]
    assert own(tmp_path, *told) == ["x", "x", ""]
    assert own(tmp_path, *[{"prompt": "Which is better?"}] * 3) == ["", "", ""]


def test_a_cluster_survives_scores_jsonl_and_old_files_have_none(tmp_path: Path) -> None:
    item = replace(row("1", "s", "p"), cluster="problem 7")
    made = scored_row(item, [Score(1.0, 3, False), Score(0.0, 3, False)])
    assert made.unit == ("problem 7", "")
    path = tmp_path / "scores.jsonl"
    path.write_text(scores_text([made]))
    assert read_scores(path) == (made,)
    bare = replace(made, cluster="")
    assert "cluster" not in scores_text([bare])
    path.write_text(scores_text([bare]))
    assert read_scores(path)[0].unit == ("", "1")
