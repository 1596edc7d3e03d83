"""Put several models' stored scores together, and evaluate the sum as a model of its own."""

import argparse
from pathlib import Path

from rmeval.benchmarks import scheme_of
from rmeval.commands.options import one_of
from rmeval.ensemble import NORMALISATIONS, Mixture, combine_results, place_result
from rmeval.reports.summary import summarise
from rmeval.results import read_result, write_result


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; no model is loaded."""
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="folders of results on the same rows"
    )
    parser.add_argument(
        "--weights",
        nargs="+",
        type=_weights,
        metavar="W",
        help="a weight for each member, with spaces or commas between them; default: 1/N each",
    )
    parser.add_argument(
        "--normalise",
        type=one_of("normalisation", NORMALISATIONS),
        default="minmax",
        metavar="|".join(NORMALISATIONS),
        help="each member's scores over all responses of its result; default: minmax",
    )
    parser.add_argument("--name", metavar="NAME", help="what the ensemble is called in tables")
    parser.add_argument("--weighting", metavar="NAME", help="how subsets make a section")
    parser.add_argument("--output", type=Path, default=Path("results"), metavar="DIR")
    options = parser.parse_args(arguments)
    members = [read_result(folder) for folder in options.folders]
    weights = tuple(weight for several in options.weights or () for weight in several)
    weights = weights or (1 / len(members),) * len(members)
    mixture = Mixture(weights, options.normalise, options.name)
    result = place_result(combine_results(members, mixture, options.weighting), options.output)
    assert result.folder is not None
    write_result(result.folder, result)
    print(summarise(result, scheme_of(result.definition)))
    print(f"kept in {result.folder}")
    return 0


def _weights(value: str) -> tuple[float, ...]:
    """An argument type: numbers with commas between them."""
    try:
        return tuple(float(part) for part in value.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{value!r} is no list of numbers like 0.7,0.3") from error
