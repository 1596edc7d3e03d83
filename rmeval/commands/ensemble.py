"""Combine several models' stored scores, and evaluate the sum as a model of its own."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rmeval.benchmarks import scheme_of
from rmeval.commands.shared.options import one_of, published_row, read_recipe
from rmeval.errors import BadOption, UnknownName
from rmeval.known import Published, published_beside
from rmeval.records import Result
from rmeval.reports.summary import beside_published, summarise
from rmeval.results.ensemble import NORMALISATIONS, Mixture
from rmeval.results.files import find_results, read_result
from rmeval.verbs.results import ensemble

RECIPE_KEYS = ("name", "benchmark", "weighting", "normalise", "weights", "bounds", "published")


class Asked(NamedTuple):
    """What to put together, and how."""

    folders: Sequence[Path]
    mixture: Mixture
    weighting: str | None
    published: Published | None = None
    bounds: Mapping[str, Any] | None = None


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; no model is loaded."""
    _add_options(parser)
    options = parser.parse_args(arguments)
    asked = _read_options(options) if options.config is None else _follow_recipe(options)
    members = [read_result(folder) for folder in asked.folders]
    result = ensemble(
        *members,
        weights=asked.mixture.weights,
        normalise=asked.mixture.normalise,
        bounds=_bounds(members, asked.bounds),
        name=asked.mixture.name,
        weighting=asked.weighting,
        output=options.output,
    )
    print(summarise(result, scheme_of(result.definition)))
    rows = published_beside(result.model, result.benchmark, asked.published)
    if rows and result.overall is not None:
        print("", beside_published(result, rows), "", sep="\n")
    print(f"kept in {result.folder}")
    return 0


def _add_options(parser: argparse.ArgumentParser) -> None:
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
        metavar="|".join(NORMALISATIONS),
        help="each member's scores over all responses of its result; default: minmax",
    )
    parser.add_argument(
        "--bounds",
        type=Path,
        metavar="FILE.toml",
        help='fixed minima and maxima for minmax, a line for each member: "org/name" = [low, high]',
    )
    parser.add_argument("--name", metavar="NAME", help="what the ensemble is called in tables")
    parser.add_argument("--weighting", metavar="NAME", help="how subsets make a section")
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE.toml",
        help="a recipe with members and weights; their results are looked for below DIR",
    )
    parser.add_argument("--output", type=Path, default=Path("results"), metavar="DIR")


def _read_options(options: argparse.Namespace) -> Asked:
    weights = tuple(weight for several in options.weights or () for weight in several)
    weights = weights or (1 / len(options.folders),) * len(options.folders)
    mixture = Mixture(weights, options.normalise or "minmax", options.name)
    bounds = read_recipe(options.bounds, "--bounds") if options.bounds else None
    return Asked(options.folders, mixture, options.weighting, bounds=bounds)


def _follow_recipe(options: argparse.Namespace) -> Asked:
    """Returns what a recipe asks for; an option on the command line wins over it."""
    recipe, place = read_recipe(options.config), str(options.config)
    for key in recipe:
        if key not in RECIPE_KEYS:
            raise UnknownName(f"option in {place}", key, RECIPE_KEYS)
        if key not in ("weights", "published", "bounds") and not isinstance(recipe[key], str):
            raise BadOption(f"{place}: {key} must be a text")
    weights = recipe.get("weights")
    if not isinstance(weights, dict) or not all(map(_is_weight, weights.values())):
        raise BadOption(f"{place}: [weights] must give each member, by its name, a number")
    if options.weights:
        raise BadOption("--weights and --config both give weights; pass one of them")
    kind = one_of("normalisation", NORMALISATIONS)
    mixture = Mixture(
        tuple(map(float, weights.values())),
        options.normalise or kind(recipe.get("normalise", "minmax")),
        options.name or recipe.get("name"),
    )
    folders = _find_members(options.folders, list(weights), recipe.get("benchmark"))
    published = None
    if "published" in recipe:
        published = published_row({**recipe, "model": recipe.get("name")}, f"{place} [published]")
    bounds = recipe.get("bounds")
    if options.bounds:
        bounds = read_recipe(options.bounds, "--bounds")
    weighting = options.weighting or recipe.get("weighting")
    return Asked(folders, mixture, weighting, published, bounds)


def _bounds(
    members: Sequence[Result], given: Mapping[str, Any] | None
) -> tuple[tuple[float, float], ...] | None:
    """Returns each member's minimum and maximum, by its name. Raises BadOption."""
    if given is None:
        return None
    found = []
    for member in members:
        pair: Any = given.get(member.model) if isinstance(given, dict) else None
        if not isinstance(pair, list) or [type(end) in (int, float) for end in pair] != [True] * 2:
            raise BadOption(f'bounds: no line like "{member.model}" = [low, high]')
        found.append((float(pair[0]), float(pair[1])))
    return tuple(found)


def _is_weight(value: Any) -> bool:
    """Whether a value is a number that a float can be; NaN and infinity are refused as weights."""
    return type(value) is float or (type(value) is int and abs(value) <= sys.float_info.max)


def _find_members(below: Sequence[Path], names: Sequence[str], benchmark: str | None) -> list[Path]:
    """Returns the folder of each named model's one whole result on the benchmark.

    Raises BadOption for those that have none, or several.
    """
    found: dict[str, list[Path]] = {name: [] for name in names}
    for path, document in find_results(below):
        if document["model"] in found and _fits(document, benchmark):
            found[document["model"]].append(path.parent)
    missing = [name for name in names if not found[name]]
    if missing:
        on = f" on {benchmark}" if benchmark else ""
        raise BadOption(
            f"no whole result{on} below {', '.join(map(str, below))} of {', '.join(missing)}; "
            f"make it with `rmeval run`, for example of --model {missing[0].partition('@')[0]}"
        )
    for name, folders in found.items():
        if len(folders) > 1:
            raise BadOption(
                f"several results of {name}: {', '.join(map(str, folders))}; pass a narrower DIR"
            )
    return [found[name][0] for name in names]


def _fits(document: Mapping[str, Any], benchmark: str | None) -> bool:
    return document["partial"] is None and benchmark in (None, document["benchmark"])


def _weights(value: str) -> tuple[float, ...]:
    """An argument type: numbers with commas between them."""
    try:
        return tuple(float(part) for part in value.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{value!r} is not a list of numbers like 0.7,0.3"
        ) from error
