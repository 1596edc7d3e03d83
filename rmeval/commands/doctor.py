"""Check a model before a long run, or what an engine serves: is it what was evaluated?"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rmeval.commands.shared.flags import as_flags
from rmeval.commands.shared.options import add_model_options, load_model_from, one_of
from rmeval.commands.shared.progress import show_step
from rmeval.errors import BadCheckpoint, BadOption, one_line
from rmeval.files import prepare_file
from rmeval.records import ENGINES
from rmeval.verbs.lines import doctor

if TYPE_CHECKING:
    from rmeval.models.doctor.check import Check
    from rmeval.models.doctor.mistakes import Expected
    from rmeval.models.reward_model import RewardModel

NOT_FIT = 1
WORDS = {"pass": "ok", "warn": "warn", "fail": "FAIL", "skipped": "skip"}


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; the exit status is 1 for a model that is not fit, or not what is served."""
    add_model_options(parser, default="demo")
    parser.set_defaults(model=None)  # "demo" where no record of a model stands in for it
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    _add_engine_options(parser)
    options = parser.parse_args(arguments)
    from rmeval.engine.workers import count_processes

    if count_processes() > 1:
        raise BadOption("doctor runs in one process; start it without a launcher")
    _require_together(options)
    if options.record is not None:
        prepare_file(options.record)
    if options.endpoint is None and options.record is None:
        from rmeval.models.doctor.check import verdict

        options.model = options.model or "demo"
        return _report(options, options.model, _examine(options), verdict)
    return _compare(options)


def format_checks(checks: Sequence["Check"]) -> str:
    """Returns one line per check: how it went, its name, what was found and what to do."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        told = f"{check.finding}; {check.advice}" if check.advice else check.finding
        lines.append(f"{WORDS[check.status]:<5} {check.name:<{width}}  {one_line(as_flags(told))}")
    return "\n".join(lines)


def _add_engine_options(parser: argparse.ArgumentParser) -> None:
    from rmeval.engines.asking import USUAL_WAYS
    from rmeval.engines.client import PROTOCOLS

    served = parser.add_argument_group("what an engine serves")
    served.add_argument("--endpoint", metavar="URL", help="the engine's address, without /v1")
    served.add_argument("--record", type=Path, metavar="FILE", help="write what the model gives")
    served.add_argument("--against", type=Path, metavar="FILE", help="compare with such a file")
    served.add_argument(
        "--ways",
        type=lambda value: value.split(","),
        metavar=",".join(USUAL_WAYS),
        help="how your clients ask; default: all of them",
    )
    served.add_argument("--key-over-http", action="store_true", help="send the key in the clear")
    engine = next(action for action in parser._actions if action.dest == "engine")
    engine.type = one_of("engine", (*ENGINES, *PROTOCOLS))
    engine.help = f"{engine.help}; with --endpoint: {', '.join(PROTOCOLS)}"


def _report(
    options: argparse.Namespace,
    name: str,
    checks: Sequence["Check"],
    say: Callable[[Sequence["Check"]], str],
) -> int:
    from rmeval.models.doctor.check import is_healthy

    if options.json:
        fields = [_with_flags(check) for check in checks]
        document = {"model": name, "verdict": say(checks), "checks": fields}
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        print(format_checks(checks))
        print(one_line(f"{name}: {say(checks)}"))
    return 0 if is_healthy(checks) else NOT_FIT


def _with_flags(check: "Check") -> dict[str, str]:
    return {name: as_flags(text) for name, text in asdict(check).items()}


def _examine(options: argparse.Namespace) -> "list[Check]":
    """Loads the model and makes every check; a checkpoint that does not load is the first one."""
    from rmeval.models.doctor.check import Check

    try:
        model = load_model_from(options)
    except BadCheckpoint as error:
        return [Check("weights", "fail", str(error))]
    return doctor(model)


def _require_together(options: argparse.Namespace) -> None:
    """Raises BadOption for options that make no sense together."""
    of_engine = options.engine not in ENGINES
    if options.endpoint is None:
        for name, given in (("--against", options.against), ("--ways", options.ways)):
            if given is not None:
                raise BadOption(
                    f"{name} is of an engine; pass --endpoint URL --engine NAME as well"
                )
        if of_engine:
            raise BadOption(f"--engine {options.engine} is elsewhere; pass its --endpoint URL")
    elif not of_engine:
        raise BadOption("--endpoint: say with --engine what answers there: vllm, sglang, …")
    if options.against is not None and (options.model or options.record):
        other = "--model" if options.model else "--record"
        raise BadOption(f"--against {options.against} stands in for the model; leave {other} out")


def _compare(options: argparse.Namespace) -> int:
    """Records what a model gives, or compares an engine with it, or both."""
    from rmeval.verbs.parity import check_engine, record_parity, say_parity

    served, options.engine = options.engine, "auto"
    if options.against is not None:
        from rmeval.engines.parity_file import read_record

        held_to: RewardModel | Expected
        held_to = known = read_record(options.against)
        name = str(known.model.get("name", options.against))
    else:
        name = options.model = options.model or "demo"
        held_to = model = load_model_from(options)
        if options.record is not None:
            with show_step("scoring under every known mistake"):
                record_parity(model, options.record)
    if options.endpoint is None:
        print(one_line(f"{options.record}: what an engine that serves {name} is held to"))
        return 0
    from rmeval.engines.client import EngineClient

    client = EngineClient(options.endpoint, served, key_over_http=options.key_over_http)
    ways = {} if options.ways is None else {"ways": options.ways}
    checks = check_engine(client, held_to, **ways)
    return _report(options, f"{name} at {client.url}", checks, say_parity)
