"""Results side by side: what may stand in one ranking, and in which order."""

from collections.abc import Iterable, Mapping
from typing import Any

from rmeval.metrics.rewardbench import SECTIONS


def leaderboard_rows(results: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns a row per whole result, best first within its benchmark and weighting, in percent.

    Ranks never cross a benchmark or a weighting, since their numbers mean different things.
    Equal Scores share the better rank. Partial results have no row.
    """
    whole = [r for r in results if not r["partial"] and "overall" in r["metrics"]]
    whole.sort(key=lambda r: (r["benchmark"], r["weighting"], -r["metrics"]["overall"]))
    rows = []
    for result in whole:
        metrics, group = result["metrics"], (result["benchmark"], result["weighting"])
        peers = [
            r["metrics"]["overall"] for r in whole if (r["benchmark"], r["weighting"]) == group
        ]
        rows.append(
            {
                "benchmark": result["benchmark"],
                "weighting": result["weighting"],
                "rank": 1 + sum(other > metrics["overall"] for other in peers),
                "model": result["model"],
                "Score": 100 * metrics["overall"],
                **{name: 100 * metrics[f"section/{name}"] for name in SECTIONS},
                "dtype": result["provenance"]["model"]["dtype"],
                "data": _data(result),
            }
        )
    return rows


def _data(result: Mapping[str, Any]) -> str:
    """Returns where the rows came from: the Hub's commit, or that they were local."""
    data = result["provenance"]["data"]
    if data["revision"]:
        return str(data["revision"])[:8]
    return "shipped" if result["benchmark"] == "demo" else "local file"
