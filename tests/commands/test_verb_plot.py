"""`rmeval plot`."""

from pathlib import Path

import pytest
from command_line import Capture, done, refusal
from preferences_by_hand import question, result, scored

from rmeval.files import prepare_folder
from rmeval.results.files import write_result

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
    assert [Path(line).name for line in out.splitlines()] == ["heatmap.png", "significance.png"]


def test_results_of_other_rows_are_refused(tmp_path: Path, capsys: Capture) -> None:
    folders = [kept(tmp_path / "a", (1, 0)), kept(tmp_path / "b", (1, 0), (0, 1))]
    assert "different rows" in refusal(capsys, "plot", *folders, "--output", tmp_path / "f")
    assert not (tmp_path / "f").exists()


def test_another_format_is_refused(tmp_path: Path, capsys: Capture) -> None:
    folder = kept(tmp_path / "a", (1, 0))
    message = refusal(capsys, "plot", folder, "--output", tmp_path, "--format", "gif")
    assert message.startswith("unknown format 'gif'")
