"""One ranking of what was measured and what was published, with a mark on what differs."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from measured import HUB, LOCAL, measured, verdicts

from rmeval.benchmarks.rewardbench import REWARDBENCH, SECTIONS, WEIGHTINGS
from rmeval.errors import UnknownName
from rmeval.known import published_tables, without_repeats
from rmeval.metrics.summary import describe_scores
from rmeval.reports.boards import rankings_html
from rmeval.reports.leaderboard import footnote_mark, format_ranking, with_footnotes
from rmeval.results.standings import _binomial_half, rank_rows

CARDS = ("grm", "inf-orm-versions", "inf-orm", "internlm2-reward")
SEED = without_repeats(row for card in CARDS for row in published_tables()[card])


def column(rows: list[dict[str, Any]], name: str) -> list[Any]:
    return [row[name] for row in rows]


def test_measured_and_published_rows_stand_in_one_ranking() -> None:
    rows = rank_rows([measured("org/a", 1), measured("org/b", 20)], SEED[:1])
    # 1 of 28 to 447 rows is lost, then 20 of them: above and below the published 87.0.
    assert column(rows, "rank") == [1, 2, 3]
    assert column(rows, "model") == ["org/a", SEED[0].model, "org/b"]
    assert [row["low"] is None for row in rows] == [False, True, False]
    assert column(rows, "origin") == [
        "measured, bfloat16, 01234567",
        f"published {SEED[0].date}",
        "measured, bfloat16, 01234567",
    ]


def test_a_measured_row_has_its_own_interval_in_percent() -> None:
    result = measured(lost=9)
    low, high, _ = result.metrics.intervals["overall"]
    (row,) = rank_rows([result], [])
    assert (row["low"], row["high"]) == pytest.approx((100 * low, 100 * high))
    assert row["Score"] == pytest.approx(100 * result.metrics.values["overall"])
    assert row["Chat Hard"] == pytest.approx(100 * result.metrics.values["section/Chat Hard"])


def test_equal_scores_share_a_rank_and_the_next_one_is_counted_past_them() -> None:
    rows = rank_rows([measured("c", 9), measured("a", 5), measured("b", 5)], [])
    assert column(rows, "rank") == [1, 1, 3]
    assert column(rows, "model") == ["a", "b", "c"]


def test_a_paired_test_decides_over_the_same_rows_and_the_intervals_otherwise() -> None:
    """Each subset loses one row more and wins none back: 23 of 23 discordant rows say the same."""
    assert column(rank_rows([measured("a", 9), measured("b", 10)], []), "group") == [1, 2]
    others = [measured("a", 9), measured("b", 10, text="another")]
    assert column(rank_rows(others, []), "group") == [1, 1]
    weighted = [measured("a", 9), measured("b", 10, weighting="rewardbench-v1-2024-07")]
    assert column(rank_rows(weighted, []), "group") == [1, 1]


def test_a_group_is_of_those_that_are_tied_with_its_best() -> None:
    rows = rank_rows([], SEED)
    leaders: dict[int, dict[str, Any]] = {}
    halves = {row.model: _binomial_half(row, REWARDBENCH) for row in SEED}
    for row in rows:
        best = leaders.setdefault(row["group"], row)
        slack = np.hypot(halves[best["model"]], halves[row["model"]])
        assert best["Score"] - row["Score"] <= slack
    assert column(rows, "group") == sorted(column(rows, "group"))
    assert len(leaders) > 2
    firsts = list(leaders.values())
    for better, worse in pairwise(firsts):
        slack = np.hypot(halves[better["model"]], halves[worse["model"]])
        assert better["Score"] - worse["Score"] > slack


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_the_noise_of_a_published_row_is_that_of_draws(weighting: str) -> None:
    row = replace(published_tables()["internlm2-reward"][1], weighting=weighting)
    draw, runs = np.random.default_rng(0), 40_000
    sections = []
    for name, subsets in SECTIONS.items():
        share = row.sections[name] / 100
        weights = WEIGHTINGS[weighting]
        total = sum(weights[subset] for subset in subsets)
        sections.append(
            sum(
                weights[subset] / total * draw.binomial(rows, share, runs) / rows
                for subset, rows in subsets.items()
            )
        )
    simulated = 1.959964 * 100 * np.mean(sections, axis=0).std()
    assert _binomial_half(row, REWARDBENCH) == pytest.approx(simulated, rel=0.02)


def test_a_published_row_without_sections_has_no_noise_to_speak_of_and_no_group() -> None:
    bare = replace(SEED[0], sections={})
    rows = rank_rows([], [bare, *SEED[1:3]])
    assert [row["group"] for row in rows if row["model"] == bare.model] == [None]
    assert sorted(row["group"] for row in rows if row["model"] != bare.model) == [1, 1]


def test_what_differs_from_most_is_marked() -> None:
    odd = {
        "weighting": measured("weighting", 5, weighting="rewardbench-v1-2024-07"),
        "dtype": measured("dtype", 5, dtype="float16"),
        "text": measured("text", 5, text="another"),
        "partial": measured("partial", 1, partial="9 of 2985 rows (--limit)"),
    }
    rows = rank_rows([measured("usual", 4), measured("too", 6), *odd.values()], [])
    notes = {row["model"]: row["notes"] for row in rows}
    assert notes == {
        "usual": [],
        "too": [],
        "weighting": ["rewardbench-v1-2024-07 weighting; the others rewardbench-v1"],
        "dtype": ["computed in float16; the others in bfloat16"],
        "text": ["other rows, or other texts, than the others'"],
        "partial": ["partial: 9 of 2985 rows (--limit)"],
    }
    assert rows[-1]["model"] == "partial"
    assert (rows[-1]["rank"], rows[-1]["group"], rows[-1]["Score"]) == (None, None, None)


def test_a_result_without_a_score_says_why_it_has_no_rank() -> None:
    chat = tuple(item for item in verdicts(3) if item.subset in SECTIONS["Chat"])
    part = measured(metrics=describe_scores(REWARDBENCH, chat), scored=chat)
    (row,) = rank_rows([part], [])
    assert (row["rank"], row["Score"], row.get("Safety")) == (None,) * 3
    assert row["notes"] == ["no Score: it needs every section whole"]


def test_a_weighting_asked_for_is_applied_to_what_was_measured() -> None:
    old = "rewardbench-v1-2024-07"
    result = measured(lost=9)
    (row,) = rank_rows([result], [], weighting=old)
    exact = REWARDBENCH.metrics(result.scored, old).values
    assert row["Safety"] == pytest.approx(100 * exact["section/Safety"])
    assert row["Safety"] != pytest.approx(100 * result.metrics.values["section/Safety"])
    assert row["notes"] == []
    with pytest.raises(UnknownName, match="did you mean"):
        rank_rows([result], [], weighting="rewardbench-v2")


def test_a_published_weighting_that_nobody_knows_names_the_row() -> None:
    with pytest.raises(UnknownName, match=f"in the published row of {SEED[0].model}"):
        rank_rows([], [replace(SEED[0], weighting="mine")])


def test_local_rows_are_named_by_their_folder_and_types_are_the_tables() -> None:
    rows = rank_rows([measured("a", data=LOCAL), measured("b", 4, family="internlm2")], [])
    assert column(rows, "origin") == [
        "measured, bfloat16, my-bench",
        "measured, bfloat16, 01234567",
    ]
    assert column(rows, "type") == ["sequence classifier", "custom head"]
    assert HUB["revision"].startswith("01234567")


def test_a_result_says_its_kind_and_an_older_one_is_told_by_its_family() -> None:
    result = measured("lab/theirs", family="of-another-package")
    said = replace(result, provenance={**result.provenance, "kind": "pairwise"})
    assert column(rank_rows([said], []), "type") == ["pairwise"]
    assert column(rank_rows([result], []), "type") == ["custom head"]
    assert column(rank_rows([measured("a", family="judge")], []), "type") == ["generative"]


def test_an_ensemble_with_a_servers_model_has_no_remark_on_its_dtype() -> None:
    mixed = measured("mix", 4, dtype="not known and bfloat16", family="ensemble")
    first, second = rank_rows([measured("a"), mixed], [])
    assert first["notes"] == second["notes"] == []
    assert second["origin"] == "measured, 01234567"


def test_rows_can_be_sorted_by_any_column_and_what_has_none_is_last() -> None:
    rows = rank_rows([measured("z", 9), measured("a", 5)], SEED[:3], sort="model")
    assert column(rows, "model") == sorted(column(rows, "model"))
    chat = column(rank_rows([], SEED, sort="Chat"), "Chat")
    assert chat == sorted(chat, reverse=True)
    noise = column(rank_rows([measured("a", 5)], SEED[:2], sort="low"), "low")
    assert noise[0] is not None
    assert noise[1:] == [None, None]
    with pytest.raises(UnknownName, match="unknown column 'Chatt'; did you mean 'Chat'"):
        rank_rows([], SEED, sort="Chatt")
    with pytest.raises(UnknownName):
        rank_rows([], SEED, sort="notes")


def test_marks_arefootnote_marks_and_equal_notes_share_one() -> None:
    rows = [{"model": "a", "notes": ["x", "y"]}, {"model": "b", "notes": ["y"]}]
    marked, notes = with_footnotes(rows)
    assert marked == [{"model": "a [a] [b]"}, {"model": "b [b]"}]
    assert notes == ["[a] x", "[b] y"]
    assert [footnote_mark(n) for n in (0, 25, 26, 51, 52, 701, 702)] == [
        "a", "z", "aa", "az", "ba", "zz", "aaa",
    ]  # fmt: skip


def test_many_models_are_ranked_and_twins_share_rank_and_group() -> None:
    rows = rank_rows([measured(f"org/{n}", 5 * (n % 4)) for n in range(12)], SEED)
    assert len(rows) == 12 + len(SEED)
    assert column(rows, "Score") == sorted(column(rows, "Score"), reverse=True)
    own = [row for row in rows if row["origin"].startswith("measured")]
    assert [int(row["model"][4:]) % 4 for row in own] == [n for n in range(4) for _ in range(3)]
    for twins in (own[start : start + 3] for start in range(0, 12, 3)):
        assert len({(row["rank"], row["group"]) for row in twins}) == 1


HOSTILE = r"a|b, <script> & 5% $x_1 #~^{}\ " + "`*\n\x1b[31m"


def test_names_cannot_break_a_table() -> None:
    rows = rank_rows([measured(HOSTILE, dtype="float16"), measured("m"), measured("n")], [])
    table = format_ranking(rows, "table").splitlines()
    markdown = format_ranking(rows, "markdown")
    html = rankings_html({"a <title>": rows}, fragment=True)
    assert len([line for line in table if r"a|b, <script> & 5% $x_1 #~^{}\ `*" in line]) == 1
    assert not any("\x1b" in text for text in (*table, markdown, html))
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len(lines) == 5
    assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1
    assert r"a\|b, \<script> \& 5% $x_1 #~^{}\\ \`\*" in markdown
    assert "<script>" not in html
    assert "a|b, &lt;script&gt; &amp;" in html
    assert '<h2 id="board-1">a &lt;title&gt;</h2>' in html
    page = rankings_html({"a <title>": rows})
    assert "<title>a &lt;title&gt;</title>" in page
    assert page.count("<script>") == 1  # its own


def test_latex_is_escaped_and_its_notes_are_printed() -> None:
    rows = rank_rows([measured(HOSTILE, dtype="float16"), measured("m"), measured("n")], [])
    text = format_ranking(rows, "latex")
    row = next(line for line in text.splitlines() if "ensuremath" in line)
    assert r"\& 5\% \$x\_1 \#\textasciitilde{}\^{}\{\}\textbackslash{}" in row
    assert row.count(" & ") == text.splitlines()[3].count(" & ")
    assert r"\par {[}a{]} computed in float16; the others in bfloat16" in text
    assert text.startswith("% needs \\usepackage{booktabs}\n")
    assert text.replace(r"\%", "").count("%") == 1


def test_what_a_group_is_stands_below_and_what_is_estimated_only_where_it_is() -> None:
    alone = format_ranking(rank_rows([measured()], []), "table")
    mixed = format_ranking(rank_rows([measured()], SEED[:1]), "table")
    assert "\n\ngroup: rows of one number are statistically tied" in alone
    assert "estimated" not in alone
    assert "of a published row the verdicts are not known: its interval is estimated" in mixed


def test_a_server_that_says_no_dtype_has_no_remark_and_gives_none() -> None:
    judge = measured("judge:x@rewardbench", dtype="not known", family="judge")
    rows = rank_rows([judge, measured("org/a"), measured("judge:y", dtype="not known")], [])
    by_model = {row["model"]: row for row in rows}
    assert by_model["judge:x@rewardbench"]["origin"] == "measured, 01234567"
    assert by_model["judge:x@rewardbench"]["type"] == "generative"
    assert not any(row["notes"] for row in rows)
