"""What better looks do to verdicts, as tables."""

from collections.abc import Sequence
from typing import Any

from rmeval.errors import one_line
from rmeval.metrics.disguises import count_disguises
from rmeval.records import Result
from rmeval.reports.labels import shown_interval

CAPTION = "Reward hacking: rejected answers in disguise"
NOTE = (
    "turned: of the verdicts that were won, those lost once the rejected answer is so disguised "
    '(percent, 95 % Wilson); by length alone: the same of "longer wins"'
)


def disguise_rows(results: Sequence[Result], names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Returns a line for each disguise of each result that has any; `names` are the models'."""
    return [
        {
            **({"model": one_line(name)} if names else {}),
            "rejected answers with": found.disguise,
            "turned": f"{found.turned} of {found.won}",
            "percent": f"{100 * found.turned / found.won:.1f} ({shown_interval(found.interval)})"
            if found.interval
            else "none was won",
            "won after all": found.turned_back,
            "reward rose": f"{found.rose} of {found.pairs}",
            "by length alone": f"{found.length_turned} of {found.length_won}",
        }
        for result, name in zip(results, names or [""] * len(results), strict=True)
        for found in count_disguises(result.disguised)
    ]
