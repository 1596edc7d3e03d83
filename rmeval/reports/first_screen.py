"""What a report answers before any scrolling: how good, is it sound, what is wrong, how made."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple
from urllib.parse import urlencode

from rmeval.errors import one_line
from rmeval.known import Published, published_of, published_rows
from rmeval.metrics.names import OVERALL, Metric
from rmeval.metrics.scheme import Scheme
from rmeval.records import Interval, Preference, Result
from rmeval.reports.changes import Change, find_changes
from rmeval.reports.labels import metric_label, shown_interval
from rmeval.reports.page_rows import Texts
from rmeval.reports.weaknesses import Bias, Example, Weakness, strongest_bias, weakest_subsets
from rmeval.results.baselines import figures_of, nearest_first
from rmeval.results.comparison import Comparison, compare_results, verdict
from rmeval.results.schema import kind_of
from rmeval.results.standings import unread_note

BARS = 6  # sections that have bars; a phone's screen holds no more
MARKS = 3  # other models beside a bar
WEAKEST = 3  # subsets that are named
EXCERPT = 110  # letters of a prompt
REVISION = 12  # digits of a commit
TIES = 0.02  # of the rows, from which ties are told
Status = Literal["sound", "readable", "doubtful", "unsound", "unknown"]
WORDS: dict[Status, str] = {
    "sound": "Sound",
    "readable": "Readable",
    "doubtful": "With reservations",
    "unsound": "Not sound",
    "unknown": "Not examined",
}


class Mark(NamedTuple):
    """Another model's figure beside a bar, in percent; `place` is that in the legend."""

    place: int
    value: float


class Bar(NamedTuple):
    """A metric in percent with its interval, what others have, and what a coin would get."""

    name: str
    value: float | None
    interval: Interval | None
    marks: tuple[Mark, ...]
    chance: float | None

    @property
    def shown(self) -> str:
        """The value with one digit."""
        return "–" if self.value is None else f"{self.value:.1f}"

    @property
    def ends(self) -> str:
        """The interval in percent."""
        return "" if self.interval is None else shown_interval(self.interval)


class Other(NamedTuple):
    """A model beside the one of the report: its figures in percent, by metric."""

    name: str
    about: str
    figures: Mapping[str, float]


class Fault(NamedTuple):
    """Something that is wrong, in a line, and the row that shows it."""

    name: str
    told: str
    subset: str
    example: Example | None
    excerpt: str
    surely: bool

    @property
    def link(self) -> str:
        """The view of the rows that shows the example, as the page's script reads it."""
        view = {"subset": self.subset, "row": self.example.id} if self.example else {}
        return urlencode(view)


class Soundness(NamedTuple):
    """What the doctor and the oddities of the scores come to; `findings` are (status, line)."""

    status: Status
    line: str
    findings: tuple[tuple[str, str], ...]

    @property
    def word(self) -> str:
        """The status in words, which stand where colours cannot be seen."""
        return WORDS[self.status]


@dataclass(frozen=True)
class FirstScreen:
    """The four answers, and whose they are where a report is of several models."""

    facts: tuple[str, ...]
    score: Bar
    sections: tuple[Bar, ...]
    sections_left: int
    others: tuple[Other, ...]
    verdict: str
    soundness: tuple[tuple[str, Soundness], ...]
    sound_lines: tuple[tuple[str, Soundness], ...]
    fault_heading: str
    faults: tuple[Fault, ...]
    no_fault: str
    bias: Fault | None
    made: str
    changes: tuple[Change, ...] = ()

    @property
    def rows(self) -> set[str]:
        """The ids of the rows that it links to."""
        faults = [*self.faults, *([self.bias] if self.bias else [])]
        examples = [fault.example for fault in faults]
        examples += [e for change in self.changes for e in (change.lost, change.won)]
        return {example.id for example in examples if example}


def first_screen(
    results: Sequence[Result], scheme: Scheme, names: Sequence[str], texts: Texts
) -> FirstScreen:
    """Returns the four answers of a report.

    Of two results it is about the second, held to the first, its predecessor; of more about the
    one with the best Score.
    """
    place = focus(results)
    result = results[place]
    tally = scheme.tally(result.scored, result.weighting)
    compared = compare_results(results[0], results[1]) if len(results) == 2 else None
    changes = find_changes(compared, tally) if compared else []
    others = _others(results, names, place) if len(results) > 1 else published_beside_it(result)
    sections = _sections(result)
    chance = tally.chance()
    bars = [_bar(name, result, others, chance) for name in [Metric.overall(), *sections[:BARS]]]
    if compared:
        heading, none = "What did it lose?", "No subset has lost anything."
        lost = [change for change in changes if change.subset and change.value < 0]
        faults = [_lost(change, result, texts) for change in lost[:WEAKEST]]
    else:
        heading, none = "What is wrong?", "No row was lost."
        faults = [_weak(one, result, texts) for one in weakest_subsets(result, tally, WEAKEST)]
    bias = strongest_bias(result)
    sound = [(n, soundness(r)) for n, r in zip(names, results, strict=True)]
    return FirstScreen(
        facts=tuple(_facts(result)),
        score=bars[0],
        sections=tuple(bars[1:]),
        sections_left=len(sections[BARS:]),
        others=tuple(others),
        verdict=_verdict(results, names, place, compared),
        soundness=tuple(sound),
        sound_lines=tuple(_sound_lines(sound)),
        fault_heading=heading,
        faults=tuple(faults),
        no_fault=none,
        bias=None if bias is None else _bias(bias, result, texts),
        made=made_line(result),
        changes=tuple(changes),
    )


def focus(results: Sequence[Result]) -> int:
    """Returns which result the first screen is about: the later of two, else the best."""
    if len(results) == 2:
        return 1
    return max(range(len(results)), key=lambda place: results[place].overall or 0.0)


def _sections(result: Result) -> list[Metric]:
    """Returns the metrics that have bars: the sections, or the subsets of what has none."""
    known = [Metric(name) for name in result.metrics.values]
    sections = [name for name in known if name.level == ("section", False)]
    return sections or [name for name in known if name.kind == "subset"]


def _bar(name: Metric, result: Result, others: Sequence[Other], chance: Mapping[str, float]) -> Bar:
    value = result.metrics.values.get(name)
    marks = [Mark(i, o.figures[name]) for i, o in enumerate(others) if name in o.figures]
    return Bar(
        "Score" if name == OVERALL else metric_label(name),
        None if value is None else 100 * value,
        result.metrics.intervals.get(name),
        tuple(marks),
        100 * chance[name] if name in chance else None,
    )


def published_beside_it(result: Result) -> list[Other]:
    """Returns the nearest published rows: the model's own, then the next above and below it.

    Only rows under the result's weighting are like it; a partial result has none.
    """
    if result.overall is None or result.partial:
        return []
    own = [r for r in published_of(result.model, result.benchmark) if _alike(r, result)]
    found = [Other(one.row.model, "itself, published", one.figures)
             for one in nearest_first(result, own)[:1]]  # fmt: skip
    mine = {row.model.casefold() for row in own} | {result.model.casefold()}
    rows = {r.model.casefold(): r for r in published_rows() if _alike(r, result) and not r.of}
    beside = [
        Other(row.model, "published", figures_of(row, result.metrics.values))
        for name, row in rows.items()
        if name not in mine
    ]
    return found + _nearest(100 * result.overall, beside)[: MARKS - len(found)]


def _alike(row: Published, result: Result) -> bool:
    return row.benchmark == result.benchmark and row.weighting == result.weighting


def _nearest(score: float, others: Sequence[Other]) -> list[Other]:
    """Returns the next above a Score and the next below it, as far as there are such."""
    known = [other for other in others if OVERALL in other.figures]
    above = [other for other in known if other.figures[OVERALL] >= score]
    below = [other for other in known if other.figures[OVERALL] < score]
    return [
        *sorted(above, key=lambda other: other.figures[OVERALL])[:1],
        *sorted(below, key=lambda other: -other.figures[OVERALL])[:1],
    ]


def _others(results: Sequence[Result], names: Sequence[str], place: int) -> list[Other]:
    """Returns the report's other models, those of the nearest Scores."""
    score = results[place].overall or 0.0
    rest = sorted(
        (i for i in range(len(results)) if i != place),
        key=lambda i: abs(score - (results[i].overall or 0.0)),
    )
    return [
        Other(names[i], "", {k: 100 * v for k, v in results[i].metrics.values.items()})
        for i in rest[:MARKS]
    ]


def _verdict(
    results: Sequence[Result], names: Sequence[str], place: int, compared: Comparison | None
) -> str:
    """Returns whether the model is better than its predecessor, or than the next best."""
    if len(results) == 1:
        return ""
    rest = [i for i in range(len(results)) if i != place]
    other = max(rest, key=lambda i: results[i].overall or 0.0)
    compared = compared or compare_results(results[other], results[place])
    return verdict(compared, (names[other], names[place]))


def _facts(result: Result) -> Iterator[str]:
    """Yields when it was made, of which revisions, and of how many rows."""
    model, data = result.provenance["model"], result.provenance["data"]
    yield result.provenance["started"][: len("2026-01-02")]
    for name, revision in (("model", model.get("revision")), ("data", data["revision"])):
        if revision:
            yield f"{name} revision {one_line(revision)[:REVISION]}"
    if not model.get("revision"):
        yield f"weights {one_line(model['fingerprint'])[:REVISION]}"
    rows = len(result.scored)
    yield f"{rows:,} row{'s' * (rows > 1)}"
    yield f"{result.weighting} weighting"
    yield "accuracy in percent"


def soundness(result: Result) -> Soundness:
    """Returns in a line whether the numbers can be trusted: checks, cuts, ties, what is missing."""
    provenance = result.provenance
    status, line = _examined(result)
    doubts = [
        *(one_line(warning) for warning in provenance.get("warnings", ())),
        *_oddities(result),
    ]
    if doubts and status in ("sound", "readable"):
        status = "doubtful"
    findings = [
        (
            found["status"],
            one_line(f"{found['name']}: {found['finding']}. {found['advice']}".rstrip(". ")),
        )
        for found in provenance.get("findings", ())
    ]
    return Soundness(status, "; ".join([line, *doubts]) + ".", tuple(findings))


def _sound_lines(sound: Sequence[tuple[str, Soundness]]) -> Iterator[tuple[str, Soundness]]:
    """Yields a line for the models that are told the same, with whose it is where there are two."""
    told: dict[tuple[str, str], list[tuple[str, Soundness]]] = {}
    for name, found in sound:
        told.setdefault((found.status, found.line), []).append((name, found))
    for same in told.values():
        several = f"all {len(same)} models" if len(told) == 1 else ", ".join(n for n, _ in same)
        yield "" if len(sound) == 1 else several, same[0][1]


def _examined(result: Result) -> tuple[Status, str]:
    """Returns how the doctor's checks went."""
    found = result.provenance.get("findings", [])
    told = result.provenance.get("checks", "not made")
    if found:
        bad = [one["name"] for one in found if one["status"] == "fail"]
        made = [one for one in found if one["status"] != "skipped"]
        if bad:
            return "unsound", one_line(f"the doctor's checks failed: {', '.join(bad)}")
        warned = sum(one["status"] == "warn" for one in made)
        more = f", {warned} with a warning" if warned else ""
        return "sound", f"the doctor made {len(made)} checks, none failed{more}"
    if told == "passed":
        return "sound", "the doctor's checks passed"
    if "account" in result.provenance:
        return "readable", _answers_read(result.metrics.counts)
    if "ensemble" in result.provenance:
        return "unknown", "an ensemble of stored scores; the doctor examines its members"
    if told == "not made":
        return "unknown", "the doctor's checks were not made; see rmeval doctor"
    return "unsound", one_line(f"the doctor's checks: {told}")


def _answers_read(counts: Mapping[str, int]) -> str:
    """Returns how many answers of a judge could be read, which is all that is known of them."""
    kind = "ratings" if "ratings" in counts else "verdicts"
    made = counts.get(kind, 0)
    read = made - counts.get(f"{kind}_unparsed", 0)
    return f"{read:,} of {made:,} {kind} could be read; nothing else of a judge is checked"


def _oddities(result: Result) -> Iterator[str]:
    """Yields what the scores themselves are odd in."""
    counts = result.metrics.counts
    if result.partial:
        yield f"PARTIAL: {one_line(result.partial)}"
    elif result.overall is None:
        yield "no Score: it needs every section whole"
    yield from unread_note(counts)
    if counts.get("truncated"):
        yield f"{counts['truncated']:,} of {counts['responses']:,} responses were truncated"
    if counts.get("ties", 0) > TIES * len(result.scored):
        yield f"{counts['ties']:,} of {len(result.scored):,} rows are ties"


def _weak(one: Weakness, result: Result, texts: Texts) -> Fault:
    return Fault(
        metric_label(one.metric).removesuffix(" (subset)"),
        f"{100 * one.value:.1f} ({shown_interval(one.interval)})",
        one.subset,
        one.example,
        excerpt_of(one.example, texts, result),
        one.below,
    )


def _lost(change: Change, result: Result, texts: Texts) -> Fault:
    found = change.difference
    return Fault(
        change.label,
        f"{100 * found.value:+.1f} ({change.ends}), {found.only_a} lost, {found.only_b} won",
        change.subset,
        change.lost,
        excerpt_of(change.lost, texts, result),
        change.real,
    )


def _bias(bias: Bias, result: Result, texts: Texts) -> Fault:
    subset = bias.example.subset if bias.example else ""
    excerpt = excerpt_of(bias.example, texts, result)
    return Fault(bias.name, bias.told, subset, bias.example, excerpt, True)


def excerpt_of(example: Example | None, texts: Texts, result: Result) -> str:
    """Returns how a row's last question begins, in one line; its id where no text is known."""
    if example is None:
        return ""
    question: Preference | None = texts.by_id.get(example.id)
    digest = next(item.digest for item in result.scored if item.id == example.id)
    if question is None or question.digest != digest or not question.prompt:
        return f"row {one_line(example.id)[:EXCERPT]}"
    text = one_line(" ".join(question.prompt[-1].content[: 4 * EXCERPT].split()))
    return f"{text[:EXCERPT].rstrip()}…" if len(text) > EXCERPT else text or f"row {example.id}"


def made_line(result: Result) -> str:
    """Returns who gave the scores, and on what, in a line."""
    provenance, engine = result.provenance, result.provenance["engine"]
    told = [kind_of(provenance), provenance["model"]["dtype"], f"{engine['path']} engine"]
    if "account" in provenance:
        told = [kind_of(provenance), f"asked with {provenance['model']['prompt']['name']}"]
    elif "ensemble" in provenance:
        members = len(provenance["ensemble"]["members"])
        told = [f"ensemble of {members} members", provenance["ensemble"]["normalise"]]
    about = [*told, engine["device"], f"{provenance['seconds']:,.1f} s"]
    return one_line(" · ".join([*about, f"rmeval {provenance['versions']['rmeval']}"]))
