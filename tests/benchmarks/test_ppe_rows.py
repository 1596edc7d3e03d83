"""PPE: five data sets of 32 responses each, and battles of which one response won."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_rows import written
from published_layouts import COMMIT, write
from scored_rows import scored

from rmeval.benchmarks import load_benchmark
from rmeval.benchmarks.ppe import ALIKE, RESPONSES, SCHEME, SETS, repository_of
from rmeval.errors import BadData, BadOption
from rmeval.metrics.summary import describe_scores


def row(number: int, right: int = 5, **more: Any) -> dict[str, Any]:
    """A row as the card has it, with columns of theirs that are not read; the last are right."""
    texts = {f"response_{n}": f"{number}, {n}" for n in range(1, RESPONSES + 1)}
    scores = [n >= RESPONSES - right for n in range(RESPONSES)]
    others = {"question_id": "7", "model_name": "m", "sampled_conflict_pairs": [[0, 31]]}
    return {**others, "prompt": f"q{number}", "scores": scores, **texts, **more}


def folder(tmp_path: Path, names: list[str], rows: int = 2) -> Path:
    for name in names:
        below = tmp_path / f"PPE-{name}-Best-of-K" / "data"
        write(below / "train-00000-of-00001.parquet", [row(n, right=n + 3) for n in range(rows)])
    return tmp_path


def test_right_responses_come_first_and_each_set_is_a_subset(tmp_path: Path) -> None:
    benchmark = load_benchmark("ppe-correctness", folder(tmp_path, list(SETS)))
    assert {item.subset for item in benchmark.preferences} == set(SETS)
    first = benchmark.preferences[0]
    assert (first.id, first.num_chosen, len(first.responses)) == ("MMLU-Pro/1", 3, 32)
    assert first.responses[:4] == ("0, 30", "0, 31", "0, 32", "0, 1")
    assert benchmark.partial == (
        "10 rows instead of 2555: MMLU-Pro has 2 of 512 and 4 more subsets differ"
    )
    # one question in several rows or sets is one unit
    assert len({item.cluster for item in benchmark.preferences}) == 2


def test_the_hubs_five_sets_are_read_at_five_commits(tmp_path, monkeypatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for number, name in enumerate(SETS):
        cache = tmp_path / f"datasets--{repository_of(name).replace('/', '--')}"
        commit = f"{number}{COMMIT[1:]}"
        (cache / "refs").mkdir(parents=True)
        (cache / "refs/main").write_text(commit)
        write(cache / "snapshots" / commit / "data/train-0.parquet", [row(number)])
    benchmark = load_benchmark("ppe-correctness")
    assert [item.subset for item in benchmark.preferences] == list(SETS)
    assert benchmark.revision is not None
    again = load_benchmark("ppe-correctness", revision=benchmark.revision)
    assert again.digest == benchmark.digest
    with pytest.raises(BadOption, match="needs five with commas, of MMLU-Pro, MATH"):
        load_benchmark("ppe-correctness", revision="main")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"scores": [True]}, "1 in 'scores' for 32 responses"),
        ({"scores": [2] * 32}, r"'scores'\[1\] is 2; it must be true or false"),
        ({"response_7": None}, "'response_7' has no value"),
        ({"prompt": None}, "'prompt' has no value"),
    ],
)
def test_a_row_that_is_none_is_named(change: dict[str, Any], fault: str, tmp_path: Path) -> None:
    path = written(tmp_path, "jsonl", row(0), {**row(1), **change})
    path = path.rename(tmp_path / "ppe-gpqa.jsonl")
    with pytest.raises(BadData, match=rf"ppe-gpqa\.jsonl line 2.*{fault}"):
        load_benchmark("ppe-correctness", path)


def test_a_file_of_no_set_and_a_missing_column_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"unknown data set of PPE 'rows\.jsonl'"):
        load_benchmark("ppe-correctness", written(tmp_path, "jsonl", row(0)))
    short = {key: value for key, value in row(0).items() if key != "response_32"}
    (tmp_path / "math").mkdir()
    with pytest.raises(BadData, match="response_32"):
        load_benchmark("ppe-correctness", written(tmp_path / "math", "jsonl", short))


def drawn(seed: int, rows: int) -> list[Any]:
    draw, found = np.random.default_rng(seed), []
    for name in SETS:
        for number in range(rows):
            right = int(draw.integers(1, 32))
            rewards = [*draw.normal(0.5, 1, right), *draw.normal(0, 1, 32 - right)]
            found.append(scored(f"{name}/{number}", name, *rewards, num_chosen=right))
    return found


def test_the_score_is_the_mean_of_five_accuracies_over_all_pairs() -> None:
    rows, scheme = drawn(3, 6), SCHEME.with_rows(dict.fromkeys(SETS, 6))
    pooled, alike, best = [], [], []
    for name in SETS:
        shares = []
        for item in (row for row in rows if row.subset == name):
            rewards = np.array([score.value for score in item.scores])
            right, wrong = rewards[: item.num_chosen], rewards[item.num_chosen :]
            shares.append(((right[:, None] > wrong).sum(), right.size * wrong.size))
            best.append(rewards.argmax() < item.num_chosen)
        won, pairs = np.array(shares).T
        pooled.append(won.sum() / pairs.sum())
        alike.append((won / pairs).mean())
    values = scheme.tally(rows).values
    assert values["overall"] == pytest.approx(np.mean(pooled))
    assert values["overall/best of 32"] == pytest.approx(np.mean(best))
    assert values["subset/MATH"] == pytest.approx(pooled[1])
    assert scheme.tally(rows, ALIKE).values["overall"] == pytest.approx(np.mean(alike))
    found = describe_scores(scheme, rows)
    assert len(found.statistics["answers"]["curve"]) == 32
    assert found.intervals["overall"].low < values["overall"] < found.intervals["overall"].high


def test_a_set_too_few_leaves_no_score() -> None:
    rows = [item for item in drawn(4, 2) if item.subset != "IFEval"]
    values = SCHEME.with_rows(dict.fromkeys(SETS, 2)).tally(rows).values
    assert "overall" not in values
    assert "subset/MATH" in values


def test_of_battles_the_winner_is_preferred_and_ties_are_left_out(tmp_path: Path) -> None:
    said = ["model_a", "model_b", "tie", "tie (bothbad)"]
    rows = [
        {"question_id": f"x{n}", "model_a": "m", "model_b": "n", "prompt": f"q{n}",
         "response_1": "one", "response_2": "two", "winner": winner, "language": "English"}
        for n, winner in enumerate(said)
    ]  # fmt: skip
    path = written(tmp_path, "parquet", *rows).rename(tmp_path / "test-00000-of-00001.parquet")
    benchmark = load_benchmark("ppe-preference", path.parent)
    assert [item.responses for item in benchmark.preferences] == [("one", "two"), ("two", "one")]
    assert benchmark.layout is not None
    assert "2 rows left out, in which neither is better" in benchmark.layout
    assert benchmark.partial == "4 rows instead of 16,038"
    other = written(tmp_path, "jsonl", {**rows[0], "winner": "nobody"})
    with pytest.raises(BadData, match="nobody"):
        load_benchmark("ppe-preference", other)
