"""Prompt formats as TOML: rmeval's own in `data/judges`, or a user's file."""

import hashlib
import json
import re
import tomllib
from collections.abc import Collection, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from rmeval.errors import BadOption, UnknownName, first_line
from rmeval.judging.formats import FIELD, FIELDS, PAIRWISE, TURN_FIELDS, PromptFormat, Wording
from rmeval.judging.verdicts import Labels, Scale

RATED = "rewardbench-2"  # its publisher has each response rated; all others are compared
SUFFIX = ".toml"
TURN = "{role}: {content}"
NUMBER = (int, float)
KINDS_OF_KEYS: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "kind": str,
    "user": str,
    "verdict": dict,
    "max_new_tokens": int,
    "temperature": NUMBER,
    "summary": str,
    "source": str,
    "system": str,
    "turns": dict,
    "subsets": dict,
    "turn": str,
    "a": str,
    "b": str,
    "tie": str,
    "pattern": str,
    "low": NUMBER,
    "high": NUMBER,
    "thinks": bool,
}
REQUIRED = ("name", "kind", "user", "verdict", "max_new_tokens", "temperature")
OPTIONAL = ("summary", "source", "system", "turns", "subsets")


def default_format(benchmark: str) -> str:
    """Returns which format a benchmark is asked with: RewardBench 2 rates, all others compare."""
    return "rating" if benchmark == RATED else "rewardbench"


def shipped_formats() -> dict[str, PromptFormat]:
    """Returns rmeval's own formats, by name."""
    folder = files("rmeval") / "data" / "judges"
    found = [
        _parse(item.read_text(encoding="utf-8"), item.name)
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
    ]
    return {known.name: known for known in found}


def read_format(name: str) -> PromptFormat:
    """Returns a format of rmeval's own by name, or that of a file that ends in .toml.

    Raises UnknownName, or BadOption for a file that cannot be read as a format.
    """
    if not name.endswith(SUFFIX):
        known = shipped_formats()
        if name not in known:
            raise UnknownName("prompt format", name, known, "; or pass a FILE.toml")
        return known[name]
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise BadOption(f"cannot read the prompt format {name}: {reason}") from error
    return _parse(text, name)


def _parse(text: str, place: str) -> PromptFormat:
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadOption(f"{place}: not TOML ({first_line(error)})") from error
    _require_keys(table, place, REQUIRED, OPTIONAL)
    kind, turns = table["kind"], table.get("turns", {})
    if kind not in FIELDS:
        raise UnknownName(f"kind in {place}", kind, FIELDS)
    if table["max_new_tokens"] < 1 or not 0 <= table["temperature"] <= 100:
        raise BadOption(f"{place}: max_new_tokens must be at least 1, and temperature 0 to 100")
    _require_keys(turns, f"{place} [turns]", (), ("turn", "system", "user"))
    turn = turns.get("turn", TURN)
    _require_fields(turn, f"{place} [turns]: turn", TURN_FIELDS)
    single = _wording(table, Wording("", ""), kind, place)
    return PromptFormat(
        name=table["name"],
        kind=kind,
        summary=table.get("summary", ""),
        source=table.get("source", ""),
        max_new_tokens=table["max_new_tokens"],
        temperature=float(table["temperature"]),
        single=single,
        several=_wording(turns, single, kind, f"{place} [turns]"),
        turn=turn,
        subsets=_subsets(table.get("subsets", {}), single, kind, place),
        verdict=_verdict(table["verdict"], kind, f"{place} [verdict]"),
        sha256=_digest(table),
    )


def _subsets(
    tables: Mapping[str, Any], single: Wording, kind: str, place: str
) -> dict[str, Wording]:
    found = {}
    for name, table in tables.items():
        where = f"{place} [subsets.{name}]"
        if not isinstance(table, dict):
            raise BadOption(f"{where}: must be a table")
        _require_keys(table, where, ("user",), ("system",))
        found[name] = _wording(table, single, kind, where)
    return found


def _wording(table: Mapping[str, Any], otherwise: Wording, kind: str, place: str) -> Wording:
    wording = Wording(table.get("system", otherwise.system), table.get("user", otherwise.user))
    _require_fields(wording.user, f"{place}: user", FIELDS[kind])
    return wording


def _verdict(table: Mapping[str, Any], kind: str, place: str) -> Labels | Scale:
    """Returns how an answer is read. Raises BadOption for labels or a pattern that cannot be."""
    if kind == PAIRWISE:
        _require_keys(table, place, ("a", "b"), ("tie", "thinks"))
        labels = [label for key, label in table.items() if key != "thinks"]
        for label in labels:
            if not label or any(label in other for other in labels if other != label):
                raise BadOption(f"{place}: the label {label!r} is empty or part of another")
        if len(set(labels)) < len(labels):
            raise BadOption(f"{place}: two labels are the same")
        return Labels(**table)
    _require_keys(table, place, ("pattern", "low", "high"), ("thinks",))
    try:
        groups = re.compile(table["pattern"]).groups
    except (re.error, RecursionError, OverflowError) as error:
        raise BadOption(
            f"{place}: the pattern is not a regular expression ({first_line(error)})"
        ) from error
    if groups != 1 or not table["low"] < table["high"]:
        raise BadOption(f"{place}: the pattern needs one group, the rating, and low less than high")
    return Scale(**table)


def _require_keys(
    table: Mapping[str, Any], place: str, required: Collection[str], optional: Collection[str]
) -> None:
    """Raises BadOption or UnknownName for a key that is missing, unknown or of another kind."""
    known = [*required, *optional]
    for key, value in table.items():
        if key not in known:
            raise UnknownName(f"key in {place}", key, known)
        kinds = KINDS_OF_KEYS[key]
        if isinstance(value, bool) != (kinds is bool) or not isinstance(value, kinds):
            raise BadOption(f"{place}: {key} has the wrong type")
    for key in required:
        if key not in table:
            raise BadOption(f"{place}: no {key}; needed: {', '.join(required)}")


def _require_fields(text: str, place: str, fields: Collection[str]) -> None:
    """Raises BadOption or UnknownName unless a text has these fields, and no others."""
    found = FIELD.findall(text)
    for name in found:
        if name not in fields:
            raise UnknownName(f"field in {place}", name, fields)
    for name in fields:
        if name not in found:
            raise BadOption(f"{place}: no {{{name}}}; needed: {{{'}, {'.join(fields)}}}")


def _digest(table: Mapping[str, Any]) -> str:
    asked = {k: v for k, v in table.items() if k not in ("name", "summary", "source")}
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()
