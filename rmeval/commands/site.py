"""Write the leaderboard as a site: pages that open from a disk, and the same figures as JSON."""

import argparse
import sys
from pathlib import Path

from rmeval.commands.shared.options import display_name
from rmeval.commands.shared.progress import show_step
from rmeval.commands.shared.sources import add_source_options, read_sources
from rmeval.errors import BadData, one_line
from rmeval.reports.site.folder import require_site
from rmeval.reports.site.models import read_facts
from rmeval.reports.site.writing import write_site


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; what the reports are without goes to stderr."""
    add_source_options(parser)
    parser.add_argument("--output", type=Path, default=Path("public"), metavar="DIR")
    parser.add_argument("--title", type=display_name, default="Reward models")
    parser.add_argument(
        "--models",
        type=Path,
        metavar="FILE.toml",
        help="name, type, family, size, licence and url of models, a table for each",
    )
    parser.add_argument(
        "--no-reports",
        action="store_true",
        help="no report for each result: they hold the benchmarks' texts, and take their time",
    )
    options = parser.parse_args(arguments)
    require_site(options.output)
    facts = read_facts(options.models) if options.models else {}
    sources, results, published = read_sources(options)
    if not results and not published:
        raise BadData(
            f"no results in {', '.join(map(str, sources))}; `rmeval run` makes one, and "
            "--published adds rows of others"
        )
    with show_step(f"writing {options.output}"):
        missing = write_site(
            options.output,
            results,
            published,
            title=options.title,
            facts=facts,
            reports=not options.no_reports,
        )
    for reason in missing:
        print(one_line(f"reports without texts: {reason}"), file=sys.stderr)
    pages = sum(1 for _ in options.output.rglob("*.html"))
    print(f"{options.output}/index.html: {pages} pages")
    return 0
