"""Draw N candidates for each prompt, score them, keep the best, and show what N is worth."""

import argparse
import json
import sys
import time
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path

from rmeval.benchmarks.reading.files import json_lines
from rmeval.checking import Checker, add_checks, find_checker, require_answer
from rmeval.commands.shared.flags import as_flags
from rmeval.commands.shared.judge_options import add_key_option
from rmeval.commands.shared.lines import read_lines, require_one_process, score_lines
from rmeval.commands.shared.options import (
    add_checks_option,
    add_engine_options,
    add_model_options,
    add_quiet_option,
    load_rewarding_from,
    positive,
)
from rmeval.commands.shared.progress import LOG_SECONDS
from rmeval.errors import BadOption
from rmeval.files import only_owner, prepared, replacing, write_atomically
from rmeval.llm.endpoint import SECONDS, Endpoint
from rmeval.llm.generation import (
    BATCH,
    CANDIDATES,
    Generator,
    Missing,
    Prompt,
    ServerGenerator,
    draw_candidates,
    write_candidates,
)
from rmeval.metrics.best_of_n import best_of_n_curve
from rmeval.metrics.correctness import describe_answers
from rmeval.preferences import to_candidates, to_prompt
from rmeval.records import Sampling, reference_of, tools_of
from rmeval.reports.tables import format_rows
from rmeval.verbs.lines import add_ranks, checked_line

CARD = Sampling()  # the defaults, which are those of InternLM2-Reward's card
RANKED, BEST = "ranked.jsonl", "best.jsonl"


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; returns 1 where a server left prompts without candidates."""
    _add_options(parser)
    options = parser.parse_args(arguments)
    require_one_process()
    prompts, sampling = _read_prompts(options), _sampling(options)
    generator = _open_generator(options)
    if not options.trust_remote_code:
        lacking = next((p.place for p in prompts if not reference_of(p.conversation)), None)
        # finds a wrong --model before hours pass
        load_rewarding_from(options, weights=False, without_reference=lacking)
    with prepared(options.output), only_owner(options.output / ".lock", options.output):
        return _draw_and_rank(options, prompts, generator, sampling)


def _draw_and_rank(
    options: argparse.Namespace,
    prompts: Sequence[Prompt],
    generator: Generator,
    sampling: Sampling,
) -> int:
    folder: Path = options.output
    missing = draw_candidates(
        folder, prompts, generator, sampling, _log(len(prompts), options.quiet)
    )
    _say_missing(missing, len(prompts))
    if missing and (not options.skip_missing or len(missing) == len(prompts)):
        print(
            "the candidates drawn so far are kept; run the same command again for the rest",
            file=sys.stderr,
        )
        return 1
    options.input, options.output = write_candidates(folder, prompts), folder / RANKED
    checker: Checker | None = options.answers
    score_lines(
        options,
        lambda f, place: to_candidates(f, place).conversations(),
        add_ranks if checker is None else lambda f, s: add_checks(add_ranks(f, s), checker),
    )
    _write_best_and_curve(folder)
    if checker is not None:
        _write_answers(folder)
    return 1 if missing else 0


def _read_prompts(options: argparse.Namespace) -> list[Prompt]:
    path: Path = options.prompts
    if path.resolve().parent == options.output.resolve() and path.name in (
        CANDIDATES,
        RANKED,
        BEST,
    ):
        raise BadOption(f"{path} would be written over; choose another --output")
    prompts = [
        Prompt(place, fields, to_prompt(fields, place)) for place, fields in read_lines(path)
    ]
    for place, fields, _ in prompts if options.answers is not None else ():
        require_answer(fields, options.answers, place)
    return prompts


def _sampling(options: argparse.Namespace) -> Sampling:
    """Returns how to sample; a server is only told a top_k that was asked for.

    OpenAI's own server refuses it; vLLM, SGLang and llama.cpp take it.
    """
    top_k = options.top_k
    if top_k is None:
        top_k = 0 if _is_server(options) else CARD.top_k
    return Sampling(
        n=options.n,
        temperature=options.temperature,
        top_k=top_k,
        top_p=options.top_p,
        max_new_tokens=options.max_new_tokens,
        seed=options.seed,
    )


def _is_server(options: argparse.Namespace) -> bool:
    return str(options.generator).startswith(("http://", "https://"))


def _open_generator(options: argparse.Namespace) -> Generator:
    if _is_server(options):
        if options.generator_model is None:
            raise BadOption("--generator is a server: pass --generator-model NAME too")
        endpoint = Endpoint(
            options.generator,
            options.generator_model,
            seconds=options.timeout,
            key_over_http=options.key_over_http,
        )
        return ServerGenerator(endpoint, options.concurrency)
    from rmeval.llm.generator import LocalGenerator

    return LocalGenerator(
        options.generator,
        revision=options.generator_revision,
        dtype=options.dtype,
        device=options.device,
        date=options.date,
        batch=options.generator_batch,
        options=("--generator", "--generator-batch"),
    )


def _log(prompts: int, quiet: bool) -> Callable[[int], None]:
    """Returns what prints now and then how many prompts have their candidates."""
    last = time.perf_counter()

    def report(drawn: int) -> None:
        nonlocal last
        if not quiet and time.perf_counter() - last >= LOG_SECONDS:
            last = time.perf_counter()
            print(f"candidates for {drawn:,} of {prompts:,} prompts", file=sys.stderr, flush=True)

    return report


def _say_missing(missing: Sequence[Missing], prompts: int) -> None:
    """Names what is missing; what was not asked any more in one line, from its first on."""
    for place, reason in missing:
        if reason is not None:
            print(f"{place}: no candidates ({as_flags(reason)})", file=sys.stderr)
    unasked = [place for place, reason in missing if reason is None]
    if unasked:
        said = f"{unasked[0]} to {unasked[-1]}: {len(unasked)} prompts not asked"
        print(f"{said}; the server failed too often in a row", file=sys.stderr)
    if missing:
        print(f"{len(missing)} of {prompts} prompts have no candidates", file=sys.stderr)


def _write_best_and_curve(folder: Path) -> None:
    """Writes the best response of each prompt, and the curve; prints the curve."""
    from rmeval.reports.best_of_n import draw_best_of_n, format_curve
    from rmeval.reports.figures import save_figure

    rewards, same = [], 0
    with replacing(folder / BEST) as out:
        for place, fields in json_lines(folder / RANKED):
            rewards.append(array("d", fields["scores"]))
            same += len(fields["responses"]) > 1 == len(set(fields["responses"]))
            best = fields["best"]
            prompt = to_prompt(fields, place)
            tools = tools_of(prompt)
            line = {
                "prompt": [message.fields() for message in prompt],
                "completion": [{"role": "assistant", "content": fields["responses"][best]}],
                **({} if tools is None else {"tools": tools}),
                "score": fields["scores"][best],
            }
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
    curve = best_of_n_curve(rewards)
    document = [point._asdict() for point in curve]
    write_atomically(folder / "curve.json", json.dumps(document, indent=2) + "\n")
    save_figure(draw_best_of_n(curve), folder / "curve.png")
    print(format_curve(curve))
    _say_what_is_flat(rewards, same)
    print(f"kept in {folder}: {RANKED}, {BEST}, curve.json, curve.png")


def _write_answers(folder: Path) -> None:
    """Writes how often the best of n is right, and draws it; prints the table."""
    from rmeval.reports.answers import answer_notes, answer_rows
    from rmeval.reports.best_of_n import draw_answers
    from rmeval.reports.figures import save_figure

    found = describe_answers([checked_line(f, place) for place, f in json_lines(folder / RANKED)])
    write_atomically(folder / "answers.json", json.dumps(found, indent=2) + "\n")
    save_figure(draw_answers([found], ["best of n"]), folder / "answers.png")
    print("", format_rows(answer_rows(found), "table"), "", *answer_notes(found), sep="\n")
    print(f"kept in {folder}: answers.json, answers.png")


def _checker(said: str) -> Checker:
    try:
        return find_checker(said)
    except BadOption as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _say_what_is_flat(rewards: Sequence[Sequence[float]], same: int) -> None:
    """Says where the curve tells nothing of n: equal candidates, or equal rewards."""
    if same:
        print(
            f"{same:,} of {len(rewards):,} prompts have the same candidate several times, so n "
            "makes no difference there; a higher --temperature draws others"
        )
    elif len(rewards[0]) > 1 and all(len(set(found)) == 1 for found in rewards):
        print("the curve is flat: the model gives all candidates of a prompt the same reward")


def _number(least: float, most: float) -> Callable[[str], float]:
    """Returns an argument type: a number above `least`, of at most `most`."""

    def check(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = least
        if not least < number <= most:
            raise argparse.ArgumentTypeError(
                f"{value!r} is not a number above {least:g} and up to {most:g}"
            )
        return number

    return check


def _top_k(value: str) -> int:
    return 0 if value == "0" else positive(value)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_model_options(parser, default=None)
    add_engine_options(parser, had=("concurrency", "key-over-http"))
    add_checks_option(parser)
    add_quiet_option(parser)
    parser.add_argument("--prompts", type=Path, required=True, metavar="prompts.jsonl")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--answers",
        type=_checker,
        metavar="CHECKER",
        help="say how often the best of n is right, by each line's `answer`: exact, choice, "
        "numeric[:TOLERANCE], MODULE:FUNCTION, FILE.py:FUNCTION, or 'command:WORDS'",
    )
    _add_generator_options(parser.add_argument_group("generator"))
    _add_sampling_options(parser.add_argument_group("sampling"))


def _add_generator_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--generator",
        required=True,
        metavar="ID_OR_FOLDER|URL",
        help="a causal language model, or an OpenAI-compatible server such as http://…/v1, with "
        "its key in OPENAI_API_KEY",
    )
    group.add_argument("--generator-revision", metavar="R", help="branch, tag or commit on the Hub")
    group.add_argument(
        "--generator-batch", type=positive, default=BATCH, metavar="K", help="sequences at once"
    )
    group.add_argument("--generator-model", metavar="NAME", help="what the server calls it")
    group.add_argument("--concurrency", type=positive, default=8, metavar="K", help="calls at once")
    group.add_argument(
        "--timeout", type=_number(0, 86400), default=SECONDS, metavar="SECONDS", help="of one call"
    )
    add_key_option(group)
    group.add_argument(
        "--skip-missing", action="store_true", help="leave out prompts that a server refused"
    )


def _add_sampling_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--n", type=positive, default=CARD.n, metavar="N", help="candidates each")
    group.add_argument("--temperature", type=_number(0, 100), default=CARD.temperature, metavar="T")
    group.add_argument(
        "--top-k", type=_top_k, metavar="K",
        help=f"0 turns it off; default: {CARD.top_k}, but a server gets it only if you pass it",
    )  # fmt: skip
    group.add_argument("--top-p", type=_number(0, 1), default=CARD.top_p, metavar="P")
    group.add_argument("--max-new-tokens", type=positive, default=CARD.max_new_tokens, metavar="N")
    group.add_argument("--seed", type=int, default=CARD.seed, metavar="S")
