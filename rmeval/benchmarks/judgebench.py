"""JudgeBench (`ScalerLab/JudgeBench`), arXiv 2410.12784.

A row is one question with two responses of one model, one of them right. Columns: pair_id, source,
question, response_model, response_A, response_B, and label, `A>B` or `B>A`. The published code
tells the categories by the beginning of `source` (`run_judge.py`).
"""

from pathlib import Path

from rmeval.benchmarks.benchmark import Definition
from rmeval.benchmarks.reading.rows import (
    Row,
    data_files,
    read_rows,
    require_known,
    require_unique_ids,
)
from rmeval.metrics.pairs import row_weighted
from rmeval.records import Message, Preference

COLUMNS = (
    "pair_id", "source", "question", "response_model", "response_A", "response_B", "label",
)  # fmt: skip
CATEGORIES = {
    "mmlu-pro": "knowledge",  # its mathematics too
    "livebench-reasoning": "reasoning",
    "livebench-math": "math",
    "livecodebench": "coding",
}
RESPONSE_MODELS = {
    "gpt-4o-2024-05-13": "gpt-4o",
    "claude-3-5-sonnet-20240620": "claude-3.5",
}

ROWS = {
    "gpt-4o/knowledge": 154,
    "gpt-4o/reasoning": 98,
    "gpt-4o/math": 56,
    "gpt-4o/coding": 42,
    "claude-3.5/knowledge": 154,
    "claude-3.5/reasoning": 51,
    "claude-3.5/math": 34,
    "claude-3.5/coding": 31,
}


def read_judgebench(path: Path) -> tuple[Preference, ...]:
    """Reads rows in JudgeBench's layout; a folder may have them in `data/`, as the publisher's has.

    Raises BadData for a missing column, an empty or unknown value, or a repeated id.
    """
    folder = path / "data"  # beside it are published judgements, which are no rows
    files = data_files(folder if folder.is_dir() else path, "")
    return require_unique_ids((row.place, to_preference(row)) for row in read_rows(files, COLUMNS))


def to_preference(row: Row) -> Preference:
    """Returns a row of JudgeBench's columns, the better response first. Raises BadData."""
    model = RESPONSE_MODELS[row.one_of("response_model", RESPONSE_MODELS)]
    a, b = row.text("response_A"), row.text("response_B")
    return Preference(
        id=f"{model}/{row.text('pair_id')}",
        subset=f"{model}/{_category(row)}",
        prompt=(Message("user", row.text("question")),),
        responses=(a, b) if row.one_of("label", ("A>B", "B>A")) == "A>B" else (b, a),
    )


def _category(row: Row) -> str:
    source = row.text("source")
    prefix = next((prefix for prefix in CATEGORIES if source.startswith(prefix)), source)
    return CATEGORIES[require_known(prefix, CATEGORIES, "source", row.place)]


def _sections(subset: str) -> tuple[str, ...]:
    """Returns the category, over both response models, and the response model.

    The paper's tables are of one response model each, so these are sections too.
    """
    model, _, category = subset.partition("/")
    return category, model


SCHEME = row_weighted(ROWS, _sections)
JUDGEBENCH = Definition(
    name="judgebench",
    read=read_judgebench,
    scheme=SCHEME,
    licence="MIT",
    meaning="accuracy over 620 pairs of responses, one right and one wrong",
    repository="ScalerLab/JudgeBench",
    patterns=("*.json*", "*.parquet"),
)
