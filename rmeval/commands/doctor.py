"""Check a model before a long run, or what an engine serves: is it what was evaluated?"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rmeval.commands.shared.flags import as_flags
from rmeval.commands.shared.options import (
    add_engine_options,
    add_model_options,
    is_served,
    load_model_from,
)
from rmeval.commands.shared.progress import show_step
from rmeval.errors import BadCheckpoint, BadOption, one_line
from rmeval.files import prepare_file
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
    _add_parity_options(parser)
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


def _add_parity_options(parser: argparse.ArgumentParser) -> None:
    from rmeval.engines.asking import USUAL_WAYS

    add_engine_options(parser, had=("concurrency", "request-tokens"))
    served = parser.add_argument_group("what an engine serves")
    served.add_argument(
        "--record", type=Path, metavar="FILE", help="write what --against holds an engine to"
    )
    served.add_argument(
        "--ways",
        type=lambda value: value.split(","),
        metavar=",".join(USUAL_WAYS),
        help="how your clients ask; default: all of them",
    )


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
    if not is_served(options) and options.ways is not None:
        raise BadOption("--ways goes with --endpoint only")
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
