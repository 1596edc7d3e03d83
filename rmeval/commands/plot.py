"""Write the report's figures as files, for papers and slides."""

import argparse
from pathlib import Path

from rmeval.benchmarks import scheme_of
from rmeval.commands.shared.options import one_of
from rmeval.files import prepare_folder
from rmeval.results.files import read_result

FORMATS = ("png", "svg", "pdf")


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; several results give the figures that compare them."""
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="folders of results on the same rows"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--format", type=one_of("format", FORMATS), default="png", metavar="|".join(FORMATS)
    )
    options = parser.parse_args(arguments)
    from rmeval.reports.figures import save_figure
    from rmeval.reports.several import comparable, draw_figures, label_results

    found = [read_result(folder) for folder in options.folders]
    scheme = scheme_of(found[0].definition)
    results = comparable(found, scheme)
    prepare_folder(options.output)
    for drawn in draw_figures(results, scheme, label_results(results)):
        path = options.output / f"{drawn.name}.{options.format}"
        save_figure(drawn.figure, path)
        print(path)
    return 0
