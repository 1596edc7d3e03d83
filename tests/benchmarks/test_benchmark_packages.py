"""Benchmarks of other packages, and the one that docs/adding-a-benchmark.md shows."""

import importlib
import json
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from installed import install
from scipy.stats import norm

import rmeval
from rmeval.benchmarks import BENCHMARKS, define_benchmark, load_benchmark, scheme_of
from rmeval.cli import main
from rmeval.errors import BadPlugin, UnknownName
from rmeval.metrics.intervals import metric_intervals
from rmeval.records import Score, ScoredPreference

GROUP = "rmeval.benchmarks"
DOCUMENT = (Path(__file__).parents[2] / "docs" / "adding-a-benchmark.md").read_text("utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.S)
    return found


@pytest.fixture
def puzzles(tmp_path, monkeypatch):
    """The document's package, installed beside rmeval; its module."""
    project = tomllib.loads(block("toml"))["project"]
    site = tmp_path / "site"
    site.mkdir()
    (site / "puzzles.py").write_text(block("python"), encoding="utf-8")
    install(site, project["name"], GROUP, project["entry-points"][GROUP], monkeypatch)
    monkeypatch.delitem(sys.modules, "puzzles", raising=False)
    yield importlib.import_module("puzzles")
    sys.modules.pop("puzzles", None)


def write_rows(folder: Path) -> Path:
    """All 500 puzzles, with 3 to 6 answers; of every tenth all are right, or all wrong."""
    folder.mkdir()
    rows = []
    for number in range(500):
        kind = "sums" if number < 300 else "products"
        k = 3 + number % 4
        right = [number % 20 == 0] * k if number % 10 == 0 else [i % 2 == 0 for i in range(k)]
        answers = [
            f"{'It is' if ok else 'No idea, maybe'} {number + i}." for i, ok in enumerate(right)
        ]
        question = f"What is puzzle {number}?"
        rows.append(
            {"id": number, "kind": kind, "question": question, "answers": answers, "right": right}
        )
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_the_documents_benchmark_is_run_explained_compared_and_reported(puzzles, tmp_path, capsys):
    data, out = write_rows(tmp_path / "data"), tmp_path / "results"
    command = ["run", "--model", "demo", "--device", "cpu", "--benchmark", "puzzles"]
    assert main([*command, "--data", str(data), "--output", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "demo on puzzles (rows weighting)" in printed
    assert "best of n is right" in printed
    folder = out / "puzzles" / "demo"
    result = rmeval.read_result(folder)
    assert (result.partial, len(result.scored)) == (None, 500)
    assert set(result.metrics.values) == {
        "overall", "overall/pairs", "subset/sums", "subset/products", "subset/sums/pairs",
        "subset/products/pairs",
    }  # fmt: skip
    assert main(["aggregate", str(folder), "--explain"]) == 0
    assert "overall/pairs = " in capsys.readouterr().out
    assert main(["compare", str(folder), str(folder)]) == 0
    assert (
        main(["report", str(folder), "--data", str(data), "--output", str(tmp_path / "r.html")])
        == 0
    )
    page = (tmp_path / "r.html").read_text()
    assert page.count("What is puzzle") <= 4  # those that show what is wrong; the rest is packed


def test_the_list_names_the_package(puzzles, capsys):
    assert main(["list", "benchmarks"]) == 0
    line = next(li for li in capsys.readouterr().out.splitlines() if li.startswith("puzzles "))
    assert line.split()[:4] == ["puzzles", "(my-puzzles", "1.0)", "500"]
    assert "me/puzzles" in line


def draw_scored(puzzles, seed: int, sums: int, products: int) -> list[ScoredPreference]:
    """Right answers are higher by 1; pass rates are uniform."""
    draw, rows = np.random.default_rng(seed), []
    for number in range(sums + products):
        k = int(draw.integers(2, 7))
        right = int(draw.binomial(k, draw.random()))
        rewards = [*draw.normal(1, 1, right), *draw.normal(0, 1, k - right)]
        scores = tuple(Score(float(reward), 9, False) for reward in rewards)
        subset = "sums" if number < sums else "products"
        rows.append(ScoredPreference(str(number), subset, right, scores))
    return rows


def test_both_of_its_intervals_hold_the_truth(puzzles):
    """Of 300 benchmarks of 100 puzzles; the truth of best-of-k is that of 60,000 puzzles."""
    scheme = puzzles.SCHEME.with_rows({"sums": 60, "products": 40})
    many = draw_scored(puzzles, 1, 30_000, 30_000)
    best = float(np.mean([puzzles.best_is_right(row) for row in many]))
    truth = {"overall": best, "overall/pairs": float(norm.cdf(1 / 2**0.5))}
    held, weighted = dict.fromkeys(truth, 0), {"sums": 0.6, "products": 0.4}
    for seed in range(300):
        tally = scheme.tally(draw_scored(puzzles, 100 + seed, 60, 40))
        intervals = metric_intervals(tally)
        for name, value in truth.items():
            held[name] += intervals[name].low <= value <= intervals[name].high
        by_hand = sum(w * tally.values[f"subset/{n}"] for n, w in weighted.items())
        assert tally.values["overall"] == pytest.approx(by_hand)
    assert all(0.92 <= count / 300 <= 0.985 for count in held.values()), held


def test_a_subset_too_short_leaves_no_score(puzzles, tmp_path):
    data = write_rows(tmp_path / "data")
    lines = (data / "test.jsonl").read_text().splitlines(keepends=True)
    (data / "test.jsonl").write_text("".join(lines[:-1]))
    assert load_benchmark("puzzles", data).partial == (
        "499 rows instead of 500: products has 199 of 200"
    )


def test_without_the_package_a_result_of_it_names_what_is_missing():
    with pytest.raises(UnknownName, match="unknown benchmark 'puzzles'"):
        scheme_of("puzzles")


def test_a_name_of_rmevals_own_is_refused_with_both(tmp_path, monkeypatch, capsys):
    install(tmp_path, "theirs", GROUP, {"rewardbench": "theirs:THEIRS"}, monkeypatch)
    assert main(["list", "benchmarks"]) == 2
    assert "two benchmarks are called 'rewardbench'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("nowhere_at_all:X", "cannot be imported from nowhere_at_all:X of broken 1.0"),
        ("rmeval.errors:RmevalError", "is no Definition"),
        ("rmeval.benchmarks.demo:DEMO", "calls itself 'demo' and is registered as 'new'"),
    ],
)
def test_a_benchmark_that_cannot_be_used_names_its_package(
    target, complaint, tmp_path, monkeypatch
):
    install(tmp_path, "broken", GROUP, {"new": target}, monkeypatch)
    with pytest.raises(BadPlugin, match=r"of broken 1\.0") as refused:
        define_benchmark("new")
    assert complaint in str(refused.value)
    assert "new" in {entry.name for entry in BENCHMARKS}  # listed all the same, nothing is imported
