"""Tables for papers: what they hold, and that LaTeX takes them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from rmeval.errors import UnknownName
from rmeval.known import published_rows
from rmeval.reports.across import across_rows, format_across
from rmeval.reports.latex import Layout, latex_text
from rmeval.reports.leaderboard import format_ranking
from rmeval.reports.rankings import by_benchmark
from rmeval.reports.tables import format_rows
from rmeval.results.standings import find_entries, rank_rows

ROWS = [
    {
        "model": "a/x",
        "type": "custom head",
        "Score": 90.04,
        "low": 88.0,
        "high": 92.0,
        "Chat": None,
    },
    {"model": "b", "type": "generative", "Score": 85.0, "low": None, "high": None, "Chat": 70.0},
    {"model": "c", "type": "custom head", "Score": 90.0, "low": 87.0, "high": 93.0, "Chat": 60.0},
]
HOSTILE = [
    r"a\input{/etc/passwd} & 50 % of $x_1$ #~^{}",
    "[2pt] an argument of a line's end",
    "* so is this",
    'a -- b --- c | "quotes" `` << >> ?` !`',
    "%",
    "a\x00\x1b[31m\nb\tc",
    r"\end{tabular}\write18{rm -rf x}",
    "Grün, español, Łódź",
]
DOCUMENT = r"""\documentclass[twocolumn]{article}
\usepackage{booktabs}
\begin{document}
\begin{table*}
%s
\end{table*}
\end{document}
"""


def test_a_table_has_blocks_bold_figures_and_one_column_for_an_interval() -> None:
    layout = Layout(("model", "Score", "low", "high", "Chat"), "type", bold=True)
    assert format_rows(layout.arrange(ROWS), "latex", layout).splitlines() == [
        r"% needs \usepackage{booktabs}",
        r"\begin{tabular}{@{}lrlr@{}}",
        r"\toprule",
        r"model & Score & \scriptsize 95\,\% interval & Chat \\",
        r"\midrule",
        r"\multicolumn{4}{@{}l}{\textit{custom head}} \\",
        r"a/x & \textbf{90.0} & \scriptsize {[}88.0, 92.0{]} &  \\",
        r"c & \textbf{90.0} & \scriptsize {[}87.0, 93.0{]} & 60.0 \\",
        r"\midrule",
        r"\multicolumn{4}{@{}l}{\textit{generative}} \\",
        r"b & 85.0 &  & \textbf{70.0} \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_columns_are_chosen_in_every_format_and_one_that_is_not_there_is_named() -> None:
    rows = rank_rows([], [row for row in published_rows() if row.benchmark == "rewardbench-2"])
    layout = Layout(("Score", "model"))
    assert format_ranking(rows, "csv", layout=layout).splitlines()[0] == "Score,model"
    assert format_ranking(rows, "table", layout=layout).split()[:2] == ["Score", "model"]
    with pytest.raises(UnknownName, match="did you mean 'model'"):
        format_ranking(rows, "table", layout=Layout(("modle",)))
    with pytest.raises(UnknownName, match="unknown column 'family'"):
        format_ranking(rows, "table", layout=Layout(by="family"))


def test_rows_of_one_value_stand_together_in_the_order_of_their_best() -> None:
    rows = rank_rows([], [row for row in published_rows() if row.benchmark == "rewardbench-2"])
    types = [row["type"] for row in Layout(by="type").arrange(rows)]
    blocks = [kind for kind, before in zip(types, [None, *types], strict=False) if kind != before]
    assert blocks == list(dict.fromkeys(row["type"] for row in rows))
    assert len(blocks) > 1


def test_letters_that_pdflatex_lacks_are_announced() -> None:
    assert "LuaLaTeX" in format_rows([{"model": "模型"}], "latex")
    assert "LuaLaTeX" not in format_rows([{"model": "m"}], "latex")


def test_the_best_across_benchmarks_is_bold_beside_its_footnotes() -> None:
    rows = [
        {"model": "a", "origin": "measured", "x": 1.0, "y": None, "notes": {}, "sources": {}},
        {"model": "b", "origin": "published", "x": 2.0, "y": 3.0, "notes": {"x": ["odd"]},
         "sources": {}},
    ]  # fmt: skip
    text = format_across(rows, "latex", Layout(("model", "x", "y"), bold=True))
    assert r"b & \textbf{2.0} {[}a{]} & \textbf{3.0} \\" in text
    assert r"a & 1.0 &  \\" in text


def compiled(tmp_path: Path, table: str) -> None:
    """Asserts that pdfLaTeX makes a page of a table, without a word of complaint."""
    if shutil.which("pdflatex") is None:
        pytest.skip("needs pdflatex, which is not here")
    (tmp_path / "t.tex").write_text(DOCUMENT % table, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape"]
    told = subprocess.run([*command, "t.tex"], cwd=tmp_path, capture_output=True, check=False)
    assert told.returncode == 0, told.stdout.decode(errors="replace")[-3000:]
    assert (tmp_path / "t.pdf").is_file()


def test_hostile_cells_are_text_to_pdflatex(tmp_path: Path) -> None:
    rows = [{"model": name, "Score": 9.0} for name in HOSTILE]
    layout = Layout(bold=True, by="model")
    compiled(tmp_path, format_rows(rows, "latex") + format_rows(rows, "latex", layout))


def test_pdflatex_takes_the_published_leaderboards(tmp_path: Path) -> None:
    rows = by_benchmark([], list(published_rows()))
    ranking = rank_rows([], rows["rewardbench-2"][1])
    layout = Layout(("model", "Score", "Math", "Ties"), "type", bold=True)
    across = across_rows({name: find_entries(*found) for name, found in rows.items()})
    chosen = Layout(("model", "rewardbench", "rewardbench-2", "rm-bench"), bold=True)
    tables = [
        format_ranking(ranking, "latex", layout=layout),
        format_across(across, "latex", chosen),
    ]
    compiled(tmp_path, "\n\n".join(tables))


def test_dashes_stay_two_and_brackets_end_no_line() -> None:
    assert latex_text("a--b") == "a-{}-b"
    assert latex_text("[x]*") == "{[}x{]}{*}"
