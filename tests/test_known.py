"""What is published, and what a table of it must look like."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import GOLDEN

from rmeval.errors import BadData
from rmeval.known import (
    PROOFS,
    known_checkpoints,
    objective_names,
    published_from,
    published_rows,
    published_tables,
    read_published,
    shipped_templates,
)
from rmeval.metrics.rewardbench import SECTIONS, WEIGHTINGS
from rmeval.models import FAMILIES, detect_family
from rmeval.models.checkpoint import open_checkpoint

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


def test_there_are_no_other_tables() -> None:
    assert sorted(published_tables()) == sorted(CARDS)


def test_tables_of_before_september_2024_carry_the_older_weighting() -> None:
    for name, rows in published_tables().items():
        old = "-2024-07" if name in ("internlm2-reward", "grm") else ""
        assert {row.weighting for row in rows} == {f"rewardbench-v1{old}"}


def test_a_score_is_the_mean_of_its_sections_but_for_one_that_says_so() -> None:
    assert len(published_rows()) == 19
    for row in published_rows():
        assert list(row.sections) == list(SECTIONS)
        # Every figure is rounded to 0.1; 1e-9 is for sums of such figures.
        agrees = abs(sum(row.sections.values()) / 4 - row.overall) <= 0.1 + 1e-9
        assert agrees != (row.model == "infly/INF-ORM-v2"), row
        assert agrees or row.note == "the published sections give 94.6"
        assert row.weighting in WEIGHTINGS


def test_a_row_that_stands_in_two_tables_comes_once_and_never_with_other_figures() -> None:
    models = [row.model for row in published_rows()]
    assert len(set(models)) == len(models)


@pytest.mark.parametrize("known", known_checkpoints().values(), ids=lambda known: known.name)
def test_a_known_checkpoint_has_a_family_and_a_type_that_agree(known) -> None:
    assert known.family in [entry.name for entry in FAMILIES]
    if known.published is not None and known.family == "classifier":
        assert known.published.type == "sequence classifier"


@pytest.mark.parametrize("known", known_checkpoints().values(), ids=lambda known: known.name)
def test_a_proof_that_is_claimed_lies_in_the_tests(known) -> None:
    assert known.proof in PROOFS
    assert (known.proof == "golden cases") == (known.golden is not None)
    if known.golden is not None:
        folders = (GOLDEN / known.golden, GOLDEN.parent / "golden_pairs" / known.golden)
        [folder] = [folder for folder in folders if folder.is_dir()]
        assert (folder / "cases.jsonl").is_file()
        assert detect_family(open_checkpoint(str(folder))).name == known.family


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_a_dtype_is_that_of_the_recipe(recipe: Path) -> None:
    asked = tomllib.loads(recipe.read_text(encoding="utf-8"))
    assert (known_checkpoints()[asked["model"]].dtype or "auto") == asked["dtype"]


def test_every_recipe_is_of_a_known_checkpoint_and_every_dtype_is_in_a_recipe() -> None:
    asked = [tomllib.loads(path.read_text(encoding="utf-8")) for path in RECIPES.glob("*.toml")]
    with_dtype = {name for name, known in known_checkpoints().items() if known.dtype}
    assert with_dtype <= {recipe["model"] for recipe in asked} <= known_checkpoints().keys()


def test_a_row_that_is_published_under_another_name_is_found() -> None:
    known = known_checkpoints()["nvidia/Llama-3.1-Nemotron-70B-Reward-HF"]
    assert known.published is not None
    assert (known.published.model, known.published.overall) == (
        "nvidia/Llama-3.1-Nemotron-70B-Reward",
        94.1,
    )


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
        (HEADER + "rewardbench,m,t,nan,w,s,d,,9\n", "line 2: Score is 'nan', no percentage"),
        (HEADER + "rewardbench,m,t,101,w,s,d,,9\n", "line 2: Score is '101', no percentage"),
        (HEADER + "rewardbench,m,t,90,w,s,d,,-1\n", "line 2: Chat is '-1', no percentage"),
        (HEADER + "rewardbench,m,t,,w,s,d,,9\n", "line 2: Score is '', no percentage"),
        (HEADER + "rewardbench,m,t,90,w,s,d,,9,8\n", "line 2: a cell too many is ['8']"),
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
