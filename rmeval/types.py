"""Every record, in the order in which it appears on the way from a benchmark to a number.

Plain frozen values: no torch, no files, no behaviour beyond what follows from the fields.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

DTYPES = ("auto", "bfloat16", "float16", "float32", "float64")
ENGINES = ("auto", "packed", "padded")


class Message(NamedTuple):
    """One turn of a conversation."""

    role: str
    content: str


Conversation = tuple[Message, ...]


class Progress(NamedTuple):
    """Where a run stands, in tokens: put through the model, to be put through it, and in all.

    Shared prefixes and equal conversations make the second smaller than the third. `kept` of the
    first were put through it by an earlier run.
    """

    computed: int
    to_compute: int
    in_all: int
    kept: int = 0
    device_bytes: int = 0  # the most that a GPU's memory has held


OnProgress = Callable[[Progress], None]
"""Called after every forward pass."""


@dataclass(frozen=True, slots=True)
class Preference:
    """A prompt with responses, of which the first `num_chosen` are preferred to all others."""

    id: str
    subset: str
    prompt: Conversation
    responses: tuple[str, ...]
    num_chosen: int = 1

    def conversations(self) -> list[Conversation]:
        """Returns the prompt with each response as the assistant's turn, in order."""
        return [(*self.prompt, Message("assistant", response)) for response in self.responses]


class Score(NamedTuple):
    """The reward of one conversation; `tokens` is its length as the model saw it."""

    value: float
    tokens: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class ScoredPreference:
    """A preference reduced to its scores, in the order of its responses."""

    id: str
    subset: str
    num_chosen: int
    scores: tuple[Score, ...]


@dataclass(frozen=True, slots=True)
class Metrics:
    """What the scores mean. Values are fractions of one.

    `values` holds `overall`, `section/<name>` and `subset/<name>`. What cannot be computed is
    absent, never 0: a section without rows has no entry, and `overall` needs every section whole.
    `partial_sections` names the sections of which only some subsets, or some rows, were run.
    """

    values: dict[str, float]
    rows: dict[str, int]
    partial_sections: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """An evaluation: its numbers, the scores they come from, and everything that made them.

    `partial` says why this is not the whole benchmark, or is None. `folder` is where it is kept.
    """

    benchmark: str
    model: str
    weighting: str
    metrics: Metrics
    scored: tuple[ScoredPreference, ...]
    partial: str | None
    provenance: dict[str, Any]
    folder: Path | None = None

    @property
    def overall(self) -> float | None:
        """The benchmark's score, or None where it is not available."""
        return self.metrics.values.get("overall")
