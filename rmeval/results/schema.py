"""What result.json and scores.jsonl hold: every field, its kind, and what it means.

The records are dictionaries, as JSON has them, with a type for each; docs/results.md is made of
them. What was read from a file is held to them by pydantic, so that readers may count on them
whoever wrote it. Fields that are not named here are kept and never read.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, NotRequired

from annotated_types import Interval
from typing_extensions import Doc, TypedDict

from rmeval.errors import one_line

if TYPE_CHECKING:
    from pydantic import TypeAdapter

LARGEST_NUMBER = 1e300  # beyond it a number of the file is none that Python can format
Count = Annotated[int, Interval(ge=-(2**63), lt=2**63)]
Number = Annotated[float, Interval(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]


class Named(TypedDict):
    """A model beside the one that was evaluated: a reference, or an adapter's base."""

    name: Annotated[str, Doc("as it was loaded")]
    revision: NotRequired[Annotated[str | None, Doc("commit on the Hub; null for a folder")]]
    fingerprint: NotRequired[Annotated[str, Doc("sha256 over config.json and weights")]]
    architecture: NotRequired[Annotated[str | None, Doc("the class that config.json names")]]
    adapter: NotRequired[Annotated[str, Doc("of a base: PEFT's name of what was merged into it")]]
    base: NotRequired[Annotated[Any, Doc("of an adapter: the model that it was merged into")]]


class PromptRecord(TypedDict):
    """The prompt format that a judge was asked in."""

    name: Annotated[str, Doc("a shipped format, or a file's name")]
    kind: NotRequired[Annotated[str, Doc("what it asks for, such as pairwise or rating")]]
    sha256: NotRequired[Annotated[str, Doc("of its contents")]]


class ModelRecord(TypedDict):
    """Who gave the scores, and all that they depend on."""

    name: Annotated[str, Doc("as it was loaded, with its variant behind @")]
    fingerprint: Annotated[str, Doc("sha256 over config.json and weights, or over all settings")]
    family: Annotated[str, Doc("the family, `dpo`, `judge`, `ensemble`, or `own`")]
    dtype: Annotated[str, Doc("of the weights in memory")]
    revision: NotRequired[Annotated[str | None, Doc("commit on the Hub; null for a folder")]]
    architecture: NotRequired[Annotated[str | None, Doc("the class that config.json names")]]
    base: NotRequired[Annotated[Named, Doc("of an adapter: the model that it was merged into")]]
    template_sha256: NotRequired[Annotated[str, Doc("of the chat template")]]
    template_from: NotRequired[Annotated[str, Doc("whose chat template it is")]]
    tokenizer: NotRequired[
        Annotated[dict[str, Any], Doc("`file`, what it was `read_by`, and its `sha256`")]
    ]
    specials: NotRequired[
        Annotated[
            dict[str, Any],
            Doc("the `policy`, whom it is `from`, and how many `bos` a text begins with"),
        ]
    ]
    system: NotRequired[Annotated[str, Doc("the system prompt of every conversation")]]
    date: NotRequired[
        Annotated[dict[str, Any], Doc("the `day` that the template writes, and whom it is `from`")]
    ]
    engine: NotRequired[
        Annotated[dict[str, Any], Doc("of an engine elsewhere: `server`, with its version; `mode`")]
    ]
    pool: NotRequired[
        Annotated[dict[str, Any], Doc("the `rule` that finds the scored token, and what it finds")]
    ]
    max_length: NotRequired[Annotated[Count, Doc("tokens; longer conversations are cut")]]
    objectives: NotRequired[Annotated[list[str], Doc("names of a response's `objectives`")]]
    policy_fingerprint: NotRequired[Annotated[str, Doc("DPO: of the policy alone")]]
    per_token: NotRequired[Annotated[bool, Doc("DPO: the mean over the response, not the sum")]]
    reference: NotRequired[Annotated[Named | None, Doc("DPO: null where there is none")]]
    answers: NotRequired[Annotated[str, Doc("judge: who answers")]]
    server: NotRequired[Annotated[str, Doc("judge: the address that was given")]]
    weights: NotRequired[Annotated[str, Doc("local judge: sha256 over config.json and weights")]]
    prompt: NotRequired[Annotated[PromptRecord, Doc("judge: what was asked")]]
    order: NotRequired[Annotated[str, Doc("judge: `both` orders of a pair, `random`, or `latin`")]]
    votes: NotRequired[
        Annotated[dict[str, Any], Doc("judge: `samples` of each answer, and `by` which vote")]
    ]
    seed: NotRequired[Annotated[Count, Doc("judge: of random order and sampling")]]
    temperature: NotRequired[Annotated[Number, Doc("judge")]]
    max_new_tokens: NotRequired[Annotated[Count, Doc("judge: tokens of an answer at most")]]
    lengths: NotRequired[Annotated[str, Doc("judge: what `tokens` counts, `words` or `tokens`")]]


class ParityRecord(TypedDict):
    """A comparison of an engine's rewards with those of the model, computed by rmeval."""

    largest: Annotated[Number, Doc("difference of two rewards of a conversation")]
    share: Annotated[Number, Doc("the same, as a share of the rewards' spread")]
    rows: Annotated[Count, Doc("conversations that were compared")]


class EngineRecord(TypedDict):
    """How scores were computed. It changes rounding only."""

    path: Annotated[str, Doc("`packed`, `padded`, `server`, `stored scores`, …")]
    reason: Annotated[str | None, Doc("why not packed")]
    device: Annotated[str, Doc("the GPU's name, `cpu`, or a server's address")]
    kernel: NotRequired[Annotated[str | None, Doc("what computed attention")]]
    batch_tokens: NotRequired[Annotated[Count | None, Doc("tokens of a forward pass at most")]]
    processes: NotRequired[
        Annotated[Count, Doc("how many share each pass, each with a part of the model")]
    ]
    client: NotRequired[Annotated[str, Doc("server: the client and its version")]]
    server: NotRequired[Annotated[str, Doc("an engine elsewhere, with its version")]]
    mode: NotRequired[Annotated[str, Doc("what it gave: `reward`, or `hidden` states")]]
    max_model_len: NotRequired[Annotated[Count | None, Doc("tokens of its longest sequence")]]
    parity: NotRequired[
        Annotated[ParityRecord | None, Doc("how near it is to the model's own; null: not compared")]
    ]


class ReadingRecord(TypedDict):
    """How data of one's own was read."""

    columns: NotRequired[Annotated[dict[str, str] | None, Doc("the columns that were named")]]
    split: NotRequired[Annotated[str | None, Doc("the split of a data set")]]
    recipe: NotRequired[
        Annotated[dict[str, Any], Doc("of a benchmark that needs no code: its `name` and contents")]
    ]


class DataRecord(TypedDict):
    """Which rows were scored."""

    source: Annotated[str, Doc("data set on the Hub, or file")]
    revision: Annotated[str | None, Doc("commit on the Hub; null for a file")]
    layout: NotRequired[Annotated[str | None, Doc("how the columns of one's own data were read")]]
    reading: Annotated[ReadingRecord, Doc("what was asked of the reading")]
    rows: NotRequired[Annotated[Count, Doc("how many rows there were")]]
    empty_responses: Annotated[Count, Doc("responses without a word")]
    identical_responses: Annotated[Count, Doc("rows with two equal responses")]
    sha256: NotRequired[Annotated[str, Doc("over every id, subset and text")]]


class AccountRecord(TypedDict):
    """What a judge's answers took."""

    answers: Annotated[Count, Doc("answers that verdicts were read from")]
    kept_before: Annotated[Count, Doc("of these, from an earlier run")]
    servers: NotRequired[Annotated[list[str], Doc("addresses that answered")]]
    refused: Annotated[Count, Doc("questions that were refused")]
    refused_because: Annotated[str | None, Doc("the first refusal's reason")]
    cut: Annotated[Count, Doc("answers that ended at `max_new_tokens`")]
    prompt_tokens: Annotated[Count | None, Doc("tokens read; null where nobody counts them")]
    completion_tokens: Annotated[Count | None, Doc("tokens written; null likewise")]
    closing_tags_alone: NotRequired[Annotated[Count, Doc("answers that close what never opened")]]
    label_probability: NotRequired[
        Annotated[Number, Doc("how probable it was on average that an answer is a label")]
    ]
    passes: NotRequired[Annotated[dict[str, Any], Doc("how passes for probabilities were made")]]
    sampled: NotRequired[Annotated[Count, Doc("questions with several samples")]]
    alike: NotRequired[Annotated[Count, Doc("of these, with samples that are all equal")]]
    repeats: NotRequired[Annotated[bool, Doc("whether a server obeyed the seed")]]
    usd: NotRequired[Annotated[Number | None, Doc("US dollars, where a price was given")]]
    usd_per_million_tokens: NotRequired[
        Annotated[list[Number], Doc("the price of tokens read, and of tokens written")]
    ]


class MemberRecord(TypedDict):
    """A result that an ensemble is made of."""

    result: NotRequired[Annotated[str | None, Doc("its folder")]]
    weight: Annotated[Number, Doc("what its scores are multiplied with")]
    bounds: NotRequired[
        Annotated[list[Number] | None, Doc("minimum and maximum that it was scaled with")]
    ]
    model: Annotated[ModelRecord, Doc("its `provenance.model`")]
    scores_sha256: NotRequired[Annotated[str, Doc("of its scores.jsonl")]]


class EnsembleRecord(TypedDict):
    """How the results of several models were put together."""

    normalise: Annotated[str, Doc("`minmax`, `rank`, `zscore` or `none`")]
    over: NotRequired[Annotated[str, Doc("what a member's scores were normalised over")]]
    tokens: NotRequired[Annotated[str, Doc("whose lengths the responses have")]]
    members: Annotated[list[MemberRecord], Doc("in the order of their weights")]


class VersionsRecord(TypedDict):
    """Versions of rmeval and of the libraries that scores depend on."""

    rmeval: Annotated[str, Doc("of rmeval; beside it torch, transformers, …")]


class FindingRecord(TypedDict):
    """How one of the model's checks went."""

    name: Annotated[str, Doc("what was checked, as `rmeval doctor` calls it")]
    status: Annotated[str, Doc("`pass`, `warn`, `fail` or `skipped`")]
    finding: Annotated[str, Doc("what was found")]
    advice: NotRequired[Annotated[str, Doc("what to do about it; empty where there is nothing")]]


class Provenance(TypedDict):
    """Everything that made a result."""

    model: Annotated[ModelRecord, Doc("who gave the scores")]
    kind: NotRequired[Annotated[str, Doc("the kind of model, as tables show it")]]
    engine: Annotated[EngineRecord, Doc("how they were computed")]
    data: Annotated[DataRecord, Doc("which rows were scored")]
    versions: Annotated[VersionsRecord, Doc("by package")]
    python: NotRequired[Annotated[str, Doc("version of Python")]]
    started: Annotated[str, Doc("ISO 8601, UTC")]
    seconds: Annotated[Number, Doc("from start to metrics; less for what was resumed")]
    checks: NotRequired[Annotated[str, Doc("how the model's checks went")]]
    warnings: NotRequired[Annotated[list[str], Doc("what was found that is not an error")]]
    findings: NotRequired[Annotated[list[FindingRecord], Doc("what those checks found")]]
    account: NotRequired[Annotated[AccountRecord, Doc("judge: what its answers took")]]
    ensemble: NotRequired[Annotated[EnsembleRecord, Doc("ensemble: its members")]]


class IntervalRecord(TypedDict):
    """A 95 % interval."""

    low: Annotated[Number, Doc("fraction")]
    high: Annotated[Number, Doc("fraction")]
    method: Annotated[str, Doc("how it was made")]


class ResultDocument(TypedDict):
    """result.json."""

    schema: Annotated[Count, Doc("2")]
    benchmark: Annotated[str, Doc("what was asked")]
    definition: Annotated[str, Doc("the registered benchmark whose arithmetic was used")]
    model: Annotated[str, Doc("as it was loaded")]
    name: NotRequired[Annotated[str | None, Doc("what it is to be called in tables")]]
    weighting: Annotated[str, Doc("how subsets make a section")]
    partial: Annotated[str | None, Doc("why it is not the whole benchmark, or null")]
    partial_sections: NotRequired[Annotated[list[str], Doc("sections that lack rows")]]
    metrics: Annotated[dict[str, Any], Doc("fractions by name: `overall`, `section/…`, …")]
    intervals: NotRequired[Annotated[dict[str, IntervalRecord], Doc("by metric")]]
    statistics: NotRequired[
        Annotated[dict[str, Any], Doc("of lengths, calibration, right answers; docs/benchmarks.md")]
    ]
    rows: Annotated[dict[str, Any], Doc("number of rows by subset")]
    counts: NotRequired[Annotated[dict[str, Any], Doc("ties, cut responses, verdicts")]]
    scores_sha256: Annotated[str, Doc("of the scores.jsonl beside it")]
    disguises_sha256: NotRequired[Annotated[str, Doc("of the disguises.jsonl beside it")]]
    provenance: Annotated[Provenance, Doc("everything that made it")]


class ResponseRecord(TypedDict):
    """The score of one response."""

    value: Annotated[Number, Doc("the reward, in the model's own units; a judge's mean chance")]
    tokens: Annotated[Count, Doc("of the conversation, as the model read it")]
    truncated: Annotated[bool, Doc("whether it was cut to `max_length`")]
    objectives: NotRequired[Annotated[list[Number], Doc("what the reward is made of")]]


class ScoreLine(TypedDict):
    """A line of scores.jsonl: one row of the benchmark."""

    id: Annotated[str, Doc("of the row, unique in the file")]
    subset: Annotated[str, Doc("that it counts in")]
    num_chosen: Annotated[Count, Doc("how many of the responses, the first ones, are chosen")]
    responses: Annotated[list[ResponseRecord], Doc("chosen first, in the benchmark's order")]
    text_sha256: Annotated[str, Doc("over prompt and responses")]
    magnitude: NotRequired[Annotated[Number, Doc("how much better the chosen one is, if known")]]
    weight: NotRequired[Annotated[Number, Doc("of the row; 1 where it is absent")]]
    comparisons: NotRequired[
        Annotated[dict[str, Count], Doc("verdicts that the scores are made of, by kind")]
    ]
    cluster: NotRequired[Annotated[str, Doc("rows of one cluster are one unit of chance")]]
    answers: NotRequired[Annotated[list[int], Doc("a number each, equal where final answers are")]]


class DisguisesLine(TypedDict):
    """A line of disguises.jsonl: a row in disguises; a score is [value, tokens, truncated]."""

    id: Annotated[str, Doc("of the row")]
    subset: Annotated[str, Doc("that it counts in")]
    chosen: Annotated[list[Any], Doc("score of the first chosen response")]
    rejected: Annotated[list[Any], Doc("score of the first rejected one")]
    disguised: Annotated[dict[str, list[Any]], Doc("scores of the rejected one, by disguise")]


OF_JUDGES = ("prompt", "temperature", "max_new_tokens", "lengths")
ORDERS = ("both", "random", "latin")


def wrong_field(document: Mapping[str, Any]) -> str | None:
    """Returns the first field of a result.json that is missing or of another kind, or None."""
    from pydantic import ValidationError

    try:
        _document().validate_python(document, strict=True)
    except ValidationError as error:
        first, *_ = error.errors(include_url=False, include_context=False, include_input=False)
        return one_line(".".join(map(str, first["loc"])))
    return next(_missing_together(document["provenance"]), None)


def _missing_together(provenance: Provenance) -> Iterator[str]:
    """Yields what a judge's or a DPO policy's record has to have besides."""
    model = provenance["model"]
    if "reference" in model and "per_token" not in model:
        yield "provenance.model.per_token"
    if "account" in provenance or "prompt" in model:
        yield from (f"provenance.model.{key}" for key in OF_JUDGES if key not in model)
        if model.get("order", ORDERS[0]) not in ORDERS:
            yield "provenance.model.order"
        if "account" not in provenance:
            yield "provenance.account"


@cache
def _document() -> "TypeAdapter[ResultDocument]":
    from pydantic import TypeAdapter

    return TypeAdapter(ResultDocument)


KINDS = {  # of families, in results from before a result named its kind
    "classifier": "sequence classifier",
    "dpo": "DPO",
    "ensemble": "ensemble",
    "judge": "generative",
    "own": "own scorer",
    "pair-pm": "pairwise",
    "pairrm": "pairwise",
}


def kind_of(provenance: Provenance) -> str:
    """Returns the kind of model that a result is of, as tables show it."""
    return provenance.get("kind") or KINDS.get(provenance["model"]["family"], "custom head")


def is_number(value: Any) -> bool:
    """Whether a value of a file is a number that can be computed with and shown."""
    return isinstance(value, int | float) and abs(value) < LARGEST_NUMBER
