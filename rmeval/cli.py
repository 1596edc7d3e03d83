"""The command line: finds the verb, runs it, and turns what a user can fix into one line."""

import argparse
import os
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NoReturn

from rmeval.clock import importing
from rmeval.commands.shared.flags import as_flags, warnings_with_flags
from rmeval.door import opened
from rmeval.errors import BadOption, RmevalError, brief, nearest_name, one_line
from rmeval.files import reading

VERBS = {
    "run": "evaluate a model on a benchmark",
    "doctor": "check a model before a long run",
    "show": "print one row of a benchmark as a model will see it",
    "score": "score conversations from a file",
    "serve": "serve a model's rewards over HTTP, for training",
    "rank": "rank the responses to each prompt",
    "best-of-n": "draw candidates, keep the best, and show what N is worth",
    "pairs": "make preference data from ranked responses",
    "filter": "keep the preference pairs that a model agrees with",
    "aggregate": "recompute every number from stored scores, and explain it",
    "compare": "say whether one result is really better than another",
    "agreement": "say how far judges agree with each other, and with themselves",
    "check": "fail when a result is worse than a baseline: the gate for CI",
    "baseline": "write what `check` compares with, small enough to commit",
    "history": "show results of one model over time, as table and curves",
    "overlap": "count the rows of a benchmark that are in training data",
    "ensemble": "combine stored scores of several models into an ensemble",
    "merge": "average two checkpoints of one architecture",
    "convert": "write a model as the plain class that other programs load",
    "leaderboard": "rank results and published rows",
    "site": "write the leaderboard as a site that opens in any browser",
    "report": "write a report that opens in any browser",
    "plot": "write the report's figures as files",
    "export": "export a result for a model card, the Hub or a paper",
    "push": "propose results to a shared results repository on the Hub",
    "pull": "bring the results of such a repository beside yours",
    "store": "show and delete what interrupted runs kept",
    "list": "show adapters, benchmarks and known checkpoints",
}
EXAMPLES = {
    "run": [
        "rmeval run --model internlm/internlm2-7b-reward",
        "rmeval run --model ./checkpoint --benchmark preferences.jsonl --limit 200",
        "rmeval run --model ./checkpoint --benchmark helpsteer3 --disguises",
    ],
    "doctor": ["rmeval doctor --model ./checkpoint"],
    "show": ["rmeval show rewardbench 1042 --model ./checkpoint"],
    "serve": [
        "rmeval serve --model ./checkpoint",
        "rmeval serve --model M --host 0.0.0.0 --port 8000 --text-template ./actor",
    ],
    "score": ["rmeval score --model M --input conversations.jsonl --output scores.jsonl"],
    "rank": ["rmeval rank --model M --input candidates.jsonl --output ranked.jsonl"],
    "best-of-n": [
        "rmeval best-of-n --model M --generator G --prompts prompts.jsonl --n 10 --output best"
    ],
    "pairs": ["rmeval pairs --input ranked.jsonl --output preferences --min-margin 0.5"],
    "filter": [
        "rmeval filter --model M --input pairs.jsonl --output kept.jsonl --keep 'margin>=0.5'"
    ],
    "aggregate": ["rmeval aggregate results/rewardbench/new --explain"],
    "agreement": ["rmeval agreement results/judgebench/judge-a@rewardbench results/judgebench/rm"],
    "compare": ["rmeval compare results/rewardbench/old results/rewardbench/new"],
    "check": ["rmeval check results/rewardbench/new --baseline results/baselines/old.json"],
    "baseline": ["rmeval baseline results/rewardbench/old --output results/baselines/old.json"],
    "history": ["rmeval history results --benchmark rewardbench --figure history.pdf"],
    "overlap": ["rmeval overlap --train prefs.jsonl --result results/rewardbench/new"],
    "ensemble": [
        "rmeval ensemble results/rewardbench/a results/rewardbench/b --weights 0.7 0.3",
        "rmeval ensemble results --config configs/ensembles/MetaMetrics-RM-v1.0.toml",
    ],
    "merge": ["rmeval merge ./v1 ./v2 --weight 0.5 --output ./merged"],
    "convert": ["rmeval convert --model ./checkpoints/step-2000 --as classifier --output ./plain"],
    "leaderboard": ["rmeval leaderboard --published --output leaderboard.md"],
    "site": ["rmeval site results --published --output public"],
    "report": ["rmeval report results/rewardbench/new --output report.html"],
    "plot": ["rmeval plot results/rewardbench/new --output figures --format pdf"],
    "export": ["rmeval export results/rewardbench/new --format model-index --readme README.md"],
    "push": ["rmeval push results/rewardbench/new --results my-lab/rm-results --dry-run"],
    "pull": ["rmeval pull my-lab/rm-results --benchmark rewardbench"],
    "store": ["rmeval store results --prune"],
    "list": ["rmeval list models"],
}
OF_NO_VERB = ("-h", "--help", "--version")
MENDABLE, BUG, INTERRUPTED = 2, 70, 130
GATES = ("check", "doctor")  # verbs whose status is a verdict


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ours: one line, with the nearest option."""

    examples: Sequence[str] = ()

    def format_help(self) -> str:
        """Adds the examples as they are typed: argparse would wrap an epilog."""
        shown = ["", "example:", *(f"  {example}" for example in self.examples), ""]
        return super().format_help() + ("\n".join(shown) if self.examples else "")

    def error(self, message: str) -> NoReturn:
        """Raises BadOption instead of printing the usage."""
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message:
            message = self._advice(unknown.split()[0])
        raise BadOption(message)

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """Refuses what no option can mean before its own type sees it: nothing, or no text."""
        named = "/".join(action.option_strings) or action.metavar or action.dest
        if not arg_string.strip():
            raise BadOption(f"{named} is empty; is a shell variable unset?")
        if "\0" in arg_string or any("\ud800" <= letter <= "\udfff" for letter in arg_string):
            raise BadOption(f"{named} is {arg_string!a}, which is not valid UTF-8")
        return super()._get_value(action, arg_string)

    def _advice(self, unknown: str) -> str:
        """Returns what to type in the place of something that no option is."""
        known = {name.lstrip("-"): name for name in self._option_string_actions if len(name) > 2}
        near = nearest_name(unknown.lstrip("-"), known) if unknown.startswith("--") else None
        if near:
            return f"unknown option {unknown!r}; did you mean {known[near]}?"
        if not unknown.startswith("-") and "model" in known:
            return f"{self.prog} takes no {unknown!r} here; did you mean --model {unknown}?"
        return f"unknown option {unknown!r}; see {self.prog} --help"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status.

    0: done. 1: what was examined is not fit, is worse than its baseline, or is not whole. 2:
    something that the user can fix, said in one line on stderr. 70: a bug, with its traceback.
    130: interrupted; what was scored is kept. A gate's word stands also where stdout cannot be
    written; of any other verb that is an error.
    """
    if arguments is None:
        sys.excepthook = _bug
    asked = list(sys.argv[1:] if arguments is None else arguments)
    with opened() as out:
        status = _mended(asked)
    if status == INTERRUPTED and arguments is None:
        os._exit(status)  # threads of a download would be waited for
    if out.lost is None or isinstance(out.lost, BrokenPipeError) or out.stream is None:
        return status
    if sys.stderr is not None:
        print(f"rmeval: cannot write to stdout ({out.lost.strerror})", file=sys.stderr)
    return status or (0 if asked[:1] and asked[0] in GATES else MENDABLE)


def _mended(arguments: list[str]) -> int:
    """Returns the exit status of a command; what the user can fix is said in one line."""
    try:
        with warnings_with_flags():
            return _dispatch(arguments)
    except RmevalError as error:
        print(f"rmeval: {one_line(brief(as_flags(str(error))))}", file=sys.stderr)
        return MENDABLE
    except KeyboardInterrupt:
        print("rmeval: interrupted; run the same command again to resume", file=sys.stderr)
        return INTERRUPTED


def _bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Prints a bug as Python does, and ends with a status that no gate has."""
    sys.__excepthook__(kind, error, trace)
    raise SystemExit(BUG)


def _dispatch(arguments: list[str]) -> int:
    from importlib import import_module

    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:2], "--help"]
    elif arguments[:1] == ["version"]:
        arguments = ["--version"]
    if arguments and arguments[0] in VERBS:
        verb = arguments[0]
        with importing():
            command = import_module(f"rmeval.commands.{verb.replace('-', '_')}")
        parser = Parser(prog=f"rmeval {verb}", description=command.__doc__, allow_abbrev=False)
        parser.examples = EXAMPLES[verb]
        with reading(kind=BadOption):
            status: int = command.run(parser, arguments[1:])
        return status
    parser = Parser(prog="rmeval", description="Evaluates reward models.", allow_abbrev=False)
    from rmeval import __version__

    parser.add_argument("--version", action="version", version=f"rmeval {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", title="verbs")
    for verb, summary in VERBS.items():
        verbs.add_parser(verb, help=summary)
    if arguments and arguments[0].startswith("-") and arguments[0] not in OF_NO_VERB:
        hint = "options go after a verb, see rmeval --help"
        raise BadOption(f"unknown option {arguments[0]!r}; {hint}")
    if arguments and not arguments[0].startswith("-"):
        nearest = nearest_name(arguments[0], VERBS)
        hint = f"did you mean {nearest!r}?" if nearest else "see rmeval --help"
        raise BadOption(f"unknown verb {arguments[0]!r}; {hint}")
    parser.parse_args(arguments)
    parser.print_help()
    return 0
