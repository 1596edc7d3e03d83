"""Facts about checkpoints on the Hub, by name, and templates: what weights themselves cannot tell.

A model does not need to be known to be evaluated: its family is found in its own files.
"""

import csv
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from io import StringIO
from math import nan
from pathlib import Path
from typing import Any, NamedTuple

from rmeval.errors import BadData, BadOption, UnknownName

PROOFS = ("golden cases", "inspection", "not yet")
BYTES = {"float16": 2, "bfloat16": 2, "float32": 4}
STATED = re.compile(r"\{#-?\s*specials: ([\w+]+)")
FACTS = ("benchmark", "model", "type", "Score", "weighting", "source", "date", "note")
MAY_HAVE = ("revision", "of")
NOT_STATED = "not stated"  # the weighting of a row whose publisher does not say it
# Percentages beyond 0 to 100: RewardBench 2's Ties runs from -1 to 101, its Score is a mean of six.
RANGES = {("rewardbench-2", "Ties"): (-1.0, 101.0), ("rewardbench-2", "Score"): (-1 / 6, 601 / 6)}


class Shipped(NamedTuple):
    """A model that ships with rmeval, and the benchmark that it is evaluated on unless told."""

    folder: Path
    benchmark: str


SHIPPED = {"demo": Shipped(Path(__file__).parent / "data" / "demo" / "model", "demo")}


# What families do with special tokens where they do not leave it to the template; the families' own
# modules say so too, and cannot be asked before torch is loaded.
FAMILY_SPECIALS = dict.fromkeys(("athene", "grm", "polar", "starling", "urm"), "tokenizer")


@dataclass(frozen=True, slots=True)
class Published:
    """A row of a published table, in percent, with the weighting that it carries.

    `type` is what kind of model it is, in its publisher's words: sequence classifier, custom head,
    generative, … `note` says what is odd about the row, if anything: its publisher's marks too.
    `revision` is that of the model, where its publisher gives several. `of` names the section that
    the Score is of, where it is not the benchmark's.
    """

    model: str
    benchmark: str
    type: str
    weighting: str
    overall: float
    sections: dict[str, float]
    source: str
    date: str
    note: str
    revision: str = ""
    of: str = ""

    @property
    def cited(self) -> str:
        """Where and when it was published, and of which revision."""
        return ", ".join(filter(None, [self.source, self.date, self.revision]))


@dataclass(frozen=True, slots=True)
class KnownCheckpoint:
    """A checkpoint's family, size and proof.

    `dtype` is that of its weights, or None where nobody has read it. `proof`, one of PROOFS, says
    what shows that the adapter gives the authors' scores; `golden` names the folder of cases.
    `template` names the shipped chat template that stands in where its tokenizer has none;
    `specials` is its authors' policy where that is not its family's, one of SPECIALS, and
    `max_length` the tokens to which they cut a text, where config.json allows more.
    `published_as` is what published tables call it.
    """

    name: str
    family: str
    parameters: str
    dtype: str | None
    proof: str
    golden: str | None
    template: str | None
    specials: str | None
    published_as: str
    max_length: int | None = None

    @property
    def policy(self) -> str:
        """What is done to a text: special tokens, the longest that is read, a template's name."""
        stated = shipped_templates()[self.template].specials if self.template else None
        told = [self.specials or stated or FAMILY_SPECIALS.get(self.family, "template")]
        told += [f"{self.max_length:,} tokens"] if self.max_length else []
        return ", ".join([*told, *([f"format {self.template}"] if self.template else [])])

    @property
    def memory(self) -> float:
        """What the weights take in their own dtype, or in 16 bits where it is not known, in GiB."""
        size = BYTES[self.dtype or "float16"]
        return float(self.parameters.removesuffix("B")) * 1e9 * size / 2**30


@cache
def known_checkpoints() -> dict[str, KnownCheckpoint]:
    """Returns the shipped table, `rmeval/data/checkpoints.toml`, by Hub name."""
    text = (files("rmeval") / "data" / "checkpoints.toml").read_text(encoding="utf-8")
    return {
        name: KnownCheckpoint(
            name=name,
            family=facts["family"],
            parameters=facts["parameters"],
            dtype=facts.get("dtype"),
            proof=facts["proof"],
            golden=facts.get("golden"),
            template=facts.get("template"),
            specials=facts.get("specials"),
            published_as=facts.get("published_as", name),
            max_length=facts.get("max_length"),
        )
        for name, facts in tomllib.loads(text).items()
    }


def find_known(name: str) -> KnownCheckpoint | None:
    """Returns the known checkpoint of a Hub name, or of a folder that is called as it is there."""
    known = known_checkpoints()
    by_folder = {hub.split("/")[1]: facts for hub, facts in known.items()}
    return known.get(name) or by_folder.get(Path(name).name)


def usual_length(name: str, family: str) -> int | None:
    """Returns the tokens to which a known checkpoint's authors cut a text, if it is that family."""
    known = find_known(name)
    return known.max_length if known and known.family == family else None


class ChatTemplate(NamedTuple):
    """A chat template that is not the tokenizer's own; `source` says whose it is, in words."""

    text: str
    source: str

    @property
    def specials(self) -> str | None:
        """The policy that it states in a comment, `{#- specials: bos. … -#}`, or None."""
        stated = STATED.search(self.text)
        return stated[1] if stated else None


def shipped_templates() -> dict[str, ChatTemplate]:
    """Returns the chat templates in `rmeval/data/templates`, by name."""
    folder = files("rmeval") / "data" / "templates"
    found = {item.name.removesuffix(".jinja"): item for item in folder.iterdir()}
    return {
        name: ChatTemplate(found[name].read_text(encoding="utf-8").rstrip("\n"), f"rmeval's {name}")
        for name in sorted(found)
    }


def find_template(name_or_file: str) -> ChatTemplate:
    """Returns a shipped template or a file's. Raises UnknownName or BadOption."""
    shipped, path = shipped_templates(), Path(name_or_file)
    if name_or_file in shipped:
        return shipped[name_or_file]
    if not path.is_file():
        raise UnknownName("chat template", name_or_file, shipped, "; or pass a file")
    try:
        return ChatTemplate(path.read_text(encoding="utf-8"), f"the file {path.name}")
    except (OSError, UnicodeDecodeError) as error:
        raise BadOption(f"`chat_template={str(path)!r}`: cannot be read as text") from error


def objective_names(family: str, number: int) -> tuple[str, ...]:
    """Returns what a family's objectives are called, `rmeval/data/objectives.toml`.

    They are numbered where it has no names for so many.
    """
    text = (files("rmeval") / "data" / "objectives.toml").read_text(encoding="utf-8")
    names = tomllib.loads(text).get(family, {}).get(str(number))
    return tuple(names or (f"objective {index}" for index in range(1, number + 1)))


@cache
def published_tables() -> dict[str, tuple[Published, ...]]:
    """Returns the shipped tables, each as its publisher has it.

    They are `rmeval/data/published/*.csv`, and the rows in `rmeval/data/benchmarks/*.toml`.
    """
    data = files("rmeval") / "data"
    tables, recipes = (
        {item.name.rpartition(".")[0]: item for item in (data / folder).iterdir()}
        for folder in ("published", "benchmarks")
    )
    found = {
        name: _read_table(item.read_text(encoding="utf-8"), item.name)
        for name, item in tables.items()
    }
    for name, item in recipes.items():
        rows = published_in(tomllib.loads(item.read_text(encoding="utf-8")), name, item.name)
        found |= {name: rows} if rows else {}
    return {name: found[name] for name in sorted(found)}


def published_rows() -> tuple[Published, ...]:
    """Returns the rows of every shipped table, each model's figures once."""
    return without_repeats(row for table in published_tables().values() for row in table)


def published_of(model: str, benchmark: str) -> tuple[Published, ...]:
    """Returns the rows of a model, by its name on the Hub; several only where figures differ.

    Model cards come before leaderboards.
    """
    known = known_checkpoints().get(model)
    name = (known.published_as if known else model).casefold()
    rows = (row for table in published_tables().values() for row in table)
    found = (row for row in rows if row.benchmark == benchmark and row.model.casefold() == name)
    return without_repeats(found)


def published_beside(
    model: str, benchmark: str, own: Published | None, more: Sequence[Published] = ()
) -> list[Published]:
    """Returns a recipe's own row, where it is of the benchmark, and the model's that differ.

    `more` are rows that do not ship.
    """
    name = own.model if own else model
    also = [row for row in more if row.model.casefold() == name.casefold()]
    rows = without_repeats([*published_of(name, benchmark), *also])
    if own is None or own.benchmark != benchmark:
        return list(rows)
    return [own, *(row for row in rows if not same_figures(row, own))]


def without_repeats(rows: Iterable[Published]) -> tuple[Published, ...]:
    """Returns rows without those that repeat another's figures: tables cite each other.

    Of two that agree the finer one stays, in the place of the first.
    """
    kept: dict[tuple[str, ...], list[Published]] = {}
    for row in rows:
        same = kept.setdefault((row.benchmark, row.model.casefold()), [])
        place = next((i for i, other in enumerate(same) if same_figures(row, other)), None)
        if place is None:
            same.append(row)
        elif _fineness(row) > _fineness(same[place]):
            same[place] = row
    return tuple(row for same in kept.values() for row in same)


def same_figures(a: Published, b: Published) -> bool:
    """Whether two rows of one model are under one weighting and agree, as far as both print."""
    if (a.weighting, a.of) != (b.weighting, b.of):
        return False
    pairs = [(a.overall, b.overall)]
    pairs += [(value, b.sections[name]) for name, value in a.sections.items() if name in b.sections]
    return all(
        abs(x - y) <= 0.5 * 10.0 ** -min(_decimals(x), _decimals(y)) + 1e-9 for x, y in pairs
    )


def _fineness(row: Published) -> tuple[int, int]:
    figures = (row.overall, *row.sections.values())
    return len(figures), max(map(_decimals, figures))


def _decimals(figure: float) -> int:
    """Returns how many decimals a figure is printed with, at least one."""
    return max(1, len(f"{figure:.12f}".rstrip("0").partition(".")[2]))


def read_published(path: Path) -> tuple[Published, ...]:
    """Reads a table in the layout of the shipped ones. Raises BadData, naming the line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"{path}: cannot be read as a table of published rows") from error
    return _read_table(text, str(path))


def published_in(content: Mapping[str, Any], benchmark: str, place: str) -> tuple[Published, ...]:
    """Returns the rows `[[published]]` of a benchmark's recipe.

    Source, weighting, type and date need not be said for each. Raises BadOption or BadData.
    """
    rows = content.get("published", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadOption(f"{place}: published must be a list of rows, [[published]]")
    usual = {
        **dict.fromkeys(("type", "date", "note"), ""),
        "source": content.get("source"),
        "weighting": "mean" if content.get("score") == "subsets" else "rows",
        "benchmark": benchmark,
    }
    found = []
    for number, row in enumerate(rows, 1):
        facts, here = {**usual, **row}, f"{place}: published row {number}"
        for name in (*FACTS, *MAY_HAVE):
            if name != "Score" and not isinstance(facts.get(name, ""), str):
                raise BadData(f"{here}: {name} must be a text")
        found.append(published_from(facts, here))
    return tuple(found)


def published_from(facts: Mapping[str, Any], place: str) -> Published:
    """Returns a row from FACTS and a percentage per section; a blank is no section.

    Raises BadData for a fact that is missing, or a figure that is not a percentage.
    """
    missing = [fact for fact in FACTS if not isinstance(facts.get(fact), str | int | float)]
    if missing:
        raise BadData(f"{place}: no {missing[0]}; a published row has {', '.join(FACTS)}")
    named = (*FACTS, *MAY_HAVE)
    figures = {"Score": facts["Score"]}
    figures |= {name: value for name, value in facts.items() if name not in named and value != ""}
    found = {
        name: _percent(value, f"{place}: {name}", RANGES.get((facts["benchmark"], name)))
        for name, value in figures.items()
    }
    return Published(
        model=facts["model"],
        benchmark=facts["benchmark"],
        type=facts["type"],
        weighting=facts["weighting"],
        overall=found.pop("Score"),
        sections=found,
        source=facts["source"],
        date=facts["date"],
        note=facts["note"],
        **{name: facts[name] for name in MAY_HAVE if facts.get(name)},
    )


def _read_table(text: str, name: str) -> tuple[Published, ...]:
    reader = csv.DictReader(StringIO(text), restkey="one cell too many", strict=True)
    try:
        missing = [fact for fact in FACTS if fact not in (reader.fieldnames or ())]
        if missing:
            columns = ", ".join(FACTS)
            raise BadData(f"{name}: no column {missing[0]}; a published table has {columns}")
        return tuple(published_from(row, f"{name} line {reader.line_num}") for row in reader)
    except csv.Error as error:
        raise BadData(f"{name} line {reader.reader.line_num}: not CSV ({error})") from error


def _percent(value: Any, place: str, ends: tuple[float, float] | None) -> float:
    low, high = ends or (0.0, 100.0)
    try:
        percent = float(value)
    except (TypeError, ValueError, OverflowError):
        percent = nan
    if not low <= percent <= high:  # also not for NaN
        raise BadData(f"{place} is {value!r}, not a percentage")
    return percent
