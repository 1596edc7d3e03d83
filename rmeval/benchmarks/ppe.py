"""PPE Correctness (five data sets `lmarena-ai/PPE-*-Best-of-K`), arXiv 2410.14872.

A row is one question with 32 responses of one model. Columns: prompt, response_1 … response_32, and
scores, a list that says which are right. Its preferences are the recipe `ppe-preference`.

The Score is the mean of five accuracies over pairs of a right and a wrong response. PPE's own
accuracy is over pairs that it sampled (the column sampled_conflict_pairs, which is not read): here
it is over all pairs, pooled over the questions of a set, or under the second weighting with every
question alike, which is what as many sampled pairs of each would estimate.

Not seen: the files and a licence. The columns are those of the cards and of others' programs, the
numbers of rows those of the Hub's viewer (IFEval, MBPP-Plus) and of the publisher's total, 2,555.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rmeval.benchmarks.benchmark import Benchmark, Definition
from rmeval.benchmarks.reading.rows import Row, files_below, read_rows, require_known
from rmeval.errors import BadData, BadOption
from rmeval.hub import fetch_snapshot
from rmeval.metrics.correctness import BEST, PAIRS, PAIRS_BY_PROMPT
from rmeval.metrics.names import OVERALL, Metric
from rmeval.metrics.scheme import Part, Scheme, Strata, by_subset
from rmeval.records import Message, Preference

SETS = {"MMLU-Pro": 512, "MATH": 512, "GPQA": 512, "IFEval": 512, "MBPP-Plus": 507}
RESPONSES = 32
COLUMNS = ("prompt", "scores", *(f"response_{n}" for n in range(1, RESPONSES + 1)))
ALL, ALIKE = "all pairs", "all pairs by prompt"  # weightings
BEST_OF_ALL = replace(BEST, part=f"best of {RESPONSES}")
LEAVES = {ALL: replace(PAIRS, part=""), ALIKE: PAIRS_BY_PROMPT}
ELSEWHERE = "pass `data=FOLDER` with the five data sets in it"


def repository_of(name: str) -> str:
    """Returns the data set on the Hub of one of SETS."""
    return f"lmarena-ai/PPE-{name}-Best-of-K"


def read_correctness(path: Path) -> tuple[Preference, ...]:
    """Reads a folder of the five data sets, or of some; each file's path says which it is of.

    Raises BadData for a missing column, a value that is none, or a file of no set.
    """
    files: dict[str, list[Path]] = {}
    for file in files_below(path) if path.is_dir() else [path]:
        files.setdefault(_set_of(file), []).append(file)
    if not files:
        raise BadData(f"{path}: no data set in this folder; {ELSEWHERE}")
    return tuple(row for name in SETS if name in files for row in _read_set(name, files[name]))


def _read_set(name: str, files: list[Path]) -> Iterator[Preference]:
    for number, row in enumerate(read_rows(files, COLUMNS), 1):
        yield to_preference(row, name, number)


def to_preference(row: Row, name: str, number: int) -> Preference:
    """Returns a row of a set, the right responses first. Raises BadData.

    A question may stand in several rows, one for each model: ids are the rows' numbers.
    """
    responses = [row.text(f"response_{n}") for n in range(1, RESPONSES + 1)]
    right = row.flags("scores", RESPONSES)
    order = sorted(range(RESPONSES), key=lambda index: not right[index])
    return Preference(
        id=f"{name}/{number}",
        subset=name,
        prompt=(Message("user", row.text("prompt")),),
        responses=tuple(responses[index] for index in order),
        num_chosen=sum(right),
    )


def _set_of(file: Path) -> str:
    """Returns which of SETS a file is of, by its name or the nearest folder that says it."""
    known = {name.lower().replace("-", ""): name for name in SETS}
    for part in reversed(file.parts):
        plain = part.lower().replace("-", "").replace("_", "")
        found = [name for key, name in known.items() if key in plain]
        if found:
            return found[0]
    return require_known(file.name, SETS, "data set of PPE", str(file.parent))


@dataclass(frozen=True)
class FiveSets(Definition):
    """The definition of a benchmark whose rows are in five data sets."""

    def load(self, data: Path | None, revision: str | None) -> Benchmark:
        """Reads the rows from `data`, or from the Hub; `revision` is then five, with commas.

        Raises BadOption, BadData or Unreachable.
        """
        if data is not None:
            return super().load(data, revision)
        asked = revision.split(",") if revision else [None] * len(SETS)
        if len(asked) != len(SETS):
            raise BadOption(
                f"data revision {revision}: {self.name} needs five with commas, of "
                + ", ".join(SETS)
            )
        folders = {
            name: fetch_snapshot(repository_of(name), "dataset", one, self.patterns, ELSEWHERE)
            for name, one in zip(SETS, asked, strict=True)
        }
        rows = [
            row for name, folder in folders.items() for row in _read_set(name, files_below(folder))
        ]
        commits = ",".join(folder.name for folder in folders.values())
        return self._benchmark(tuple(rows), str(self.repository), commits)


def _parts(strata: Strata, weighting: str) -> list[Part]:
    def mean(part: str) -> dict[str, float]:
        return {Metric.subset(name, part): 1.0 for name in SETS}

    return [
        Part(Metric.overall(BEST_OF_ALL.part), mean(BEST_OF_ALL.part), needs_all=True),
        Part(OVERALL, mean(LEAVES[weighting].part), needs_all=True),
    ]


SCHEME = Scheme(by_subset(*LEAVES.values(), BEST_OF_ALL), _parts, tuple(LEAVES), SETS, answers=True)
PPE_CORRECTNESS = FiveSets(
    name="ppe-correctness",
    read=read_correctness,
    scheme=SCHEME,
    licence="not stated",
    meaning="mean of five accuracies over all pairs of a right and a wrong response",
    remark="Over all pairs; PPE's own figures are over pairs that it sampled.",
    repository="lmarena-ai/PPE-*-Best-of-K",
    patterns=("data/train-*",),
)
