"""A gate's verdict in every form, with names that would break out of it."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from rmeval.records import Metrics, Result
from rmeval.reports.gate import (
    gate_annotations,
    gate_junit,
    gate_markdown,
    gate_table,
    sentence,
)
from rmeval.results.regression import Gate, HeldMetric, Outcome

WORSE = HeldMetric("overall", 0.9, 0.875, 0.001, True)
SAME = HeldMetric("section/Chat", 0.95, 0.9525, 0.75, False)
NO_ROWS = HeldMetric("section/Safety", 0.5, 0.25, None, True)
REGRESSED = Gate(Outcome.REGRESSED, (WORSE, SAME), "w", "")
PASSED = Gate(Outcome.PASSED, (SAME,), "w", "")
UNKNOWN = Gate(Outcome.COULD_NOT_TELL, (), "w", "other rows")
HOSTILE = "<b>&\"'\x1b[31m\n::error::x|`*\u2028\ud800"


def result(model: str = "org/m", benchmark: str = "demo") -> Result:
    return Result(benchmark, "demo", model, "w", Metrics({}, {}), (), None, {}, Path())


def test_the_sentence_says_verdict_reason_model_and_baseline() -> None:
    assert sentence(REGRESSED, result(), "b.json") == (
        "regressed: Score: org/m on demo, held to b.json"
    )
    assert sentence(PASSED, result(), "b.json") == "passed: org/m on demo, held to b.json"
    assert sentence(UNKNOWN, result(), "b.json") == (
        "could not tell (other rows): org/m on demo, held to b.json"
    )


def test_the_table_has_percent_drop_and_noise() -> None:
    lines = gate_table(Gate(Outcome.REGRESSED, (WORSE, SAME, NO_ROWS), "w", "")).splitlines()
    assert [line.split() for line in lines[2:]] == [
        ["Score", "90.00", "87.50", "+2.50", "0.001", "regressed"],
        ["Chat", "95.00", "95.25", "-0.25", "0.75", "passed"],
        ["Safety", "50.00", "25.00", "+25.00", "no", "rows", "regressed"],
    ]


def cases_of(text: str) -> tuple[ElementTree.Element, list[ElementTree.Element]]:
    suite = ElementTree.fromstring(text.encode())
    return suite, list(suite.iter("testcase"))


def test_junit_has_a_case_for_each_metric_and_a_failure_for_each_regression() -> None:
    suite, cases = cases_of(gate_junit(REGRESSED, result(), "text"))
    assert (suite.tag, suite.attrib) == (
        "testsuite",
        {"name": "rmeval.demo", "tests": "2", "failures": "1", "errors": "0"},
    )
    assert [case.attrib["name"] for case in cases] == ["Score", "Chat"]
    failures = [case.find("failure") for case in cases]
    assert failures[0] is not None
    assert failures[0].attrib["message"] == "Score dropped by 2.50, from 90.00 to 87.50, p = 0.001"
    assert failures[1] is None


def test_junit_has_one_error_where_the_gate_could_not_tell() -> None:
    suite, cases = cases_of(gate_junit(UNKNOWN, result(), "could not tell"))
    assert {key: suite.attrib[key] for key in ("tests", "failures", "errors")} == {
        "tests": "1",
        "failures": "0",
        "errors": "1",
    }
    error = cases[0].find("error")
    assert error is not None
    assert error.attrib["message"] == "could not tell"


def test_junit_says_of_what_encoding_it_is_and_ends_with_a_line() -> None:
    text = gate_junit(PASSED, result(), "")
    assert text.lower().startswith("<?xml version='1.0' encoding='utf-8'?>")
    assert text.endswith("\n")


def test_hostile_names_stay_on_their_line_and_in_their_attribute() -> None:
    held = HeldMetric(f"subset/{HOSTILE}", 0.9, 0.8, 0.01, True)
    gate = Gate(Outcome.REGRESSED, (held,), "w", "")
    text = sentence(gate, result(HOSTILE, HOSTILE), HOSTILE)
    assert len(text.splitlines()) == 1
    assert text.isprintable()
    suite, cases = cases_of(gate_junit(gate, result(HOSTILE, HOSTILE), text))
    assert len(cases) == 1
    assert "<b>" in suite.attrib["name"]
    for line in gate_annotations(gate, text):
        assert len(line.splitlines()) == 1
        assert line.startswith("::error title=rmeval::")
    gate_table(gate).encode()


def test_markdown_escapes_what_has_a_meaning_there() -> None:
    markdown = gate_markdown(REGRESSED, "a*b <i> [x](y) | `c` _d_ \\ #1")
    assert markdown.splitlines()[0] == (r"### rmeval: a\*b \<i\> \[x\](y) \| \`c\` \_d\_ \\ \#1")
    assert "| Score" in markdown
    assert markdown.endswith("|\n")


def test_markdown_of_a_gate_that_could_not_tell_has_no_table() -> None:
    assert gate_markdown(UNKNOWN, "why") == "### rmeval: why\n"


@pytest.mark.parametrize(
    ("gate", "lines"),
    [
        (PASSED, ["::notice title=rmeval::50%25 a"]),
        (UNKNOWN, ["::warning title=rmeval::50%25 a"]),
        (
            REGRESSED,
            ["::error title=rmeval::Score dropped by 2.50, from 90.00 to 87.50, p = 0.001"],
        ),
    ],
)
def test_annotations_are_workflow_commands(gate: Gate, lines: list[str]) -> None:
    assert gate_annotations(gate, "50% a") == lines


def test_an_annotation_of_a_baseline_without_rows_names_no_p() -> None:
    gate = Gate(Outcome.REGRESSED, (NO_ROWS,), "w", "")
    assert gate_annotations(gate, "") == [
        "::error title=rmeval::Safety dropped by 25.00, from 50.00 to 25.00"
    ]


def test_a_row_of_the_table_is_never_a_workflow_command() -> None:
    held: Any = HeldMetric("subset/::stop-commands::x", 0.9, 0.8, 0.01, True)
    for line in gate_table(Gate(Outcome.REGRESSED, (held,), "w", "")).splitlines():
        assert not line.strip().startswith("::")
