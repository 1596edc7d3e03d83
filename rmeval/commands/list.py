"""Show model adapters, benchmarks, prompt formats of judges, and checkpoints known by name."""

import argparse
from typing import Any

from rmeval.benchmarks import BENCHMARKS, define_benchmark, shipped_recipes
from rmeval.commands.shared.options import one_of
from rmeval.duels import JUDGE
from rmeval.judging.format_files import shipped_formats
from rmeval.known import known_checkpoints, published_of
from rmeval.models.families import FAMILIES
from rmeval.reports.tables import format_rows

Rows = list[dict[str, Any]]

NOTE = """\
GiB to load: parameters x bytes of the dtype, for the weights alone, on a GPU; a CPU takes float32.
Where the dtype is not known, the memory is given for 16 bits.
Published: RewardBench v1 with its weighting, and RewardBench 2; more by leaderboard --across.
Policy: the special tokens around a text (docs/reading.md), the longest text that its authors read,
and the format of those without a chat template; --specials, --max-length, --chat-template set them.
Golden cases: scores of the authors' own code for this layout, which the tests reproduce.
Inspection: the layout was read, and tests/golden holds no scores of it.
"""


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; nothing is loaded but tables."""
    parser.add_argument(
        "what", nargs="?", type=one_of("list", TABLES), metavar="|".join(TABLES), default=None
    )
    options = parser.parse_args(arguments)
    for name in [options.what] if options.what else TABLES:
        print(format_rows(TABLES[name](), "table"), end="\n\n")
    if options.what in (None, "models"):
        print(NOTE)
    if options.what not in ("benchmarks", "judges"):
        print("Any other checkpoint of these families works too: --model FOLDER or ORG/NAME.")
    if options.what not in ("models", "judges"):
        print("Data of your own works too: --benchmark FILE or ORG/NAME, or a recipe, FILE.toml.")
    if options.what in (None, "judges"):
        print(f"Any language model can be a judge: --model {JUDGE}NAME --prompt NAME or FILE.toml.")
    return 0


def _adapters() -> Rows:
    return [{"model adapter": entry.name, "serves": entry.summary} for entry in FAMILIES]


def _benchmarks() -> Rows:
    definitions = ((define_benchmark(entry.name), entry) for entry in BENCHMARKS)
    return [
        {
            "benchmark": f"{known.name} ({entry.package})" if entry.package else known.name,
            "rows": "" if known.rows is None else f"{known.rows:,}",
            "licence": known.licence,
            "Score": known.meaning,
            "from": known.repository or ("rmeval" if known.shipped else "--data"),
            "weightings": ", ".join(known.scheme.weightings),
        }
        for known, entry in definitions
    ] + [
        {
            "benchmark": recipe.name,
            "rows": f"{recipe.total:,}",
            "licence": recipe.licence,
            "Score": recipe.meaning,
            "from": recipe.repository or "--data",
            "weightings": ", ".join(recipe.scheme.weightings),
        }
        for recipe in shipped_recipes().values()
    ]


def _judges() -> Rows:
    return [
        {
            "prompt format": known.name,
            "kind": known.kind,
            "new tokens": known.max_new_tokens,
            "temperature": f"{known.temperature:g}",
            "answer": known.summary,
        }
        for known in shipped_formats().values()
    ]


def _checkpoints() -> Rows:
    return [
        {
            "known checkpoint": known.name,
            "adapter": known.family,
            "size": known.parameters,
            "dtype": known.dtype or "not known",
            "GiB to load": round(known.memory, 1),
            "published": rows[0].overall if rows else None,
            "weighting": rows[0].weighting if rows else None,
            "also published": ", ".join(f"{row.overall:.1f}" for row in rows[1:]),
            "RewardBench 2": second[0].overall if second else None,
            "policy": known.policy,
            "adapter proven by": known.proof,
        }
        for known in known_checkpoints().values()
        for rows in [published_of(known.name, "rewardbench")]
        for second in [published_of(known.name, "rewardbench-2")]
    ]


TABLES = {
    "adapters": _adapters,
    "benchmarks": _benchmarks,
    "judges": _judges,
    "models": _checkpoints,
}
