"""RMB (github.com/Zhou-Zoey/RMB-Reward-Model-Benchmark), arXiv 2410.09893; not on the Hub.

Two sets of one layout: `Pairwise_set` has pairs (pair_uid, chosen, reject), `BoN_set` a best
response and 2 to 6 others (bon_uid, bon_best, loser_list). Both have conversation_input, a list of
messages, and category_path, the place of the file: `BoN_set/Helpfulness/Chat/Discussion`. A
response is an object with its text in `answer`.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from rmeval.benchmarks.benchmark import Definition
from rmeval.benchmarks.reading.rows import (
    Row,
    data_files,
    files_below,
    read_rows,
    require_known,
    require_unique_ids,
)
from rmeval.errors import BadData
from rmeval.metrics.rmb import BON_ROWS, PAIRWISE_ROWS, ROWS
from rmeval.metrics.rmb import RMB_BON as BON_SCHEME
from rmeval.metrics.rmb import RMB_PAIRWISE as PAIRWISE_SCHEME
from rmeval.records import Message, Preference

PAIRWISE, BON = "Pairwise_set", "BoN_set"
COLUMNS = {
    PAIRWISE: ("pair_uid", "conversation_input", "category_path", "chosen", "reject"),
    BON: ("bon_uid", "conversation_input", "category_path", "bon_best", "loser_list"),
}


def read_rmb(path: Path, kind: str) -> tuple[Preference, ...]:
    """Reads the rows of a set, from its folder, from one above it (`RMB_dataset`), or from a file.

    Raises BadData for a missing column, an empty or unknown value, or a repeated id.
    """
    folders = (path / kind, path / "RMB_dataset" / kind)
    folder = next((folder for folder in folders if folder.is_dir()), path)
    if folder.is_dir():
        files, root = [file for file in files_below(folder) if file.suffix == ".json"], folder
    else:
        files, root = data_files(path, ""), path.parent
    if not files:
        raise BadData(f"{folder}: no .json file in this folder")
    rows = read_rows(files, COLUMNS[kind], root=root)
    return require_unique_ids((row.place, to_preference(row, kind)) for row in rows)


def to_preference(row: Row, kind: str) -> Preference:
    """Returns a row of RMB's columns, of several turns where it has them. Raises BadData."""
    uid, _, category, best, others = COLUMNS[kind]
    subset = row.text(category).removeprefix(f"{kind}/")
    rejected = _answers(row, others) if kind == BON else (_answer(row, others, row.values[others]),)
    return Preference(
        id=row.text(uid),
        subset=require_known(subset, ROWS, f"category of {kind}", row.place),
        prompt=tuple(  # beside role and content, each names its language
            Message(turn.role, turn.content) for turn in row.messages("conversation_input")
        ),
        responses=(_answer(row, best, row.values[best]), *rejected),
    )


def _answers(row: Row, column: str) -> tuple[str, ...]:
    responses = row.values[column]
    if not isinstance(responses, list) or not responses:
        raise BadData(f"{row.place}: column {column!r} must be a list of at least one response")
    return tuple(_answer(row, column, response) for response in responses)


def _answer(row: Row, column: str, response: object) -> str:
    answer = response.get("answer") if isinstance(response, Mapping) else None
    if not isinstance(answer, str):
        raise BadData(f'{row.place}: column {column!r} needs text in "answer"')
    return answer


RMB_PAIRWISE = Definition(
    name="rmb-pairwise",
    read=partial(read_rmb, kind=PAIRWISE),
    scheme=PAIRWISE_SCHEME,
    rows=sum(PAIRWISE_ROWS.values()),
    licence="none stated",
    meaning="accuracy over all pairs of 49 scenarios",
)
RMB_BON = Definition(
    name="rmb-bon",
    read=partial(read_rmb, kind=BON),
    scheme=BON_SCHEME,
    rows=sum(BON_ROWS.values()),
    licence="none stated",
    meaning="share of prompts whose best response beats all others",
)
