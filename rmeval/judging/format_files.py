"""Prompt formats as TOML: rmeval's own in `data/judges`, or a user's file."""

import hashlib
import json
import tomllib
from collections.abc import Collection, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from rmeval.errors import BadOption, UnknownName, first_line
from rmeval.judging.fields import FIELD
from rmeval.judging.formats import (
    CRITERION,
    FIELDS,
    LISTWISE,
    TURN_FIELDS,
    TURNS,
    Criterion,
    PromptFormat,
    Subset,
    Wording,
)
from rmeval.judging.verdict_files import read_verdict, require_keys
from rmeval.records import Message

RATED = "rewardbench-2"  # its publisher has each response rated; all others are compared
SUFFIX = ".toml"
TURN = "{role}: {content}"
ITEM = "[Response {letter}]\n{response}"
ITEM_FIELDS = ("letter", "number", "response", "prompt")
REQUIRED = ("name", "kind", "verdict", "max_new_tokens", "temperature")
WORDS = ("system", "user", "messages")
OPTIONAL = ("summary", "source", *WORDS, "item", CRITERION, "criteria", "turns", "subsets")


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
    return _parse(_read(name, "prompt format"), name)


def read_criteria(name: str, asked: PromptFormat) -> PromptFormat:
    """Returns a format with the criteria of a file, `[[criteria]]` with text, name and weight.

    Raises BadOption for a file that holds none, or a format that asks for none.
    """
    if not asked.single.has(CRITERION):
        raise BadOption(f"the prompt format {asked.name} asks for no {{{CRITERION}}}")
    table = _toml(_read(name, "file of criteria"), name)
    require_keys(table, name, ("criteria",), ())
    return asked.with_criteria(_criteria(table, name), _digest({"of": asked.sha256, **table}))


def _read(name: str, what: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise BadOption(f"cannot read the {what} {name}: {reason}") from error


def _toml(text: str, place: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadOption(f"{place}: not TOML ({first_line(error)})") from error


def _parse(text: str, place: str) -> PromptFormat:
    table = _toml(text, place)
    require_keys(table, place, REQUIRED, OPTIONAL)
    kind, turns = table["kind"], table.get("turns", {})
    if kind not in FIELDS:
        raise UnknownName(f"kind in {place}", kind, FIELDS)
    if table["max_new_tokens"] < 1 or not 0 <= table["temperature"] <= 100:
        raise BadOption(f"{place}: max_new_tokens must be at least 1, and temperature 0 to 100")
    require_keys(turns, f"{place} [turns]", (), ("turn", "system", "user"))
    turn, item = turns.get("turn", TURN), table.get("item", ITEM)
    _require_fields(turn, f"{place} [turns]: turn", TURN_FIELDS)
    _require_item(table, item, place)
    criteria, subsets = _criteria(table, place), _subsets(table, place)
    return PromptFormat(
        name=table["name"],
        kind=kind,
        summary=table.get("summary", ""),
        source=table.get("source", ""),
        max_new_tokens=table["max_new_tokens"],
        temperature=float(table["temperature"]),
        single=_wording(table, kind, place),
        several=_wording({**table, **turns}, kind, f"{place} [turns]"),
        turn=turn,
        item=item,
        criteria=criteria,
        subsets=subsets,
        verdict=read_verdict(table["verdict"], kind, f"{place} [verdict]"),
        sha256=_digest(table, subsets),
    )


def _require_item(table: Mapping[str, Any], item: str, place: str) -> None:
    if table["kind"] != LISTWISE and "item" in table:
        raise BadOption(f"{place}: item is how one of several responses is shown; kind says none")
    _require_fields(item, f"{place}: item", ("response",), ITEM_FIELDS)
    if not {"letter", "number"} & set(FIELD.findall(item)):
        raise BadOption(f"{place}: item tells no response from another; {{letter}} or {{number}}")


def _criteria(table: Mapping[str, Any], place: str) -> tuple[Criterion, ...]:
    """Returns what a format judges by. Raises BadOption for a weight that is none."""
    if CRITERION in table:
        return (Criterion("", table[CRITERION]),)
    found = []
    for number, one in enumerate(table.get("criteria", ()), 1):
        where = f"{place} [[criteria]] {number}"
        require_keys(one, where, ("text",), ("name", "weight"))
        weight = float(one.get("weight", 1))
        if not 0 < weight < float("inf"):
            raise BadOption(f"{where}: weight must be greater than 0")
        found.append(Criterion(one.get("name", f"criterion {number}"), one["text"], weight))
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise BadOption(f"{place}: two criteria have one name")
    return tuple(found)


def _subsets(table: Mapping[str, Any], place: str) -> dict[str, Subset]:
    found = {}
    for name, own in table.get("subsets", {}).items():
        where = f"{place} [subsets.{name}]"
        require_keys(own, where, (), ("system", "user", CRITERION, "format"))
        other = _other_format(table["name"], own["format"]) if "format" in own else None
        words = {key: own[key] for key in ("system", "user") if key in own}
        wording = _wording({**table, **words}, table["kind"], where) if words else None
        found[name] = Subset(wording, own.get(CRITERION), other)
    return found


def _other_format(name: str, other: str) -> PromptFormat:
    """Returns the format of rmeval's own that another one names for a subset.

    Raises UnknownName, and BadOption for one that has such subsets itself.
    """
    folder = files("rmeval") / "data" / "judges"
    known = [item.name.removesuffix(SUFFIX) for item in folder.iterdir()]
    if other not in known or other == name:
        raise UnknownName("prompt format", other, [one for one in known if one != name])
    text = (folder / f"{other}{SUFFIX}").read_text(encoding="utf-8")
    if any("format" in own for own in _toml(text, other).get("subsets", {}).values()):
        raise BadOption(f"{name}: {other} asks about a subset with another format itself")
    return _parse(text, other)


def _wording(table: Mapping[str, Any], kind: str, place: str) -> Wording:
    """Returns the messages of `system` and `user`, or those of [[messages]]."""
    if ("messages" in table) == ("user" in table) or ("system" in table and "messages" in table):
        raise BadOption(f"{place}: either user, which system may go with, or [[messages]]")
    if "user" in table:
        _require_fields(table["user"], f"{place}: user", FIELDS[kind], (*FIELDS[kind], CRITERION))
        system = [Message("system", table["system"])] if table.get("system") else []
        return Wording((*system, Message("user", table["user"])))
    found = []
    for number, one in enumerate(table["messages"], 1):
        where = f"{place} [[messages]] {number}"
        require_keys(one, where, (), ("role", "content", "prompt"))
        if one.get("prompt") is not True:
            require_keys(one, where, ("role", "content"), ())
        found.append(TURNS if "prompt" in one else Message(one["role"], one["content"]))
    shown = " ".join(["{prompt}" * found.count(TURNS), *(message.content for message in found)])
    _require_fields(shown, f"{place}: messages", FIELDS[kind], (*FIELDS[kind], CRITERION))
    return Wording(found)


def _require_fields(
    text: str, place: str, fields: Collection[str], known: Collection[str] = ()
) -> None:
    """Raises BadOption or UnknownName unless a text has these fields, and no unknown one."""
    found = FIELD.findall(text)
    for name in found:
        if name not in (known or fields):
            raise UnknownName(f"field in {place}", name, known or fields)
    for name in fields:
        if name not in found:
            raise BadOption(f"{place}: no {{{name}}}; needed: {{{'}, {'.join(fields)}}}")


def _digest(table: Mapping[str, Any], subsets: Mapping[str, Subset] | None = None) -> str:
    """Returns the hash of all that decides what is asked, other formats for subsets included."""
    asked = {k: v for k, v in table.items() if k not in ("name", "summary", "source")}
    others = [one.prompt_format for one in (subsets or {}).values() if one.prompt_format]
    if others:
        asked["others"] = {other.name: other.sha256 for other in others}
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()
