"""How much of a benchmark stands in training data, and the Score without that."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from rmeval.benchmarks import Benchmark, load_benchmark, scheme_of
from rmeval.benchmarks.overlap import EXACT, Index, Talks, Tokens, texts_of, training_texts
from rmeval.benchmarks.reading.files import Source, is_readable, known_endings, read_file
from rmeval.benchmarks.reading.rows import files_below
from rmeval.errors import BadData, BadOption
from rmeval.metrics.accuracy import subset_rows
from rmeval.metrics.summary import describe_scores
from rmeval.records import Metrics, Preference, Result
from rmeval.verbs.results import ResultLike, result_of

TOKENIZER = "tokenizer.json"


class RowOverlap(NamedTuple):
    """A row of the benchmark that stands in training data, at `place` first.

    `prompt` and `responses` have, by kind of overlap, the share of the text's words that do; of
    several responses it is the largest.
    """

    id: str
    subset: str
    place: str
    prompt: Mapping[str, float]
    responses: Mapping[str, float]

    def touched(self, kind: str, least: float = 0.0) -> bool:
        """Whether that share of its prompt or of a response, or any, stands there."""
        return max(self.prompt.get(kind, 0.0), self.responses.get(kind, 0.0)) >= (least or 1e-12)


class Untouched(NamedTuple):
    """A result without the rows that a kind of overlap touches: how many are left, and metrics.

    The Score is absent where a subset has no row left.
    """

    result: Result
    kind: str
    rows: int
    metrics: Metrics


@dataclass(frozen=True)
class Overlap:
    """What of a benchmark stands in training data.

    `kinds` are "exact" and the runs of words or tokens, `rows` those that any of them touches,
    `sizes` the rows of each subset. `least` is the share of a text from which it counts.
    """

    benchmark: str
    train: tuple[str, ...]
    train_rows: int
    kinds: tuple[str, ...]
    rows: tuple[RowOverlap, ...]
    sizes: Mapping[str, int]
    least: float
    without: tuple[Untouched, ...]

    def touched(self, kind: str) -> frozenset[str]:
        """Returns the ids of the rows that a kind of overlap touches."""
        return frozenset(row.id for row in self.rows if row.touched(kind, self.least))


def overlap(
    train: str | Path | Sequence[str | Path] | Iterable[Mapping[str, Any]],
    benchmark: Benchmark | str | Path,
    *,
    results: ResultLike | Sequence[ResultLike] = (),
    data: str | Path | None = None,
    tokenizer: str | Path | None = None,
    least: float = 0.0,
) -> Overlap:
    """Returns which rows of a benchmark stand in training data, and results without them.

    Every text of a training row is sought, whatever its columns are called; files are read as a
    stream. Equal texts, and runs of 13 and 8 words, are found, as GPT-3's authors count them
    (docs/overlap.md).

    Args:
        train: files or folders, of any kind that `load_benchmark` reads; or rows.
        benchmark: a benchmark, or what `load_benchmark` takes; `data` is where its rows are.
        results: of this benchmark, or their folders: what is left of their Score.
        tokenizer: a tokenizer.json, or its folder; runs of 13 are then of its tokens.
        least: the share of a text, from 0 to 1, from which it counts as touched; 0 is any.

    Raises BadData for files that cannot be read and results of other rows, BadOption.
    """
    if not 0 <= least <= 1:
        raise BadOption(f"least {least:g}: a share is from 0 to 1")
    files, rows = _training(train)
    asked = benchmark if isinstance(benchmark, Benchmark) else load_benchmark(benchmark, data)
    several = [results] if isinstance(results, Result | str | Path) else results
    found = [_of_these_rows(result_of(one), asked) for one in several]
    tokens = None if tokenizer is None else Tokens(_tokenizer_file(Path(tokenizer)))
    index = Index.of([text for item in asked.preferences for text in texts_of(item)], tokens)
    count = index.seek(rows)
    if not count:
        raise BadData(f"{', '.join(files) or 'train'}: no rows")
    made = Overlap(
        benchmark=asked.name,
        train=files,
        train_rows=count,
        kinds=(EXACT, *index.kinds),
        rows=tuple(_touched(asked.preferences, index)),
        sizes=subset_rows(asked.preferences),
        least=least,
        without=(),
    )
    untouched = [_without(result, kind, made) for result in found for kind in made.kinds]
    return replace(made, without=tuple(untouched))


def _training(train: Any) -> tuple[tuple[str, ...], Iterator[tuple[str, Talks]]]:
    """Returns what the training data are called, and their rows, each with its place."""
    given = [train] if isinstance(train, str | Path) else train
    if isinstance(given, Sequence) and all(isinstance(one, str | Path) for one in given):
        files = [file for one in given for file in _files(Path(one))]
        placed = (found for file in files for found in read_file(Source(file, str(file))))
        return tuple(map(str, files)), ((place, training_texts(row)) for place, row in placed)
    return (), ((f"row {n}", training_texts(row)) for n, row in enumerate(given, 1))


def _files(path: Path) -> list[Path]:
    found = files_below(path) if path.is_dir() else [path]
    if not path.exists():
        raise BadData(f"{path}: no such file or folder")
    if not found or not all(is_readable(file.name) for file in found):
        raise BadData(f"{path}: cannot be read; known: {known_endings()}")
    return found


def _tokenizer_file(path: Path) -> Path:
    file = path / TOKENIZER if path.is_dir() else path
    if not file.is_file():
        raise BadOption(f"{file}: no such file; pass a {TOKENIZER}, or its folder")
    return file


def _touched(preferences: Sequence[Preference], index: Index) -> Iterator[RowOverlap]:
    """Yields the rows of which anything was found."""
    number = 0
    for item in preferences:
        prompt, *responses = (index.finding(number + at) for at in range(1 + len(item.responses)))
        number += 1 + len(item.responses)
        shares: dict[str, float] = {}
        for found in responses:
            for kind, share in found.shares.items():
                shares[kind] = max(share, shares.get(kind, 0.0))
        places = [found for found in (prompt, *responses) if found.row]
        if places:
            first = min(places, key=lambda found: found.row)
            yield RowOverlap(item.id, item.subset, first.place, prompt.shares, shares)


def _of_these_rows(result: Result, benchmark: Benchmark) -> Result:
    """Returns a result. Raises BadData where its rows are not among the benchmark's."""
    known = {item.id: item.digest for item in benchmark.preferences}
    for item in result.scored:
        if known.get(item.id) != item.digest:
            raise BadData(
                f"{result.folder}: row {item.id} is not one of {benchmark.name}'s here; pass the "
                "rows that it was made of"
            )
    return result


def _without(result: Result, kind: str, made: Overlap) -> Untouched:
    touched = made.touched(kind)
    left = tuple(item for item in result.scored if item.id not in touched)
    if not left:
        return Untouched(result, kind, 0, Metrics({}, {}))
    scheme = scheme_of(result.definition).with_rows(subset_rows(left))
    return Untouched(result, kind, len(left), describe_scores(scheme, left, result.weighting))
