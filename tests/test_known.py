"""What is published, and what a table of it must look like."""

import csv
import re
import tomllib
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from conftest import GOLDEN, SHARED

from rmeval.benchmarks import BENCHMARKS, scheme_of, shipped_recipes
from rmeval.benchmarks.judgebench import ROWS as JUDGEBENCH_ROWS
from rmeval.benchmarks.rewardbench import SECTIONS, WEIGHTINGS
from rmeval.benchmarks.rewardbench2 import ROWS as REWARDBENCH_2_ROWS
from rmeval.errors import BadData
from rmeval.known import (
    NOT_STATED,
    PROOFS,
    known_checkpoints,
    objective_names,
    published_from,
    published_of,
    published_rows,
    published_tables,
    read_published,
    same_figures,
    shipped_templates,
)
from rmeval.models.checkpoints.checkpoint import Checkpoint, open_checkpoint
from rmeval.models.families import FAMILIES, detect_family, find_family

PUBLISHED = SHARED / "published"
RECIPES = Path(__file__).parents[1] / "configs" / "reproduce"

# Model, Score, Chat, Chat Hard, Safety, Reasoning, in the order of the cards.
CARDS = {
    "internlm2-reward": """
        internlm/internlm2-20b-reward 89.5 98.6 74.1 89.4 95.7
        internlm/internlm2-7b-reward 86.6 98.6 66.7 88.3 92.8
        internlm/internlm2-1_8b-reward 80.6 95.0 58.1 81.8 87.4
    """,
    "grm": """
        Ray2333/GRM-llama3-8B-sftreg 87.0 98.6 67.8 89.4 92.3
        Ray2333/GRM-llama3-8B-distill 86.1 98.3 68.4 86.1 91.3
        openai/gpt-4-0125-preview 85.9 95.3 74.3 87.2 86.9
        sfairXC/FsfairX-LLaMA3-RM-v0.1 84.7 99.4 65.1 87.8 86.4
    """,
    "inf-orm": """
        infly/INF-ORM-Llama3.1-70B 95.1 96.6 91.0 93.6 99.1
        Skywork/Skywork-Reward-Gemma-2-27B-v0.2 94.3 96.1 89.9 93.0 98.1
        nvidia/Llama-3.1-Nemotron-70B-Reward 94.1 97.5 85.7 95.1 98.1
        Skywork/Skywork-Reward-Gemma-2-27B 93.8 95.8 91.4 91.9 96.1
        SF-Foundation/TextEval-Llama3.1-70B 93.5 94.1 90.1 93.2 96.4
        meta-metrics/MetaMetrics-RM-v1.0 93.4 98.3 86.4 90.8 98.2
        Skywork/Skywork-Critic-Llama-3.1-70B 93.3 96.6 87.9 93.1 95.5
        Skywork/Skywork-Reward-Llama-3.1-8B-v0.2 93.1 94.7 88.4 92.7 96.7
        nicolinho/QRM-Llama3.1-8B 93.1 94.4 89.7 92.3 95.8
        LxzGordon/URM-LLaMa-3.1-8B 92.9 95.5 88.2 91.1 97.0
    """,
    "inf-orm-versions": """
        infly/INF-ORM-v1 94.3 96.1 88.2 94.6 98.2
        infly/INF-ORM-v2 94.4 95.5 90.8 93.0 99.1
        infly/INF-ORM-Llama3.1-70B 95.1 96.6 91.0 93.6 99.1
    """,
}


@pytest.mark.parametrize("card", CARDS)
def test_a_table_is_the_model_cards_digit_for_digit(card: str) -> None:
    rows = [
        [row.model, *(str(figure) for figure in (row.overall, *row.sections.values()))]
        for row in published_tables()[card]
    ]
    assert rows == [line.split() for line in CARDS[card].split("\n") if line.split()]


def test_tables_of_before_september_2024_carry_the_older_weighting() -> None:
    for name in CARDS:
        old = "-2024-07" if name in ("internlm2-reward", "grm") else ""
        assert {row.weighting for row in published_tables()[name]} == {f"rewardbench-v1{old}"}


def test_a_cards_score_is_the_mean_of_its_sections_but_for_one_that_says_so() -> None:
    for row in (row for card in CARDS for row in published_tables()[card]):
        assert list(row.sections) == list(SECTIONS)
        # Every figure is rounded to 0.1; 1e-9 is for sums of such figures.
        agrees = abs(sum(row.sections.values()) / 4 - row.overall) <= 0.1 + 1e-9
        assert agrees != (row.model == "infly/INF-ORM-v2"), row
        assert agrees or row.note == "the published sections give 94.6"
        assert row.weighting in WEIGHTINGS
    assert [row.revision for row in published_tables()["inf-orm-versions"]] == ["v1", "v2", "v3"]


def test_the_rewardbench_leaderboard_has_four_sections_and_prior_where_its_scores_have() -> None:
    rows = published_tables()["rewardbench-leaderboard"]
    assert len(rows) == 172
    prior = [row for row in rows if "Prior" in row.sections]
    assert len(prior) == 98
    for row in rows:
        *four, weighed = *(row.sections[name] for name in SECTIONS), row.sections.get("Prior")
        mean = sum(four) / 4 if weighed is None else (sum(four) + weighed / 2) / 4.5
        assert ("the Score has Prior in it" in row.note) == (weighed is not None)
        assert abs(mean - row.overall) <= 0.02, row
    assert sum("Prior is 0 in the table" in row.note for row in rows) == 7


def test_the_rewardbench_2_leaderboard_is_the_mean_of_six_to_the_last_digit() -> None:
    rows = published_tables()["rewardbench-2-leaderboard"]
    assert len(rows) == 71
    for row in rows:
        assert list(row.sections) == list(REWARDBENCH_2_ROWS)
        assert row.overall == pytest.approx(sum(row.sections.values()) / 6, abs=1e-9)
    assert sum(row.note.startswith("unverified") for row in rows) == 3
    assert sum(row.sections["Ties"] < 0 for row in rows) == 3
    assert min(row.sections["Ties"] for row in rows) == pytest.approx(-1, abs=1e-3)


def test_an_rm_bench_row_is_a_mean_of_domains_or_levels_but_where_its_publisher_says_not() -> None:
    rows = published_tables()["rm-bench-leaderboard"]
    assert len(rows) == 51
    for row in rows:
        means = [
            sum(row.sections[name] for name in names) / len(names)
            for names in (("chat", "math", "code", "safety"), ("hard", "normal", "easy"))
            if row.sections.keys() >= set(names)
        ]
        assert not means or min(abs(mean - row.overall) for mean in means) <= 0.25, row
        if not row.note and len(means) == 2:
            assert abs(means[0] - means[1]) <= 0.51, row
    assert sum("averages do not match" in row.note for row in rows) == 6


def test_the_other_tables_are_whole() -> None:
    tables = published_tables()
    assert len(tables["judgebench-outputs"]) == 5
    for row in tables["judgebench-outputs"]:
        sizes = {n: JUDGEBENCH_ROWS[n] for n in row.sections}
        won = sum(row.sections[n] * sizes[n] for n in sizes) / sum(sizes.values())
        assert {n.partition("/")[0] for n in sizes} == {row.of}
        assert row.overall == pytest.approx(won, abs=0.01)
    seven = tables["skywork-reward-v2"]
    assert len({row.model for row in seven}) == 27
    assert len({row.benchmark for row in seven}) == 7
    assert len(seven) == 149
    assert tables.keys() == {
        *CARDS, "judgebench-outputs", "metametrics", "rewardbench-2-leaderboard",
        "rewardbench-leaderboard", "rm-bench-leaderboard", "skywork-reward-v2",
        *(name for name, recipe in shipped_recipes().items() if recipe.published),
    }  # fmt: skip


@pytest.mark.parametrize("name", known_checkpoints())
def test_the_policy_that_is_listed_is_the_one_that_a_model_has(name: str) -> None:
    """`rmeval list` loads no family, so what it says of families is held to them here."""
    known = known_checkpoints()[name]
    kind = find_family(known.family)
    shapes = dict.fromkeys(kind.needs, (1, 4))
    family = kind(Checkpoint(name, Path(name), None, {"architectures": [""]}, shapes, ()))
    stated = shipped_templates()[known.template].specials if known.template else None
    first, *more = known.policy.split(", ")
    assert first == (stated or known.specials or family.specials)
    assert not (stated and known.specials)
    if known.family == "athene":
        assert more == [f"{kind.max_length:,} tokens"] == ["4,096 tokens"]
    assert (f"format {known.template}" in more) == (known.template is not None)


def test_every_row_says_where_and_when_it_was_published_and_by_which_arithmetic() -> None:
    for name, table in published_tables().items():
        for row in table:
            assert row.source.startswith("https://"), (name, row)
            assert re.fullmatch(r"20\d\d-\d\d(-\d\d)?", row.date), (name, row)
            assert row.type, (name, row)
            known = row.benchmark in BENCHMARKS or row.benchmark in shipped_recipes()
            weightings = scheme_of(row.benchmark).weightings if known else (NOT_STATED,)
            assert row.weighting in (*weightings, NOT_STATED), (name, row)


def gathered(name: str) -> list[dict[str, str]]:
    if not (PUBLISHED / name).is_file():
        pytest.skip("no ../shared/data/published here")
    with (PUBLISHED / name).open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize(
    ("table", "file"),
    [
        ("rewardbench-leaderboard", "rewardbench_v1_leaderboard.csv"),
        ("rewardbench-2-leaderboard", "rewardbench2_leaderboard.csv"),
    ],
)
def test_a_leaderboard_is_what_was_gathered_digit_for_digit(table: str, file: str) -> None:
    rows = published_tables()[table]
    theirs = [row for row in gathered(file) if row.get("Reasoning", "whole")]
    assert [row.model for row in rows] == [row["model"] for row in theirs]
    for row, wanted in zip(rows, theirs, strict=True):
        figures = {"Score": row.overall, **row.sections}
        assert figures == {n: float(wanted[n]) for n in figures}
        assert ("Prior" in figures) == (float(wanted.get("Prior") or 0) > 0)
        assert ("unverified" in row.note) == bool(wanted.get("unverified"))


def test_rm_bench_is_what_was_gathered_digit_for_digit() -> None:
    theirs = gathered("rm_bench_leaderboard.csv")
    for row, wanted in zip(published_tables()["rm-bench-leaderboard"], theirs, strict=True):
        lower = {name.lower(): value for name, value in wanted.items() if value}
        assert row.overall == float(wanted["Overall"])
        names = ("chat", "math", "code", "safety", "hard", "normal", "easy")
        assert row.sections == {n: float(lower[n]) for n in names if n in lower}
        mismatch = wanted["Potentially Score Mismatch"] == "True"
        assert ("averages do not match" in row.note) == mismatch


def test_the_seven_benchmarks_and_judgebench_are_what_was_gathered_digit_for_digit() -> None:
    seven = gathered("skywork_v2_seven_benchmarks.csv")
    columns = [
        "RewardBench v1", "RewardBench v2", "PPE Preference", "PPE Correctness", "RMB", "RM-Bench",
        "JudgeBench",
    ]  # fmt: skip
    wanted = [float(row[column]) for row in seven for column in columns if row[column]]
    assert [row.overall for row in published_tables()["skywork-reward-v2"]] == wanted
    outputs = gathered("judgebench_from_outputs.csv")
    for row, theirs in zip(published_tables()["judgebench-outputs"], outputs, strict=True):
        figures = {name.partition("/")[2]: value for name, value in row.sections.items()}
        assert figures == {name: float(theirs[name]) for name in figures}
        assert row.overall == float(theirs["overall"])


def test_rows_that_agree_as_far_as_both_are_printed_come_once_and_the_finer_stays() -> None:
    rows = published_rows()
    (inf,) = [
        r for r in rows if (r.model, r.benchmark) == ("infly/INF-ORM-Llama3.1-70B", "rewardbench")
    ]
    assert (inf.overall, inf.sections["Chat"]) == (95.11, 96.65)
    for a, b in combinations(rows, 2):
        if (a.model.casefold(), a.benchmark) == (b.model.casefold(), b.benchmark):
            assert not same_figures(a, b)


def test_the_two_rows_of_internlm2_reward_are_both_there_the_card_first() -> None:
    for size, card, board in (("1_8b", 80.6, 82.17), ("7b", 86.6, 87.59), ("20b", 89.5, 90.16)):
        rows = published_of(f"internlm/internlm2-{size}-reward", "rewardbench")
        assert [row.overall for row in rows] == [card, board]


@pytest.mark.parametrize("known", known_checkpoints().values(), ids=lambda known: known.name)
def test_a_known_checkpoint_has_a_family_and_a_type_that_agree(known) -> None:
    assert known.family in [entry.name for entry in FAMILIES]
    rows = published_of(known.name, "rewardbench")
    if rows and known.family == "classifier":
        assert rows[0].type in ("sequence classifier", "Bradley-Terry")


@pytest.mark.parametrize("known", known_checkpoints().values(), ids=lambda known: known.name)
def test_a_proof_that_is_claimed_lies_in_the_tests(known) -> None:
    assert known.proof in PROOFS
    assert (known.proof == "golden cases") == (known.golden is not None)
    if known.golden is not None:
        apart = (f"golden_pairs/{known.golden}", f"golden_{known.golden}")
        folders = (GOLDEN / known.golden, *(GOLDEN.parent / name for name in apart))
        [folder] = [folder for folder in folders if folder.is_dir()]
        assert (folder / "cases.jsonl").is_file()
        opened = open_checkpoint(str(folder), allow_pickle=True)
        assert detect_family(opened).name == known.family


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_a_dtype_is_that_of_the_recipe(recipe: Path) -> None:
    asked = tomllib.loads(recipe.read_text(encoding="utf-8"))
    assert (known_checkpoints()[asked["model"]].dtype or "auto") == asked["dtype"]


def test_every_recipe_is_of_a_known_checkpoint_and_every_dtype_is_in_a_recipe() -> None:
    asked = [tomllib.loads(path.read_text(encoding="utf-8")) for path in RECIPES.glob("*.toml")]
    with_dtype = {name for name, known in known_checkpoints().items() if known.dtype}
    assert with_dtype <= {recipe["model"] for recipe in asked} <= known_checkpoints().keys()


def test_a_row_that_is_published_under_another_name_is_found() -> None:
    (row,) = published_of("nvidia/Llama-3.1-Nemotron-70B-Reward-HF", "rewardbench")
    assert (row.model, row.overall) == ("nvidia/Llama-3.1-Nemotron-70B-Reward", 94.11)


@pytest.mark.parametrize("name", known_checkpoints())
def test_a_template_that_is_named_ships(name: str) -> None:
    template = known_checkpoints()[name].template
    assert template is None or template in shipped_templates()


def test_objectives_have_names_where_their_number_is_known_and_numbers_elsewhere() -> None:
    armorm = objective_names("armorm", 19)
    assert len(set(armorm)) == 19
    assert (armorm[0], armorm[18]) == ("helpsteer-helpfulness", "code-readability")
    assert objective_names("qrm-gemma", 5)[4] == "helpsteer-verbosity"
    assert objective_names("armorm", 2) == ("objective 1", "objective 2")


def test_memory_is_parameters_times_bytes() -> None:
    known = known_checkpoints()
    assert known["infly/INF-ORM-Llama3.1-70B"].memory == pytest.approx(140e9 / 2**30)
    single = replace(known["internlm/internlm2-1_8b-reward"], dtype="float32")
    assert single.memory == pytest.approx(7.2e9 / 2**30)
    assert replace(single, dtype=None).memory == pytest.approx(3.6e9 / 2**30)


HEADER = "benchmark,model,type,Score,weighting,source,date,note,Chat\n"


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_of_ones_own_is_read_with_a_byte_order_mark_and_a_blank_section(
    tmp_path: Path,
) -> None:
    path = table(tmp_path, "\ufeff" + HEADER + 'rewardbench,"a, b",,90,rewardbench-v1,,,,\n')
    (row,) = read_published(path)
    assert (row.model, row.overall, row.sections) == ("a, b", 90.0, {})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no column benchmark"),
        (HEADER.replace("Score,", ""), "no column Score"),
        (HEADER + "rewardbench,m,t,nan,w,s,d,,9\n", "line 2: Score is 'nan', not a percentage"),
        (HEADER + "rewardbench,m,t,101,w,s,d,,9\n", "line 2: Score is '101', not a percentage"),
        (HEADER + "rewardbench,m,t,90,w,s,d,,-1\n", "line 2: Chat is '-1', not a percentage"),
        (HEADER + "rewardbench,m,t,,w,s,d,,9\n", "line 2: Score is '', not a percentage"),
        (HEADER + "rewardbench,m,t,90,w,s,d,,9,8\n", "line 2: one cell too many is ['8']"),
        (HEADER + "rewardbench,m,t,90\n", "line 2: no weighting"),
        (HEADER + 'rewardbench,"m"x,t,90,w,s,d,,9\n', "line 2: not CSV"),
    ],
)
def test_a_damaged_table_names_the_line(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(BadData) as error:
        read_published(table(tmp_path, text))
    assert str(error.value).startswith(f"{tmp_path}/rows.csv")
    assert complaint in str(error.value)


def test_a_table_that_is_no_text_or_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "bytes.csv").write_bytes(b"\xff")
    for path in (tmp_path / "bytes.csv", tmp_path / "none.csv", tmp_path):
        with pytest.raises(BadData, match=r"cannot be read as a table of published rows"):
            read_published(path)


def test_a_row_needs_every_fact() -> None:
    with pytest.raises(BadData, match=r"^here: no benchmark; a published row has benchmark, "):
        published_from({"Score": 9.0}, "here")


@pytest.mark.parametrize(("ties", "good"), [(-1, True), (101, True), (-1.1, False), (102, False)])
def test_ties_runs_from_minus_1_to_101_and_nothing_else_does(ties: float, good: bool) -> None:
    facts = {"benchmark": "rewardbench-2", "model": "m", "type": "t", "Score": -0.1}
    facts |= {"weighting": "mean", "source": "s", "date": "d", "note": "", "Ties": ties}
    if not good:
        with pytest.raises(BadData, match=r"^here: Ties is .*, not a percentage$"):
            published_from(facts, "here")
        return
    assert published_from(facts, "here").sections == {"Ties": ties}
    for other in ({"Math": -1}, {"benchmark": "rewardbench", "Score": 1}):
        with pytest.raises(BadData, match="not a percentage"):
            published_from({**facts, **other}, "here")
