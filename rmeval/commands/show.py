"""Print one row of a benchmark as a model will see it: rendered text, tokens, truncation."""

import argparse
from typing import TYPE_CHECKING

from rmeval.commands.shared.benchmark_options import add_benchmark_options, load_benchmarks_from
from rmeval.commands.shared.options import add_model_options, load_model_from
from rmeval.errors import BadOption, one_line
from rmeval.records import Preference

if TYPE_CHECKING:
    from rmeval.models.reward_model import RewardModel


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; no weights are loaded."""
    parser.add_argument("benchmark", metavar="BENCHMARK", help="as for `rmeval run --benchmark`")
    parser.add_argument("id", metavar="ID", help="the row's id")
    add_benchmark_options(parser, named=False)
    add_model_options(parser, default="demo")
    options = parser.parse_args(arguments)
    benchmarks = load_benchmarks_from(options, options.benchmark)
    if len(benchmarks) > 1:
        raise BadOption("one row is of one benchmark: pass one name")
    preference = benchmarks[0].find(options.id)
    print(describe_row(load_model_from(options, weights=False), preference))
    return 0


def describe_row(model: "RewardModel", preference: Preference) -> str:
    """Returns a row's responses as `model` reads them, between rules.

    Control characters are shown as escapes, since the text may come from anyone.
    """
    lines = [
        f"{one_line(preference.id)} ({one_line(preference.subset)}), {len(preference.responses)} "
        f"responses, as {model.name} reads them"
    ]
    for index, conversation in enumerate(preference.conversations()):
        ids, truncated = model.encode_fitted(conversation)
        kind = "chosen" if index < preference.num_chosen else "rejected"
        cut = f", cut to {model.max_length}" if truncated else ""
        rule = f"--- {kind}, {len(ids):,} tokens{cut} "
        lines += ["", rule.ljust(80, "-"), _printable(model.tokenizer.decode(list(ids)))]
    return "\n".join(lines)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
