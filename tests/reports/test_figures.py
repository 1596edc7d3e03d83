"""Every picture, of results that leave something to draw or almost nothing."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer
from preferences_by_hand import question, result, scored

from rmeval.benchmarks.rewardbench import REWARDBENCH, ROWS
from rmeval.benchmarks.rewardbench2 import SCHEME as REWARDBENCH_2
from rmeval.benchmarks.rm_bench import SCHEME as RM_BENCH
from rmeval.metrics.intervals import wilson_interval
from rmeval.metrics.pairs import PAIRS
from rmeval.metrics.scheme import Scheme
from rmeval.records import Result
from rmeval.reports import several
from rmeval.reports.drawing import figure_svg
from rmeval.reports.figures import ON_ANY_PAGE, PICTURES, save_figure
from rmeval.reports.several import comparable, draw_figures, label_results, significance

NAMES = ["subsets", "margins", "rewards", "reliability", "reward-length", "accuracy-length"]
SIX = ("why?", "a", "b b", "c c c", "d", "e e", "f f f")


def pairs(*rewards: tuple[float, float], subset: str = "s", texts: tuple[str, ...] = ()) -> Result:
    rows = [scored(question(str(n), subset, *texts), *pair) for n, pair in enumerate(rewards)]
    return result(rows)


def rm_bench() -> Result:
    rows = []
    for n, subset in enumerate(["chat", "math", "code", "safety-refuse", "safety-response"] * 2):
        item = replace(question(str(n), subset, *SIX), num_chosen=3)
        rows.append(scored(item, 3.0, 2.0, 1.0 + n, 0.5, 2.5, 1.5))
    return result(rows, scheme=RM_BENCH)


def rewardbench_2() -> Result:
    four = ("why?", "a", "b b", "c c c", "d d")
    rows = [scored(question(str(n), "Math", *four), 1.0, 0.5, n / 2, 0.0) for n in range(4)]
    tied = question("tied:1", "Ties", *four)
    return result(
        [*rows, scored(question("ref:1", "Ties", *four), 2, 0, 0, 0), scored(tied, 1, 0, 0, 0)],
        scheme=REWARDBENCH_2,
    )


CASES: dict[str, tuple[Result, Scheme]] = {
    "one row": (pairs((1, 0)), PAIRS),
    "all won": (pairs((1, 0), (2, 0), (5, 1)), PAIRS),
    "all lost": (pairs((0, 1), (0, 2)), PAIRS),
    "all tied": (pairs((1, 1), (1, 1)), PAIRS),
    "equal lengths": (pairs((1, 0), (0, 1), texts=("why?", "a b", "c d")), PAIRS),
    "empty responses": (pairs((1, 0), (0, 1), texts=("why?", "", "")), PAIRS),
    "large rewards": (pairs((1e6, -1e6), (3e5, 2e6)), PAIRS),
    "three numbers a subset": (rm_bench(), RM_BENCH),
    "a subset without chance": (rewardbench_2(), REWARDBENCH_2),
    "formulas": (pairs((1, 0), subset="$x_{$ & <b> #000000"), PAIRS),
}


@pytest.mark.parametrize("case", CASES)
def test_every_picture_draws(case: str) -> None:
    drawn = draw_figures([CASES[case][0]], CASES[case][1], ["m"])
    assert [d.name for d in drawn] == NAMES
    for item in drawn:
        svg = figure_svg(item.figure, item.name)
        assert svg.startswith("<svg")
        assert "currentColor" in svg
        assert not re.search(r"nan|<script|<metadata|#000000[;\"]", svg)
        ElementTree.fromstring(svg)


def test_a_subset_without_a_formula_for_chance_has_no_mark_for_it() -> None:
    found, scheme = CASES["a subset without chance"]
    axes = PICTURES[0].figure(found, scheme).axes[0]
    marks = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert marks["chance"] == [[25.0, 1.0]]  # Math above Ties
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Math", "Ties"]


def test_three_numbers_of_a_subset_are_three_bars() -> None:
    found, scheme = CASES["three numbers a subset"]
    axes = PICTURES[0].figure(found, scheme).axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[:3] == ["chat/hard", "chat/normal", "chat/easy"]
    assert len(labels) == 15


def test_names_from_data_stay_text_in_a_picture() -> None:
    found, scheme = CASES["formulas"]
    svg = figure_svg(PICTURES[0].figure(found, scheme), "subsets")
    assert "$x_{$ &amp; &lt;b&gt; #000000</text>" in svg


def test_names_in_other_scripts_need_no_font_here() -> None:
    svg = figure_svg(PICTURES[0].figure(pairs((1, 0), subset="数学"), PAIRS), "subsets")
    assert "数学" in svg  # and no warning, which would fail the test


def test_no_bin_of_margins_holds_both_signs() -> None:
    figure = PICTURES[1].figure(pairs((0.3, 0), (0, 0.1), (7, 7), (0, 5), (2, 0)), PAIRS)
    axes = figure.axes[0]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert sorted(labels) == ["lost: 2", "tied: 1", "won: 2"]
    lefts = [[bar.get_x() for bar in box if bar.get_height() > 0] for box in axes.containers]
    assert max(lefts[0]) < -1e-9
    assert min(lefts[1] + lefts[2]) > -1e-9


def test_pairs_of_one_difference_in_length_are_one_point() -> None:
    same, longer = ("why?", "a b", "c d"), ("why?", "a b c", "d")
    rows = [scored(question(str(n), "s", *same), float(n < 3), 0.5) for n in range(12)]
    rows.append(scored(question("longer", "s", *longer), 1, 0))
    axes = PICTURES[5].figure(result(rows), PAIRS).axes[0]
    assert axes.lines[0].get_xydata().tolist() == [[0, 100 * 4 / 13]]


def test_more_subsets_than_fit_are_those_of_the_lowest_accuracy() -> None:
    rows = [
        scored(question(f"{n}-{i}", f"s{n}"), float(i < n % 7), 0.5)
        for n in range(90)
        for i in range(7)
    ]
    drawn = draw_figures([result(rows)], PAIRS, ["m"])[0]
    assert drawn.caption.endswith("Of 90 subsets, the 80 of the lowest accuracy.")
    labels = {label.get_text() for label in drawn.figure.axes[0].get_yticklabels()}
    # n % 7 = 6 is the best: 12 of them, of which 2 still fit.
    assert len(labels) == 80
    assert sum(int(label[1:]) % 7 == 6 for label in labels) == 2


def test_the_same_figure_has_the_same_bytes_and_no_ids_of_its_groups() -> None:
    once, again = (figure_svg(PICTURES[2].figure(pairs((1, 0)), PAIRS), "x") for _ in range(2))
    assert once == again
    assert '<g id="' not in once


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_figure_is_written_as_its_ending_says(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"margins.{ending}"
    save_figure(PICTURES[1].figure(pairs((1, 0)), PAIRS), path)
    start = path.read_bytes()[:8]
    assert {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending] in start


def cells(figure) -> list[list[str]]:
    axes = figure.axes[0]
    columns = len(axes.get_xticks())
    texts = [text.get_text() for text in axes.texts]
    return [texts[i : i + columns] for i in range(0, len(texts), columns)]


def models(count: int, rows: int = 40) -> list[Result]:
    """Model n wins the first 10·n rows; the second half of the rows is another subset."""
    items = [question(str(n), "ab"[n >= rows // 2]) for n in range(rows)]
    return [
        result([scored(item, float(i < 10 * n), 0.5) for i, item in enumerate(items)], f"m{n}")
        for n in range(count)
    ]


def test_the_heatmap_has_the_best_model_first() -> None:
    _, heatmap, _ = draw_figures(models(4), PAIRS, ["m0", "m1", "m2", "m3"])
    axes = heatmap.figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["m3", "m2", "m1", "m0"]
    score = ["75", "50", "25", "0"]
    assert cells(heatmap.figure) == [score, ["100", "100", "50", "0"], ["50", "0", "0", "0"]]


def drawn_ends(axes) -> list[list[float]]:
    """The ends of the lines that are intervals, in the order they were drawn."""
    return [line.get_xdata().tolist() for line in axes.lines if len(line.get_xdata()) == 2]


def test_intervals_of_several_models_are_drawn_from_end_to_end_the_best_first() -> None:
    intervals = draw_figures(models(3), PAIRS, ["m0", "m1", "m2"])[0]
    [axes] = intervals.figure.axes  # the Score; these rows have no sections
    assert [label.get_text() for label in axes.get_yticklabels()] == ["m2", "m1", "m0"]
    assert [text.get_text() for text in axes.texts] == ["50.0", "25.0", "0.0"]
    ends = [found.metrics.intervals["overall"][:2] for found in reversed(models(3))]
    assert np.allclose(drawn_ends(axes), 100 * np.array(ends))
    low, high = drawn_ends(axes)[2]  # of 0.0, all of it is above
    assert low == 0.0
    assert high > 5


def test_sections_have_a_panel_each_with_its_own_name() -> None:
    rows = [scored(question(name, name), 1, 0) for name in ROWS]
    scheme = REWARDBENCH.with_rows(dict.fromkeys(ROWS, 1))
    found = result(rows, scheme=scheme)
    intervals = draw_figures([found, found], scheme, ["a", "b"])[0]
    titles = [axes.get_title() for axes in intervals.figure.axes if axes.get_visible()]
    assert titles == ["Score", "Chat", "Chat Hard", "Safety", "Reasoning"]


def test_both_ends_of_an_asymmetric_interval_are_drawn_where_they_are() -> None:
    found = pairs(*[(1, 0)] * 9, (0, 1))
    low, high = wilson_interval(9, 10)
    assert 0.9 - low > 3 * (high - 0.9) > 0  # 59.6 to 98.2
    for name, along in (("subsets", 0), ("accuracy-length", 1)):
        picture = next(picture for picture in PICTURES if picture.name == name)
        [bars] = [
            box
            for box in picture.figure(found, PAIRS).axes[0].containers
            if isinstance(box, ErrorbarContainer)
        ]
        [[start, end]] = bars[2][0].get_segments()
        assert [start[along], end[along]] == pytest.approx([100 * low, 100 * high])


def test_significance_is_of_the_row_against_the_column() -> None:
    differences, real = significance(models(3), PAIRS)
    assert np.allclose(differences, [[0, -25, -50], [25, 0, -25], [50, 25, 0]])
    # 10 of 10 rows one way: p = 2/1024, real also after Holm.
    assert real.tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]


def test_equal_models_differ_by_nothing() -> None:
    _, heatmap, matrix = draw_figures([pairs((1, 0))] * 2, PAIRS, ["a", "b"])
    assert cells(matrix.figure) == [["", "+0.0"], ["+0.0", ""]]
    assert cells(heatmap.figure) == [["100", "100"]] * 2  # the Score, and the subset


def test_of_many_models_the_best_are_tested_and_the_caption_says_so(monkeypatch) -> None:
    monkeypatch.setattr(several, "MODELS_PAIRED", 2)
    _, _, matrix = draw_figures(models(4), PAIRS, ["m0", "m1", "m2", "m3"])
    assert matrix.caption.endswith("Only the best 2 of 4 models.")
    labels = [label.get_text() for label in matrix.figure.axes[0].get_yticklabels()]
    assert labels == ["m3", "m2"]


def test_a_matrix_too_large_for_numbers_has_a_scale(monkeypatch) -> None:
    monkeypatch.setattr(several, "CELLS_WITH_NUMBERS", 3)
    _, heatmap, _ = draw_figures(models(2), PAIRS, ["a", "b"])
    assert not heatmap.figure.axes[0].texts
    assert len(heatmap.figure.axes) == 2


def test_long_names_keep_both_ends() -> None:
    name = "org/" + "x" * 60 + "-checkpoint-500"
    _, heatmap, _ = draw_figures(models(2), PAIRS, [name, "b"])
    shown = heatmap.figure.axes[0].get_xticklabels()[1].get_text()
    assert len(shown) == 40
    assert shown.startswith("org/xxx")
    assert shown.endswith("…xxxxx-checkpoint-500")


def test_partial_results_have_no_scores_to_test() -> None:
    rows = [scored(question("1", "Math", "q", "a", "b", "c", "d"), 1, 0, 0, 0)]
    partial = result(rows, scheme=REWARDBENCH_2)
    assert partial.overall is None
    assert [d.name for d in draw_figures([partial] * 2, REWARDBENCH_2, ["a", "b"])] == ["heatmap"]


def test_results_of_one_model_are_called_by_their_folders() -> None:
    one = pairs((1, 0))
    twice = [replace(one, folder=Path("a/m")), replace(one, folder=Path("b/m"))]
    other = replace(one, model="org/other", folder=Path("c"))
    assert label_results([*twice, other]) == ["org/m (a/m)", "org/m (b/m)", "org/other"]


def test_results_under_one_weighting_are_left_as_they_are() -> None:
    found = models(2)
    assert comparable(found, PAIRS) == found


def test_the_colours_of_reward_and_length_are_told_from_a_white_page_and_from_a_dark_one() -> None:
    def luminance(colour) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    few = luminance(ON_ANY_PAGE(0.0))  # most cells at the edge of the cloud hold one response
    for page in (luminance((1, 1, 1)), luminance((0x16 / 255, 0x18 / 255, 0x1B / 255))):
        light, dark = max(few, page), min(few, page)
        assert (light + 0.05) / (dark + 0.05) >= 3  # WCAG 2.2, 1.4.11
