"""Options that several verbs share, and recipes: options kept in a TOML file."""

import argparse
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rmeval.clock import importing, spending
from rmeval.commands.shared.progress import show_step
from rmeval.duels import JUDGE
from rmeval.errors import BadOption, UnknownName, one_line
from rmeval.hub import local_path
from rmeval.known import Published, published_from
from rmeval.load_options import LOAD_OPTIONS, Option, kind_of
from rmeval.records import ENGINES, SERVED

if TYPE_CHECKING:
    from rmeval.engines.model import EngineModel
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
ENDPOINT = "its address, such as http://node0:8000; its key comes from RMEVAL_API_KEY"
VALUE_LETTERS = 100  # characters of a recipe's value


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


def system_prompt(value: str) -> str:
    """An argument type: a text, or the file that holds it, less its last line break."""
    path = local_path(value)
    try:
        text = value if path is None else path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadOption(f"--system {value}: cannot be read as text") from error
    if not text.strip():
        raise BadOption(f"--system {value!r}: an empty system prompt; leave it out")
    return text


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
    add_load_options(model, [name for name, option in LOAD_OPTIONS.items() if option.flag])


def add_load_options(parser: argparse._ActionsContainer, names: Iterable[str]) -> None:
    """Adds some of the options of loading, as `rmeval.load_options` says them."""
    for name in names:
        _add_load_option(parser, name, LOAD_OPTIONS[name])


def _add_load_option(parser: argparse._ActionsContainer, name: str, option: Option) -> None:
    flag, told = f"--{name.replace('_', '-')}", option.described()
    if kind_of(name) is bool:
        parser.add_argument(flag, action="store_true", help=told)
        return
    kind: Callable[[str], Any] = positive_or_auto if kind_of(name) is int else str
    kind = system_prompt if name == "system" else kind
    if option.choices:
        kind = one_of(option.noun or name, option.choices)
    metavar = "|".join(option.choices) or option.metavar
    parser.add_argument(flag, type=kind, default=option.default, metavar=metavar, help=told)


def add_engine_options(parser: argparse.ArgumentParser, *, had: Collection[str] = ()) -> None:
    """Adds the options of an engine elsewhere to those of a model, but those that a verb `had`.

    `load_rewarding_from` reads them.
    """
    engine = next(action for action in parser._actions if action.dest == "engine")
    names = (*ENGINES, *SERVED)
    engine.type, engine.metavar = one_of("engine", names), "|".join(names)
    engine.help = f"{engine.help}; or an engine elsewhere, with --endpoint"
    group = parser.add_argument_group("engine elsewhere")
    told: dict[str, dict[str, Any]] = {
        "endpoint": {"metavar": "URL", "help": ENDPOINT},
        "concurrency": {"type": positive, "metavar": "K", "help": "requests at once; 32 if unsaid"},
        "request-tokens": {
            "type": positive,
            "metavar": "N",
            "help": "tokens of a request at most; 65536 if unsaid",
        },
        "against": {
            "type": Path,
            "metavar": "FILE",
            "help": "hold the engine's rewards to what `rmeval doctor --record FILE` wrote of the "
            "model",
        },
        "key-over-http": {
            "action": "store_true",
            "help": "send RMEVAL_API_KEY to another machine's http:// too, where anyone between "
            "can read it",
        },
    }
    for name, how in told.items():
        if name not in had:
            group.add_argument(f"--{name}", **how)


def is_served(options: argparse.Namespace) -> bool:
    """Whether an engine elsewhere computes the rewards. Raises BadOption for half an address."""
    endpoint, engine = getattr(options, "endpoint", None), options.engine
    if engine in SERVED and endpoint is None:
        raise BadOption(f"--engine {engine} computes elsewhere: pass its address, --endpoint URL")
    if endpoint is not None and engine not in SERVED:
        raise BadOption(
            f"--endpoint names no engine: pass --engine {'|'.join(SERVED)}; a judge there is asked "
            "by `rmeval run --model judge:NAME`"
        )
    for name in ("request_tokens", "against") if endpoint is None else ():
        if getattr(options, name, None) is not None:
            raise BadOption(f"--{name.replace('_', '-')} goes with --endpoint only")
    return endpoint is not None


def add_checks_option(parser: argparse.ArgumentParser) -> None:
    """Adds --no-checks, for verbs that score."""
    parser.add_argument(
        "--no-checks",
        action="store_true",
        help="score even a model that fails the checks of `rmeval doctor`; it is recorded",
    )


def add_quiet_option(parser: argparse.ArgumentParser) -> None:
    """Adds -q, for verbs that show how far they are."""
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress")


def load_model_from(
    options: argparse.Namespace, *, weights: bool = True, without_reference: str | None = None
) -> "RewardModel":
    """Loads the reward model that `add_model_options` describes, with its weights or without.

    `without_reference` names one of the rows to come that has none.

    Raises BadOption for a model that compares responses instead, or a judge.
    """
    if str(options.model).startswith(JUDGE):
        raise BadOption(f"--model {options.model}: a judge gives no rewards; use `rmeval run`")
    if options.parallel is not None:
        raise BadOption("--parallel is of `rmeval run`; here give each process a part of the input")
    from rmeval.models.load import require_reward_model

    return require_reward_model(
        load_scorer_from(options, weights=weights, without_reference=without_reference)
    )


def load_rewarding_from(
    options: argparse.Namespace, *, weights: bool = True, without_reference: str | None = None
) -> "RewardModel | EngineModel":
    """Loads what gives rewards: a model here, as `load_model_from`, or one that an engine computes.

    An engine is asked nothing yet.
    """
    if is_served(options):
        return open_engine_from(options, without_reference)
    return load_model_from(options, weights=weights, without_reference=without_reference)


def load_scorer_from(
    options: argparse.Namespace, *, weights: bool = True, without_reference: str | None = None
) -> "RewardModel | PairwiseModel":
    """Loads the model that `add_model_options` describes, of either kind."""
    with importing():
        from rmeval.models.load import load_scorer

    given = {name: getattr(options, name) for name in LOAD_OPTIONS if hasattr(options, name)}
    checks = not getattr(options, "no_checks", False)
    told = {"checks": checks, "weights": weights, "without_reference": without_reference}
    quiet = getattr(options, "quiet", False)
    with show_step(f"loading {options.model}", quiet=quiet), spending("loading"):
        return load_scorer(options.model, {**given, **told})


def open_engine_from(
    options: argparse.Namespace, without_reference: str | None = None
) -> "EngineModel":
    """Returns the model that an engine elsewhere computes; it is asked nothing yet."""
    with importing():
        from rmeval.engines.loading import engine_model
        from rmeval.engines.model import CONCURRENCY, REQUEST_TOKENS, Service
        from rmeval.llm.endpoint import SECONDS

    service = Service(
        options.endpoint,
        options.engine,
        concurrency=options.concurrency or CONCURRENCY,
        request_tokens=options.request_tokens or REQUEST_TOKENS,
        seconds=getattr(options, "timeout", None) or SECONDS,
        key_over_http=options.key_over_http,
        insist=getattr(options, "no_checks", False),
    )
    given = {name: getattr(options, name) for name in LOAD_OPTIONS if hasattr(options, name)}
    with spending("loading"):
        given["without_reference"] = without_reference
        return engine_model(options.model, service, given, options.against)


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
            shown = "" if value is True else f" {one_line(str(value))[:VALUE_LETTERS]}"
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
