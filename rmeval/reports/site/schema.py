"""What the files in `data/` of a site hold. The pages are made of the same records.

docs/site.md is made of these lines.
"""

from typing import Annotated, Any

from typing_extensions import Doc, TypedDict

SCHEMA = 1


class BenchmarkEntry(TypedDict):
    """A benchmark of the site."""

    name: Annotated[str, Doc("as `rmeval leaderboard` titles it")]
    page: Annotated[str, Doc("its page, from the site's root")]
    data: Annotated[str, Doc("its file, from the site's root")]
    measured: Annotated[int, Doc("rows that were measured")]
    published: Annotated[int, Doc("rows that others published")]


class ModelEntry(TypedDict):
    """A model of the site, or one line of it: a second one where a benchmark has two figures."""

    model: Annotated[str, Doc("its name for people")]
    page: Annotated[str, Doc("its page, from the site's root")]
    data: Annotated[str, Doc("its file, from the site's root")]
    origin: Annotated[str, Doc("`measured` or `published`")]
    type: Annotated[str | None, Doc("the kind of model")]
    family: Annotated[str | None, Doc("the family of reward models")]
    size: Annotated[float | None, Doc("parameters in billions, as its name or `models=` says")]
    licence: Annotated[str | None, Doc("as `models=` says")]
    date: Annotated[str | None, Doc("of its newest figure; a day, a month or a year")]
    scores: Annotated[dict[str, Any], Doc("Scores in percent by benchmark, or null")]
    mean: Annotated[float | None, Doc("of the Scores, where it has all")]


class SiteDocument(TypedDict):
    """data/index.json: what the site has."""

    schema: Annotated[int, Doc("1")]
    title: Annotated[str, Doc("of the site")]
    made_by: Annotated[str, Doc("rmeval and its version")]
    updated: Annotated[str | None, Doc("when the newest result was begun, ISO 8601, UTC")]
    benchmarks: Annotated[list[BenchmarkEntry], Doc("by name")]
    models: Annotated[list[ModelEntry], Doc("in the order of the first page")]


class RowRecord(TypedDict):
    """A figure of a model on a benchmark; numbers are percent."""

    key: Annotated[str, Doc("what links know the row by; the same wherever it stands")]
    benchmark: Annotated[str, Doc("as the site calls it")]
    model: Annotated[str, Doc("its name for people")]
    page: Annotated[str, Doc("the model's page, from the site's root")]
    report: Annotated[str | None, Doc("the result's report, from the site's root")]
    origin: Annotated[str, Doc("`measured` or `published`")]
    made: Annotated[str, Doc("dtype and data, or when it was published")]
    source: Annotated[str | None, Doc("where it was published")]
    date: Annotated[str | None, Doc("when it was run or published; a day, a month or a year")]
    rank: Annotated[int | None, Doc("1 is the best; null without a Score")]
    group: Annotated[int | None, Doc("rows of one are statistically tied with its best")]
    score: Annotated[float | None, Doc("the benchmark's Score")]
    low: Annotated[float | None, Doc("of its 95 % interval")]
    high: Annotated[float | None, Doc("of its 95 % interval")]
    estimated: Annotated[bool, Doc("whether the interval is an estimate: its rows are not known")]
    sections: Annotated[dict[str, float], Doc("by name")]
    weighting: Annotated[str, Doc("how subsets make a section")]
    rows: Annotated[int | None, Doc("how many were scored")]
    type: Annotated[str | None, Doc("the kind of model")]
    family: Annotated[str | None, Doc("the family of reward models")]
    size: Annotated[float | None, Doc("parameters in billions, as its name or `models=` says")]
    licence: Annotated[str | None, Doc("as `models=` says")]
    notes: Annotated[list[str], Doc("what is not like the others")]
    scores_sha256: Annotated[str | None, Doc("of the result's scores.jsonl as rmeval writes it")]


class BenchmarkDocument(TypedDict):
    """data/benchmarks/NAME.json: a ranking."""

    schema: Annotated[int, Doc("1")]
    benchmark: Annotated[str, Doc("as the site calls it")]
    page: Annotated[str, Doc("its page, from the site's root")]
    meaning: Annotated[str | None, Doc("what its Score is")]
    licence: Annotated[str | None, Doc("of its rows")]
    data_set: Annotated[str | None, Doc("on the Hub")]
    sections: Annotated[list[str], Doc("the columns, in order")]
    rows: Annotated[list[RowRecord], Doc("best first")]


class ResultRecord(TypedDict):
    """What made a measured figure."""

    benchmark: Annotated[str, Doc("as the site calls it")]
    started: Annotated[str, Doc("ISO 8601, UTC")]
    checks: Annotated[str | None, Doc("how the checks of `rmeval doctor` went")]
    warnings: Annotated[list[str], Doc("what was found that is not an error")]
    provenance: Annotated[dict[str, Any], Doc("as result.json has it")]


class ModelDocument(TypedDict):
    """data/models/NAME.json: all figures of a model."""

    schema: Annotated[int, Doc("1")]
    model: Annotated[str, Doc("its name for people")]
    page: Annotated[str, Doc("its page, from the site's root")]
    url: Annotated[str | None, Doc("where it is described, as `models=` says")]
    rows: Annotated[list[RowRecord], Doc("by benchmark, the newest first")]
    results: Annotated[list[ResultRecord], Doc("of the measured rows, in their order")]
