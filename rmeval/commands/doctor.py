"""Check a model before a long run: what it reads, its rewards alone and together, its dtype."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rmeval.commands.shared.flags import as_flags
from rmeval.commands.shared.options import add_model_options, load_model_from
from rmeval.errors import BadCheckpoint, BadOption, one_line
from rmeval.verbs.lines import doctor

if TYPE_CHECKING:
    from rmeval.models.doctor.check import Check

NOT_FIT = 1
WORDS = {"pass": "ok", "warn": "warn", "fail": "FAIL", "skipped": "skip"}


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb; the exit status is 1 for a model that is not fit to run."""
    add_model_options(parser, default="demo")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    options = parser.parse_args(arguments)
    from rmeval.engine.workers import count_processes

    if count_processes() > 1:
        raise BadOption("doctor runs in one process; start it without a launcher")
    checks = _examine(options)
    from rmeval.models.doctor.check import is_healthy, verdict

    if options.json:
        fields = [_with_flags(check) for check in checks]
        document = {"model": options.model, "verdict": verdict(checks), "checks": fields}
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        print(format_checks(checks))
        print(one_line(f"{options.model}: {verdict(checks)}"))
    return 0 if is_healthy(checks) else NOT_FIT


def format_checks(checks: Sequence["Check"]) -> str:
    """Returns one line per check: how it went, its name, what was found and what to do."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        told = f"{check.finding}; {check.advice}" if check.advice else check.finding
        lines.append(f"{WORDS[check.status]:<5} {check.name:<{width}}  {one_line(as_flags(told))}")
    return "\n".join(lines)


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
