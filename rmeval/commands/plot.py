"""Write figures as files, for papers and slides: of results, of a leaderboard, of benchmarks."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rmeval.benchmarks import scheme_of
from rmeval.commands.shared.options import one_of
from rmeval.commands.shared.sources import add_source_options, read_sources
from rmeval.errors import BadData, BadOption, UnknownName
from rmeval.files import prepare_folder
from rmeval.known import Published
from rmeval.records import Result
from rmeval.reports.rankings import Rows, by_benchmark
from rmeval.reports.tables import format_rows
from rmeval.results.files import folder_name, read_result
from rmeval.results.standings import find_entries, rank_entries

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
FIGURES = ("forest", "scatter")
WIDTHS = {"column": 3.25, "page": 6.75}  # inches of a two-column paper


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; several results give the figures that compare them."""
    _add_options(parser)
    options = parser.parse_args(arguments)
    from rmeval.reports.figures import save_figure

    figures = list(_of_rows(options) if options.figure is None else _of_ranking(options))
    prepare_folder(options.output)
    for name, figure in figures:
        path = options.output / f"{name}.{options.format}"
        save_figure(figure, path)
        print(path)
    return 0


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_source_options(parser)
    parser.add_argument(
        "--figure",
        type=one_of("figure", FIGURES),
        metavar="|".join(FIGURES),
        help="a leaderboard's intervals, or models by their Scores on two benchmarks with the "
        "correlations; default: the report's figures of results on the same rows",
    )
    parser.add_argument(
        "--benchmark",
        action="append",
        default=[],
        metavar="NAME",
        help="with --figure: only this one; given several times, these, the first along x",
    )
    parser.add_argument(
        "--width",
        type=one_of("width", WIDTHS),
        metavar="|".join(WIDTHS),
        help="with --figure: one column of a two-column paper (3.25 inches, the default), or both",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--format", type=one_of("format", FORMATS), default="png", metavar="|".join(FORMATS)
    )


def _of_rows(options: argparse.Namespace) -> "Iterator[tuple[str, Figure]]":
    """Yields the report's figures of one result, or of several on the same rows."""
    if options.published or options.card or options.benchmark or options.width:
        raise BadOption("--published, --card, --benchmark and --width go with --figure")
    if not options.sources:
        raise BadOption("pass the folder of a result, or --figure forest or scatter")
    from rmeval.reports.several import comparable, draw_figures, label_results

    found = [read_result(folder) for folder in options.sources]
    scheme = scheme_of(found[0].definition)
    results = comparable(found, scheme)
    for drawn in draw_figures(results, scheme, label_results(results)):
        yield drawn.name, drawn.figure


def _of_ranking(options: argparse.Namespace) -> "Iterator[tuple[str, Figure]]":
    """Yields a forest for each benchmark, or a scatter of every two."""
    _, results, published = read_sources(options)
    tables = _tables(results, published, options.benchmark)
    width = WIDTHS[options.width or "column"]
    yield from (_forests if options.figure == "forest" else _scatters)(tables, width)


def _tables(
    results: list[Result], published: tuple[Published, ...], wanted: list[str]
) -> dict[str, Rows]:
    """Returns the rows of each benchmark, in the order that was asked for."""
    tables = by_benchmark(results, published)
    for name in wanted:
        if name not in tables:
            raise UnknownName("benchmark among these results", name, tables)
    if not tables:
        raise BadData("no results here; `rmeval run` makes one, --published has those of others")
    return {name: tables[name] for name in dict.fromkeys(wanted or tables)}


def _forests(tables: dict[str, Rows], width: float) -> "Iterator[tuple[str, Figure]]":
    from rmeval.reports.forest import MOST_MODELS, draw_forest

    for name, rows in tables.items():
        ranked = rank_entries(*rows)
        if len(ranked) > MOST_MODELS:
            print(f"{name}: the best {MOST_MODELS} of {len(ranked)}", file=sys.stderr)
        yield f"forest-{folder_name(name)}", draw_forest(ranked, width)


def _scatters(tables: dict[str, Rows], width: float) -> "Iterator[tuple[str, Figure]]":
    from rmeval.metrics.correlation import LEAST
    from rmeval.reports.scatter import draw_scatter, find_scatters, scatter_row

    entries = {
        name: find_entries(measured, [row for row in published if not row.of])
        for name, (measured, published) in tables.items()
        if measured or any(not row.of for row in published)
    }
    scatters = find_scatters(entries)
    if not scatters:
        raise BadData(f"no two of {', '.join(tables)} have {LEAST} models in common")
    print(format_rows([scatter_row(scatter) for scatter in scatters], "table"), end="\n\n")
    for scatter in scatters:
        name = f"scatter-{folder_name(scatter.x)}-{folder_name(scatter.y)}"
        yield name, draw_scatter(scatter, width)
