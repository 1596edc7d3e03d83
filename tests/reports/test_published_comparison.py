"""A measured model beside a published row that is not altogether its own."""

from dataclasses import replace

from measured import measured

from rmeval.known import published_tables
from rmeval.reports.summary import compare_with_published

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
