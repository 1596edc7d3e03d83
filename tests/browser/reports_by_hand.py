"""Reports of made-up models on as many rows as RewardBench has."""

from collections.abc import Sequence
from pathlib import Path

from preferences_by_hand import question, result, scored

from rmeval.benchmarks.rewardbench import REWARDBENCH, ROWS
from rmeval.metrics.pairs import PAIRS
from rmeval.records import Preference
from rmeval.reports.page_rows import Texts
from rmeval.reports.pages import render_report

WORDS = ("the", "sum", "of", "all", "rows", "is", "not", "what", "we", "print", "but", "a", "list")
NASTY = [
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<img src=x onerror=alert(3)>",
    "<svg onload=alert(4)><!-- ",
    "before \u202e after",
    "zero\u200bwidth",
    "null\0character",
    "$x$ {{ 7 * 7 }} {% raw %}",
    "\u05e9\u05dc\u05d5\u05dd \u4f60\u597d \U0001f642",
]


def words(start: int, count: int) -> str:
    return " ".join(WORDS[(start + k * k) % len(WORDS)] for k in range(count))


def questions() -> list[Preference]:
    """RewardBench's 2,985 rows, each of some hundred words; a response differs in the middle."""
    items = []
    for subset, count in ROWS.items():
        for _ in range(count):
            n = len(items)
            begin, end = words(n, 60), words(n + 3, 60)
            chosen, rejected = f"{begin} right{n} {end}", f"{begin} wrong{n} {end}"
            items.append(question(str(n), subset, words(n + 7, 40), chosen, rejected))
    return items


def rewards(n: int, model: int) -> tuple[float, float]:
    """Of 10 rows, 7 are won, 2 lost, 1 tied; by much or little, and by each model others."""
    won = {8: -1.0, 9: 0.0, 7: -1.0}.get((n + 3 * model) % 10, 1.0)
    return won * (1 + n % 97), 0.0


def write_report(path: Path, items: Sequence[Preference], models: Sequence[str]) -> Path:
    definition = "rewardbench" if len(items) == sum(ROWS.values()) else "pairs"
    found = [
        result(
            [scored(item, *rewards(n, model), cut=n % 50 == 0) for n, item in enumerate(items)],
            name,
            definition,
        )
        for model, name in enumerate(models)
    ]
    texts = Texts({item.id: item for item in items})
    scheme = REWARDBENCH if definition == "rewardbench" else PAIRS
    path.write_text(render_report(found, scheme, texts), encoding="utf-8")
    return path


def hostile() -> list[Preference]:
    """Questions whose ids, subsets and texts are what a page should not run, or not hide."""
    items = [question(text, text, text, f"{text} good", f"{text} bad") for text in NASTY]
    spaces = question(" two  spaces ", " two  spaces ")
    return [*items, question("empty", "s", "", "", "x"), spaces]
