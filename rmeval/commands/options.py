"""Options that several verbs share, and recipes: options kept in a TOML file."""

import argparse
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmeval.duels import JUDGE
from rmeval.errors import BadOption, UnknownName, one_line
from rmeval.known import Published, published_from, shipped_templates
from rmeval.types import DTYPES, ENGINES, POOLS, SPECIALS

if TYPE_CHECKING:
    from rmeval.models.pairwise import PairwiseModel
    from rmeval.models.reward_model import RewardModel


# What needs the word of who runs it, and why.
OWN_WORD = {
    "trust-remote-code": "runs the repository's code",
    "allow-pickle": "reads weights that are a program",
    "endpoint": "sends the rows and your key to a server",
    "key-over-http": "sends your key in the clear",
    "output": "writes there",
}
SHOWN = 100  # characters of a recipe's value


def one_of(kind: str, known: Iterable[str]) -> Callable[[str], str]:
    """Returns an argument type that takes known names only, and offers the nearest."""
    known = tuple(known)

    def check(value: str) -> str:
        if value not in known:
            raise UnknownName(kind, value, known)
        return value

    return check


def positive(value: str) -> int:
    """An argument type: a whole number of at least 1."""
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"{value!r} is not a whole number of at least 1")
    return int(value)


def display_name(value: str) -> str:
    """An argument type: what people will read, on one line."""
    if not one_line(value):
        raise argparse.ArgumentTypeError("an empty name")
    return one_line(value)


def number_up_to(most: float) -> Callable[[str], float]:
    """Returns an argument type: a number from 0 to `most`."""

    def check(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number <= most:
            raise argparse.ArgumentTypeError(f"{value!r} is not a number from 0 to {most:g}")
        return number

    return check


def positive_or_auto(value: str) -> int | None:
    """An argument type: a whole number of at least 1, or None for "auto"."""
    return None if value == "auto" else positive(value)


def add_model_options(parser: argparse.ArgumentParser, *, default: str | None) -> None:
    """Adds what `load_model` takes. Without a default, --model is required."""
    model = parser.add_argument_group("model")
    model.add_argument(
        "-m",
        "--model",
        metavar="ID_OR_FOLDER",
        default=default,
        required=default is None,
        help="a name on the Hub, a local folder, or 'demo'",
    )
    model.add_argument("--revision", metavar="R", help="branch, tag or commit on the Hub")
    model.add_argument(
        "--family", metavar="NAME", help="an adapter of `rmeval list`, where nothing tells it"
    )
    model.add_argument(
        "--chat-template",
        metavar="FILE_OR_NAME",
        help=f"in place of the tokenizer's own; names: {', '.join(shipped_templates())}",
    )
    model.add_argument(
        "--specials",
        type=one_of("policy", SPECIALS),
        metavar="|".join(SPECIALS),
        help="special tokens around a text: the template's, the tokenizer's too, ...; default: "
        "as the model's authors did",
    )
    model.add_argument(
        "--date",
        metavar="2024-07-26",
        help="the day that a chat template writes which asks for today's",
    )
    model.add_argument(
        "--trust-remote-code",
        action="store_true",
        help="run the repository's own code where rmeval has no adapter",
    )
    model.add_argument("--allow-pickle", action="store_true", help="read .bin weights")
    _add_engine_options(model)


def add_checks_option(parser: argparse.ArgumentParser) -> None:
    """Adds --no-checks, for verbs that score."""
    parser.add_argument(
        "--no-checks",
        action="store_true",
        help="score even a model that fails the checks of `rmeval doctor`; it is recorded",
    )


def _add_engine_options(model: argparse._ArgumentGroup) -> None:
    model.add_argument(
        "--dtype",
        type=one_of("dtype", DTYPES),
        default="auto",
        metavar="|".join(DTYPES),
        help="auto: the checkpoint's own on a GPU, float32 on a CPU",
    )
    model.add_argument("--device", default="auto", metavar="auto|cpu|cuda|cuda:N")
    model.add_argument(
        "--engine",
        type=one_of("engine", ENGINES),
        default="auto",
        metavar="|".join(ENGINES),
        help="packed: shared prefixes once; padded: the reference; auto: packed where allowed",
    )
    model.add_argument(
        "--batch-tokens",
        type=positive_or_auto,
        metavar="N",
        help="tokens in a forward pass; auto, the default, takes what memory serves",
    )
    model.add_argument(
        "--pool",
        type=one_of("pool", POOLS),
        metavar="|".join(POOLS),
        help="the token that the reward is read from, in place of the family's own rule",
    )
    model.add_argument(
        "--max-length", type=positive, metavar="N", help="cut conversations to N tokens"
    )
    _add_dpo_options(model)


def _add_dpo_options(model: argparse._ArgumentGroup) -> None:
    model.add_argument(
        "--reference",
        metavar="ID_OR_FOLDER|none",
        help="score --model as a DPO policy against this model, or by itself",
    )
    model.add_argument(
        "--per-token", action="store_true", help="divide a DPO reward by the response's tokens"
    )


def add_quiet_option(parser: argparse.ArgumentParser) -> None:
    """Adds -q, for verbs that show how far they are."""
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress")


def load_model_from(options: argparse.Namespace, *, weights: bool = True) -> "RewardModel":
    """Loads the reward model that `add_model_options` describes, with its weights or without.

    Raises BadOption for a model that compares responses instead, or a judge.
    """
    if str(options.model).startswith(JUDGE):
        raise BadOption(f"--model {options.model}: a judge gives no rewards; use `rmeval run`")
    from rmeval.models.load import require_reward_model

    return require_reward_model(load_scorer_from(options, weights=weights))


def load_scorer_from(
    options: argparse.Namespace, *, weights: bool = True
) -> "RewardModel | PairwiseModel":
    """Loads the model that `add_model_options` describes, of either kind."""
    from rmeval.models.load import Loading, load_scorer

    loading = Loading(
        revision=options.revision,
        family=options.family,
        reference=options.reference,
        per_token=options.per_token,
        dtype=options.dtype,
        device=options.device,
        trust_remote_code=options.trust_remote_code,
        allow_pickle=options.allow_pickle,
        engine=options.engine,
        pool=options.pool,
        batch_tokens=options.batch_tokens,
        max_length=options.max_length,
        chat_template=options.chat_template,
        specials=options.specials,
        date=options.date,
        checks=not getattr(options, "no_checks", False),
        weights=weights,
    )
    return load_scorer(options.model, loading)


def parse_with_recipe(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Parses a command line; options in its `--config FILE.toml` come first, and so give way.

    `published` is the row that the recipe's table of this name holds, or None.
    """
    finder = type(parser)(add_help=False, allow_abbrev=False)
    finder.add_argument("--config", type=Path)
    finder.add_argument("-m", "--model")
    asked = finder.parse_known_args(arguments)[0]
    published = None
    if asked.config is not None:
        recipe = read_recipe(asked.config)
        if "published" in recipe:
            published = published_row(recipe, f"{asked.config} [published]")
            del recipe["published"]
        if asked.model not in (None, recipe.get("model")):
            for key in ("revision", "name"):  # those of another model
                recipe.pop(key, None)
        of_recipe = _recipe_arguments(parser, recipe, asked.config)
        _require_own_word(recipe, arguments, asked.config)
        arguments = [*of_recipe, *arguments]
    options = parser.parse_args(arguments)
    options.published = published
    return options


def _require_own_word(recipe: Mapping[str, Any], arguments: Iterable[str], path: Path) -> None:
    """Raises BadOption for what a recipe asks, and who runs it has not typed: it may be anyone's.

    Such a recipe may be kept: it says what its command line needs.
    """
    typed = {argument.partition("=")[0] for argument in arguments}
    for key, value in recipe.items():
        name = key.replace("_", "-")
        if name in OWN_WORD and value is not False and f"--{name}" not in typed:
            shown = "" if value is True else f" {one_line(str(value))[:SHOWN]}"
            raise BadOption(
                f"{path}: {name} {OWN_WORD[name]}, and a recipe cannot say so for you; if you want "
                f"it, pass --{name}{shown} on the command line"
            )


def read_recipe(path: Path, option: str = "--config") -> dict[str, Any]:
    """Returns a TOML file. Raises BadOption for one that cannot be read, or is none."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadOption(f"cannot read {option} {path}: {reason}") from error


def published_row(recipe: Mapping[str, Any], place: str) -> Published:
    """Returns a recipe's published row: of its own model, benchmark and weighting."""
    table = recipe["published"]
    if not isinstance(table, dict):
        raise BadOption(f"{place}: must be a table of figures")
    named = {key: recipe[key] for key in ("model", "benchmark", "weighting") if key in recipe}
    return published_from({"note": "", **table, **named}, place)


def _recipe_arguments(
    parser: argparse.ArgumentParser, recipe: Mapping[str, Any], path: Path
) -> list[str]:
    actions = {a.dest: a for a in parser._actions if a.dest not in ("help", "config")}
    arguments = []
    for key, value in recipe.items():
        action = actions.get(key.replace("-", "_"))
        if action is None:
            raise UnknownName(f"option in {path}", key, [*actions, "published"])
        flag = action.option_strings[-1]
        if action.nargs == 0:
            if not isinstance(value, bool):
                raise BadOption(f"{path}: {key} must be true or false")
            arguments += [flag] if value else []
        elif isinstance(value, str | int) and not isinstance(value, bool):
            arguments.append(f"{flag}={value}")
        else:
            raise BadOption(f"{path}: {key} must be a text or a whole number")
    return arguments
