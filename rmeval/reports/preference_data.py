"""Preference data as a folder that the Hub and TRL load: the rows, and a card that says how."""

import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from rmeval.errors import BadData, OutputFailure, one_line
from rmeval.files import prepare_folder, replacing, write_atomically
from rmeval.preferences import MARGIN, PairRule, ScoredPair
from rmeval.reports.tables import format_rows

CHUNK = 4096  # rows of parquet in memory at once
BINS, BAR = 12, 40  # of the card's histogram: how many, and the length of the longest
CARD, TITLE = "README.md", "# Preference pairs made by rmeval"


@dataclass
class _Count:
    """What a card says of pairs that were written one after the other."""

    prompts: int = 0
    without: int = 0
    margins: "array[float]" = field(default_factory=lambda: array("d"))

    def over(self, found: Iterable[Sequence[ScoredPair]]) -> Iterator[dict[str, Any]]:
        """Yields each prompt's pairs as rows, and counts them."""
        for pairs in found:
            self.prompts += 1
            self.without += not pairs
            for pair in pairs:
                self.margins.append(pair.margin)
                yield pair.as_row()


def written_files(folder: Path, form: str) -> tuple[Path, Path]:
    """Returns the files that a folder of pairs has: the rows, and the card."""
    return folder / f"train.{form}", folder / CARD


def prepare_data_folder(folder: Path, form: str) -> Path:
    """Makes the folder; returns the file that the rows go to.

    Raises OutputFailure where it cannot be written, or holds somebody's own README, or rows in
    another format, which a loader would read too.
    """
    card = prepare_folder(folder) / CARD
    if card.exists() and TITLE not in card.read_text(encoding="utf-8", errors="replace"):
        raise OutputFailure(f"{card} was not written by rmeval; choose another `output=`")
    for other in FORMATS:
        if other != form and (folder / f"train.{other}").exists():
            raise OutputFailure(f"{folder} holds train.{other}; delete it or choose another folder")
    return written_files(folder, form)[0]


def write_preference_data(
    found: Iterable[Sequence[ScoredPair]],
    path: Path,
    rule: PairRule,
    provenance: Mapping[str, Any] | None,
) -> int:
    """Writes the pairs of each prompt, and README.md beside them; returns how many pairs.

    `provenance` says what scored the responses, None where nobody wrote it down. Both files
    appear when they are whole. Raises BadData where there are no pairs, OutputFailure.
    """
    count = _Count()
    with replacing(path) as stream:
        WRITERS[path.suffix[1:]](count.over(found), stream)
        if not count.margins:
            raise BadData("no pairs: no prompt has two responses whose rewards differ enough")
        (path.parent / CARD).unlink(missing_ok=True)  # never beside the rows of another run
    write_atomically(path.parent / CARD, _card(count, path.name, rule, provenance))
    return len(count.margins)


def _write_jsonl(rows: Iterator[dict[str, Any]], stream: TextIOWrapper) -> None:
    stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _write_parquet(rows: Iterator[dict[str, Any]], stream: TextIOWrapper) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def plain(row: dict[str, Any]) -> dict[str, Any]:
        for message in (*row["prompt"], *row["chosen"], *row["rejected"]):
            others = [name for name in message if name not in ("role", "content")]
            if others or "tools" in row:
                found = one_line(others[0] if others else "tools")[:80]
                raise BadData(
                    f"messages have {found}, which no single column type can hold; write jsonl"
                )
        return row

    messages = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    texts = [(name, messages) for name in ("prompt", "chosen", "rejected")]
    numbers = [(name, pa.float64()) for name in ("score_chosen", "score_rejected", MARGIN)]
    schema = pa.schema([*texts, *numbers])
    with pq.ParquetWriter(stream.buffer, schema) as writer:
        while chunk := list(islice(rows, CHUNK)):
            writer.write_table(pa.Table.from_pylist([plain(row) for row in chunk], schema))


WRITERS: dict[str, Callable[[Iterator[dict[str, Any]], TextIOWrapper], None]] = {
    "jsonl": _write_jsonl,
    "parquet": _write_parquet,
}
FORMATS = tuple(WRITERS)


def _card(count: _Count, file: str, rule: PairRule, provenance: Mapping[str, Any] | None) -> str:
    drawn = {"seed": rule.seed} if rule.strategy == "best-random" else {}
    facts = {
        **_scorer(provenance),
        "strategy": rule.strategy,
        **drawn,
        "least margin": rule.min_margin,
        "prompts": f"{count.prompts:,}",
        "prompts without a pair": f"{count.without:,}",
        "pairs": f"{len(count.margins):,}",
        "mean margin": f"{np.mean(count.margins):.4g}",
        "median margin": f"{np.median(count.margins):.4g}",
    }
    table = format_rows(
        [{"": key, "value": str(value)} for key, value in facts.items()], "markdown"
    )
    return f"""---
configs:
- config_name: default
  data_files: {file}
tags:
- preference
- trl
- rmeval
---
{TITLE}

`prompt`, `chosen` and `rejected` are conversations: TRL's preference layout with an explicit
prompt. `score_chosen`, `score_rejected` and `score_margin`, their difference, are in units of the
model's reward.

{table}

## Margins

```
{_histogram(count.margins)}
```
"""


def _scorer(provenance: Mapping[str, Any] | None) -> dict[str, str]:
    if provenance is None:
        return {"reward model": "not recorded"}
    model = provenance["model"]
    return {
        "reward model": one_line(model["name"]),
        "revision": model["revision"] or "none, a local folder",
        "weights, sha256": model["fingerprint"],
        "dtype": model["dtype"],
        "rmeval": provenance["versions"]["rmeval"],
    }


def _histogram(margins: Sequence[float]) -> str:
    counts, edges = np.histogram(margins, BINS, range=(0, max(margins)))
    most = counts.max()
    return "\n".join(
        f"{low:10.4g} to {high:10.4g} {number:9,d} {'#' * round(BAR * number / most)}".rstrip()
        for low, high, number in zip(edges[:-1], edges[1:], counts.tolist(), strict=True)
    )
