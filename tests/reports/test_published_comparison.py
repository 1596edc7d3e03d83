"""A measured model beside a published row that is not altogether its own."""

from dataclasses import replace

from measured import measured

from rmeval.known import NOT_STATED, published_of, published_tables
from rmeval.reports.summary import beside_published, compare_with_published
from rmeval.results.baselines import nearest_first

ROW = published_tables()["internlm2-reward"][1]


def test_a_copy_under_another_name_says_whose_the_published_row_is() -> None:
    text = compare_with_published(ROW, measured(lost=5).metrics, "./copy")
    assert text.splitlines()[0] == (
        "published of internlm/internlm2-7b-reward: https://huggingface.co/internlm/"
        "internlm2-20b-reward, 2024-07-19, rewardbench-v1-2024-07 weighting"
    ).replace("internlm2-20b", "internlm2-7b")


def test_a_published_section_that_was_not_measured_is_not_available() -> None:
    # Lost of 100: 6.98, 6.58, 3.38 and (1.12 + 3.05) / 2; their mean leaves 95.2.
    row = replace(ROW, sections={"Chat": 98.6, "Manners": 50.0})
    lines = compare_with_published(row, measured(lost=5).metrics, row.model).splitlines()[2:]
    assert [line.split() for line in lines] == [
        ["Score", "Chat", "Manners"],
        ["-------------------", "-------", "------", "-------------"],
        ["published", "86.6", "98.6", "50.0"],
        ["measured", "95.2", "93.0", "not", "available"],
        ["difference", "+8.6", "-5.6"],
        ["within", "the", "interval", "no", "no"],
    ]


def test_two_rows_of_one_model_stand_one_below_the_other_and_the_nearer_is_named() -> None:
    made = measured("internlm/internlm2-1_8b-reward", lost=9)
    rows = published_of(made.model, "rewardbench")
    near, far = nearest_first(made, rows)
    text = beside_published(made, rows)
    assert [line.split()[1] for line in text.splitlines() if line.startswith("published  ")] == [
        f"{near.row.overall:.1f}",
        f"{far.row.overall:.1f}",
    ]
    assert text.splitlines()[-1] == (
        f"nearer: {near.row.source}, {near.row.date} ({near.apart:.2f} points on average); "
        f"then {far.row.source}, {far.row.date} ({far.apart:.2f} points on average)"
    )
    assert "nearer" not in beside_published(made, rows[:1])
    assert "published twice, none nearer: " in beside_published(made, [rows[0], rows[0]])


def test_a_row_with_prior_in_its_score_is_compared_by_its_sections() -> None:
    row = published_of("sfairXC/FsfairX-LLaMA3-RM-v0.1", "rewardbench")[1]
    lines = compare_with_published(row, measured().metrics, row.model).splitlines()
    assert "made of its sections without Prior (with it: 83.4)" in lines[0]
    assert lines[4].split()[:2] == ["published", "84.4"]


def test_a_row_whose_weighting_nobody_states_is_beside_the_results_own() -> None:
    row = replace(ROW, weighting=NOT_STATED)
    (beside,) = nearest_first(measured(weighting="rewardbench-v1-2024-07"), [row])
    assert beside.measured.values == measured(weighting="rewardbench-v1-2024-07").metrics.values
