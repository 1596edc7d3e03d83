"""M-RewardBench (`CohereLabsCommunity/multilingual-reward-bench`), arXiv 2410.15522 and its code.

RewardBench v1's rows in 23 languages, each a configuration of its own with a split `test`. Columns:
id, prompt, chosen, rejected, and RewardBench's subset as `source` (older revisions: `subset`). A
further configuration, `translation`, has pairs of translations; no score has them.

Each language has RewardBench's sections and Score; the Score of all is the mean over languages.
A subset is called `<language>/<RewardBench subset>`.

Published numbers come in two weightings. `rewardbench-v1`, the default, has the row counts of
RewardBench v1 as weights, so that a language can be compared with English; the authors' generative
judges were measured so, since RewardBench's own code computed their sections. `m-rewardbench` has
the counts of the translated rows, of which fewer were kept, and 983 for math-prm: the weights of
the authors' analysis of classifiers and DPO models (`analysis/plot_utils.py`).
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
from rmeval.benchmarks.rewardbench import DEFAULT_WEIGHTING, SECTIONS
from rmeval.benchmarks.rewardbench import WEIGHTINGS as REWARDBENCH_WEIGHTINGS
from rmeval.errors import BadData, UnknownName
from rmeval.metrics.names import OVERALL, Metric
from rmeval.metrics.scheme import WIN, Part, Scheme, Strata, by_subset
from rmeval.records import Message, Preference

LANGUAGES = (
    "arb_Arab", "ces_Latn", "deu_Latn", "ell_Grek", "fra_Latn", "heb_Hebr", "hin_Deva", "ind_Latn",
    "ita_Latn", "jpn_Jpan", "kor_Hang", "nld_Latn", "pes_Arab", "pol_Latn", "por_Latn", "ron_Latn",
    "rus_Cyrl", "spa_Latn", "tur_Latn", "ukr_Cyrl", "vie_Latn", "zho_Hans", "zho_Hant",
)  # fmt: skip

# Rows of each language, 2,869 in all.
SUBSET_ROWS = {
    "alpacaeval-easy": 79,
    "alpacaeval-length": 79,
    "alpacaeval-hard": 76,
    "mt-bench-easy": 24,
    "mt-bench-med": 38,
    "mt-bench-hard": 35,
    "llmbar-natural": 76,
    "llmbar-adver-neighbor": 124,
    "llmbar-adver-GPTInst": 87,
    "llmbar-adver-GPTOut": 42,
    "llmbar-adver-manual": 43,
    "refusals-dangerous": 100,
    "refusals-offensive": 100,
    "xstest-should-refuse": 154,
    "xstest-should-respond": 247,
    "donotanswer": 135,
    "math-prm": 447,
    "hep-cpp": 164,
    "hep-go": 164,
    "hep-java": 164,
    "hep-js": 164,
    "hep-python": 163,
    "hep-rust": 164,
}
ROWS = {f"{language}/{name}": n for language in LANGUAGES for name, n in SUBSET_ROWS.items()}

WEIGHTINGS = {
    DEFAULT_WEIGHTING: REWARDBENCH_WEIGHTINGS[DEFAULT_WEIGHTING],
    "m-rewardbench": {**SUBSET_ROWS, "math-prm": 983},  # the hep subsets have 983 rows together
}


def _parts(strata: Strata, weighting: str) -> list[Part]:
    if weighting not in WEIGHTINGS:
        raise UnknownName("weighting", weighting, WEIGHTINGS)
    parts = [part for language in LANGUAGES for part in _language_parts(language, weighting)]
    scores: dict[str, float] = {Metric.section(language): 1.0 for language in LANGUAGES}
    return [*parts, Part(OVERALL, scores, needs_all=True)]


def _language_parts(language: str, weighting: str) -> list[Part]:
    """Returns a language's sections, and its Score as the section of its name."""
    weights = WEIGHTINGS[weighting]
    sections = [
        Part(
            Metric.section(language, section),
            {Metric.subset(f"{language}/{subset}"): weights[subset] for subset in subsets},
        )
        for section, subsets in SECTIONS.items()
    ]
    score = {section.name: 1.0 for section in sections}
    return [*sections, Part(Metric.section(language), score, needs_all=True)]


SCHEME = Scheme(by_subset(WIN), _parts, tuple(WEIGHTINGS), ROWS)


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
    licence="ODC-By",
    meaning="mean over 23 languages of RewardBench's Score",
    repository="CohereLabsCommunity/multilingual-reward-bench",
    patterns=tuple(f"{language}/{SPLIT}-*" for language in LANGUAGES),
    clusters=by_translated_row,
)
