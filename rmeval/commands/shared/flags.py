"""The library names arguments, `max_length=48`; the command line prints them as its flags.

Only what stands in backticks, with names that are arguments and flags, is one: a data set's own
text stays as it is.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from rmeval.load_options import LOAD_OPTIONS

SAME_NAME = (  # as the flag, of other functions than those that load a model
    *("against", "columns", "concurrency", "data", "drop_bias", "endpoint", "fresh", "host"),
    *("keep", "key_over_http", "limit", "max_body_mib", "max_new_tokens", "max_wait", "models"),
    *("min_margin", "name", "normalise", "on", "on_long", "output", "port", "request_tokens"),
    *("replace", "split", "text_template", "ways"),
)
OTHER_NAME = {
    "batch": "--judge-batch",
    "checks": "--no-checks",
    "form": "--as",
    "weights": "--dry-run",
}
FLAGS = {
    **{name: f"--{name.replace('_', '-')}" for name in SAME_NAME},
    **{f: f"--{f.replace('_', '-')}" for f, option in LOAD_OPTIONS.items() if option.flag},
    **OTHER_NAME,
}
TEXT = r"'[^'`]*'|\"[^\"`]*\""
ARGUMENT = rf"(\w+)=(\{{[^`}}]*\}}|{TEXT}|[\w.+-]+)?"
QUOTED = re.compile(rf"`{ARGUMENT}(?:, {ARGUMENT})*`")
ITEM = re.compile(rf"({TEXT}): ({TEXT})")


def as_flags(text: str) -> str:
    """Returns a message with its arguments as flags: "--max-length 48" for `max_length=48`."""
    return QUOTED.sub(_flags, text)


def _flags(quoted: re.Match[str]) -> str:
    arguments = re.findall(ARGUMENT, quoted.group())
    if not all(name in FLAGS for name, _ in arguments):
        return quoted.group()
    return " ".join(f"{FLAGS[name]}{_value(value)}" for name, value in arguments)


def _value(value: str) -> str:
    """Returns what stands behind a flag, as it is typed: nothing behind a switch."""
    if value in ("", "True", "False"):
        return ""
    if value.startswith("{"):
        pairs = [f"{ours[1:-1]}={theirs[1:-1]}" for ours, theirs in ITEM.findall(value)]
        return f" {','.join(pairs)}"
    return f" {value[1:-1]}" if value[0] in "'\"" else f" {value}"


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return as_flags(super().format(record))


@contextmanager
def warnings_with_flags() -> Iterator[None]:
    """Prints the library's warnings on stderr, with flags, during the block."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter())
    logger = logging.getLogger("rmeval")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
