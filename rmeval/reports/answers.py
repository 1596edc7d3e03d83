"""Right and wrong answers in words and tables; see rmeval.metrics.correctness."""

from collections.abc import Mapping
from typing import Any


def answer_rows(answers: Mapping[str, Any]) -> list[dict[str, str]]:
    """Returns the curve of right answers as rows of a table, in percent: n = 1, 2, 4, … and all."""
    curve = answers["curve"]
    shown = {1 << power for power in range(len(curve).bit_length())} | {len(curve)}
    return [
        {
            "n": str(point["n"]),
            "best of n is right": _percent({**point, "value": point["accuracy"]}),
            "pass@n, the ceiling": f"{100 * point['ceiling']:.1f}",
        }
        for point in curve
        if point["n"] in shown
    ]


def answer_notes(answers: Mapping[str, Any]) -> list[str]:
    """Returns what a reader should know beside the curve of right answers."""
    right, responses, majority, auc = (
        answers[name] for name in ("right", "responses", "majority", "auc")
    )
    told = [f"right answers: {right:,} of {responses:,} ({100 * right / responses:.1f} %)"]
    if answers["one_sided"]:
        told.append(f"all alike in {answers['one_sided']:,} of {answers['prompts']:,} prompts")
    if majority is not None:
        told.append(f"the most frequent answer is right in {_percent(majority)} %")
    if auc is not None:
        told.append(
            f"reward tells right from wrong over all prompts: AUC {auc['value']:.3f} "
            f"({auc['low']:.3f} to {auc['high']:.3f})"
        )
    return ["; ".join(told)]


def _percent(found: Mapping[str, float]) -> str:
    return f"{100 * found['value']:.1f} ({100 * found['low']:.1f} to {100 * found['high']:.1f})"
