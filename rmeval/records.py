"""Every record, in the order in which it appears on the way from a benchmark to a number.

Plain frozen values: no torch, no files, no behaviour beyond what follows from the fields.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from rmeval.tabular import Tabular

if TYPE_CHECKING:
    from rmeval.results.schema import Provenance

DTYPES = ("auto", "bfloat16", "float16", "float32", "float64")
ENGINES = ("auto", "packed", "padded")
SERVED = ("vllm", "sglang", "tei", "rmeval", "openrlhf")
"""Engines that run elsewhere, see `rmeval.engines.client.PROTOCOLS`."""
PARALLEL = ("tensor",)
SPECIALS = ("template", "tokenizer", "once", "bos", "eos", "bos+eos")
"""Which special tokens stand around a rendered text: what the chat template writes, alone; what the
tokenizer adds, too, as in `tokenizer(text)`; the same, but not what the template has already
written; or these, once each."""
POOLS = ("last", "last-not-pad", "before-first-pad")  # see rmeval.engine.plan.scored_place
WEIGHTS = (1e-9, 1e9)  # of rows; beyond these sums of them are no longer exact, or no numbers


class Message(tuple[str, ...]):
    """One turn of a conversation; as a tuple, (role, content) where that is all there is to it.

    `extra` are the other fields it was given with, such as tool_calls, as JSON text whose keys keep
    their order: a template may write them as they come. There a null stands for a content that
    was null. `tools`, on a first message, are those that the conversation offers, as JSON text, and
    `reference`, there too, is the answer that its response may be compared with.
    """

    __slots__ = ()

    def __new__(
        cls, role: str, content: str, extra: str = "", tools: str = "", reference: str = ""
    ) -> Self:
        """Raises nothing; what a user writes is checked by `to_conversation`."""
        given = (role, content, extra, tools, reference)
        return super().__new__(cls, given[: 5 if reference else 4 if tools else 3 if extra else 2])

    def __getnewargs__(self) -> tuple[str, ...]:
        return tuple(self)

    def __repr__(self) -> str:
        return f"Message({', '.join(map(repr, self))})"

    @property
    def role(self) -> str:
        """Whose turn it is."""
        return self[0]

    @property
    def content(self) -> str:
        """What is said."""
        return self[1]

    @property
    def extra(self) -> str:
        """The other fields as JSON text, or ""."""
        return self[2] if len(self) > 2 else ""

    @property
    def tools(self) -> str:
        """The tools that are offered from here on as JSON text, or ""."""
        return self[3] if len(self) > 3 else ""

    @property
    def reference(self) -> str:
        """The answer that a response to this conversation may be compared with, or ""."""
        return self[4] if len(self) > 4 else ""

    def fields(self) -> dict[str, Any]:
        """Returns the message as a chat template, a server or TRL takes it; `tools` go apart."""
        others = json.loads(self.extra) if self.extra else {}
        return {"role": self.role, "content": self.content, **others}

    def saying(self, content: str) -> "Message":
        """Returns the message with another content, and all else that it has."""
        others = json.loads(self.extra) if self.extra else {}
        others.pop("content", None)
        extra = json.dumps(others, ensure_ascii=False) if others else ""
        return Message(self.role, content, extra, self.tools, self.reference)


Conversation = tuple[Message, ...]
Reply = str | Message
"""A response: its text, or the assistant's message where it has more fields than that."""


def as_message(reply: Reply) -> Message:
    """Returns a response as the assistant's turn."""
    return Message("assistant", reply) if isinstance(reply, str) else reply


def tools_of(conversation: Conversation) -> list[dict[str, Any]] | None:
    """Returns the tools that a conversation offers, as a chat template takes them."""
    found = conversation[0].tools if conversation else ""
    tools: list[dict[str, Any]] | None = json.loads(found) if found else None
    return tools


def with_tools(conversation: Conversation, tools: str) -> Conversation:
    """Returns a conversation that offers tools, JSON text; "" is none."""
    first, *others = conversation
    return (Message(first.role, first.content, first.extra, tools, first.reference), *others)


def with_system(conversation: Conversation, text: str) -> Conversation:
    """Returns a conversation that begins with a system message; what it offers stays its own."""
    first, *others = conversation
    system = Message("system", text, "", first.tools, first.reference)
    return (system, Message(first.role, first.content, first.extra), *others)


def reference_of(conversation: Conversation) -> str:
    """Returns the answer that a conversation's response may be compared with, or ""."""
    return conversation[0].reference if conversation else ""


def with_reference(conversation: Conversation, reference: str) -> Conversation:
    """Returns a conversation whose response may be compared with an answer; "" is none."""
    first, *others = conversation
    return (Message(first.role, first.content, first.extra, first.tools, reference), *others)


class Progress(NamedTuple):
    """Where a run stands, in tokens: put through the model, to be put through it, and in all.

    Shared prefixes and equal conversations make the second smaller than the third. `kept` of the
    first were put through it by an earlier run. Of a generative judge it is in calls.
    """

    computed: int
    to_compute: int
    in_all: int
    kept: int = 0
    device_bytes: int = 0  # the most that a GPU's memory has held
    unit: str = "tokens"


OnProgress = Callable[[Progress], None]
"""Called after every forward pass."""


@dataclass(frozen=True, slots=True)
class Preference:
    """A prompt with responses, of which the first `num_chosen` are preferred to all others.

    `magnitude` says how strongly (the unit is the data's own), `weight` how much the row counts.
    Rows of one `cluster` (a problem in several languages, a prompt) are one unit of chance; a row
    without one is a unit of its own. Of right and wrong answers to a question the right ones are
    preferred, which may be none or all; `answers` are then the final answers, one for each
    response, where the data says them. `criterion` is what a judge is to go by, where it asks.
    """

    id: str
    subset: str
    prompt: Conversation
    responses: tuple[Reply, ...]
    num_chosen: int = 1
    magnitude: float | None = None
    weight: float = 1.0
    cluster: str = ""
    answers: tuple[str, ...] = ()
    criterion: str = ""

    @property
    def digest(self) -> str:
        """A fingerprint of the texts, 32 hex digits: equal only for the same question."""
        asked = [self.criterion] if self.criterion else []
        content = [self.prompt, self.responses, self.num_chosen, *asked]
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def conversations(self) -> list[Conversation]:
        """Returns the prompt with each response as the assistant's turn, in order."""
        return [(*self.prompt, as_message(response)) for response in self.responses]


class Score(NamedTuple):
    """The reward of one conversation; `tokens` is its length as the model saw it.

    `objectives` are the numbers that the reward is made of, for models that say them.
    """

    value: float
    tokens: int
    truncated: bool
    objectives: tuple[float, ...] = ()


class Comparisons(NamedTuple):
    """The verdicts that a row's scores were made from, for those who compare responses.

    How many there were, in how many the response shown first was the better, and how many were
    ties or could not be parsed, either of which is half a win for each. Of responses that were
    rated one by one `first` is None, and `made` are the ratings.
    """

    made: int
    first: int | None
    tied: int
    unparsed: int


@dataclass(frozen=True, slots=True)
class ScoredPreference:
    """A preference reduced to its scores, in the order of its responses.

    `digest` is that of its texts, so that scores of two models can be known to be of the same
    question without the texts; it is empty where nobody knows them. With `comparisons` the scores
    were made of verdicts, and equal ones are half a win; without, they are a loss. `answers` are
    numbers, equal where two responses give the same final answer; none where nobody knows.
    """

    id: str
    subset: str
    num_chosen: int
    scores: tuple[Score, ...]
    digest: str = ""
    magnitude: float | None = None
    weight: float = 1.0
    comparisons: Comparisons | None = None
    cluster: str = ""
    answers: tuple[int, ...] = ()

    @property
    def unit(self) -> tuple[str, str]:
        """What is drawn by chance: all rows of its cluster together, or this row alone."""
        return (self.cluster, "") if self.cluster else ("", self.id)


class Disguised(NamedTuple):
    """A row's chosen and rejected scores, and those of the rejected response in disguises.

    `disguised` has them by what each is called, see `rmeval.metrics.disguises`.
    """

    id: str
    subset: str
    chosen: Score
    rejected: Score
    disguised: Mapping[str, Score]


class Sampling(NamedTuple):
    """How candidates are drawn; the defaults are those of InternLM2-Reward's card."""

    n: int = 10
    temperature: float = 0.8
    top_k: int = 50
    top_p: float = 0.95
    max_new_tokens: int = 512
    seed: int = 0


class Interval(NamedTuple):
    """A 95 % confidence interval, in the unit of its metric, and how it was made."""

    low: float
    high: float
    method: str


@dataclass(frozen=True, slots=True)
class Metrics:
    """What the scores mean. Values are fractions of one.

    `values` holds `overall`, `section/<name>` and `subset/<name>`. What cannot be computed is
    absent, never 0: a section without rows has no entry, and `overall` needs every section whole.
    `partial_sections` names the sections of which only some subsets, or some rows, were run.
    `intervals` has the names of `values`; `statistics` holds what is no accuracy: calibration,
    and what length alone would score.
    """

    values: dict[str, float]
    rows: dict[str, int]
    partial_sections: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    statistics: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, repr=False)
class Result(Tabular):
    """An evaluation: its numbers, the scores they come from, and everything that made them.

    `definition` is the registered benchmark whose arithmetic was used: `benchmark` itself, or
    "pairs" for data of the user's own. `partial` says why this is not the whole benchmark, or is
    None. `folder` is where it is kept. `name` is what the model is to be called for people, None as
    it was loaded. `disguised` are rows whose rejected response was scored in disguises too.
    """

    benchmark: str
    definition: str
    model: str
    weighting: str
    metrics: Metrics
    scored: tuple[ScoredPreference, ...]
    partial: str | None
    provenance: "Provenance"
    folder: Path | None = None
    name: str | None = None
    disguised: tuple[Disguised, ...] = ()

    @property
    def shown_name(self) -> str:
        """What the model is called in tables, figures and titles."""
        return self.model if self.name is None else self.name

    @property
    def overall(self) -> float | None:
        """The benchmark's score, or None where it is not available."""
        return self.metrics.values.get("overall")
