"""`rmeval plot`."""

from pathlib import Path

import pytest
from command_line import Capture, done, refusal
from preferences_by_hand import question, result, scored

from rmeval.files import prepare_folder
from rmeval.known import published_rows
from rmeval.reports.scatter import find_scatters
from rmeval.results.files import write_result
from rmeval.results.standings import Standing

FIRST_BYTES = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
OF_ONE = ["subsets", "margins", "rewards", "reliability", "reward-length", "accuracy-length"]


def kept(folder: Path, *rewards: tuple[float, float]) -> Path:
    rows = [scored(question(str(n)), *pair) for n, pair in enumerate(rewards)]
    write_result(prepare_folder(folder), result(rows, f"org/{folder.name}"))
    return folder


@pytest.mark.parametrize("kind", FIRST_BYTES)
def test_each_figure_is_a_file(tmp_path: Path, capsys: Capture, kind: str) -> None:
    figures = tmp_path / "new" / "figures"
    folder = kept(tmp_path / "a", (1, 0), (0, 1))
    out, err = done(capsys, "plot", folder, "--output", figures, "--format", kind)
    assert out.splitlines() == [str(figures / f"{name}.{kind}") for name in OF_ONE]
    assert err == ""
    for name in OF_ONE:
        assert (figures / f"{name}.{kind}").read_bytes().startswith(FIRST_BYTES[kind])


def test_the_same_scores_make_the_same_svg(tmp_path: Path, capsys: Capture) -> None:
    folder = kept(tmp_path / "a", (1, 0), (0, 1))
    for place in ("x", "y"):
        done(capsys, "plot", folder, "--output", tmp_path / place, "--format", "svg")
    for name in OF_ONE:
        x, y = ((tmp_path / place / f"{name}.svg").read_bytes() for place in ("x", "y"))
        assert x == y


def test_several_results_are_compared(tmp_path: Path, capsys: Capture) -> None:
    folders = [kept(tmp_path / "a", (1, 0), (0, 1)), kept(tmp_path / "b", (0, 1), (0, 1))]
    out, _ = done(capsys, "plot", *folders, "--output", tmp_path)
    assert [Path(line).name for line in out.splitlines()] == [
        "intervals.png", "heatmap.png", "significance.png",
    ]  # fmt: skip


def test_results_of_other_rows_are_refused(tmp_path: Path, capsys: Capture) -> None:
    folders = [kept(tmp_path / "a", (1, 0)), kept(tmp_path / "b", (1, 0), (0, 1))]
    assert "different rows" in refusal(capsys, "plot", *folders, "--output", tmp_path / "f")
    assert not (tmp_path / "f").exists()


def test_another_format_is_refused(tmp_path: Path, capsys: Capture) -> None:
    folder = kept(tmp_path / "a", (1, 0))
    message = refusal(capsys, "plot", folder, "--output", tmp_path, "--format", "gif")
    assert message.startswith("unknown format 'gif'")


def test_a_forest_is_drawn_for_each_benchmark_in_the_width_of_a_column(
    tmp_path: Path, capsys: Capture
) -> None:
    kept(tmp_path / "a", (1, 0), (0, 1))
    kept(tmp_path / "b", (1, 0), (1, 0))
    command = ("plot", tmp_path, "--card", "grm", "--figure", "forest", "--format", "svg")
    out, _ = done(capsys, *command, "--output", tmp_path / "f")
    names = ["forest-pairs.svg", "forest-rewardbench.svg"]
    assert [Path(line).name for line in out.splitlines()] == names
    measured, published = ((tmp_path / "f" / name).read_text(encoding="utf-8") for name in names)
    assert "measured" in measured
    assert "published, interval estimated" in published
    assert 'width="234pt"' in published  # 3.25 inches
    assert "GRM-llama3-8B-sftreg" in published
    assert "Ray2333" not in published
    done(capsys, *command, "--output", tmp_path / "f", "--width", "page")
    wide = (tmp_path / "f" / names[1]).read_text(encoding="utf-8")
    assert 'width="486pt"' in wide
    assert "Ray2333/GRM-llama3-8B-sftreg" in wide


def test_a_long_leaderboard_is_cut_to_a_page_and_says_so(tmp_path: Path, capsys: Capture) -> None:
    command = ("plot", "--published", "--figure", "forest", "--benchmark", "rewardbench-2")
    _, err = done(capsys, *command, "--format", "svg", "--output", tmp_path)
    rows = [row for row in published_rows() if row.benchmark == "rewardbench-2"]
    assert err == f"rewardbench-2: the best 50 of {len(rows)}\n"
    text = (tmp_path / "forest-rewardbench-2.svg").read_text(encoding="utf-8")
    assert float(text.partition('height="')[2].partition("pt")[0]) < 9 * 72  # inches of a page


def test_a_scatter_says_how_far_two_benchmarks_agree(tmp_path: Path, capsys: Capture) -> None:
    table = tmp_path / "t.csv"
    lines = ["benchmark,model,type,Score,weighting,source,date,note"]
    for name, scores in (("rm-bench", (10, 20, 30, 40, 50)), ("rewardbench-2", (1, 2, 3, 5, 4))):
        lines += [f"{name},m{i},t,{score},mean,s,2026,"
                  for i, score in enumerate(scores)]  # fmt: skip
    table.write_text("\n".join([*lines, "rm-bench,alone,t,9,mean,s,2026,"]), encoding="utf-8")
    command = ("plot", table, "--figure", "scatter", "--format", "svg", "--output", tmp_path / "f")
    out, _ = done(capsys, *command, "--benchmark", "rm-bench", "--benchmark", "rewardbench-2")
    header, _, row, _, path = out.splitlines()
    assert header.split() == ["x", "y", "models", "Pearson", "Spearman", "Kendall"]
    assert row.split()[:3] == ["rm-bench", "rewardbench-2", "5"]
    assert " 0.90 [" in row
    assert " 0.80 [" in row
    assert Path(path).name == "scatter-rm-bench-rewardbench-2.svg"
    text = Path(path).read_text(encoding="utf-8")
    assert "Spearman 0.90 [" in text
    assert "5 models" in text
    out, _ = done(capsys, *command)
    assert out.splitlines()[2].split()[:2] == ["rewardbench-2", "rm-bench"]


def test_what_was_measured_stands_for_a_model_before_what_was_published() -> None:
    measured = {"m": 80.0}
    entries = {
        "a": [standing("m", 70.0), standing("m", measured["m"], of=True)]
        + [standing(f"n{i}", float(i)) for i in range(4)],
        "b": [standing("M", 60.0), *(standing(f"n{i}", float(i)) for i in range(4))],
    }
    (found,) = find_scatters(entries)
    assert next((a.score, b.score) for a, b in found.models) == (80.0, 60.0)
    assert len(found.models) == 5


def standing(model: str, score: float, *, of: bool = False) -> Standing:
    made = result([scored(question("1"), 1, 0)], model) if of else None
    return Standing(model, "t", "rows", score, None, {}, "", (), made, "" if of else "s")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--published",), "--published, --card, --benchmark and --width go with --figure"),
        ((), "pass the folder of a result, or --figure forest or scatter"),
        (("--figure", "forrest"), "did you mean 'forest'?"),
        (("--published", "--figure", "forest", "--benchmark", "rewardbench2"), "'rewardbench-2'?"),
        (("--card", "grm", "--figure", "scatter"), "no two of rewardbench have 5 models in common"),
        (("--figure", "forest"), "results: no such folder"),
    ],
)
def test_what_a_user_can_mend_is_one_line(
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words in refusal(capsys, "plot", *arguments, "--output", "f")
    assert not (tmp_path / "f").exists()


def test_hostile_names_are_drawn_as_text(tmp_path: Path, capsys: Capture) -> None:
    for name in ("$\\frac{$", "a\x1b[31m\nb", "<script>&", "模型"):
        folder = tmp_path / "r" / str(len(name))
        write_result(prepare_folder(folder), result([scored(question("1"), 1, 0)], name))
    for kind in FIRST_BYTES:
        command = ("plot", tmp_path / "r", "--figure", "forest", "--format", kind)
        _, err = done(capsys, *command, "--output", tmp_path)
        assert ("its fonts lack letters of a name" in err) == (kind != "svg")
        assert len(err.splitlines()) <= 1
    text = (tmp_path / "forest-pairs.svg").read_text(encoding="utf-8")
    assert "&lt;script&gt;&amp;" in text
    assert "\x1b" not in text
