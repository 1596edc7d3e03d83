"""Is a response right? Its final answer, held to the one that is known.

The final answer is what stands in the last \\boxed{…}, behind the last ####, or behind the last
"answer is" or "answer:", as MATH, GSM8K and their prompts have it.
"""

import importlib
import importlib.util
import json
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from rmeval.errors import BadData, BadOption, one_line

ANSWER = "answer"  # the field of a line that holds the right one
CORRECT, ANSWERS = "correct", "answers"  # those that are added, as `rmeval run` reads them
TOLERANCE = 1e-6
AT_ONCE = 8  # commands
KINDS = (
    "exact",
    "numeric[:TOLERANCE]",
    "choice",
    "MODULE:FUNCTION",
    "FILE.py:FUNCTION",
    "command:…",
)

BOXED = re.compile(r"\\boxed\s*\{")
SAID = re.compile(r"answer\s*(?:is)?\s*[:=]|answer\s+is\b", re.IGNORECASE)
NUMBER = re.compile(r"[-+−]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?:\s*/\s*\d[\d,]*)?%?")
FRACTION = re.compile(r"\\[dt]?frac\s*\{\s*([-+]?\d+)\s*\}\s*\{\s*(\d+)\s*\}")
LETTER = re.compile(r"(?<![A-Za-z])\(?([A-Za-z])\)?(?![A-Za-z'])")


class Checked(NamedTuple):
    """Whether a response is right, and its final answer in a form that is equal for equal ones.

    The answer is None where the checker does not say it, or the response has none.
    """

    right: bool
    answer: str | None = None


Checker = Callable[[str, Any], Checked]
"""Takes a response and the right answer; for several at once, see `check_all`."""


def final_answer(response: str) -> str | None:
    """Returns what a response marks as its answer, or None where it marks nothing."""
    boxed = [_braced(response, match.end()) for match in BOXED.finditer(response)]
    if boxed and boxed[-1] is not None:
        return boxed[-1].strip()
    if "####" in response:
        found = response.rpartition("####")[2]
    else:
        said = list(SAID.finditer(response))
        if not said:
            return None
        found = response[said[-1].end() :]
    line = found.strip().split("\n")[0]
    return line.lstrip(" *$").rstrip(" *$.")


def _braced(text: str, start: int) -> str | None:
    """Returns what stands from here to the brace that closes, or None where none does."""
    depth = 1
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[start:place]
    return None


def exact(response: str, answer: Any) -> Checked:
    """Holds the final answer, or else the whole response, to a text; only spaces may differ."""
    marked = final_answer(response)
    found = " ".join((response if marked is None else marked).split())
    return Checked(found == " ".join(_text(answer).split()), found)


def numeric(response: str, answer: Any, tolerance: float = TOLERANCE) -> Checked:
    """Holds the last number of the final answer, or of the response, to a number.

    They may differ by `tolerance`, relative to the right one where that is above 1. 1,234.5, 3/4,
    LaTeX's fractions, 1e3 and 75% are numbers.
    """
    known = to_number(_text(answer))
    if known is None:
        raise BadData(f"{ANSWER} {one_line(_text(answer))[:40]!r} is no number")
    marked = final_answer(response)
    found = to_number(response if marked is None else marked)
    if found is None:
        return Checked(False)
    return Checked(abs(found - known) <= tolerance * max(1.0, abs(known)), f"{found:.10g}")


def to_number(text: str) -> float | None:
    """Returns the last number in a text, or None."""
    text = FRACTION.sub(r"\1/\2", text).replace("−", "-")
    found = NUMBER.findall(text)
    if not found:
        return None
    plain = found[-1].replace(",", "").replace(" ", "")
    try:
        value = float(Fraction(plain.rstrip("%"))) / (100 if plain.endswith("%") else 1)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return value if isfinite(value) else None


def choice(response: str, answer: Any) -> Checked:
    """Holds the letter of the final answer, or the last that stands alone, to a letter, as (C)."""
    known = LETTER.fullmatch(_text(answer).strip())
    if known is None:
        raise BadData(f"{ANSWER} {one_line(_text(answer))[:40]!r} is no letter")
    marked = final_answer(response)
    if marked is None:
        found = re.findall(r"(?<![A-Za-z])\(?([A-Z])\)?(?![A-Za-z'])", response)[-1:]
    else:
        found = LETTER.findall(marked)[:1]
    if not found:
        return Checked(False)
    letter = found[0].upper()
    return Checked(letter == known[1].upper(), letter)


def _text(answer: Any) -> str:
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        raise BadData(f"{ANSWER} is {type(answer).__name__}, not a text or a number")
    return str(answer)


def find_checker(said: str) -> Checker:
    """Returns the checker of a name; KINDS says which there are. Raises BadOption.

    MODULE:FUNCTION and FILE.py:FUNCTION is Python of the user's own, called with a response and the
    answer as the line has it; it returns whether that is right. A command gets a line of JSON
    with `response` and `answer`; its exit status is 0 for right and 1 for wrong.
    """
    kind, colon, rest = said.partition(":")
    if kind == "numeric" and colon:
        return _with_tolerance(said, rest)
    if not colon and kind in CHECKERS:
        return CHECKERS[kind]
    if kind == "command" and rest.strip():
        return _command(shlex.split(rest))
    path, _, name = said.rpartition(":")
    if not path or not name.isidentifier():
        raise BadOption(f"answers {said!r}: no checker; known: {', '.join(KINDS)}")
    return _called(_function(path, name, said))


def as_checker(said: str | Callable[[str, Any], Any]) -> Checker:
    """Returns the checker of a name, or that which a function is. Raises BadOption."""
    return find_checker(said) if isinstance(said, str) else _called(said)


def _with_tolerance(said: str, text: str) -> Checker:
    try:
        tolerance = float(text)
    except ValueError:
        tolerance = -1.0
    if not 0 <= tolerance < float("inf"):
        raise BadOption(f"answers {said!r}: the tolerance must be a number, as numeric:0.01")
    return partial(numeric, tolerance=tolerance)


def _function(path: str, name: str, said: str) -> Callable[[str, Any], Any]:
    try:
        if path.endswith(".py"):
            spec = importlib.util.spec_from_file_location(Path(path).stem, path)
            if spec is None or spec.loader is None or not Path(path).is_file():
                raise BadOption(f"answers {said!r}: no file {path}")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(path)
        found: Callable[[str, Any], Any] = getattr(module, name)
    except (ImportError, AttributeError) as error:
        raise BadOption(f"answers {said!r}: cannot be imported ({one_line(str(error))})") from error
    if not callable(found):
        raise BadOption(f"answers {said!r}: {name} is no function")
    return found


def _called(function: Callable[[str, Any], Any]) -> Checker:
    def check(response: str, answer: Any) -> Checked:
        found = function(response, answer)
        if found in (0, 1):
            return Checked(bool(found))
        raise BadData(f"the checker returned {one_line(repr(found))[:40]}, not True or False")

    return check


def _command(words: Sequence[str]) -> Checker:
    def check(response: str, answer: Any) -> Checked:
        line = json.dumps({"response": response, ANSWER: answer}, ensure_ascii=False) + "\n"
        try:
            done = subprocess.run(words, input=line.encode(), capture_output=True, check=False)
        except OSError as error:
            raise BadOption(f"answers: cannot run {words[0]} ({error.strerror})") from error
        if done.returncode not in (0, 1):
            said = one_line(done.stderr.decode("utf-8", "replace"))[-200:]
            raise BadData(
                f"{words[0]} ended with {done.returncode}, not 0 for right or 1 for wrong: {said}"
            )
        return Checked(done.returncode == 0)

    return check


CHECKERS: Mapping[str, Checker] = {"exact": exact, "numeric": numeric, "choice": choice}


def require_answer(fields: Mapping[str, Any], checker: Checker, place: str) -> None:
    """Raises BadData for a line without a right answer that the checker can hold responses to.

    What the user's own code takes, it says itself.
    """
    if fields.get(ANSWER) is None:
        raise BadData(f"{place}: no {ANSWER} to hold responses to")
    if checker in CHECKERS.values() or isinstance(checker, partial):
        try:
            checker("", fields[ANSWER])
        except BadData as error:
            raise BadData(f"{place}: {error}") from error


def add_checks(fields: Mapping[str, Any], checker: Checker) -> dict[str, Any]:
    """Returns a line with `correct` of its responses, and `answers` where any is known.

    These are columns that `rmeval run` reads. Raises BadData.
    """
    found = check_all(fields["responses"], fields[ANSWER], checker)
    added: dict[str, Any] = {CORRECT: [one.right for one in found]}
    if any(one.answer is not None for one in found):
        added[ANSWERS] = [one.answer for one in found]
    return {**fields, **added}


def check_all(responses: Sequence[str], answer: Any, checker: Checker) -> list[Checked]:
    """Returns what a checker says of each response, several at once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda response: checker(response, answer), responses))
