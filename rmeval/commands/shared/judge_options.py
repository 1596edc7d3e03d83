"""Options of `rmeval run` for a judge, `--model judge:NAME`, and the judge that they describe."""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rmeval.benchmarks import Benchmark
from rmeval.commands.shared.options import is_served, number_up_to, one_of, positive
from rmeval.duels import JUDGE
from rmeval.errors import BadOption
from rmeval.files import prepare_folder
from rmeval.judging.answers import ServerAnswers
from rmeval.judging.batches import read_batch, write_batches
from rmeval.judging.budget import Budget, Price
from rmeval.judging.format_files import default_format, read_format
from rmeval.judging.formats import PromptFormat
from rmeval.judging.judge import GenerativeJudge
from rmeval.judging.loading import (
    BATCH,
    CONCURRENCY,
    Answering,
    Asking,
    judge_name,
    make_judge,
    open_answers,
)
from rmeval.judging.questions import BOTH, JUDGE_ORDERS, Ask, Manner, require_order
from rmeval.judging.settling import MEAN, VOTES
from rmeval.llm.endpoint import KEY, SECONDS
from rmeval.load_options import LOAD_OPTIONS

OF_SERVERS = (
    *("concurrency", "timeout", "price", "budget", "key_over_http"),
    *("write_batch", "read_batch"),
)
OF_JUDGES = (
    *("endpoint", "prompt", "criteria", "order", "seed", "samples", "vote"),
    *("max_new_tokens", "temperature", "judge_batch"),
)
NOT_OF_JUDGES = (
    *(name for name, option in LOAD_OPTIONS.items() if option.flag and not option.of_judges),
    *("no_checks", "request_tokens", "against"),
)
OF_ENGINES = ("endpoint", "concurrency", "timeout", "key_over_http")  # and of judges on servers
MOST_SEED = 2**32  # torch and servers take no more than 64 bits
NOT_OF_SERVERS = ("revision", "dtype", "device", "date", "judge_batch")


def add_judge_options(parser: argparse.ArgumentParser) -> None:
    """Adds what `load_judges_from` reads."""
    group = parser.add_argument_group(f"judge, with --model {JUDGE}NAME")
    group.add_argument(
        "--endpoint",
        metavar="URL",
        help=f"an OpenAI-compatible server, such as http://…/v1, with its key in {KEY}; without "
        "it NAME is a causal language model, a folder or on the Hub. With --engine, the address of "
        "an engine that computes a reward model's rewards",
    )
    group.add_argument(
        "--prompt",
        metavar="NAME|FILE.toml",
        help="the prompt format, see `rmeval list judges`; rating for rewardbench-2, otherwise "
        "rewardbench; several with commas are asked one after the other",
    )
    group.add_argument(
        "--criteria",
        metavar="FILE.toml",
        help="[[criteria]] with text, name and weight, for a format that judges by criteria",
    )
    group.add_argument(
        "--order",
        type=one_of("order", JUDGE_ORDERS),
        metavar="|".join(JUDGE_ORDERS),
        help="show two responses in both orders, the default, or in one at random; several at "
        "once at random, the default, or as often as there are, each in every place (latin)",
    )
    _add_sample_options(group)
    _add_answer_options(group)


def _add_sample_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--seed", type=_seed, metavar="S", help="of a random order, and of samples; 0 if unsaid"
    )
    group.add_argument(
        "--samples",
        type=positive,
        metavar="K",
        help="answers to each question, at a temperature above 0; 1 if unsaid",
    )
    group.add_argument(
        "--vote",
        type=one_of("vote", VOTES),
        metavar="|".join(VOTES),
        help=f"what samples are worth together: {MEAN} if unsaid; both are kept",
    )


def _add_answer_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--max-new-tokens", type=positive, metavar="N", help="of an answer; the format's if unsaid"
    )
    group.add_argument(
        "--temperature", type=number_up_to(100), metavar="T", help="the format's if unsaid"
    )
    group.add_argument(
        "--concurrency",
        type=positive,
        metavar="K",
        help=f"calls at once; {CONCURRENCY} if unsaid, 32 to an engine",
    )
    group.add_argument(
        "--timeout",
        type=positive,
        metavar="SECONDS",
        help=f"without a byte of an answer; {SECONDS:g} if unsaid",
    )
    group.add_argument(
        "--price", type=_price, metavar="IN,OUT", help="USD per million tokens, for the cost"
    )
    _add_large_run_options(group)
    add_key_option(group)
    group.add_argument(
        "--judge-batch",
        type=positive,
        metavar="K",
        help=f"questions that a model here answers at once; {BATCH} if unsaid",
    )


def _add_large_run_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--budget",
        type=_usd,
        metavar="USD",
        help="ask nothing that could pass it, with --price; answers kept before count too",
    )
    group.add_argument(
        "--write-batch",
        type=Path,
        metavar="FOLDER",
        help="write the questions as files of OpenAI's Batch API, and ask nothing",
    )
    group.add_argument(
        "--read-batch", type=Path, metavar="FILE", help="the answers of such a batch, its output"
    )


def add_key_option(group: argparse._ArgumentGroup) -> None:
    """Adds the word without which a key goes to https and this machine only."""
    group.add_argument(
        "--key-over-http",
        action="store_true",
        help=f"send {KEY}, or RMEVAL_API_KEY to an engine, to another machine's http:// too, where "
        "anyone between can read it",
    )


def is_judge(options: argparse.Namespace) -> bool:
    """Whether --model names a judge."""
    return str(options.model).startswith(JUDGE)


def check_judge_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Raises BadOption for options that do not go together, and for a format that is none."""
    given = {dest for dest, value in vars(options).items() if value != parser.get_default(dest)}
    if not is_judge(options):
        engines = OF_ENGINES if is_served(options) else ()
        only = [name for name in (*OF_JUDGES, *OF_SERVERS) if name not in engines]
        _refuse(given, only, f"goes with --model {JUDGE}NAME only")
        return
    judge_name(options.model)
    _refuse(given, NOT_OF_JUDGES, "is for reward models, and does not apply to a judge")
    if options.endpoint is None:
        _refuse(given, OF_SERVERS, "goes with --endpoint only")
    else:
        _refuse(given, NOT_OF_SERVERS, "is for a model on this machine, not for --endpoint")
    if options.budget is not None and options.price is None:
        raise BadOption("--budget takes --price IN,OUT, in USD per million tokens")
    if not (options.samples or 1) > 1:
        _refuse(given, ("vote",), "goes with --samples above 1")
    for name in (options.prompt or "").split(",") if options.prompt else ():
        _check_format(read_format(name), options)
    from rmeval.engine.workers import count_processes

    if count_processes() > 1:
        raise BadOption("a judge runs in one process; start it without a launcher")


def _check_format(asked: PromptFormat, options: argparse.Namespace) -> None:
    try:
        require_order(options.order, asked)
    except BadOption as error:
        raise BadOption(f"--{error}") from error
    manner = Manner(order=options.order, temperature=options.temperature)
    if manner.order_of(asked) in (None, BOTH) and not manner.sampling(asked).temperature:
        given = {"seed"} if options.seed is not None else set()
        _refuse(given, ("seed",), "goes with a random order, or with a --temperature above 0")


def formats_asked(options: argparse.Namespace, benchmark: Benchmark) -> list[str]:
    """Returns the prompt formats that a benchmark is asked with."""
    return (options.prompt or default_format(benchmark.definition)).split(",")


def load_judges_from(
    options: argparse.Namespace, benchmarks: Sequence[Benchmark]
) -> list[GenerativeJudge]:
    """Returns the judge that the options describe, asked about each benchmark as is usual there.

    Of several prompt formats there is a judge for each, all of one benchmark side by side.
    """
    name = judge_name(options.model)
    how = Answering(
        endpoint=options.endpoint,
        concurrency=options.concurrency or CONCURRENCY,
        seconds=options.timeout or SECONDS,
        key_over_http=options.key_over_http,
        revision=options.revision,
        dtype=options.dtype,
        device=options.device,
        date=options.date,
        batch=options.judge_batch or BATCH,
        budget=options.budget and Budget(options.budget, options.price),
    )
    answers = open_answers(name, how)
    asked = [
        Asking(
            prompt=prompt,
            order=options.order,
            seed=options.seed or 0,
            temperature=options.temperature,
            max_new_tokens=options.max_new_tokens,
            samples=options.samples or 1,
            vote=options.vote or MEAN,
            criteria=options.criteria,
            price=options.price,
        )
        for benchmark in benchmarks
        for prompt in formats_asked(options, benchmark)
    ]
    judges = [make_judge(name, answers, asking, options.revision) for asking in asked]
    if options.read_batch is not None and isinstance(answers, ServerAnswers):
        given = partial(read_batch, options.read_batch, answers=answers)
        judges = [replace(judge, given=given) for judge in judges]
    return judges


def write_batches_from(
    options: argparse.Namespace, judges: Sequence[GenerativeJudge], benchmarks: Sequence[Benchmark]
) -> list[Path]:
    """Writes what the judges would ask as files of a batch, and returns these."""
    asks: dict[bytes, Ask] = {}
    for judge, benchmark in zip(judges, benchmarks, strict=True):
        asks |= judge.asks(benchmark.preferences)
    answers = judges[0].answers
    assert isinstance(answers, ServerAnswers)
    return write_batches(prepare_folder(options.write_batch), asks, answers)


def describe_judge_run(judge: GenerativeJudge, benchmark: Benchmark) -> str:
    """Returns what a run would send; nothing is asked."""
    unique = {question.digest: question.ask for question in judge.plan(benchmark.preferences)}
    sent = sum(len(m.content) for ask in unique.values() for m in ask.conversation)
    most = sum(ask.sampling.max_new_tokens for ask in unique.values())
    lines = [
        f"{judge.name} on {benchmark.name}, nothing asked",
        f"  rows            {len(benchmark):,}",
        f"  calls           {len(unique):,}, prompt format {judge.prompt_format.name}",
        f"  to send         {sent:,} characters",
        f"  to come back    up to {most:,} tokens",
    ]
    return "\n".join(lines)


def _refuse(given: set[str], options: Iterable[str], reason: str) -> None:
    for dest in options:
        if dest in given:
            raise BadOption(f"--{dest.replace('_', '-')} {reason}")


def _seed(value: str) -> int:
    try:
        seed = int(value)
    except ValueError:
        seed = -1
    if not 0 <= seed < MOST_SEED:
        raise argparse.ArgumentTypeError(f"{value!r} is not a whole number from 0 to 2**32 - 1")
    return seed


def _usd(value: str) -> float:
    try:
        usd = float(value)
    except ValueError:
        usd = -1.0
    if not 0 < usd < float("inf"):
        raise argparse.ArgumentTypeError(f"{value!r} is no number of US dollars above 0")
    return usd


def _price(value: str) -> Price:
    try:
        prompt, completion = map(float, value.split(","))
    except ValueError:
        prompt = completion = -1.0
    if not 0 <= min(prompt, completion) <= max(prompt, completion) < float("inf"):
        raise argparse.ArgumentTypeError(f"{value!r} is not two prices, IN,OUT")
    return Price(prompt, completion)
