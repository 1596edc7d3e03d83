"""The library names arguments, the command line names flags: one function stands between them."""

import ast
import inspect
import logging
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import rmeval
from rmeval.cli import VERBS, Parser, main
from rmeval.commands.shared.flags import ARGUMENT, FLAGS, QUOTED, as_flags, warnings_with_flags
from rmeval.judging.loading import Answering
from rmeval.llm.generator import LocalGenerator
from rmeval.models.checkpoints.converting import Converted
from rmeval.results.ensemble import Mixture
from rmeval.serving.running import listen
from rmeval.serving.settings import Settings
from rmeval.verbs.parity import check_engine

PACKAGE = Path(__file__).parents[2] / "rmeval"
OF_THE_COMMAND_LINE = ("commands", "cli.py")
OF_OTHER_PROGRAMS = {  # zero_to_fp32.py, verl.model_merger, OpenRLHF, torchrun; vLLM, SGLang
    *(
        "--safe_serialization",
        "--backend",
        "--local_dir",
        "--target_dir",
        "--normalize_reward",
        "--nproc_per_node",
    ),
    *("--runner", "--convert", "--pooler-config", "--max-model-len", "--max-num-queued-reqs"),
    *("--is-embedding", "--context-length", "--max-client-batch-size", "--data"),
}
COMMAND = re.compile(r"`rmeval [^`]*`")  # a command as it is typed
BEYOND_THE_INTERFACE = (
    Answering,
    Converted,
    LocalGenerator,
    Mixture,
    Settings,
    check_engine,
    listen,
)  # of verbs without a function


def strings(path: Path) -> Iterator[str]:
    """Every text that a file writes; what is put into it is shown as the text 'X'."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    within = {id(part) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for part in n.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [
                part.value if isinstance(part, ast.Constant) else "'X'" for part in node.values
            ]
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and id(node) not in within:
            yield str(node.value)


def library() -> list[Path]:
    files = sorted(PACKAGE.rglob("*.py"))
    return [p for p in files if p.relative_to(PACKAGE).parts[0] not in OF_THE_COMMAND_LINE]


def test_the_library_names_no_flag() -> None:
    named = {
        f"{path.relative_to(PACKAGE)}: {flag}"
        for path in library()
        for text in strings(path)
        for flag in re.findall(r"--[a-z][\w-]*", COMMAND.sub("", text))
        if flag not in OF_OTHER_PROGRAMS
    }
    assert not named


def parameters(of: object) -> set[str]:
    """The arguments of a function, or of a class and its public methods."""
    if inspect.isfunction(of):
        return set(inspect.signature(of).parameters)
    if not isinstance(of, type) or issubclass(of, Exception | dict):
        return set()
    methods = [value for name, value in vars(of).items() if not name.startswith("_")]
    parts = [of, *filter(inspect.isfunction, methods)]
    return {name for part in parts for name in inspect.signature(part).parameters}


def named_arguments() -> set[str]:
    texts = [text for path in library() for text in strings(path)]
    quoted = [found.group() for text in texts for found in QUOTED.finditer(text)]
    return {name for text in quoted for name, _ in re.findall(ARGUMENT, text)}


def test_every_argument_that_a_message_names_is_one_of_python() -> None:
    public = [getattr(rmeval, name) for name in rmeval.__all__]
    taken = set().union(*map(parameters, [*public, *BEYOND_THE_INTERFACE]))
    assert len(named_arguments()) > 25
    assert named_arguments() <= taken


def flags_of(verb: str) -> set[str]:
    parser = Parser(prog=verb, allow_abbrev=False)
    with pytest.raises(SystemExit):
        import_module(f"rmeval.commands.{verb.replace('-', '_')}").run(parser, ["--help"])
    return set(parser._option_string_actions)


def test_every_argument_that_a_message_names_is_a_flag_of_some_verb() -> None:
    known = set().union(*map(flags_of, VERBS))
    assert named_arguments() <= FLAGS.keys()
    assert set(FLAGS.values()) <= known


@pytest.mark.parametrize(
    ("message", "printed"),
    [
        ("`max_length=48` leaves no room", "--max-length 48 leaves no room"),
        ("pass `allow_pickle=True` if you trust it", "pass --allow-pickle if you trust it"),
        ("or `checks=False` to insist", "or --no-checks to insist"),
        ("pass `reference=` as well", "pass --reference as well"),
        ("`reference='./a b'`: no such folder", "--reference ./a b: no such folder"),
        ("pass `base=FOLDER_OR_ID`", "pass --base FOLDER_OR_ID"),
        ("`min_margin=-0.5`: at least 0", "--min-margin -0.5: at least 0"),
        (
            "pass `engine='padded', batch_tokens=1`, or not",
            "pass --engine padded --batch-tokens 1, or not",
        ),
        (
            "pass `columns={'prompt': 'q', 'id': '', 'chosen': \"it's\"}`",
            "pass --columns prompt=q,id=,chosen=it's",
        ),
    ],
)
def test_arguments_are_printed_as_flags(message: str, printed: str) -> None:
    assert as_flags(message) == printed


@pytest.mark.parametrize(
    "text",
    [
        "the template says `system` and `max_length`",
        "pass `device_map='auto'`, or `device='cpu', low_cpu_mem_usage=True`",
        "max_length=48",
        "`max_length=48",
        "`columns={'prompt': 'a`b'}`",
        "`" * 50_000,
        "`max_length='" + "x" * 50_000,
        "`" + "max_length=1, " * 10_000,
    ],
)
def test_other_text_is_left_alone(text: str) -> None:
    assert as_flags(text) == text


def test_an_error_names_the_argument_in_python_and_the_flag_on_the_command_line(capsys) -> None:
    with pytest.raises(rmeval.BadOption, match=r"`per_token=True` .*`reference=` as well"):
        rmeval.load_model("demo", device="cpu", per_token=True)
    assert main(["run", "--device", "cpu", "--per-token"]) == 2
    assert "--per-token is for DPO models; pass --reference as well" in capsys.readouterr().err


def test_a_warning_names_the_flag_on_the_command_line(capsys) -> None:
    with warnings_with_flags():
        logging.getLogger("rmeval").warning("a smaller `batch_tokens=` avoids %s", "this")
    assert capsys.readouterr().err == "a smaller --batch-tokens avoids this\n"
    assert not logging.getLogger("rmeval").handlers
