"""Checkers: what stands last in a response, held to the right answer."""

import json
import stat
from pathlib import Path

import pytest

from rmeval.checking import (
    add_checks,
    as_checker,
    choice,
    exact,
    final_answer,
    find_checker,
    numeric,
    require_answer,
    to_number,
)
from rmeval.errors import BadData, BadOption


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (r"So \boxed{1}, no: \boxed{\frac{3}{4}}.", r"\frac{3}{4}"),
        (r"\boxed {x^{2}}", "x^{2}"),
        (r"\boxed{never closed", None),
        ("2 + 2 = 4\n#### 4\n", "4"),
        ("The answer is: **42**.", "42"),
        ("Answer: $7$\nand that is all", "7"),
        ("the answer is 3. The final answer is 5.", "5"),
        ("I do not know.", None),
        ("", None),
    ],
)
def test_the_final_answer_is_what_a_response_marks(response: str, answer: str | None) -> None:
    assert final_answer(response) == answer


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,234.5", 1234.5),
        ("-3", -3.0),
        ("−3", -3.0),
        ("3/4", 0.75),
        (r"\frac{3}{4}", 0.75),
        (r"\dfrac{-6}{4}", -1.5),
        ("1e3", 1000.0),
        ("75%", 0.75),
        ("$12.00", 12.0),
        ("first 3, then 5 eggs", 5.0),
        ("no number", None),
        ("1/0", None),
        ("1e999", None),
        (".5", 0.5),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, number: float | None) -> None:
    assert to_number(text) == number


def test_a_number_may_differ_by_the_tolerance() -> None:
    assert numeric("The answer is 0.333333", "1/3") == (True, "0.333333")
    assert not numeric("The answer is 0.33", "1/3").right
    assert find_checker("numeric:0.02")("The answer is 0.33", "1/3").right
    assert find_checker("numeric:0.02")("1010", 1000).right  # relative above 1
    assert not find_checker("numeric:0.02")("1030", 1000).right
    assert numeric("It is 2.", 2) == numeric("#### 2.0", 2) == (True, "2")
    assert numeric("nothing", 2) == (False, None)


def test_texts_are_the_same_but_for_spaces() -> None:
    assert exact(r"\boxed{x + 1}", "x  + 1") == (True, "x + 1")
    assert exact("Paris", "Paris").right
    assert not exact("paris", "Paris").right
    assert exact("4", 4).right


@pytest.mark.parametrize(
    ("response", "right"),
    [
        ("The answer is (C).", True),
        ("The answer is C", True),
        (r"\boxed{C}", True),
        ("the answer is c) because A is wrong", True),
        ("A is wrong, B too. (C)", True),
        ("The answer is (D).", False),
        ("I think it is A", False),
        ("CAT", False),
        ("", False),
    ],
)
def test_a_choice_is_a_letter_that_stands_alone(response: str, right: bool) -> None:
    assert choice(response, "(C)").right is right
    assert choice(response, "c").right is right


def test_a_function_of_a_file_or_of_a_module_decides(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "mine_check.py").write_text(
        "def same(response, answer):\n    return response[::-1] == answer['back']\n"
        "def odd(response, answer):\n    return 'perhaps'\n"
    )
    path = tmp_path / "mine_check.py"
    monkeypatch.syspath_prepend(tmp_path)
    for said in (f"{path}:same", "mine_check:same"):
        check = find_checker(said)
        assert check("abc", {"back": "cba"}) == (True, None)
        assert not check("abc", {"back": "abc"}).right
    with pytest.raises(BadData, match="returned 'perhaps', not True or False"):
        find_checker(f"{path}:odd")("a", 1)
    assert as_checker(lambda response, answer: 1)("a", 1).right


def script(folder: Path, body: str) -> Path:
    path = folder / "check.sh"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_a_command_decides_by_its_exit_status(tmp_path: Path) -> None:
    check = find_checker(f"command:{script(tmp_path, 'grep -q four')}")
    assert check("it is four", "4") == (True, None)
    assert not check("it is five", "4").right
    broken = find_checker(f"command:{script(tmp_path, 'echo no compiler >&2; exit 3')}")
    with pytest.raises(BadData, match="ended with 3, not 0 for right or 1 for wrong: no compiler"):
        broken("a", "b")
    with pytest.raises(BadOption, match=r"cannot run /nowhere/check \(No such file"):
        find_checker("command:/nowhere/check")("a", "b")


def test_a_command_is_told_the_response_and_the_answer_and_no_shell_reads_them(tmp_path) -> None:
    seen = tmp_path / "seen"
    check = find_checker(f"command:{script(tmp_path, f'cat > {seen}')}")
    assert check('$(touch x); "quoted"\n', [1, "zwei"]).right
    assert json.loads(seen.read_text()) == {
        "response": '$(touch x); "quoted"\n', "answer": [1, "zwei"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("exactly", "no checker; known: exact, numeric"),
        ("numeric:much", "the tolerance must be a number"),
        ("numeric:-1", "the tolerance must be a number"),
        ("command:", "no checker"),
        ("nowhere_at_all:f", "cannot be imported"),
        ("rmeval.errors:nothing", "cannot be imported"),
        ("rmeval.checking:TOLERANCE", "TOLERANCE is no function"),
        ("/nowhere.py:f", "no file /nowhere.py"),
    ],
)
def test_what_is_no_checker_is_said(said: str, fault: str) -> None:
    with pytest.raises(BadOption, match=fault):
        find_checker(said)


def test_a_line_without_an_answer_that_fits_is_named_before_anything_is_drawn() -> None:
    with pytest.raises(BadData, match="p line 2: no answer to hold responses to"):
        require_answer({"prompt": "q"}, exact, "p line 2")
    with pytest.raises(BadData, match="p line 2: answer 'many' is no number"):
        require_answer({"answer": "many"}, find_checker("numeric:0.1"), "p line 2")
    with pytest.raises(BadData, match="p line 2: answer is list, not a text or a number"):
        require_answer({"answer": ["4"]}, exact, "p line 2")
    with pytest.raises(BadData, match="p line 2: answer 'none of them' is no letter"):
        require_answer({"answer": "none of them"}, choice, "p line 2")
    require_answer({"answer": ["4"]}, as_checker(lambda response, answer: True), "p line 2")


def test_a_line_gets_the_columns_that_run_reads() -> None:
    line = {"prompt": "2+2?", "responses": ["4", "#### 5", "hm"], "answer": 4}
    assert add_checks(line, numeric) == {
        **line, "correct": [True, False, False], "answers": ["4", "5", None],
    }  # fmt: skip
    assert "answers" not in add_checks(line, as_checker(lambda response, answer: True))
