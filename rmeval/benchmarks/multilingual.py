"""M-RewardBench (`CohereLabsCommunity/multilingual-reward-bench`), arXiv 2410.15522.

RewardBench v1's rows in 23 languages, each a configuration of its own with a split `test`. Columns:
id, prompt, chosen, rejected, and RewardBench's subset as `source` (older revisions: `subset`). A
further configuration, `translation`, has pairs of translations; no score has them.
"""

from collections.abc import Iterator
from pathlib import Path

from rmeval.benchmarks.benchmark import Definition
from rmeval.benchmarks.clusters import by_translated_row
from rmeval.benchmarks.reading.rows import (
    Row,
    data_files,
    files_below,
    read_rows,
    require_known,
    require_unique_ids,
)
from rmeval.errors import BadData
from rmeval.metrics.multilingual import LANGUAGES, ROWS, SUBSET_ROWS
from rmeval.metrics.multilingual import M_REWARDBENCH as SCHEME
from rmeval.records import Message, Preference

SPLIT = "test"
TRANSLATION = "translation"
COLUMNS = ("id", "prompt", "chosen", "rejected")
SUBSETS = ("source", "subset")  # columns, of which the first that is there is read


def read_multilingual(path: Path) -> tuple[Preference, ...]:
    """Reads a folder of languages, as folders or files, or a file whose `language` column says it.

    Raises BadData for a missing column, an empty or unknown value, or a repeated id.
    """
    return require_unique_ids(
        (row.place, to_preference(row, language)) for row, language in _language_rows(path)
    )


def to_preference(row: Row, language: str) -> Preference:
    """Returns a row of a language; ids are the same in all of them. Raises BadData."""
    column = next((column for column in SUBSETS if column in row.values), None)
    if column is None:
        raise BadData(f"{row.place}: no column {' or '.join(SUBSETS)}")
    return Preference(
        id=f"{language}/{row.text('id')}",
        subset=f"{language}/{row.one_of(column, SUBSET_ROWS)}",
        prompt=(Message("user", row.text("prompt")),),
        responses=(row.text("chosen"), row.text("rejected")),
    )


def _language_rows(path: Path) -> Iterator[tuple[Row, str]]:
    if not path.is_dir() or path.name in LANGUAGES:
        yield from _rows_of_files(data_files(path, SPLIT), path.parent)
        return
    names = sorted({file.relative_to(path).parts[0] for file in files_below(path)})
    languages = [name for name in names if _plain(name) != TRANSLATION]
    if not languages:
        raise BadData(f"{path}: no folder or file in it is named after a language")
    for name in languages:
        require_known(_plain(name), LANGUAGES, "language", str(path))
        yield from _rows_of_files(data_files(path / name, SPLIT), path)


def _rows_of_files(files: list[Path], root: Path) -> Iterator[tuple[Row, str]]:
    for file in files:
        names = (_plain(file.name), file.parent.name)
        language = next((name for name in names if name in LANGUAGES), None)
        columns = COLUMNS if language else (*COLUMNS, "language")
        for row in read_rows([file], columns, SUBSETS, root):
            yield row, language or row.one_of("language", LANGUAGES)


def _plain(name: str) -> str:
    return name.partition(".")[0]


M_REWARDBENCH = Definition(
    name="m-rewardbench",
    read=read_multilingual,
    scheme=SCHEME,
    rows=sum(ROWS.values()),
    licence="ODC-By",
    meaning="mean over 23 languages of RewardBench's Score",
    repository="CohereLabsCommunity/multilingual-reward-bench",
    patterns=tuple(f"{language}/{SPLIT}-*" for language in LANGUAGES),
    clusters=by_translated_row,
)
