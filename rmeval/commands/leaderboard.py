"""Rank results and published rows together; what is not like the others has a footnote."""

import argparse
import sys
from pathlib import Path

from rmeval.commands.shared.options import one_of
from rmeval.commands.shared.sources import add_source_options, read_sources
from rmeval.errors import BadOption
from rmeval.files import prepare_file, write_atomically
from rmeval.known import Published
from rmeval.records import Result
from rmeval.reports.across import across_rows, format_across
from rmeval.reports.boards import across_html, rankings_html
from rmeval.reports.latex import Layout
from rmeval.reports.leaderboard import format_ranking
from rmeval.reports.rankings import by_benchmark, rank_each
from rmeval.reports.tables import FORMATS, SUFFIXES, format_rows
from rmeval.results.standings import Row, find_entries


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; the tables go to stdout or a file, remarks to stderr."""
    _add_options(parser)
    options = parser.parse_args(arguments)
    form = options.format or _form_of(options.output)
    layout = _layout(options, form)
    if options.fragment and form != "html":
        raise BadOption(f"--fragment is of --format html, not {form}; leave it out")
    sources, results, published = read_sources(options)
    if not results and not published:
        where = ", ".join(map(str, sources))
        print(f"no results in {where}; `rmeval run` makes one", file=sys.stderr)
        text = format_rows([], "json") + "\n" if form == "json" else ""
    elif options.across:
        text = _across(results, published, options, form, layout)
    else:
        ranked = _rank(results, published, options, form)
        text = _format(ranked, form, layout, options.fragment)
    if options.output is None:
        print(text, end="")
    else:
        prepare_file(options.output)
        write_atomically(options.output, text)
    return 0


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_source_options(parser)
    parser.add_argument("--benchmark", metavar="NAME", help="only this one")
    parser.add_argument(
        "--across",
        action="store_true",
        help="one table of models by benchmarks, measured and published together",
    )
    parser.add_argument(
        "--weighting", metavar="NAME", help="use this one for everything that was measured here"
    )
    parser.add_argument(
        "--format",
        type=one_of("format", FORMATS),
        metavar="|".join(FORMATS),
        help="default: by the suffix of --output, or table",
    )
    parser.add_argument(
        "--fragment",
        action="store_true",
        help="html without document, style and script, to stand in a page of your own",
    )
    parser.add_argument(
        "--columns",
        type=_names,
        default=(),
        metavar="NAME,NAME,…",
        help="these alone, in this order; low and high are an interval's ends",
    )
    parser.add_argument(
        "--by", metavar="COLUMN", help="rows of one value together; in LaTeX under a heading"
    )
    parser.add_argument("--bold", action="store_true", help="LaTeX: the best of each column")
    parser.add_argument(
        "--sort", metavar="COLUMN", help="default: Score; with --across, a benchmark"
    )
    parser.add_argument("--output", type=Path, metavar="FILE")


def _names(value: str) -> tuple[str, ...]:
    """An argument type: names between commas."""
    return tuple(filter(None, (name.strip() for name in value.split(","))))


def _layout(options: argparse.Namespace, form: str) -> Layout:
    if options.bold and form != "latex":
        raise BadOption("--bold goes with --format latex")
    return Layout(options.columns, options.by, options.bold)


def _form_of(output: Path | None) -> str:
    return SUFFIXES.get(output.suffix.lower(), "table") if output else "table"


def _rank(
    results: list[Result], published: tuple[Published, ...], options: argparse.Namespace, form: str
) -> dict[str, list[Row]]:
    """Returns a ranking for each benchmark. Raises UnknownName, BadOption."""
    tables = rank_each(results, published, options.benchmark, options.weighting, options.sort)
    if len(tables) > 1 and form in ("csv", "latex"):
        names = sorted({name.partition(" (")[0] for name in tables})
        raise BadOption(
            f"one table per file: pass --across, or --benchmark with one of {', '.join(names)}"
        )
    return tables


def _across(
    results: list[Result],
    published: tuple[Published, ...],
    options: argparse.Namespace,
    form: str,
    layout: Layout,
) -> str:
    """Returns one table of models by benchmarks. Raises UnknownName."""
    tables = by_benchmark(results, published, options.benchmark)
    entries = {name: find_entries(*rows, options.weighting) for name, rows in tables.items()}
    rows = across_rows(entries, options.sort)
    if form == "html":
        return across_html(rows, layout=layout, fragment=options.fragment) + "\n"
    return format_across(rows, form, layout) + "\n"


def _format(tables: dict[str, list[Row]], form: str, layout: Layout, fragment: bool) -> str:
    if form == "html":
        return rankings_html(tables, layout=layout, fragment=fragment) + "\n"
    if form == "json":
        rows = [{"benchmark": name, **row} for name, table in tables.items() for row in table]
        return format_ranking(rows, form, layout=layout) + "\n"
    titles = tables if len(tables) > 1 else [""]
    blocks = zip(tables.values(), titles, strict=True)
    return "\n\n".join(format_ranking(t, form, title, layout) for t, title in blocks) + "\n"
