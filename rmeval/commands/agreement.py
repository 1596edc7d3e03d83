"""Say how far judges agree with each other, with reward models, and with themselves."""

import argparse
import json
from pathlib import Path

from rmeval.errors import BadOption
from rmeval.files import prepare_folder
from rmeval.judging.agreement import find_agreement
from rmeval.reports.agreement import agreement_document, describe_agreement, draw_agreement
from rmeval.results.files import read_result

DRAWN = (".png", ".svg", ".pdf")


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb."""
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="folders of results on the same rows"
    )
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="write kappa of each two: .png, .svg or .pdf"
    )
    options = parser.parse_args(arguments)
    if options.plot is not None and options.plot.suffix not in DRAWN:
        raise BadOption(f"--plot {options.plot}: a figure ends in {', '.join(DRAWN)}")
    found = find_agreement([read_result(folder) for folder in options.folders])
    if options.json:
        print(json.dumps(agreement_document(found), indent=2, ensure_ascii=False))
    else:
        print(describe_agreement(found))
    if options.plot is not None:
        from rmeval.reports.figures import save_figure

        prepare_folder(options.plot.parent)
        save_figure(draw_agreement(found), options.plot)
    return 0
