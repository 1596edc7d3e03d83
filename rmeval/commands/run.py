"""Evaluate a reward model on a benchmark. Without options: the demonstration, on a CPU."""

import argparse
from pathlib import Path

from rmeval.benchmarks import BENCHMARKS, Benchmark, load_benchmark
from rmeval.commands.dry_run import describe_run
from rmeval.commands.options import (
    add_model_options,
    load_model_from,
    one_of,
    parse_with_recipe,
    positive,
)
from rmeval.commands.progress import show_progress
from rmeval.evaluation import evaluate
from rmeval.known import known_checkpoints
from rmeval.metrics.accuracy import subset_accuracies
from rmeval.metrics.rewardbench import WEIGHTINGS, section_scores
from rmeval.reports.summary import compare_with_published, summarise
from rmeval.results import prepare_folder, run_folder
from rmeval.types import Result


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; everything that can be found wrong is found before the model is loaded."""
    _add_options(parser)
    options = parse_with_recipe(parser, arguments)
    demo = options.model == "demo" and options.data is None
    name = options.benchmark or ("demo" if demo else "rewardbench")
    benchmark = load_benchmark(name, options.data, revision=options.data_revision)
    benchmark.check_weighting(options.weighting)
    if options.dry_run:
        print(describe_run(load_model_from(options, weights=False), benchmark, options.limit))
        return 0
    prepare_folder(run_folder(options.output, benchmark.name, options.model, options.revision))
    from rmeval.engine.workers import join_workers

    model = load_model_from(options)
    workers = join_workers()
    with show_progress(quiet=workers.rank > 0) as on_progress:
        result = evaluate(
            model,
            benchmark,
            weighting=options.weighting,
            limit=options.limit,
            output=options.output,
            fresh=options.fresh,
            workers=workers,
            on_progress=on_progress,
        )
    if workers.rank > 0:
        return 0
    print(summarise(result))
    _print_published(result, benchmark)
    print(f"kept in {result.folder}")
    return 0


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_model_options(parser, default="demo")
    names = [entry.name for entry in BENCHMARKS]
    benchmark = parser.add_argument_group("benchmark")
    benchmark.add_argument(
        "--benchmark",
        type=one_of("benchmark", names),
        metavar="NAME",
        help=f"{' or '.join(names)}; rewardbench unless the model is the demo",
    )
    benchmark.add_argument(
        "--data", type=Path, metavar="FOLDER_OR_FILE", help="local rows: parquet, jsonl or csv"
    )
    benchmark.add_argument("--data-revision", metavar="R", help="the data set's revision")
    benchmark.add_argument("--limit", type=positive, metavar="N", help="only N rows, evenly spread")
    benchmark.add_argument(
        "--weighting",
        type=one_of("weighting", WEIGHTINGS),
        metavar="NAME",
        help=" or ".join(WEIGHTINGS),
    )
    parser.add_argument("--output", type=Path, default=Path("results"), metavar="DIR")
    parser.add_argument("--fresh", action="store_true", help="drop what earlier runs kept")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="tokens, forward passes, memory and time of the run, without loading weights",
    )
    parser.add_argument("--config", type=Path, metavar="FILE.toml", help="options from a recipe")


def _print_published(result: Result, benchmark: Benchmark) -> None:
    """Shows the authors' own row where there is one for these rows."""
    known = known_checkpoints().get(result.model)
    if known is None or known.published is None or benchmark.name != "rewardbench":
        return
    if result.overall is None:
        return
    measured = section_scores(subset_accuracies(result.scored), known.published.weighting)
    print(f"\n{compare_with_published(known.published, measured, result.model)}\n")
