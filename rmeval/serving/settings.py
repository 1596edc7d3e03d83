"""What can be said about a server, whoever starts it."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from rmeval.engine.truncation import Encoded
from rmeval.errors import BadOption, UnknownName
from rmeval.records import Conversation, Score
from rmeval.scorer import RewardScorer

CUT, REFUSE = "cut", "refuse"
ON_LONG = (CUT, REFUSE)
MIB = 2**20


@dataclass(frozen=True)
class Settings:
    """How a model is served.

    `name` is what clients call it, by default its own. A request waits at most `max_wait` seconds
    before it is begun. A body has at most `max_body_mib`. `on_long` says what becomes of a
    conversation that is too long for the model. `text_template` is what texts were rendered with,
    if not with the model's own: a file, a name, or a model. `deterministic` computes each sequence
    alone. With a `key` nothing is answered without it but whether the server lives.
    """

    name: str | None = None
    max_wait: float = 100.0
    max_body_mib: int = 32
    on_long: str = CUT
    text_template: str | None = None
    deterministic: bool = False
    key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.on_long not in ON_LONG:
            raise UnknownName("way of `on_long=`", self.on_long, ON_LONG)
        if not self.max_wait > 0 or self.max_body_mib < 1:
            raise BadOption("`max_wait=` and `max_body_mib=` must be above 0")
        if self.key is not None and not self.key.strip():
            raise BadOption("the key is empty; unset RMEVAL_API_KEY to serve without one")


class ServedModel(RewardScorer, Protocol):
    """A scorer that can be served: it reads what clients send, and scores what it has read.

    `RewardModel` is one. Reading raises BadConversation, with the index of what cannot be read.
    """

    @property
    def max_length(self) -> int:
        """The most tokens of a sequence."""

    @property
    def batch_tokens(self) -> int:
        """The tokens that are computed at once."""

    @property
    def tokenizer(self) -> Any:
        """The tokenizer whose special tokens a template may name."""

    def fit(self, conversations: list[Conversation]) -> list[Encoded]:
        """Returns conversations in the model's own template, cut where they must be."""

    def fit_texts(self, texts: list[str]) -> list[Encoded]:
        """Returns texts that are rendered already."""

    def fit_ids(self, rows: list[tuple[int, ...]]) -> list[Encoded]:
        """Returns token ids as they are."""

    def score_fitted(self, fitted: list[Encoded]) -> list[Score]:
        """Returns the score of each.

        Raises BadReward, whose `index` is its place, and ServerFailure where another server that
        computes fails.
        """
