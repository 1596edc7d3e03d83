"""The options of loading a model, said once.

The arguments of `load_model` and `load_pairwise_model`, the options of every verb that loads a
model, and what a judge is not asked all follow from `LoadOptions`: a line there is an option.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypedDict, TypeVar, cast, get_args, get_type_hints

from rmeval.cards import known_cards
from rmeval.known import shipped_templates
from rmeval.records import DTYPES, ENGINES, PARALLEL, POOLS, SPECIALS

Function = TypeVar("Function", bound=Callable[..., Any])


class Option(NamedTuple):
    """What an option means, and how the command line has it.

    `choices` are all of its values, and `noun` is what one is called where that is not its name;
    `names` gives some of them. `flag` is False for what only Python takes; `of_judges` says
    whether a judge on this machine takes it too.
    """

    help: str
    default: Any = None
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    noun: str = ""
    names: Callable[[], Iterable[str]] | None = None
    flag: bool = True
    of_judges: bool = False

    def described(self) -> str:
        """Returns what the option means, with the names that are known."""
        return f"{self.help}; names: {', '.join(self.names())}" if self.names else self.help


class ModelOptions(TypedDict, total=False):
    """How any checkpoint is loaded; what is left out has its default."""

    revision: Annotated[
        str | None, Option("branch, tag or commit on the Hub", metavar="R", of_judges=True)
    ]
    family: Annotated[
        str | None,
        Option("the adapter (`rmeval list`), where the files do not tell it", metavar="NAME"),
    ]
    base: Annotated[
        str | Path | None,
        Option(
            "the base of an adapter (LoRA), if it is not the one that the adapter names",
            metavar="ID_OR_FOLDER",
        ),
    ]
    chat_template: Annotated[
        str | None,
        Option(
            "used instead of the tokenizer's own", metavar="FILE_OR_NAME", names=shipped_templates
        ),
    ]
    specials: Annotated[
        str | None,
        Option(
            "special tokens around a text: the template's, the tokenizer's too, ...; default: as "
            "the model's authors did",
            choices=SPECIALS,
            noun="policy",
        ),
    ]
    date: Annotated[
        str | None,
        Option(
            "the date for chat templates that ask for today's; default: the template's "
            "or the model card's, else 2024-07-26",
            metavar="2024-07-26",
            of_judges=True,
        ),
    ]
    system: Annotated[
        str | None,
        Option(
            "a system prompt for every conversation; none may have one of its own",
            metavar="TEXT|FILE",
        ),
    ]
    trust_remote_code: Annotated[
        bool, Option("run the repository's own code where rmeval has no adapter", default=False)
    ]
    allow_pickle: Annotated[bool, Option("read .bin weights (pickle)", default=False)]
    dtype: Annotated[
        str,
        Option(
            "auto: the checkpoint's own on a GPU, float32 on a CPU; a reward head runs in float32 "
            "at least",
            default="auto",
            choices=DTYPES,
            of_judges=True,
        ),
    ]
    device: Annotated[
        str,
        Option(
            "auto spreads a model that is too large for one GPU over all of them and the host",
            default="auto",
            metavar="auto|cpu|cuda|cuda:N",
            of_judges=True,
        ),
    ]
    engine: Annotated[
        str,
        Option(
            "packed: shared prefixes once; padded: the reference; auto: packed where allowed",
            default="auto",
            choices=ENGINES,
        ),
    ]
    batch_tokens: Annotated[
        int | None,
        Option(
            "tokens in a forward pass: unique ones if packed, else padding included; default: as "
            "many as fit into memory",
            metavar="N",
        ),
    ]
    parallel: Annotated[
        str | None,
        Option(
            "tensor: each process of a launch holds a part of every large matrix, and all compute "
            "each forward pass together, for a model that is larger than a GPU",
            choices=PARALLEL,
            noun="way of `parallel=`",
        ),
    ]
    pool: Annotated[
        str | None,
        Option(
            "the token that the reward is read from, instead of the family's own rule",
            choices=POOLS,
        ),
    ]
    max_length: Annotated[
        int | None,
        Option("cut conversations to N tokens, after the template's head", metavar="N"),
    ]
    per_token: Annotated[
        bool, Option("divide a DPO reward by the response's tokens", default=False)
    ]
    checks: Annotated[
        bool,
        Option(
            "make the cheap checks of `rmeval doctor` before the first score, and refuse a model "
            "that fails one",
            default=True,
            flag=False,
        ),
    ]
    weights: Annotated[
        bool,
        Option("False reads none: the model can encode and plan, not score", True, flag=False),
    ]
    on: Annotated[
        str | None,
        Option(
            "with weights=False: a card that is not here, to plan for",
            names=known_cards,
            flag=False,
        ),
    ]
    without_reference: Annotated[
        str | None,
        Option("a row that has no reference, if any, for the message of an error", flag=False),
    ]


class LoadOptions(ModelOptions, total=False):
    """How a checkpoint is loaded that may be a DPO policy."""

    reference: Annotated[
        str | Path | None,
        Option(
            "score the model as a DPO policy against this one, or by itself",
            metavar="ID_OR_FOLDER|none",
        ),
    ]


_HINTS = get_type_hints(LoadOptions, include_extras=True)
LOAD_OPTIONS: Mapping[str, Option] = {name: get_args(hint)[1] for name, hint in _HINTS.items()}


def kind_of(name: str) -> type:
    """Returns what an option's value is: bool, int or str."""
    kind = get_args(_HINTS[name])[0]
    return kind if isinstance(kind, type) else next(iter(get_args(kind)))


def with_defaults(options: Mapping[str, object]) -> LoadOptions:
    """Returns all options. Raises TypeError for one that is none, as Python does."""
    for name in options:
        if name not in LOAD_OPTIONS:
            raise TypeError(f"{name!r} is not a loading option; see help(rmeval.load_model)")
    defaults = {name: option.default for name, option in LOAD_OPTIONS.items()}
    return cast(LoadOptions, {**defaults, **options})


def takes_load_options(load: Function) -> Function:
    """Writes the options into the signature and the docstring of a function that takes them."""
    own = [p for p in inspect.signature(load).parameters.values() if p.kind is not p.VAR_KEYWORD]
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [
        inspect.Parameter(name, keyword, default=option.default, annotation=get_args(hint)[0])
        for (name, option), hint in zip(LOAD_OPTIONS.items(), _HINTS.values(), strict=True)
    ]
    returns = inspect.signature(load).return_annotation
    vars(load)["__signature__"] = inspect.Signature([*own, *options], return_annotation=returns)
    lines = [f"    {name}: {_described(option)}." for name, option in LOAD_OPTIONS.items()]
    load.__doc__ = "\n".join([inspect.cleandoc(load.__doc__ or ""), "", "Options:", *lines])
    return load


def _described(option: Option) -> str:
    values = f" ({', '.join(option.choices)})" if option.choices else ""
    return f"{option.described()}{values}"
