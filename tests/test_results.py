"""Results on disk: where they go, and that what stands there is whole."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from preferences_by_hand import PROVENANCE

from rmeval.benchmarks.rewardbench import REWARDBENCH
from rmeval.errors import BadData, OutputFailure
from rmeval.files import prepare_folder
from rmeval.metrics.summary import describe_scores
from rmeval.records import Interval, Metrics, Result, Score, ScoredPreference
from rmeval.results.files import find_results, read_result, run_folder, write_result
from rmeval.results.scores import read_scores

SCORED = (
    ScoredPreference("7", "hep-go", 1, (Score(0.1, 12, False), Score(-1e-300, 2048, True)), "ab"),
    ScoredPreference(
        "ä 🙂", "math-prm", 1, (Score(2.0, 3, False), Score(2.0, 3, False)), "cd", 2.5, 0.5
    ),
)
RESULT = Result(
    benchmark="rewardbench",
    definition="rewardbench",
    model="org/name",
    weighting="rewardbench-v1",
    metrics=describe_scores(REWARDBENCH, SCORED),
    scored=SCORED,
    partial="2 rows",
    provenance=PROVENANCE,
)


@pytest.mark.parametrize(
    ("model", "revision", "folder"),
    [
        ("internlm/internlm2-7b-reward", None, "internlm__internlm2-7b-reward"),
        ("internlm/internlm2-7b-reward", "v1.0", "internlm__internlm2-7b-reward@v1.0"),
        ("org/name", "refs/pr/3", "org__name@refs_pr_3"),
        ("demo", None, "demo"),
        ("org/näme of: <it>", None, "org__näme_of_it_"),
    ],
)
def test_a_hub_name_keeps_its_organisation(
    model: str, revision: str | None, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_folder(Path("out"), "rewardbench", model, revision) == Path(
        "out/rewardbench", folder
    )


@pytest.mark.parametrize("written", ["runs/checkpoint 500", "./runs/checkpoint 500/", "."])
def test_a_local_folder_gives_its_last_two_components(
    written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs/checkpoint 500").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "runs/checkpoint 500" if written == "." else tmp_path)
    assert run_folder(Path("o"), "b", written) == Path("o/b/runs__checkpoint_500")


def test_a_folder_called_demo_does_not_rename_the_demo_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run_folder(Path("o"), "demo", "demo") == Path("o/demo/demo")


def test_scores_come_back_bit_for_bit(tmp_path: Path) -> None:
    write_result(tmp_path, RESULT)
    assert read_scores(tmp_path / "scores.jsonl") == SCORED


def test_a_result_comes_back_as_it_was(tmp_path: Path) -> None:
    write_result(tmp_path, RESULT)
    assert read_result(tmp_path) == replace(RESULT, folder=tmp_path)
    assert read_result(tmp_path / "result.json") == replace(RESULT, folder=tmp_path)


def test_a_line_of_scores_holds_what_it_promises(tmp_path: Path) -> None:
    write_result(tmp_path, RESULT)
    first = json.loads((tmp_path / "scores.jsonl").read_text("utf-8").splitlines()[0])
    assert first == {
        "id": "7",
        "subset": "hep-go",
        "num_chosen": 1,
        "responses": [
            {"value": 0.1, "tokens": 12, "truncated": False},
            {"value": -1e-300, "tokens": 2048, "truncated": True},
        ],
        "text_sha256": "ab",
    }


def test_a_result_says_everything_and_the_hash_of_its_scores(tmp_path: Path) -> None:
    by_hand = Metrics(
        {"subset/hep-go": 1.0},
        {"hep-go": 1, "math-prm": 1},
        ("Reasoning",),
        {"ties": 1},
        {"subset/hep-go": Interval(0.25, 1.0, "by hand")},
        {"length": {"pearson": None}},
    )
    write_result(tmp_path, replace(RESULT, metrics=by_hand))
    [(path, document)] = find_results([tmp_path])
    assert path == tmp_path / "result.json"
    sha = hashlib.sha256((tmp_path / "scores.jsonl").read_bytes()).hexdigest()
    assert document == {
        "schema": 2,
        "benchmark": "rewardbench",
        "definition": "rewardbench",
        "model": "org/name",
        "weighting": "rewardbench-v1",
        "partial": "2 rows",
        "partial_sections": ["Reasoning"],
        "metrics": {"subset/hep-go": 1.0},
        "intervals": {"subset/hep-go": {"low": 0.25, "high": 1.0, "method": "by hand"}},
        "statistics": {"length": {"pearson": None}},
        "rows": {"hep-go": 1, "math-prm": 1},
        "counts": {"ties": 1},
        "scores_sha256": sha,
        "provenance": PROVENANCE,
    }


def test_nothing_but_scores_and_result_is_left_behind(tmp_path: Path) -> None:
    write_result(tmp_path, RESULT)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["result.json", "scores.jsonl"]


def test_a_file_where_a_folder_should_be_is_found_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(OutputFailure, match="choose another `output=`"):
            prepare_folder(folder)


def test_preparing_a_folder_leaves_nothing_in_it(tmp_path: Path) -> None:
    assert list(prepare_folder(tmp_path / "a/b").iterdir()) == []


@pytest.mark.parametrize(
    "line", ["", "[]", "{}", '{"id": "1"', '{"id": "1", "subset": "s", "responses": [1]}']
)
def test_a_damaged_line_of_scores_is_named(line: str, tmp_path: Path) -> None:
    write_result(tmp_path, RESULT)
    path = tmp_path / "scores.jsonl"
    path.write_text(path.read_text("utf-8") + line + "\n", "utf-8")
    with pytest.raises(BadData, match=r"scores\.jsonl line 3: not a line of scores"):
        read_scores(path)


@pytest.mark.parametrize("text", ["", "{", "[1]", "{}", '{"schema": 2}', "\x00"])
def test_a_damaged_result_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(BadData, match=r"result\.json: not a result of rmeval"):
        list(find_results([tmp_path]))


def test_the_result_of_a_newer_rmeval_is_not_guessed_at(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"schema": 3}')
    with pytest.raises(BadData, match="schema 3, this rmeval reads 2; update rmeval"):
        list(find_results([tmp_path]))


def test_the_result_of_an_older_rmeval_asks_for_another_run(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"schema": 1}')
    with pytest.raises(BadData, match="schema 1, this rmeval reads 2; run the model again"):
        list(find_results([tmp_path]))


def test_results_are_found_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b/y", "a", "b/x"):
        write_result(prepare_folder(tmp_path / name), RESULT)
    found = [path.parent.relative_to(tmp_path).as_posix() for path, _ in find_results([tmp_path])]
    assert found == ["a", "b/x", "b/y"]


def test_a_result_found_twice_is_one_result(tmp_path: Path) -> None:
    write_result(prepare_folder(tmp_path / "a"), RESULT)
    assert len(list(find_results([tmp_path, tmp_path / "a"]))) == 1


def changed_scores(folder: Path, change) -> None:
    write_result(folder, RESULT)
    path = folder / "scores.jsonl"
    path.write_text("".join(change(path.read_text("utf-8").splitlines(keepends=True))), "utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[:1], "0 rows of math-prm, but result.json was made from 1"),
        (lambda lines: [*lines, lines[0]], r"line 3: id 7 is also on line 1"),
        (
            lambda lines: [*lines, lines[0].replace('"7"', '"8"')],
            "2 rows of hep-go, but result.json was made from 1",
        ),
        (
            lambda lines: [lines[0].replace("0.1", "NaN"), lines[1]],
            r"line 1: a score of 7 is not finite",
        ),
        (
            lambda lines: [lines[0].replace("0.1", "0.2"), lines[1]],
            "not the scores that result.json was made from",
        ),
        (
            lambda lines: [lines[0].replace('"num_chosen": 1', '"num_chosen": 3'), lines[1]],
            "line 1: 7 has 3 of 2 chosen",
        ),
    ],
)
def test_scores_that_are_not_the_results_are_refused_by_name(
    change, message: str, tmp_path: Path
) -> None:
    changed_scores(tmp_path, change)
    before = (tmp_path / "scores.jsonl").read_bytes()
    with pytest.raises(BadData, match=message) as caught:
        read_result(tmp_path)
    assert "scores.jsonl" in str(caught.value)
    assert (tmp_path / "scores.jsonl").read_bytes() == before


def test_a_folder_without_a_result_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"no result\.json here; pass the folder"):
        read_result(tmp_path)
    write_result(tmp_path, RESULT)
    (tmp_path / "scores.jsonl").unlink()
    with pytest.raises(BadData, match=r"scores\.jsonl: no such file; run the model again"):
        read_result(tmp_path)


@pytest.mark.parametrize(
    ("part", "key", "said"),
    [
        ("model", "fingerprint", "provenance.model.fingerprint is missing"),
        ("engine", None, "provenance.engine is missing or of another kind"),
        ("data", "revision", "provenance.data.revision is missing"),
        ("versions", "rmeval", "provenance.versions.rmeval is missing"),
        ("seconds", None, "provenance.seconds is missing"),
    ],
)
def test_a_provenance_that_lacks_what_readers_need_is_named(
    tmp_path: Path, part: str, key: str | None, said: str
) -> None:
    write_result(tmp_path, RESULT)
    path = tmp_path / "result.json"
    document = json.loads(path.read_text())
    if key is None:
        document["provenance"][part] = "text"
    else:
        del document["provenance"][part][key]
    path.write_text(json.dumps(document))
    with pytest.raises(BadData, match=f"not a result of rmeval: {said}"):
        read_result(tmp_path)


def test_a_result_that_cannot_be_read_to_its_end_is_one_line(tmp_path):
    (tmp_path / "result.json").symlink_to("/proc/self/mem")  # opens, and every read fails
    with pytest.raises(BadData, match=r"result\.json: cannot be read"):
        read_result(tmp_path)
