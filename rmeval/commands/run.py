"""Evaluate a reward model on benchmarks. Without options: the demonstration, on a CPU."""

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rmeval.benchmarks import BENCHMARKS, Benchmark
from rmeval.benchmarks.joints import Joint, find_joints
from rmeval.cards import known_cards
from rmeval.clock import describe_spent, spending, spent
from rmeval.commands.shared.benchmark_options import add_benchmark_options, load_benchmarks_from
from rmeval.commands.shared.judge_options import (
    add_judge_options,
    check_judge_options,
    describe_judge_run,
    formats_asked,
    is_judge,
    load_judges_from,
    write_batches_from,
)
from rmeval.commands.shared.options import (
    add_checks_option,
    add_engine_options,
    add_model_options,
    add_quiet_option,
    display_name,
    is_served,
    load_scorer_from,
    open_engine_from,
    parse_with_recipe,
    positive,
)
from rmeval.commands.shared.progress import show_progress, show_step
from rmeval.errors import BadOption, Unreachable
from rmeval.evaluation import evaluate
from rmeval.files import prepared
from rmeval.known import SHIPPED, Published, find_known, published_beside
from rmeval.metrics.disguises import ROWS
from rmeval.metrics.summary import describe_scores
from rmeval.models.checkpoints.other_names import refuse_names
from rmeval.records import Result, reference_of
from rmeval.reports.judged import better_ways
from rmeval.reports.summary import beside_published, summarise
from rmeval.results.files import folder_name
from rmeval.scorer import Scorer, examine
from rmeval.verbs.plans import describe_known, plan_of

if TYPE_CHECKING:
    from rmeval.engine.workers import Workers


FIRST = next(iter(SHIPPED))
NEXT = (
    "next: `rmeval report {}` writes report.html, with every row; "
    "`rmeval run --model FOLDER` evaluates your own checkpoint"
)


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; everything that can be found wrong is found before the model is loaded."""
    _add_options(parser)
    options = parse_with_recipe(parser, arguments)
    check_judge_options(parser, options)
    if not is_judge(options) and options.family is None and options.reference is None:
        names = (options.benchmark or "rewardbench").split(",")
        published = [name for name in names if name in BENCHMARKS]
        refuse_names(options.model, published[0] if published else None)
    if options.disguises and is_judge(options):
        raise BadOption("--disguises needs rewards, and a judge gives none; leave it out")
    if options.on is not None and not options.dry_run:
        raise BadOption("--on names a card that is planned for; pass --dry-run as well")
    shipped = SHIPPED.get(options.model) if not options.data else None
    benchmarks = _load_benchmarks(options, shipped.benchmark if shipped else "rewardbench")
    if options.dry_run and not is_judge(options) and is_served(options):
        raise BadOption("--dry-run plans a run on this machine; leave out --endpoint and --engine")
    if options.dry_run:
        print(*_plans(options, benchmarks), sep="\n\n")
        return 0
    if getattr(options, "write_batch", None) is not None:
        judges, each = load_judges_from(options, benchmarks), _each_way(options, benchmarks)
        print(*write_batches_from(options, judges, each), sep="\n")
        return 0
    with prepared(*[options.output / folder_name(benchmark.name) for benchmark in benchmarks]):
        _run(options, benchmarks)
    return 0


def _run(options: argparse.Namespace, benchmarks: Sequence[Benchmark]) -> None:
    """Loads the model and evaluates it on each benchmark."""
    from rmeval.engine.workers import join_workers

    together = options.parallel is not None
    workers = join_workers(together=together)  # first: who dies in loading is noticed too
    models = _load_models(options, benchmarks)
    benchmarks = _each_way(options, benchmarks)
    checking = show_step("checking the model", quiet=options.quiet)
    with checking, _hashing(models[0], workers), spending("checks"):
        checks = [
            "insisted, --no-checks" if options.no_checks else examine(model, benchmark.preferences)
            for model, benchmark in zip(models, benchmarks, strict=True)
        ]
    results: list[Result] = []
    for model, benchmark, checked in zip(models, benchmarks, checks, strict=True):
        results.append(_evaluate(model, benchmark, options, checked, workers))
        if workers.rank == 0:
            lines = _describe(results[-1], benchmark, options.published)
            print(*([""] if len(results) > 1 else []), *lines, sep="\n")
    if workers.rank == 0:
        _conclude(results)
        if options.model in SHIPPED:
            print(NEXT.format(results[-1].folder))


def _conclude(results: Sequence[Result]) -> None:
    """Prints what several results say together, and where the time went."""
    definitions = [result.definition for result in results]
    once = {name for name in definitions if definitions.count(name) == 1}
    for joint in find_joints(once):
        print("", _together(joint, results), sep="\n")
    if lines := better_ways(results):
        print("", *lines, sep="\n")
    print(describe_spent(spent()))


@contextmanager
def _hashing(model: Scorer, workers: "Workers") -> Iterator[None]:
    """Has another thread read the weight files meanwhile, where no other process does."""
    with ThreadPoolExecutor(1) as pool:
        if workers.count == 1:
            pool.submit(getattr, model, "fingerprint", None)
        yield


@spending("reading data")
def _load_benchmarks(options: argparse.Namespace, default: str) -> list[Benchmark]:
    benchmarks = load_benchmarks_from(options, default, options.weighting)
    if options.subset:
        if len(benchmarks) > 1:
            raise BadOption("--subset takes one benchmark; run them one at a time")
        benchmarks = [benchmark.only(options.subset.split(",")) for benchmark in benchmarks]
    if options.limit:
        benchmarks = [benchmark.limited(options.limit) for benchmark in benchmarks]
    return benchmarks


def _plans(options: argparse.Namespace, benchmarks: Sequence[Benchmark]) -> Iterator[str]:
    """Yields what each benchmark will take; no weights are loaded and nothing is asked."""
    if is_judge(options):
        judges = load_judges_from(options, benchmarks)
        yield from map(describe_judge_run, judges, _each_way(options, benchmarks))
        return
    try:
        model = load_scorer_from(
            options, weights=False, without_reference=_without_reference(benchmarks)
        )
    except Unreachable:
        if options.on is None or (known := find_known(options.model)) is None:
            raise
        yield describe_known(known, options.on)
        return
    for benchmark in benchmarks:
        yield plan_of(model, benchmark, options.on).describe()


def _load_models(options: argparse.Namespace, benchmarks: Sequence[Benchmark]) -> Sequence[Scorer]:
    """Returns who scores each benchmark: one model, or a judge asked as is usual there."""
    if is_judge(options):
        return load_judges_from(options, benchmarks)
    lacking = _without_reference(benchmarks)
    if is_served(options):
        return [open_engine_from(options, lacking)] * len(benchmarks)
    return [load_scorer_from(options, without_reference=lacking)] * len(benchmarks)


def _each_way(options: argparse.Namespace, benchmarks: Sequence[Benchmark]) -> list[Benchmark]:
    """Returns each benchmark as often as it is scored: a judge may be asked in several ways."""
    if not is_judge(options):
        return list(benchmarks)
    return [benchmark for benchmark in benchmarks for _ in formats_asked(options, benchmark)]


def _without_reference(benchmarks: Sequence[Benchmark]) -> str | None:
    """Returns the first row that a model which compares with a reference could not score."""
    for benchmark in benchmarks:
        for row in benchmark.preferences:
            if not reference_of(row.prompt):
                return f"{benchmark.name}, row {row.id},"
    return None


def _evaluate(
    model: Scorer,
    benchmark: Benchmark,
    options: argparse.Namespace,
    checks: str,
    workers: "Workers",
) -> Result:
    with show_progress(quiet=options.quiet or workers.rank > 0) as on_progress:
        return evaluate(
            model,
            benchmark,
            weighting=options.weighting,
            output=options.output,
            fresh=options.fresh,
            name=options.name,
            checks=checks,
            disguises=options.disguises or 0,
            workers=workers,
            on_progress=on_progress,
        )


def _together(joint: Joint, results: Sequence[Result]) -> str:
    joined = joint.join(results)
    metrics = describe_scores(joint.scheme, joined.scored, joined.weighting)
    return summarise(replace(joined, metrics=metrics), joint.scheme)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_model_options(parser, default=FIRST)
    add_judge_options(parser)
    add_engine_options(parser, had=("endpoint", "concurrency", "key-over-http"))
    add_benchmark_options(parser)
    _add_row_options(parser)
    parser.add_argument("--output", type=Path, default=Path("results"), metavar="DIR")
    parser.add_argument(
        "--name",
        type=display_name,
        metavar="NAME",
        help="what the model is called in tables, figures and titles; by default as in --model",
    )
    parser.add_argument(
        "--disguises",
        type=positive,
        nargs="?",
        const=ROWS,
        metavar="N",
        help="reward hacking: score the rejected answers of N rows with flattery, padding and "
        f"markdown, and cut in half, too; {ROWS} without a number",
    )
    add_checks_option(parser)
    add_quiet_option(parser)
    parser.add_argument("--fresh", action="store_true", help="discard what earlier runs kept")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="tokens, forward passes, memory and time of the run, without loading weights",
    )
    parser.add_argument(
        "--on",
        metavar="CARD",
        help="with --dry-run: memory and time on a GPU that is not here, from config.json and the "
        f"weights' shapes; names: {', '.join(known_cards())}",
    )
    parser.add_argument("--config", type=Path, metavar="FILE.toml", help="options from a recipe")


def _add_row_options(parser: argparse.ArgumentParser) -> None:
    rows = parser.add_argument_group("rows and weights")
    rows.add_argument("--limit", type=positive, metavar="N", help="only N rows, evenly spread")
    rows.add_argument(
        "--subset", metavar="NAME,…", help="only these subsets; deu_Latn for deu_Latn/…, or hep-*"
    )
    rows.add_argument(
        "--weighting", metavar="NAME", help="how subsets make a section, see `rmeval list`"
    )


def _describe(result: Result, benchmark: Benchmark, published: Published | None) -> Sequence[str]:
    """Returns what is printed of a result, with the recipe's or the known published rows."""
    lines = [f"layout: {benchmark.layout}", ""] if benchmark.layout else []
    lines.append(summarise(result, benchmark.scheme))
    rows = published_beside(result.model, benchmark.name, published, benchmark.published)
    if rows and result.overall is not None:
        lines += ["", beside_published(result, rows), ""]
    lines.append(f"kept in {result.folder}")
    return lines
