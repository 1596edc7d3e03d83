"""What `rmeval run` prints: sections, subsets, and what a reader should know beside them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rmeval.benchmarks import remark_on
from rmeval.errors import one_line
from rmeval.known import Published
from rmeval.metrics.names import OVERALL, Metric
from rmeval.metrics.scheme import Scheme, Tally
from rmeval.records import Interval, Metrics, Result
from rmeval.reports.answers import answer_notes, answer_rows
from rmeval.reports.disguises import CAPTION, NOTE, disguise_rows
from rmeval.reports.judged import is_generative, judged_by, judged_notes, tie_counts_as
from rmeval.reports.metric_tables import MetricTables
from rmeval.reports.tables import format_rows
from rmeval.results.baselines import Beside, figures_of, nearest_first
from rmeval.results.ensemble import FIXED
from rmeval.results.standings import engine_note

ROUNDED = 0.05  # published figures have one digit
SUBSETS_SHOWN = 60  # subsets, more than which no terminal shows at once


def summarise(result: Result, scheme: Scheme) -> str:
    """Returns the tables and notes of a result, as text for a terminal."""
    tables = MetricTables(result, scheme)
    subsets = tables.subsets()
    lines = [
        one_line(f"{result.shown_name} on {result.benchmark} ({result.weighting} weighting)")
        + ", accuracy in percent",
        "",
        format_rows(tables.sections(), "table"),
        "",
        *([format_rows(subsets, "table"), ""] if 1 < len(subsets) <= SUBSETS_SHOWN else []),
        *_answer_table(result),
        *map(one_line, notes_of(result, tables.tally)),
    ]
    if result.disguised:
        table = format_rows(disguise_rows([result]), "table")
        lines += ["", CAPTION, "", table, "", NOTE, ""]
    return "\n".join(lines)


def _answer_table(result: Result) -> list[str]:
    answers = result.metrics.statistics.get("answers")
    return [] if answers is None else [format_rows(answer_rows(answers), "table"), ""]


def compare_with_published(published: Published, measured: Metrics, name: str) -> str:
    """Returns the published row beside the measured one, in percent, under the same weighting.

    The last line says whether the published figure is within the measured one's 95 % interval,
    allowing for its rounding.
    """
    stated = figures_of(published, measured.values)
    rows: dict[str, dict[str, str]] = {
        label: {"": label}
        for label in ("published", "measured", "difference", "within the interval")
    }
    for metric, figure in stated.items():
        cells = _beside(figure, measured.values.get(metric), measured.intervals.get(metric))
        column = Metric(metric).rest or "Score"
        for row, cell in zip(rows.values(), cells, strict=True):
            row[column] = cell
    of = "" if name == published.model else f" of {published.model}"
    where = f"{published.cited}, {published.weighting} weighting"
    if stated.get(OVERALL, published.overall) != published.overall:
        where += f", made of its sections without Prior (with it: {published.overall:.1f})"
    where += f"; {published.note}" if published.note else ""
    return f"{one_line(f'published{of}: {where}')}\n\n{format_rows(list(rows.values()), 'table')}"


def beside_published(result: Result, rows: Sequence[Published]) -> str:
    """Returns each published row of a model beside the result, the nearest first.

    Every one is under its own weighting. Where there are several, the last line says how far each
    is from what was measured.
    """
    found = nearest_first(result, rows)
    tables = [compare_with_published(one.row, one.measured, result.model) for one in found]
    return "\n\n".join([*tables, *([_distances(found)] if len(found) > 1 else [])])


def _distances(found: Sequence[Beside]) -> str:
    """Returns how far published rows are from what was measured, the nearest first."""
    told = [
        f"{one.row.cited} ("
        + ("not measured)" if one.apart is None else f"{one.apart:.2f} points on average)")
        for one in found
    ]
    apart = [one.apart for one in found]
    if apart[0] is None or apart[0] == apart[1]:
        return one_line(f"published twice, none nearer: {'; '.join(told)}")
    return one_line(f"nearer: {told[0]}; then {'; '.join(told[1:])}")


def _beside(
    figure: float, value: float | None, interval: Interval | None
) -> tuple[str, str, str, str]:
    """Returns a column of the table: published, measured, difference, within the interval."""
    if value is None or interval is None:
        return f"{figure:.1f}", "not available", "", ""
    within = 100 * interval.low - ROUNDED <= figure <= 100 * interval.high + ROUNDED
    difference = f"{100 * value - figure:+.1f}"
    return f"{figure:.1f}", f"{100 * value:.1f}", difference, "yes" if within else "no"


def notes_of(result: Result, tally: Tally) -> Iterator[str]:
    """Yields what a reader should know beside the numbers, a line each."""
    counts, data = result.metrics.counts, result.provenance["data"]
    remark = remark_on(result.definition)
    if remark:
        yield remark
    if result.partial:
        yield f"PARTIAL: {result.partial}. No table ranks it."
    elif result.overall is None:
        yield "No Score: it needs every section whole."
    yield (
        "in brackets: 95 % intervals; subsets of wins Wilson, the rest Wilson on the effective "
        "number of rows"
    )
    yield from _statistics(result.metrics)
    if answers := result.metrics.statistics.get("answers"):
        yield from answer_notes(answers)
    yield (
        f"ties ({tie_counts_as(result, tally)}): {counts['ties']}; truncated: "
        f"{counts['truncated']} of {counts['responses']} responses; empty responses: "
        f"{data['empty_responses']}; identical responses in {data['identical_responses']} rows"
    )
    yield from judged_notes(result)
    if is_generative(result):
        yield judged_by(result.provenance)
        return
    checks = result.provenance.get("checks", "not made")
    if checks != "passed":
        yield f"checks of the model: {checks}"
    yield from engine_note(result.provenance["engine"])
    yield _made_by(result.provenance)


def _made_by(provenance: Mapping[str, Any]) -> str:
    """Returns in a line what computed the scores."""
    model, engine, seconds = provenance["model"], provenance["engine"], provenance["seconds"]
    if "ensemble" in provenance:
        how = provenance["ensemble"]
        members = (f"{m['weight']:g} x {m['model']['name']}" for m in how["members"])
        fixed = f" with {FIXED}" if how.get("over") == FIXED else ""
        return f"ensemble of stored scores, {how['normalise']}{fixed}: {' + '.join(members)}"
    reason = f" ({engine['reason']})" if engine["reason"] else ""
    against = ""
    if "reference" in model:
        reference = model["reference"]
        against = f" against {reference['name']}" if reference else " without a reference"
        against += ", per token" if model["per_token"] else ""
    return (
        f"{model['family']} adapter{against}, {model['dtype']}, {engine['path']} engine{reason}, "
        f"{engine['device']}, {seconds:.1f} s"
    )


def _statistics(metrics: Metrics) -> Iterator[str]:
    statistics = metrics.statistics
    if not statistics:
        return
    calibration, length = statistics["calibration"], statistics["length"]
    scores = {
        name: f"{100 * values[OVERALL]:.1f}"
        for name, values in statistics["baselines"].items()
        if OVERALL in values
    }
    if scores:
        beside = ", ".join(f"{name} {score}" for name, score in scores.items())
        yield f"the same rows by length alone, or by chance: {beside}"
    pearson = length["pearson"]
    shown = "not defined" if pearson is None else f"{pearson:+.2f}"
    told = [f"margin and length correlate {shown}"]
    if calibration["brier"] is not None:
        name = "log loss" if "verdicts" in metrics.counts else "Bradley-Terry log loss"
        loss, scaled = calibration["log_loss"], calibration.get("scaled_log_loss")
        told.append(
            f"{name} {'not defined' if loss is None else f'{loss:.3f}'}, Brier "
            f"{calibration['brier']:.3f}, calibration error {calibration['ece']:.3f}"
            + (f", scaled log loss {scaled:.3f}" if scaled else "")
        )
    yield "; ".join(told)
    if fitted := calibration.get("fitted"):
        loss = fitted["log_loss"]
        yield (
            f"at a temperature of {fitted['temperature']:.3g}, fitted in {fitted['folds']} folds: "
            f"log loss {'not defined' if loss is None else f'{loss:.3f}'}, Brier "
            f"{fitted['brier']:.3f}, calibration error {fitted['ece']:.3f}"
        )
