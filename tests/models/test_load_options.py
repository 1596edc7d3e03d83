"""One record of load options: Python, the command line and judges take theirs from it."""

import argparse
import inspect

import pytest

import rmeval
from rmeval.commands import run
from rmeval.commands.shared.judge_options import check_judge_options
from rmeval.commands.shared.options import add_model_options
from rmeval.errors import BadOption, UnknownName
from rmeval.load_options import LOAD_OPTIONS, with_defaults


def test_every_option_is_a_flag_an_argument_and_a_line_of_help():
    parser = argparse.ArgumentParser()
    add_model_options(parser, default="demo")
    flags = vars(parser.parse_args([]))
    taken = inspect.signature(rmeval.load_model).parameters
    for name, option in LOAD_OPTIONS.items():
        assert (name in flags) == option.flag
        assert taken[name].default == option.default
        assert f"    {name}: {option.help}" in inspect.getdoc(rmeval.load_model)
        if option.flag:
            assert flags[name] == option.default
    assert set(flags) - set(LOAD_OPTIONS) == {"model"}


def test_the_command_line_reads_values_as_python_takes_them():
    parser = argparse.ArgumentParser()
    add_model_options(parser, default="demo")
    line = "--dtype float64 --batch-tokens auto --max-length 7 --per-token --reference none"
    options = parser.parse_args(line.split())
    assert (options.dtype, options.batch_tokens, options.max_length) == ("float64", None, 7)
    assert (options.per_token, options.allow_pickle, options.reference) == (True, False, "none")
    with pytest.raises(UnknownName, match="unknown policy 'bo'"):
        parser.parse_args(["--specials", "bo"])


@pytest.mark.parametrize("name", [n for n, option in LOAD_OPTIONS.items() if option.flag])
def test_a_judge_takes_the_options_that_say_so_and_refuses_the_others(name):
    option, flag = LOAD_OPTIONS[name], f"--{name.replace('_', '-')}"
    value = (option.choices or ("7",))[-1]
    given = [flag] if isinstance(option.default, bool) else [f"{flag}={value}"]
    parser = argparse.ArgumentParser()
    run._add_options(parser)
    options = parser.parse_args(["--model", "judge:x", *given])
    if option.of_judges:
        check_judge_options(parser, options)
    else:
        with pytest.raises(BadOption, match=f"{flag} is for reward models"):
            check_judge_options(parser, options)


def test_an_option_that_is_none_is_a_type_error():
    with pytest.raises(TypeError, match="'dtpye' is not a loading option"):
        rmeval.load_model("demo", dtpye="float32")
    assert with_defaults({"max_length": 3})["max_length"] == 3
    assert with_defaults({})["engine"] == "auto"
