"""The prior sets: four test sets older than RewardBench (`allenai/pref-test-sets`).

anthropic_helpful, anthropic_hhh, shp and summarize are splits of one data set; the others it has
are in no score. Columns: prompt, chosen, rejected, id. The prompt is a list of messages, of texts
(older revisions), or one text.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from rmeval.benchmarks.benchmark import Definition
from rmeval.benchmarks.reading.rows import (
    Row,
    data_files,
    files_below,
    read_rows,
    require_unique_ids,
)
from rmeval.benchmarks.rewardbench import PRIOR_ROWS
from rmeval.conversations import to_conversation
from rmeval.errors import BadData
from rmeval.metrics.names import OVERALL, Metric
from rmeval.metrics.scheme import WIN, Part, Scheme, Strata, by_subset
from rmeval.records import Conversation, Preference

CORE = "rewardbench"  # with which they make a Score together
SPLITS = tuple(PRIOR_ROWS)
COLUMNS = ("prompt", "chosen", "rejected", "id")


def read_prior_sets(path: Path) -> tuple[Preference, ...]:
    """Reads a folder of files named after the splits, or one file whose `subset` column says which.

    Raises BadData for a missing column, an empty or unknown value, or a repeated id.
    """
    return require_unique_ids(
        (row.place, to_preference(row, split)) for row, split in _split_rows(path)
    )


def to_preference(row: Row, split: str) -> Preference:
    """Returns a row of a split; ids are unique only within one. Raises BadData."""
    return Preference(
        id=f"{split}/{row.text('id')}",
        subset=split,
        prompt=alternating_turns(row),
        responses=(row.text("chosen"), row.text("rejected")),
    )


def alternating_turns(row: Row) -> Conversation:
    """Returns the prompt, whose turns are the user's and the assistant's by turns.

    Roles that stand in the data are passed over, as the publisher's code does
    (`prepare_dialogue_from_tokenizer`): the first and the last turn are the user's. Raises BadData.
    """
    prompt = row.values["prompt"]
    if not isinstance(prompt, list):
        prompt = [row.text("prompt")]
    if len(prompt) % 2 == 0:
        raise BadData(f"{row.place}: the prompt has {len(prompt)} turns; the last must be a user's")
    contents = [turn.get("content") if isinstance(turn, Mapping) else turn for turn in prompt]
    turns = [
        {"role": "assistant" if number % 2 else "user", "content": content}
        for number, content in enumerate(contents)
    ]
    return to_conversation(turns, f"{row.place}: column 'prompt'")


def _split_rows(path: Path) -> Iterator[tuple[Row, str]]:
    if path.is_dir():
        files = [file for file in files_below(path) if _split_of(file) in SPLITS]
        if not files:
            raise BadData(
                f"{path}: no file in this folder is named {', '.join(SPLITS)}; or pass one"
            )
    else:
        files = data_files(path, "")
    for file in files:
        split = _split_of(file)
        if split in SPLITS:
            yield from ((row, split) for row in read_rows([file], COLUMNS))
        else:
            rows = read_rows([file], (*COLUMNS, "subset"))
            yield from ((row, row.one_of("subset", SPLITS)) for row in rows)


def _split_of(file: Path) -> str:
    return re.split("[-.]", file.name)[0]  # shp-00000-of-00001.parquet


def _parts(strata: Strata, weighting: str) -> list[Part]:
    return [Part(OVERALL, {Metric.subset(name): 1.0 for name in PRIOR_ROWS}, needs_all=True)]


SCHEME = Scheme(by_subset(WIN), _parts, ("mean",), PRIOR_ROWS)
PRIOR_SETS_V1 = Definition(
    name="prior-sets",
    read=read_prior_sets,
    scheme=SCHEME,
    licence="ODC-By",
    meaning="mean accuracy of anthropic_helpful, anthropic_hhh, shp and summarize",
    repository="allenai/pref-test-sets",
    patterns=tuple(f"data/{split}-*" for split in SPLITS),
)
