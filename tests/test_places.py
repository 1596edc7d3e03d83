"""Where a result goes: what stands there is replaced by its like, and by nothing else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from preferences_by_hand import PROVENANCE, question, result, scored

from rmeval.errors import OutputFailure
from rmeval.files import prepare_folder
from rmeval.records import Result
from rmeval.results.files import (
    claim_of,
    find_place,
    folder_name,
    results_of,
    run_folder,
    write_result,
)

ROWS = [scored(question(str(n), "s", f"q{n}", "good", "bad"), 1.0, 0.0) for n in range(4)]


def made(rows: Any = ROWS, partial: str | None = None, **changes: Any) -> Result:
    model = {**PROVENANCE["model"], **changes.pop("model", {})}
    engine = {**PROVENANCE["engine"], **changes.pop("engine", {})}
    provenance = {**PROVENANCE, "model": model, "engine": engine, **changes}
    return result(rows, partial=partial, provenance=provenance)


def place(folder: Path, item: Result) -> tuple[Path, str | None]:
    return find_place(folder, claim_of(item.provenance, item.scored, item.partial))


def keep(folder: Path, item: Result) -> Path:
    where, _ = place(folder, item)
    write_result(prepare_folder(where), item)
    return where


def test_the_first_result_and_its_like_have_the_ordinary_name(tmp_path: Path) -> None:
    assert keep(tmp_path / "m", made()) == tmp_path / "m"
    like = made(
        model={"name": "another path"},
        engine={"device": "another", "reason": "another"},
        versions={"rmeval": "another"},
    )
    assert place(tmp_path / "m", like) == (tmp_path / "m", None)
    assert place(tmp_path / "m", made(ROWS[::-1])) == (tmp_path / "m", None)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (made(model={"fingerprint": "g"}), "fingerprint"),
        (made(model={"dtype": "float32"}), "dtype"),
        (made(model={"max_length": 48}), "max_length"),
        (made(model={"template_sha256": "t", "dtype": "float64"}), "dtype, template_sha256"),
        (
            made(model={"reference": {"name": "r", "fingerprint": "h"}, "per_token": False}),
            "reference, per_token",
        ),
        (made(engine={"path": "padded"}), "path"),
        (made([*ROWS[:3], scored(question("3", "s", "q3", "good", "other"), 1.0, 0.0)]), "rows"),
        (made([*ROWS, scored(question("4"), 1.0, 0.0)]), "rows"),
        (made(ROWS[:3]), "rows"),
    ],
)
def test_another_stands_beside_and_each_finds_its_own_again(
    other: Result, told: str, tmp_path: Path
) -> None:
    first = keep(tmp_path / "m", made())
    beside, why = place(first, other)
    assert beside.parent == first.parent
    assert len(beside.name) == len("m-01234567")
    assert why == f"{first} holds a result of other {told}: this one goes to {beside}"
    before = (first / "result.json").read_bytes()
    assert keep(first, other) == keep(first, other) == beside
    assert keep(first, made()) == first
    assert (first / "result.json").read_bytes() == before
    assert list(results_of(first)) == [first / "result.json", beside / "result.json"]


def test_a_partial_result_gives_way_to_what_has_all_of_its_rows(tmp_path: Path) -> None:
    few, more, rest = made(ROWS[:2], "2"), made(ROWS[:3], "3"), made(ROWS[2:], "the others")
    assert keep(tmp_path / "m", few) == tmp_path / "m"
    assert keep(tmp_path / "m", more) == tmp_path / "m"
    beside = keep(tmp_path / "m", rest)
    assert beside not in (tmp_path / "m", tmp_path / "m/partial")
    assert keep(tmp_path / "m", made()) == tmp_path / "m"
    assert keep(tmp_path / "m", few) == tmp_path / "m/partial"
    assert keep(tmp_path / "m", rest) == beside
    assert len(list(results_of(tmp_path / "m"))) == 3


def test_the_reference_of_a_policy_by_another_name_is_the_same(tmp_path: Path) -> None:
    one, two = (
        made(model={"reference": {"name": n, "fingerprint": "h"}, "per_token": False})
        for n in ("a", "./a")
    )
    keep(tmp_path / "m", one)
    assert place(tmp_path / "m", two) == (tmp_path / "m", None)


@pytest.mark.parametrize("text", ["{", '{"schema": 3}', "[]"])
def test_what_cannot_be_read_is_not_replaced(text: str, tmp_path: Path) -> None:
    prepare_folder(tmp_path / "m")
    (tmp_path / "m/result.json").write_text(text)
    where, why = place(tmp_path / "m", made())
    assert where != tmp_path / "m"
    assert "none that can be read" in str(why)


def test_a_result_whose_scores_are_damaged_is_made_again_in_its_place(tmp_path: Path) -> None:
    item = made()
    claim = claim_of(item.provenance, item.scored, None)
    known = replace(
        item, provenance={**item.provenance, "data": {**PROVENANCE["data"], "sha256": ""}}
    )
    known.provenance["data"]["sha256"] = claim.rows_sha256
    keep(tmp_path / "m", known)
    (tmp_path / "m/scores.jsonl").write_text("damaged")
    assert place(tmp_path / "m", item) == (tmp_path / "m", None)


def test_where_the_hashed_name_is_taken_too_both_are_named(tmp_path: Path) -> None:
    keep(tmp_path / "m", made())
    other = made(model={"fingerprint": "g"})
    write_result(prepare_folder(place(tmp_path / "m", other)[0]), made(model={"fingerprint": "h"}))
    with pytest.raises(OutputFailure, match=r"m and .*m-[0-9a-f]{8} hold other results"):
        place(tmp_path / "m", other)


@pytest.mark.parametrize(
    "name", ["../../x", "/abs/x", "..", ".", "", "a/b", "a\\b", "a\0b", ".. /..", "C:x"]
)
def test_no_name_is_a_path(name: str, tmp_path: Path) -> None:
    assert len(Path(folder_name(name)).parts) == 1
    assert folder_name(name).strip(".")
    for folder in (run_folder(tmp_path, name, "org/m"), run_folder(tmp_path, "demo", f"{name}/x")):
        assert folder.resolve().parent.parent == tmp_path
