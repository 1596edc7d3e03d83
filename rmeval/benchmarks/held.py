"""A user's own preference data that is in memory already: rows, a data frame, a data set."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from rmeval.benchmarks.arithmetic import ARITHMETIC
from rmeval.benchmarks.benchmark import Benchmark
from rmeval.benchmarks.own import UNREAD_ID, PlacedRow, Reading
from rmeval.benchmarks.reading.columns import check_fields
from rmeval.benchmarks.reading.files import ROWS_AT_ONCE, Placed, rows_of
from rmeval.benchmarks.reading.rows import Row, require_unique_ids
from rmeval.benchmarks.reading.splits import choose_split
from rmeval.errors import BadData, BadOption, first_line

NAME = "rows"  # of a benchmark that has none


class Held(NamedTuple):
    """What is held, in words, its split, and its rows with their places."""

    source: str
    split: str | None
    rows: Iterable[Placed]


def load_held(
    data: object, *, columns: Mapping[str, str] | None = None, split: str | None = None
) -> Benchmark:
    """Loads preferences of the user's own from memory; layouts and columns as of `load_own`.

    `data` is a list of mappings, a pandas.DataFrame, or a Dataset, IterableDataset or DatasetDict
    of `datasets`. Raises BadData for anything else, and for rows of no layout, with their number.
    """
    asked = dict(columns or {})
    check_fields(asked)
    held, reading = _hold(data, split), Reading(asked)
    placed = reading.preferences(_placed(held))
    preferences = reading.clustered(require_unique_ids(placed, UNREAD_ID))
    if reading.layout is None:
        raise BadData(f"{held.source}: no rows")
    layout = reading.describe()
    return Benchmark(
        name=NAME,
        definition=reading.definition,
        preferences=preferences,
        source=held.source,
        revision=None,
        scheme=ARITHMETIC[reading.definition],
        partial=reading.partial(len(preferences)),
        layout=f"split {held.split}; {layout}" if held.split else layout,
        reading={"columns": asked, "split": split},
    )


def _placed(held: Held) -> Iterator[PlacedRow]:
    for place, values in held.rows:
        yield held.split or NAME, Row(values, place), list(values)


def _hold(data: object, split: str | None) -> Held:
    if _is(data, "datasets", "DatasetDict", "IterableDatasetDict"):
        splits: Any = data
        chosen, _ = choose_split(list(splits), split, "the DatasetDict")
        return Held("a DatasetDict in memory", chosen, _of_dataset(splits[chosen]))
    if split is not None:
        raise BadOption(f"split {split!r}: only a DatasetDict in memory has splits")
    if _is(data, "datasets", "Dataset", "IterableDataset"):
        return Held("a Dataset in memory", None, _of_dataset(data))
    if _is(data, "pandas", "DataFrame"):
        return Held("a DataFrame in memory", None, _of_frame(data))
    if isinstance(data, list | tuple):
        return Held("a list in memory", None, _of_list(data))
    kind = type(data).__name__
    raise BadData(
        f"{kind} is not a benchmark; pass a name, a file, a list of mappings, a DataFrame "
        "or a Dataset"
    )


def _is(data: object, package: str, *names: str) -> bool:
    """Whether data is of a package's classes; who has such an object has imported the package."""
    module = sys.modules.get(package)
    return module is not None and isinstance(data, tuple(getattr(module, name) for name in names))


def _of_list(data: Iterable[Any]) -> Iterator[Placed]:
    for number, values in enumerate(data, 1):
        if not isinstance(values, Mapping):
            raise BadData(f"row {number}: expected a mapping, not {type(values).__name__}")
        yield f"row {number}", dict(values)


def _of_frame(data: Any) -> Iterator[Placed]:
    """Yields the rows as a parquet file would have them: NaN and None are no value."""
    import pyarrow as pa

    try:
        table = pa.Table.from_pandas(data, preserve_index=False)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise BadData(f"the DataFrame: not a readable table ({first_line(error)})") from error
    yield from rows_of([table], "DataFrame")


def _of_dataset(data: Any) -> Iterator[Placed]:
    yield from rows_of(data.with_format("arrow").iter(ROWS_AT_ONCE), "Dataset")
