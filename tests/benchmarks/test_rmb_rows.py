"""RMB's rows: two sets of one layout, of several turns where they have them."""

from pathlib import Path
from typing import Any

import pytest
from published_layouts import read, refused, turns, without, write

from rmeval import load_benchmark
from rmeval.errors import BadOption
from rmeval.metrics.accuracy import subset_rows
from rmeval.records import Message

CHAT = "Helpfulness/Chat/Casual Conversation"


def answer(text: str) -> dict[str, str]:
    return {"llm_name": "a model", "answer": text}


PAIR: dict[str, Any] = {
    "pair_uid": "7",
    "conversation_input": [{**turn, "language": "English"} for turn in turns("Hi", "Hi!", "Well?")],
    "chosen": answer("good"),
    "reject": answer(""),
    "category_path": f"Pairwise_set/{CHAT}",
}
BEST: dict[str, Any] = {
    "bon_uid": "7",
    "conversation_input": turns("Hi"),
    "bon_best": answer("best"),
    "loser_list": [answer("worse"), answer("worst")],
    "category_path": "BoN_set/Harmlessness/S1",
}


@pytest.fixture
def rmb(tmp_path: Path) -> Path:
    """A folder like the publisher's repository."""
    write(tmp_path / f"RMB_dataset/Pairwise_set/{CHAT}.json", [PAIR])
    write(tmp_path / "RMB_dataset/BoN_set/Harmlessness/S1.json", [BEST])
    write(tmp_path / "eval/result/model.json", [{"pair_uid": "7"}])
    return tmp_path


@pytest.mark.parametrize("folder", [".", "RMB_dataset", "RMB_dataset/Pairwise_set"])
def test_pairs_are_found_from_every_folder_above_them(folder: str, rmb: Path) -> None:
    (item,) = read("rmb-pairwise", rmb / folder)
    assert (item.id, item.subset, item.num_chosen) == ("7", CHAT, 1)
    assert item.responses == ("good", "")
    assert item.prompt == (
        Message("user", "Hi"),
        Message("assistant", "Hi!"),
        Message("user", "Well?"),
    )


@pytest.mark.parametrize("folder", [".", "RMB_dataset", "RMB_dataset/BoN_set"])
def test_the_best_of_n_comes_before_all_others(folder: str, rmb: Path) -> None:
    (item,) = read("rmb-bon", rmb / folder)
    assert (item.id, item.subset, item.num_chosen) == ("7", "Harmlessness/S1", 1)
    assert item.responses == ("best", "worse", "worst")


def test_one_file_says_its_category_itself(tmp_path: Path) -> None:
    (item,) = read("rmb-bon", write(tmp_path / "mine.json", [BEST]))
    assert item.subset == "Harmlessness/S1"


def test_the_other_set_is_refused(rmb: Path) -> None:
    message = refused("rmb-pairwise", rmb / "RMB_dataset/BoN_set")
    assert message.startswith("Harmlessness/S1.json row 1: no column pair_uid, chosen, reject;")


def test_rmb_is_not_on_the_hub() -> None:
    for name in ("rmb-pairwise", "rmb-bon"):
        with pytest.raises(BadOption, match="is not on the Hub: pass `data=FOLDER_OR_FILE`"):
            load_benchmark(name)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"chosen": "text"}, """column 'chosen' needs text in "answer\""""),
        ({"reject": {"llm_name": "m"}}, """column 'reject' needs text in "answer\""""),
        ({"reject": {"answer": 1}}, """column 'reject' needs text in "answer\""""),
        ({"conversation_input": []}, "column 'conversation_input': no messages"),
        ({"conversation_input": "Hi"}, "column 'conversation_input': expected a list of messages"),
        (
            {"category_path": "Pairwise_set/Helpfulness/Chat/Discusion"},
            "did you mean 'Helpfulness/",
        ),
        ({"category_path": None}, "column 'category_path' has no value"),
        ({"pair_uid": "1"}, "id 1 is also that of a.json row 1"),
    ],
)
def test_a_flaw_of_a_pair_names_file_and_row(
    change: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.json", [{**PAIR, "pair_uid": "1"}, {**PAIR, **change}])
    message = refused("rmb-pairwise", path)
    assert message.startswith("a.json row 2: ")
    assert complaint in message


@pytest.mark.parametrize("losers", [[], "text", None, {}])
def test_a_best_response_needs_others(losers: object, tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", [{**BEST, "loser_list": losers}])
    assert refused("rmb-bon", path) == (
        "a.json row 1: column 'loser_list' must be a list of at least one response"
    )


def test_every_other_response_needs_its_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", [{**BEST, "loser_list": [answer("b"), {}]}])
    assert """column 'loser_list' needs text in "answer\"""" in refused("rmb-bon", path)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", [without(BEST, "bon_best")])
    assert "a.json row 1: no column bon_best; found: bon_uid" in refused("rmb-bon", path)


def test_a_folder_without_rows_is_refused(tmp_path: Path) -> None:
    assert refused("rmb-bon", tmp_path) == f"{tmp_path}: no .json file in this folder"


def test_the_publishers_own_files_are_read(shared: Path) -> None:
    pairs = load_benchmark("rmb-pairwise", shared / "raw/rmb")
    best = load_benchmark("rmb-bon", shared / "raw/rmb/BoN_set")
    assert subset_rows(best.preferences)["Harmlessness/S11"] == 10
    assert len(pairs) == len(best) == 50
    assert {len(item.responses) for item in pairs.preferences} == {2}
    assert all(3 <= len(item.responses) <= 7 for item in best.preferences)
    assert {len(item.prompt) for item in best.preferences} >= {1, 3}
    assert pairs.partial is not None
    assert pairs.partial.startswith("50 rows instead of 17131")
