"""Sites of made-up models, small and large."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from preferences_by_hand import PROVENANCE, question, result, scored
from reports_by_hand import NASTY

from rmeval.benchmarks.rewardbench import ROWS
from rmeval.known import Published
from rmeval.records import Result, ScoredPreference
from rmeval.reports.site.models import Facts
from rmeval.reports.site.writing import write_site

FAMILIES = ("classifier", "grm", "internlm2")
SUBSETS = ("chat", "code", "maths")


def verdicts(wins: int, subsets: Sequence[str], rows: int) -> list[ScoredPreference]:
    """Some rows of each subset; every model wins others, and `wins` of ten of them."""
    return [
        scored(question(f"{subset}-{n}", subset), float((7 * n + wins) % 10 < wins), 0.5)
        for subset in subsets
        for n in range(rows)
    ]


@cache
def kind(wins: int, definition: str, rows: int) -> Result:
    """A result that many models share: made once."""
    subsets = tuple(ROWS) if definition == "rewardbench" else SUBSETS
    return result(verdicts(wins, subsets, rows), "m", definition, partial=None)


def measured(name: str, number: int, benchmark: str, definition: str = "pairs", rows: int = 30):
    """A model's result, of one of nine kinds."""
    made = kind(1 + number % 9, definition, rows)
    about = {"name": name, "family": FAMILIES[number % 3]}
    provenance: dict[str, Any] = {
        **PROVENANCE,
        "kind": "generative" if number % 4 == 0 else "sequence classifier",
        "model": {**PROVENANCE["model"], **about},
        "started": f"20{20 + number % 7}-0{1 + number % 9}-02T03:04:05+00:00",
        "checks": "passed",
        "warnings": ["a <b>warning</b>"] if number % 5 == 0 else [],
    }
    return replace(made, model=name, benchmark=benchmark, provenance=provenance)


def published(name: str, score: float, benchmark: str) -> Published:
    """A row of others, of a benchmark whose weightings are those of pairs."""
    facts = {"type": "custom head", "weighting": "rows", "sections": {}, "date": "2025-07"}
    return Published(name, benchmark, overall=score, source="https://x.org", note="", **facts)


def write_large(folder: Path, models: int = 300, benchmarks: int = 8, rows: int = 60) -> Path:
    """Every model on every benchmark, so many rows in each subset; the first is RewardBench."""
    results = [
        measured(
            f"org{number % 40}/model-{number}-{1 + number % 70}B",
            number + place,
            f"bench-{place}" if place else "rewardbench",
            "pairs" if place else "rewardbench",
            rows,
        )
        for place in range(benchmarks)
        for number in range(models)
    ]
    write_site(folder, results, reports=False, title="Many models")
    return folder


def write_small(folder: Path, *, reports: bool = False) -> Path:
    """Five models on two benchmarks, one of them twice, one with two names of one kind."""
    names = ["org/alpha-7B", "org/beta-1.8B", "lab/gamma-70B", "lab/delta"]
    results = [measured(name, n, "ours") for n, name in enumerate(names, 4)]
    results += [measured(name, 2 * n, "theirs") for n, name in enumerate(names[:3])]
    results += [measured("org/alpha-7B", 7, "ours")]
    told = {"lab/delta": Facts(name="Delta, the second", licence="mit", url="https://x.org/delta")}
    write_site(folder, results, title="Our models", facts=told, reports=reports)
    return folder


def write_hostile(folder: Path) -> Path:
    """Models, benchmarks, subsets and facts that a page should not run, or not hide."""
    results = [measured(text, n, "ours") for n, text in enumerate(NASTY)]
    results += [measured(text, n, NASTY[2]) for n, text in enumerate([*NASTY, "../../up", "CON"])]
    write_site(folder, results, title=NASTY[1], reports=False)
    return folder
