"""Sections and Score from subset accuracies alone, against what authors published."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmeval import section_scores
from rmeval.benchmarks.rewardbench import ROWS, SECTIONS
from rmeval.errors import UnknownName

# Published with internlm/internlm2-1_8b-reward on the Hub (Apache-2.0).
INTERNLM2_1_8B = {
    "alpacaeval-easy": 0.96,
    "alpacaeval-hard": 0.9789473684210527,
    "alpacaeval-length": 0.8842105263157894,
    "donotanswer": 0.5955882352941176,
    "hep-cpp": 0.7926829268292683,
    "hep-go": 0.8292682926829268,
    "hep-java": 0.8292682926829268,
    "hep-js": 0.8109756097560976,
    "hep-python": 0.8292682926829268,
    "hep-rust": 0.8170731707317073,
    "llmbar-adver-GPTInst": 0.358695652173913,
    "llmbar-adver-GPTOut": 0.7872340425531915,
    "llmbar-adver-manual": 0.391304347826087,
    "llmbar-adver-neighbor": 0.4626865671641791,
    "llmbar-natural": 0.88,
    "math-prm": 0.930648769574944,
    "mt-bench-easy": 0.9642857142857143,
    "mt-bench-hard": 0.7297297297297297,
    "mt-bench-med": 1.0,
    "refusals-dangerous": 0.73,
    "refusals-offensive": 0.91,
    "xstest-should-refuse": 0.9545454545454546,
    "xstest-should-respond": 0.788,
}


def in_percent(scores: dict[str, float]) -> dict[str, float]:
    return {name: round(100 * value, 1) for name, value in scores.items()}


def test_internlm2s_card_follows_from_the_weights_of_its_day() -> None:
    assert in_percent(section_scores(INTERNLM2_1_8B, "rewardbench-v1-2024-07")) == {
        "Chat": 95.0,
        "Chat Hard": 58.1,
        "Safety": 81.8,
        "Reasoning": 87.4,
        "overall": 80.6,
    }


def test_todays_weights_give_internlm2_less_for_safety() -> None:
    today = in_percent(section_scores(INTERNLM2_1_8B))
    assert (today["Safety"], today["overall"]) == (79.6, 80.0)
    assert today == in_percent(section_scores(INTERNLM2_1_8B, "rewardbench-v1"))


def test_percent_in_gives_percent_out() -> None:
    percent = {subset: 100 * value for subset, value in INTERNLM2_1_8B.items()}
    scores = section_scores(percent, "rewardbench-v1-2024-07")
    assert round(scores["overall"], 1) == 80.6


def test_mathematics_weighs_as_much_as_all_code() -> None:
    accuracies = dict.fromkeys(SECTIONS["Reasoning"], 1.0) | {"math-prm": 0.0}
    assert section_scores(accuracies) == {"Reasoning": 0.5}


def test_a_section_that_was_not_run_is_absent_and_not_0() -> None:
    chat = {subset: INTERNLM2_1_8B[subset] for subset in SECTIONS["Chat"]}
    assert in_percent(section_scores(chat)) == {"Chat": 95.0}


def test_a_section_without_one_of_its_subsets_is_absent_and_so_is_the_score() -> None:
    without = {subset: value for subset, value in INTERNLM2_1_8B.items() if subset != "math-prm"}
    assert list(section_scores(without)) == ["Chat", "Chat Hard", "Safety"]


def test_nothing_gives_nothing() -> None:
    assert section_scores({}) == {}


def test_the_text_entries_of_a_published_file_are_passed_over() -> None:
    labelled = {"model": "internlm2", "chat_template": "tokenizer", **INTERNLM2_1_8B}
    assert section_scores(labelled) == section_scores(INTERNLM2_1_8B)


def test_an_unknown_subset_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match="'hep-pyton'; did you mean 'hep-python'"):
        section_scores({"hep-pyton": 1.0})


def test_an_unknown_weighting_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match="did you mean 'rewardbench-v1-2024-07'"):
        section_scores(INTERNLM2_1_8B, "rewardbench-2024-07")


def test_published_models_are_reproduced_to_all_digits(shared: Path) -> None:
    models = json.loads((shared / "reference/rewardbench_v1_subset_scores.json").read_text())
    assert len(models) == 8
    for model in models:
        scores = section_scores(model["subsets"])
        expected = model.get("published") or model["sections_recomputed"]
        expected |= {"overall": model["score_recomputed"]}
        assert scores == pytest.approx(expected, abs=1e-15, rel=1e-14), model["model"]


def test_the_numbers_in_this_file_are_the_published_ones(shared: Path) -> None:
    published = json.loads((shared / "reference/internlm2-1_8b-reward.json").read_text())
    assert published | INTERNLM2_1_8B == published


accuracies_of_all = st.fixed_dictionaries({subset: st.floats(0, 1) for subset in ROWS})


@settings(deadline=None, max_examples=25)
@given(accuracies_of_all, st.sampled_from(["rewardbench-v1", "rewardbench-v1-2024-07"]))
def test_a_score_lies_between_the_worst_subset_and_the_best(accuracies, weighting) -> None:
    low, high = min(accuracies.values()), max(accuracies.values())
    for value in section_scores(accuracies, weighting).values():
        assert low - 1e-12 <= value <= high + 1e-12


@settings(deadline=None, max_examples=25)
@given(accuracies_of_all, st.permutations(list(ROWS)))
def test_the_order_of_the_subsets_changes_nothing(accuracies, order) -> None:
    shuffled = {subset: accuracies[subset] for subset in order}
    assert section_scores(shuffled) == section_scores(accuracies)
