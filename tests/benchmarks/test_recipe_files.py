"""Benchmarks that are a file: the ones that ship, and a user's own."""

import gzip
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rmeval import BadData, BadOption, RmevalError, UnknownName, load_benchmark
from rmeval.benchmarks import scheme_of, shipped_recipes
from rmeval.benchmarks.arithmetic import ARITHMETIC
from rmeval.benchmarks.recipes import find_recipe, recipe_from, recipes_in
from rmeval.known import published_tables
from rmeval.records import Message, Score, ScoredPreference

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(shipped_recipes())


def rows_to(path: Path, rows: list[dict[str, Any]], kind: str = "jsonl") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    if kind == "gz":
        path.write_bytes(gzip.compress(lines.encode()))
    else:
        path.write_text(json.dumps(rows) if kind == "json" else lines, encoding="utf-8")
    return path


def test_the_recipes_that_ship_are_those_in_configs_and_say_all_that_they_must() -> None:
    assert SHIPPED == [
        "acemath-rewardbench", "helpsteer3", "if-rewardbench", "ppe-preference", "rag-rewardbench",
        "rewardmath", "themis-code-reward-bench", "writing-preference-bench",
    ]  # fmt: skip
    assert [path.stem for path in sorted((ROOT / "configs" / "benchmarks").iterdir())] == SHIPPED
    for recipe in shipped_recipes().values():
        assert recipe.total > 0
        assert recipe.source.startswith("https://")
        assert recipe.unseen, "nobody here has seen a whole data set of these"
        assert scheme_of(recipe.name) is recipe.scheme
        for row in recipe.published:
            assert row in published_tables()[recipe.name]


def test_helpsteer3s_better_response_comes_first_and_equal_ones_are_left_out(
    tmp_path: Path,
) -> None:
    talk = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    row = {"domain": "code", "language": "python", "context": talk, "individual_preference": []}
    row |= {"response1": "one", "response2": "two"}
    rows = [{**row, "overall_preference": better} for better in (-3, 1, 0, 2)]
    rows_to(tmp_path / "preference" / "validation.jsonl.gz", rows, "gz")
    rows_to(tmp_path / "preference" / "train.jsonl.gz", rows, "gz")
    found = load_benchmark("helpsteer3", tmp_path)
    assert [item.responses for item in found.preferences] == [
        ("one", "two"), ("two", "one"), ("two", "one"),
    ]  # fmt: skip
    assert [item.id for item in found.preferences] == ["1", "2", "4"]
    assert found.preferences[0].prompt[1] == Message("assistant", "b")
    assert found.preferences[0].subset == "code"
    assert found.partial == "4 rows instead of 2,017"
    assert "1 rows left out, in which neither is better" in str(found.layout)
    assert found.definition == found.name == "helpsteer3"


def test_writing_preference_bench_is_the_mean_of_its_two_files(tmp_path: Path) -> None:
    def row(number: int) -> dict[str, Any]:
        sides = {
            side: {"response": f"{side} {number}", "score": 1} for side in ("chosen", "rejected")
        }
        return {"prompt": f"write {number}", "prompt_id": "p", "tag": "诗歌", **sides}

    rows_to(tmp_path / "WP_bench_english.json", [row(n) for n in range(3)], "json")
    rows_to(tmp_path / "WP_bench_chinese.json", [row(n) for n in range(3, 4)], "json")
    found = load_benchmark("writing-preference-bench", tmp_path)
    assert [item.subset for item in found.preferences] == [
        "WP_bench_chinese", *["WP_bench_english"] * 3,
    ]  # fmt: skip
    assert found.preferences[0].responses == ("chosen 3", "rejected 3")
    assert (
        found.partial
        == "4 rows instead of 1800: WP_bench_english has 3 of 1200 and 1 more subsets differ"
    )
    won = [scored(item.id, item.subset, item.id != "2") for item in found.preferences]
    values = found.scheme.metrics(won).values
    assert values["overall"] == pytest.approx((1 + 2 / 3) / 2)


def test_if_rewardbenchs_instructions_count_alike_however_many_pairs_they_have(
    tmp_path: Path,
) -> None:
    def pair(number: int) -> dict[str, Any]:
        sides = {
            side: {"response_id": n, "response": f"{side} {number}", "label": [1]}
            for n, side in enumerate(("chosen", "rejected"))
        }
        return {"pair_id": number, **sides}

    def row(name: int, kind: str, pairs: int) -> dict[str, Any]:
        said = [{"role": "user", "content": f"do {name}"}]
        graph = [pair(n) for n in range(pairs)]
        return {"id": name, "instruction_type": kind, "messages": said, "preference_graph": graph}

    rows = [row(7, "Single_Turn", 4), row(8, "Single_Turn", 1), row(9, "Multi_Turn", 2)]
    rows_to(tmp_path / "data" / "if_rewardbench.json", rows, "json")
    found = load_benchmark("if-rewardbench", tmp_path)
    assert [item.id for item in found.preferences] == [
        "7/0", "7/1", "7/2", "7/3", "8/0", "9/0", "9/1",
    ]  # fmt: skip
    assert found.partial == "3 rows instead of 842"
    won = [
        scored(item.id, item.subset, item.id in ("7/0", "8/0", "9/0"), item.weight)
        for item in found.preferences
    ]
    values = found.scheme.metrics(won).values
    # By the publisher's code: single turn (1/4 + 1) / 2, multi turn 1/2, and the mean of the two.
    assert values["subset/Single_Turn"] == pytest.approx(0.625)
    assert values["overall"] == pytest.approx((0.625 + 0.5) / 2)


def test_rewardmaths_rows_of_one_problem_are_one_right_solution_against_the_wrong_ones(
    tmp_path: Path,
) -> None:
    def row(problem: int, kind: str, *steps: str) -> dict[str, Any]:
        return {
            "problem": f"solve {problem}", "answer": "1", "eval_solution": list(steps),
            "solution_type": kind, "subject": "Algebra", "problem_id": problem, "id": 0,
        }  # fmt: skip

    rows = [
        row(0, "chosen", "first", "so 1"), row(0, "rejected", "so 2"), row(0, "rejected", "3"),
        row(1, "rejected", "4"), row(1, "chosen", "5"),
    ]  # fmt: skip
    found = load_benchmark("rewardmath", rows_to(tmp_path / "test.jsonl", rows))
    assert [item.responses for item in found.preferences] == [
        ("first\nso 1", "so 2", "3"), ("5", "4"),
    ]  # fmt: skip
    assert [item.num_chosen for item in found.preferences] == [1, 1]
    assert found.partial == "2 rows instead of 483"
    with pytest.raises(BadData, match=r"holds 'right', of which the recipe says nothing"):
        load_benchmark("rewardmath", rows_to(tmp_path / "b.jsonl", [row(0, "right", "1")]))
    with pytest.raises(BadData, match="its problem_id has no response of one kind"):
        load_benchmark("rewardmath", rows_to(tmp_path / "c.jsonl", [row(0, "chosen", "1")]))


def test_acemaths_problems_are_questions_with_right_and_wrong_answers(tmp_path: Path) -> None:
    for name, right in (("gsm8k", [True, False, True]), ("math500", [False, False, False])):
        (tmp_path / name).mkdir()
        table = pa.Table.from_pylist(
            [{"question": f"of {name}?", "code": ["a", "b", "c"], "score": right, "gt": "1"}]
        )
        path = str(tmp_path / name / "data-00000-of-00001.arrow")
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
    rows_to(tmp_path / "scripts" / "orm_eval" / "minerva_math_s0.jsonl", [{"question": "no"}])
    found = load_benchmark("acemath-rewardbench", tmp_path)
    first, second = found.preferences
    assert (first.subset, first.responses, first.num_chosen) == ("gsm8k", ("a", "c", "b"), 2)
    assert (second.subset, second.num_chosen) == ("math500", 0)
    assert str(found.partial).startswith("2 rows instead of 8987: gsm8k has 1 of 1319")
    assert found.scheme is ARITHMETIC["answers"]


def test_themiss_published_items_make_every_figure_that_is_published(shared: Path) -> None:
    import pyarrow.parquet as pq

    items = pq.read_table(shared / "published/items/themis/scores_11_models.parquet")
    rows = items.to_pylist()
    recipe = shipped_recipes()["themis-code-reward-bench"]
    assert len(rows) == recipe.total
    models = [
        name.removesuffix("/chosen") for name in items.column_names if name.endswith("/chosen")
    ]
    assert len(models) == 11
    names = {row.model.rpartition("/")[2]: row for row in recipe.published}
    names["internlm2-1_8-b-reward"] = names["internlm2-1_8b-reward"]
    for model in models:
        made = [
            ScoredPreference(
                row["id"],
                f"{row['aspect']}/{row['language']}",
                1,
                tuple(Score(row[f"{model}/{side}"], 1, False) for side in ("chosen", "rejected")),
            )
            for row in rows
        ]
        values = recipe.scheme.metrics(made).values
        published = names[model]
        assert round(100 * values["overall"], 2) == published.overall
        for aspect, figure in published.sections.items():
            assert round(100 * values[f"section/{aspect}"], 2) == figure, (model, aspect)


def test_every_published_row_of_themis_is_as_it_was_gathered(shared: Path) -> None:
    import csv

    with (shared / "published/themis_code_reward_bench.csv").open(encoding="utf-8") as stream:
        gathered = list(csv.DictReader(stream))
    rows = shipped_recipes()["themis-code-reward-bench"].published
    assert len(rows) == len(gathered) == 51
    for row, wanted in zip(rows, gathered, strict=True):
        assert row.overall == float(wanted["overall"])
        assert row.sections == {aspect: float(wanted[aspect]) for aspect in row.sections}
        assert len(row.sections) == 5


MINE = """
licence = "MIT"
meaning = "accuracy"
source = "our own"
rows = 2
[columns]
prompt = "q"
chosen = "good.text"
rejected = "bad"
"""


def mine(tmp_path: Path, text: str = MINE, name: str = "mine.toml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def row(number: int) -> dict[str, Any]:
    return {"q": f"q{number}", "good": {"text": "yes"}, "bad": "no"}


def test_a_recipe_of_ones_own_is_named_by_its_path(tmp_path: Path) -> None:
    data = rows_to(tmp_path / "rows.jsonl", [row(1), row(2)])
    found = load_benchmark(mine(tmp_path), data)
    assert (found.name, found.definition, found.partial) == ("mine", "pairs", None)
    assert found.preferences[0].responses == ("yes", "no")
    again = recipe_from(
        {k: v for k, v in found.reading["recipe"].items() if k != "name"}, "mine", "here"
    )
    assert again.load(data).digest == found.digest


def test_a_wrong_number_of_rows_is_said_and_the_result_is_partial(tmp_path: Path) -> None:
    data = rows_to(tmp_path / "rows.jsonl", [row(1)])
    assert load_benchmark(mine(tmp_path), data).partial == "1 rows instead of 2"


def test_a_folder_of_recipes_is_all_of_them_unless_it_holds_data_too(tmp_path: Path) -> None:
    one, two = mine(tmp_path, name="one.toml"), mine(tmp_path, name="two.toml")
    assert recipes_in(tmp_path) == [one, two]
    rows_to(tmp_path / "rows.jsonl", [row(1)])
    assert recipes_in(tmp_path) == []
    assert recipes_in(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("change", "kind", "complaint"),
    [
        (("rows = 2", "row = 2"), UnknownName, r"mine\.toml 'row'; did you mean 'rows'"),
        (("rows = 2", ""), BadOption, "no rows; a recipe has licence, meaning"),
        (("rows = 2", "rows = 0"), BadOption, "rows must be the number of rows"),
        (("rows = 2", 'rows = { a = "b" }'), BadOption, "rows must be the number of rows"),
        (('"MIT"', "3"), BadOption, "licence must be a text"),
        (('"MIT"', '"MIT"\nscore = "mean"'), UnknownName, "unknown score in .* 'mean'"),
        (('"MIT"', '"MIT"\nfiles = "a"'), BadOption, "files must be a list of names"),
        (('"MIT"', '"MIT"\nfiles = ["a"]\nsplit = "b"'), BadOption, "leave one out"),
        (('"MIT"', '"MIT"\npublished = [1]'), BadOption, r"a list of rows, \[\[published\]\]"),
        (
            ('"MIT"', '"MIT"\npublished = [{ model = "m", Score = 101 }]'),
            BadData,
            "published row 1: Score is 101, not a percentage",
        ),
        (('"MIT"', '"MIT"\neach = 1'), BadOption, "each, and what is joined, must be texts"),
        (("prompt =", "promt ="), UnknownName, r"\[columns\] 'promt'; did you mean 'prompt'"),
        (('prompt = "q"', ""), BadOption, "names no prompt"),
        (('rejected = "bad"', ""), BadOption, "names no rejected, and nothing says which it is"),
        (('"bad"', '["bad"]'), BadOption, "rejected in .columns. must be the name of a column"),
        (('"bad"', '"bad"\n[better]\ncolumn = "c"'), BadOption, "the values for two responses"),
        (
            ('"bad"', '"bad"\n[better]\ncolumn = "c"\na = 1\nb = [2]'),
            BadOption,
            "lists of values",
        ),
        (('"bad"', '"bad"\n[grouped]\nby = "c"'), BadOption, "column in .grouped. must be"),
        (("[columns]", "[columns"), BadOption, "not a recipe of a benchmark"),
        (("[columns]", "columns = 3\n[joined]"), BadOption, "columns must be a table"),
    ],
)
def test_a_recipe_that_says_something_else_is_one_line(
    change: tuple[str, str], kind: type[RmevalError], complaint: str, tmp_path: Path
) -> None:
    assert change[0] in MINE
    with pytest.raises(kind, match=complaint) as error:
        find_recipe(str(mine(tmp_path, MINE.replace(*change))))
    assert "\n" not in str(error.value)
    assert "mine.toml" in str(error.value)


def test_a_column_that_is_not_there_is_named_with_what_was_found(tmp_path: Path) -> None:
    data = rows_to(tmp_path / "rows.jsonl", [{"q": "a", "good": "x", "bad": "y"}])
    complaint = (
        r"rows\.jsonl line 1: no column 'good\.text', as the recipe says; found: q, good, bad"
    )
    with pytest.raises(BadData, match=complaint):
        load_benchmark(mine(tmp_path), data)


def test_a_recipe_without_a_place_on_the_hub_needs_data(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="get it from our own; pass `data=FOLDER_OR_FILE`"):
        load_benchmark(mine(tmp_path))
    recipe = mine(tmp_path, MINE.replace('"MIT"', '"MIT"\nfiles = ["*.json"]'))
    with pytest.raises(BadData, match=r"no file .*\.json, as mine needs it"):
        load_benchmark(recipe, tmp_path)


def test_a_recipe_cannot_take_the_name_of_one_that_ships(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="helpsteer3 ships with rmeval; call the file otherwise"):
        find_recipe(str(mine(tmp_path, name="helpsteer3.toml")))


def test_the_files_that_ship_are_toml_with_nothing_that_json_cannot_hold() -> None:
    for name in SHIPPED:
        path = ROOT / "rmeval" / "data" / "benchmarks" / f"{name}.toml"
        json.dumps(tomllib.loads(path.read_text(encoding="utf-8")), allow_nan=False)


def test_the_recipe_in_the_guide_is_one() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/benchmarks.md").read_text(), re.S)
    recipe = recipe_from(tomllib.loads(text), "guide", "docs/benchmarks.md")
    assert (recipe.total, recipe.arithmetic) == (1800, "pairs-by-part")
    assert [row.overall for row in recipe.published] == [71.2]


def scored(name: str, subset: str, won: bool, weight: float = 1.0) -> ScoredPreference:
    scores = (Score(float(won), 1, False), Score(0.5, 1, False))
    return ScoredPreference(name, subset, 1, scores, weight=weight)
