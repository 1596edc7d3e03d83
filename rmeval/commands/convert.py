"""Write a reward model as a plain checkpoint that transformers, TRL, vLLM and SGLang load.

As a classifier, a model whose reward is linear in one token's state gives the same rewards there;
as a backbone, any model's body gives the states that its head reads.
"""

import argparse
from pathlib import Path

from rmeval.commands.shared.options import add_load_options, one_of
from rmeval.records import DTYPES

FORMS = ("classifier", "backbone")
LOADING = ("revision", "family", "base", "chat_template", "allow_pickle")


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; what cannot be said as it is asked is found before anything is written."""
    _add_options(parser)
    options = parser.parse_args(arguments)
    from rmeval.verbs.checkpoints import convert

    converted = convert(
        options.model,
        options.output,
        form=options.form,
        dtype=options.dtype,
        drop_bias=options.drop_bias,
        **{name: getattr(options, name) for name in LOADING},
    )
    print(f"{options.output}: {options.model} as {converted.architecture}{converted.notes()}")
    return 0


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="ID_OR_FOLDER", required=True)
    parser.add_argument("--as", dest="form", type=one_of("form", FORMS), required=True)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="empty, or new")
    add_load_options(parser, LOADING)
    parser.add_argument(
        "--drop-bias",
        action="store_true",
        help="leave out what the head adds to every reward; order and margins stay the same",
    )
    parser.add_argument(
        "--dtype",
        type=one_of("dtype", DTYPES),
        default="auto",
        metavar="|".join(DTYPES),
        help="auto: the weights' own; what an adapter changes, in float32",
    )
