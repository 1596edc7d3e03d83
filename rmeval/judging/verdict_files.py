"""How a prompt format says that answers are read: its table [verdict]."""

import re
from collections.abc import Collection, Mapping
from math import inf
from typing import Any

from rmeval.errors import BadOption, UnknownName, first_line
from rmeval.judging.fields import FIELD
from rmeval.judging.formats import LISTWISE, PAIRWISE
from rmeval.judging.places import Field, Pattern, Place, Tag
from rmeval.judging.verdicts import Best, Labels, Likely, Mapped, Named, Reader, Scale

NUMBER = (int, float)
TEXTS = (
    *("name", "kind", "user", "summary", "source", "system", "turn", "item", "criterion"),
    *(
        "format",
        "role",
        "content",
        "text",
        "a",
        "b",
        "tie",
        "pattern",
        "xml",
        "label",
        "before",
        "after",
    ),
)
KINDS_OF_KEYS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(TEXTS, (str,)),
    **dict.fromkeys(["verdict", "turns", "subsets", "map", "tokens"], (dict,)),
    **dict.fromkeys(["temperature", "weight", "low", "high"], NUMBER),
    **dict.fromkeys(["scores", "several", "letters", "prompt"], (bool,)),
    **dict.fromkeys(["messages", "criteria"], (list,)),
    "max_new_tokens": (int,),
    "json": (str, list),
    "thinks": (bool, str),
}
PLACES = ("pattern", "json", "xml")
KEYS = (
    *("a", "b", "tie", "label", "several", *PLACES, "map", "scores", "low", "high"),
    *("tokens", "letters", "before", "after", "thinks"),
)
WAYS = {
    "pairwise": "a and b; or pattern, json or xml with map or scores; or tokens",
    "rating": "pattern, json or xml with low and high or map; or tokens",
    "listwise": "label; or pattern, json or xml, also with scores; or letters",
}


def read_verdict(table: Mapping[str, Any], kind: str, place: str) -> Reader:
    """Returns how the answers to a format of this kind are read.

    Raises BadOption for labels, a pattern, a map or a scale that cannot be.
    """
    require_keys(table, place, (), KEYS)
    given = set(table) - {"thinks"}
    thinks = {"thinks": table["thinks"]} if table.get("thinks") else {}
    if given in ({"a", "b"}, {"a", "b", "tie"}) and kind == PAIRWISE:
        return _labels(table, place)
    if given in ({"label"}, {"label", "several"}) and kind == LISTWISE:
        if not {"letter", "number"} & set(FIELD.findall(table["label"])):
            raise BadOption(f"{place}: label tells no response from another; use {{letter}}")
        return Best(table["label"], table.get("several", False), **thinks)
    if given - {"before", "after"} == ({"letters"} if kind == LISTWISE else {"tokens"}):
        return _likely(table, kind, place)
    if len(given & set(PLACES)) != 1:
        raise BadOption(f"{place}: {kind} is read by {WAYS[kind]}")
    return _placed(table, given - set(PLACES), kind, place)


def _placed(table: Mapping[str, Any], given: set[str], kind: str, place: str) -> Reader:
    """Returns how what stands in one place of an answer is read."""
    where, thinks = _place(table, place), table.get("thinks", False)
    if given == {"map"} and kind != LISTWISE:
        values = _values(table["map"], kind, f"{place}: map")
        return Mapped(where, values, kind == PAIRWISE, thinks)
    if not given and kind == LISTWISE:
        return Named(where, thinks)
    scored = {"low", "high"} if kind not in (PAIRWISE, LISTWISE) else {"scores", "low", "high"}
    if given != scored or table.get("scores") is False:
        raise BadOption(f"{place}: {kind} is read by {WAYS[kind]}, and scores by low and high")
    if not -inf < table["low"] < table["high"] < inf:
        raise BadOption(f"{place}: low must be less than high, and both finite")
    return Scale(where, float(table["low"]), float(table["high"]), kind == PAIRWISE, thinks)


def _labels(table: Mapping[str, Any], place: str) -> Labels:
    labels = [label for key, label in table.items() if key != "thinks"]
    for label in labels:
        if not label or any(label in other for other in labels if other != label):
            raise BadOption(f"{place}: the label {label!r} is empty or part of another")
    if len(set(labels)) < len(labels):
        raise BadOption(f"{place}: two labels are the same")
    return Labels(**table)


def _likely(table: Mapping[str, Any], kind: str, place: str) -> Likely:
    found = {key: table[key] for key in ("before", "after", "thinks") if key in table}
    if {"before", "after"} <= found.keys():
        raise BadOption(f"{place}: before or after, not both")
    if "after" in found:
        _compiled(found["after"], f"{place}: after")
    if kind == LISTWISE:
        return Likely(None, **found)
    return Likely(_values(table["tokens"], kind, f"{place}: tokens"), kind == PAIRWISE, **found)


def _compiled(pattern: str, place: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise BadOption(
            f"{place}: the pattern is not a regular expression ({first_line(error)})"
        ) from error


def _place(table: Mapping[str, Any], place: str) -> Place:
    if "xml" in table:
        if not re.fullmatch(r"[\w.:-]+", table["xml"]):
            raise BadOption(f"{place}: xml is the name of a tag, without brackets")
        return Tag(table["xml"])
    if "json" in table:
        names = [table["json"]] if isinstance(table["json"], str) else table["json"]
        if not names or not all(isinstance(name, str) and name for name in names):
            raise BadOption(f"{place}: json is the name of a field, or a list of names")
        return Field(tuple(names))
    if _compiled(table["pattern"], place).groups != 1:
        raise BadOption(f"{place}: the pattern needs one group, the verdict; others are (?:…)")
    return Pattern(table["pattern"])


def _values(table: Mapping[str, Any], kind: str, place: str) -> dict[str, float]:
    """Returns what each entry means. Raises BadOption for too few, or what is no such number."""
    for key, value in table.items():
        number = isinstance(value, NUMBER) and not isinstance(value, bool)
        if not key.strip() or key != key.strip() or not number:
            raise BadOption(f"{place}: {key!r} must be a text with a number, without white space")
        if not (0 <= value <= 1 if kind == PAIRWISE else abs(value) < inf):
            raise BadOption(f"{place}: {key!r} means P(the first is better), from 0 to 1")
    if len(set(table.values())) < 2:
        raise BadOption(f"{place}: needs two entries that mean something else")
    return {key: float(value) for key, value in table.items()}


def require_keys(
    table: Any, place: str, required: Collection[str], optional: Collection[str]
) -> None:
    """Raises BadOption or UnknownName for a key that is missing, unknown or of another kind."""
    if not isinstance(table, dict):
        raise BadOption(f"{place}: must be a table")
    known = [*required, *optional]
    for key, value in table.items():
        if key not in known:
            raise UnknownName(f"key in {place}", key, known)
        kinds = KINDS_OF_KEYS[key]
        is_bool = isinstance(value, bool)
        if not isinstance(value, kinds) or (is_bool and bool not in kinds):
            raise BadOption(f"{place}: {key} has the wrong type")
    for key in required:
        if key not in table:
            raise BadOption(f"{place}: no {key}; needed: {', '.join(required)}")
