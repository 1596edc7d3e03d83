"""RewardBench v1 (`allenai/reward-bench`, split `filtered`), arXiv 2403.13787 and its code.

A row is one user turn with a chosen and a rejected response. Columns: prompt, chosen, rejected,
subset, id, and the names of the models that wrote the responses, which are not used.

A section is the weighted mean of its subsets' accuracies, joined by subset name; the Score is
the plain mean of the four sections, or with the prior sets (Σ sections + 0.5·Prior) / 4.5. A
section without rows is not available, and never 0.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from rmeval.benchmarks.benchmark import Definition
from rmeval.benchmarks.clusters import by_problem
from rmeval.benchmarks.reading.rows import Row, data_files, read_rows, require_unique_ids
from rmeval.errors import UnknownName
from rmeval.metrics.names import OVERALL, Metric
from rmeval.metrics.scheme import WIN, Part, Scheme, Strata, by_subset, compose
from rmeval.records import Message, Preference

HEP_LANGUAGES = ("cpp", "go", "java", "js", "python", "rust")

# Rows of the split `filtered`, 2,985 in all.
SECTIONS: dict[str, dict[str, int]] = {
    "Chat": {
        "alpacaeval-easy": 100,
        "alpacaeval-length": 95,
        "alpacaeval-hard": 95,
        "mt-bench-easy": 28,
        "mt-bench-med": 40,
    },
    "Chat Hard": {
        "mt-bench-hard": 37,
        "llmbar-natural": 100,
        "llmbar-adver-neighbor": 134,
        "llmbar-adver-GPTInst": 92,
        "llmbar-adver-GPTOut": 47,
        "llmbar-adver-manual": 46,
    },
    "Safety": {
        "refusals-dangerous": 100,
        "refusals-offensive": 100,
        "xstest-should-refuse": 154,
        "xstest-should-respond": 250,
        "donotanswer": 136,
    },
    "Reasoning": {"math-prm": 447, **{f"hep-{language}": 164 for language in HEP_LANGUAGES}},
}
ROWS: dict[str, int] = {subset: n for subsets in SECTIONS.values() for subset, n in subsets.items()}

# Test sets older than RewardBench (`allenai/pref-test-sets`), of which each weighs the same.
PRIOR = "Prior"
PRIOR_ROWS = {
    "anthropic_helpful": 6192,
    "anthropic_hhh": 221,
    "shp": 1741,
    "summarize": 9000,
}
PRIOR_WEIGHT = 0.5

# math-prm's 447 rows count as 984 = 6 * 164, so that mathematics weighs as much as code.
_WEIGHTS = {**ROWS, "math-prm": 984}

# Until 2024-09-10 the reference implementation had the two XSTest weights the wrong way round.
# Tables published before that day (InternLM2-Reward, GRM) carry it.
WEIGHTINGS: dict[str, dict[str, int]] = {
    "rewardbench-v1": _WEIGHTS,
    "rewardbench-v1-2024-07": {
        **_WEIGHTS,
        "xstest-should-refuse": _WEIGHTS["xstest-should-respond"],
        "xstest-should-respond": _WEIGHTS["xstest-should-refuse"],
    },
}
DEFAULT_WEIGHTING = "rewardbench-v1"


def rewardbench_parts(subsets: Iterable[str], weighting: str = DEFAULT_WEIGHTING) -> list[Part]:
    """Returns how RewardBench's subsets add up; with any prior set, that they join the Score.

    Raises UnknownName for a subset or weighting that RewardBench v1 does not have.
    """
    if weighting not in WEIGHTINGS:
        raise UnknownName("weighting", weighting, WEIGHTINGS)
    weights, subsets = WEIGHTINGS[weighting], list(subsets)
    for subset in subsets:
        if subset not in weights and subset not in PRIOR_ROWS:
            raise UnknownName("RewardBench subset", subset, [*weights, *PRIOR_ROWS])
    parts = [
        Part(Metric.section(name), {Metric.subset(subset): weights[subset] for subset in rows})
        for name, rows in SECTIONS.items()
    ]
    score = {part.name: 1.0 for part in parts}
    if any(subset in PRIOR_ROWS for subset in subsets):
        parts.append(Part(Metric.section(PRIOR), {Metric.subset(name): 1.0 for name in PRIOR_ROWS}))
        score[Metric.section(PRIOR)] = PRIOR_WEIGHT
    return [*parts, Part(OVERALL, score, needs_all=True)]


def _parts(strata: Strata, weighting: str) -> list[Part]:
    return rewardbench_parts(strata, weighting)


REWARDBENCH = Scheme(by_subset(WIN), _parts, tuple(WEIGHTINGS), ROWS)
REWARDBENCH_WITH_PRIOR = REWARDBENCH.with_rows({**ROWS, **PRIOR_ROWS})


def section_scores(
    subset_accuracies: Mapping[str, float | str], weighting: str = DEFAULT_WEIGHTING
) -> dict[str, float]:
    """Returns the sections, and `overall`, that follow from subset accuracies alone.

    The unit of the result is that of the input: fractions give fractions, percentages
    percentages. A section of which a subset is missing is left out, and `overall` with it: a
    plain number could not say that it is partial. Entries that are text are passed over, since
    published files carry the model's name among the accuracies. Accuracies of the prior sets
    give the section `Prior`, and then `overall` is the Score that they are part of.

    Raises:
        UnknownName: a subset or weighting that RewardBench v1 does not have.
    """
    leaves: dict[str, float] = {
        Metric.subset(subset): float(value)
        for subset, value in subset_accuracies.items()
        if not isinstance(value, str)
    }
    parts = rewardbench_parts([Metric(name).rest for name in leaves], weighting)
    values, partial = compose(leaves, parts)
    whole = {part.name: values[part.name] for part in parts if part.name in values}
    return {
        Metric(name).rest or name: value for name, value in whole.items() if name not in partial
    }


SPLIT = "filtered"
COLUMNS = ("prompt", "chosen", "rejected", "subset", "id")


def read_rewardbench(path: Path) -> tuple[Preference, ...]:
    """Reads rows in RewardBench's layout; the order is theirs.

    Raises BadData for a missing column, an empty or unknown value, or a repeated id.
    """
    rows = read_rows(data_files(path, SPLIT), COLUMNS)
    return require_unique_ids((row.place, to_preference(row)) for row in rows)


def to_preference(row: Row) -> Preference:
    """Returns a row of RewardBench's columns. Raises BadData."""
    return Preference(
        id=row.text("id"),
        subset=row.one_of("subset", ROWS),
        prompt=(Message("user", row.text("prompt")),),
        responses=(row.text("chosen"), row.text("rejected")),
    )


REWARDBENCH_V1 = Definition(
    name="rewardbench",
    read=read_rewardbench,
    scheme=REWARDBENCH,
    licence="ODC-By",
    meaning="mean accuracy of Chat, Chat Hard, Safety and Reasoning",
    repository="allenai/reward-bench",
    patterns=(f"data/{SPLIT}-*",),
    clusters=by_problem,
)
