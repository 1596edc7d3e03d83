"""A gate's verdict for people and for machines: table, Markdown, JUnit, GitHub annotations."""

from xml.etree import ElementTree

from rmeval.errors import one_line
from rmeval.records import Result
from rmeval.reports.labels import metric_label
from rmeval.reports.tables import format_rows
from rmeval.results.regression import Gate, HeldMetric, Outcome

WORDS = {
    Outcome.PASSED: "passed",
    Outcome.REGRESSED: "regressed",
    Outcome.COULD_NOT_TELL: "could not tell",
}


def sentence(gate: Gate, result: Result, source: str) -> str:
    """Returns the verdict in one line."""
    worse = [metric_label(item.metric) for item in gate.held if item.regressed]
    because = f": {', '.join(worse)}" if worse else ""
    remark = f" ({gate.remark})" if gate.remark else ""
    words = f"{result.shown_name} on {result.benchmark}, held to {source}"
    return one_line(f"{WORDS[gate.outcome]}{because}{remark}: {words}")


def gate_table(gate: Gate, form: str = "table") -> str:
    """Returns the metrics held, in percent, as a table in one of `reports.tables.FORMATS`."""
    return format_rows([_row(item) for item in gate.held], form)


def gate_markdown(gate: Gate, text: str) -> str:
    """Returns a summary for a pull request or a job's page."""
    table = f"\n{gate_table(gate, 'markdown')}\n" if gate.held else ""
    return f"### rmeval: {_escape_markdown(text)}\n{table}"


def gate_junit(gate: Gate, result: Result, text: str) -> str:
    """Returns JUnit XML: a case per metric, or one error where the gate could not tell."""
    name = one_line(f"rmeval.{result.benchmark}")
    failures = sum(item.regressed for item in gate.held)
    suite = ElementTree.Element(
        "testsuite",
        name=name,
        tests=str(len(gate.held) or 1),
        failures=str(failures),
        errors=str(int(gate.outcome is Outcome.COULD_NOT_TELL)),
    )
    for item in gate.held:
        case = ElementTree.SubElement(
            suite, "testcase", classname=name, name=metric_label(item.metric)
        )
        if item.regressed:
            ElementTree.SubElement(case, "failure", message=_words(item))
    if not gate.held:
        case = ElementTree.SubElement(suite, "testcase", classname=name, name="gate")
        ElementTree.SubElement(case, "error", message=text)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def gate_annotations(gate: Gate, text: str) -> list[str]:
    """Returns workflow commands that show the verdict beside the code on GitHub."""
    if gate.outcome is Outcome.PASSED:
        return [f"::notice title=rmeval::{_escape_command(text)}"]
    lines = [
        f"::error title=rmeval::{_escape_command(_words(i))}" for i in gate.held if i.regressed
    ]
    return lines or [f"::warning title=rmeval::{_escape_command(text)}"]


def _row(item: HeldMetric) -> dict[str, str]:
    return {
        "metric": metric_label(item.metric),
        "baseline": f"{100 * item.baseline:.2f}",
        "measured": f"{100 * item.measured:.2f}",
        "drop": f"{100 * item.drop:+.2f}",
        "p of noise": "no rows" if item.p is None else f"{item.p:.3g}",
        "verdict": "regressed" if item.regressed else "passed",
    }


def _words(item: HeldMetric) -> str:
    noise = "" if item.p is None else f", p = {item.p:.2g}"
    lost = f"{metric_label(item.metric)} dropped by {100 * item.drop:.2f}"
    return f"{lost}, from {100 * item.baseline:.2f} to {100 * item.measured:.2f}{noise}"


def _escape_markdown(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|" else c for c in text)


def _escape_command(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
