"""The day on which a chat template is rendered: never today's, which would change every score.

Templates of Llama 3.1 and 3.2, Granite, SmolLM3 and others write the date into the text, through
transformers' `strftime_now`. A reward is of a text, so the day is fixed and recorded.
"""

import re
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

from rmeval.errors import BadCheckpoint, BadOption
from rmeval.files import reading

ASKS = "strftime_now"  # what a template calls
USUAL = date(2024, 7, 26)  # what Llama 3.1's template writes where there is no clock
CODES = tuple(f"%{code}" for code in ("-d", "-m", *"aAbBdHIjmMpSyYFDxX%"))
FORMATS = ("%Y-%m-%d", "%d %b %Y", "%d %B %Y", "%B %d, %Y", "%b %d, %Y")
_IN_TEMPLATE = re.compile(r"""["'](\d{1,2} [A-Z][a-z]{2,8} \d{4}|\d{4}-\d\d-\d\d)["']""")
_WRITTEN = re.compile(r"\b(\d{1,2} [A-Z][a-z]{2,8} \d{4}|\d{4}-\d\d-\d\d)\b")
_IN_CARD = re.compile(r"^\W*(?:(?:model )?release[ _])?date\W+([\w ,-]{8,18}?)\W*$", re.I | re.M)


class Day(NamedTuple):
    """A day, and who says it."""

    day: date
    source: str

    def fixed_in(self, template: str) -> str:
        """Returns a template that writes this day where it asks for today's.

        A macro of the same name stands before transformers' function: no function can be passed to
        a template, since its sandbox takes plain data only.
        """
        if ASKS not in template:
            return template
        words = {code: self.day.strftime(code) for code in CODES}
        filters = "".join(f" | replace({code!r}, {word!r})" for code, word in words.items())
        return f"{{%- macro {ASKS}(form) -%}}{{{{ form{filters} }}}}{{%- endmacro -%}}{template}"


USUAL_DAY = Day(USUAL, "rmeval's constant")


def choose_day(asked: str | None, template: str, folder: Path) -> Day:
    """Returns the day asked for, or that in the template, or on the card, or a constant.

    Raises BadOption for what is not a date.
    """
    if asked is not None:
        return Day(parse_day(asked), "asked for")
    if written := _first_day(_IN_TEMPLATE.findall(template)):
        return Day(written, "its template")
    card = folder / "README.md"
    if card.is_file() and (said := _first_day(_IN_CARD.findall(_text(card)))):
        return Day(said, "its card")
    return USUAL_DAY


def parse_day(text: str) -> date:
    """Returns a day written as 2024-07-26. Raises BadOption."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadOption(f"`date={text[:40]!r}` is not a date; write it as 2024-07-26") from error


def day_in(text: str) -> Day | None:
    """Returns the first day that is written in a text, in a form that templates write, or None."""
    written = _first_day(_WRITTEN.findall(text))
    return Day(written, "the text") if written else None


def _first_day(texts: list[str]) -> date | None:
    for text in texts:
        for form in FORMATS:
            try:
                return datetime.strptime(text.strip(), form).date()
            except ValueError:
                continue
    return None


def _text(file: Path) -> str:
    with reading(file, BadCheckpoint):
        return file.read_text(encoding="utf-8", errors="replace")
