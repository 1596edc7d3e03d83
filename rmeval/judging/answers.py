"""Who answers a judge's questions: a server, or a language model on this machine."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

from rmeval.duels import SERVER, UNKNOWN
from rmeval.errors import ServerFailure
from rmeval.llm.calls import ask_each
from rmeval.llm.endpoint import Answer, Endpoint, RequestRefused, plain_url
from rmeval.records import Conversation, Sampling

if TYPE_CHECKING:
    from rmeval.llm.generator import LocalGenerator

LIMIT, NEW_LIMIT = "max_tokens", "max_completion_tokens"  # OpenAI's later models refuse the first
Keep = Callable[[int, Answer], None]
"""Called with each answer as it comes, and the place of its question."""


class Answers(Protocol):
    """Who answers questions."""

    def identity(self) -> dict[str, Any]:
        """Returns all that its answers depend on, as far as it can be known."""

    def engine(self) -> dict[str, Any]:
        """Returns how answers are made, and where."""

    def length(self, text: str) -> int:
        """Returns the length of a response, in the unit that `identity` names."""

    def answer(
        self,
        questions: Sequence[Conversation],
        waiting: Sequence[int],
        sampling: Sampling,
        keep: Keep,
    ) -> dict[int, ServerFailure]:
        """Answers those questions that are `waiting`; returns the calls that failed, and why.

        A question that is neither kept nor failed was not asked.
        """


@dataclass(frozen=True)
class ServerAnswers:
    """Answers from an OpenAI-compatible server, several calls at once; `seconds` are of one."""

    url: str
    model: str
    concurrency: int
    seconds: float
    key_over_http: bool = False

    def __post_init__(self) -> None:
        self._connect()  # whatever is wrong with the URL is found before a benchmark is read

    def identity(self) -> dict[str, Any]:
        """Returns the names of model and server: nobody sees a server's weights."""
        unknown = {"revision": None, "dtype": UNKNOWN}
        return {"answers": self.model, "server": plain_url(self.url), **unknown, "lengths": "words"}

    def engine(self) -> dict[str, Any]:
        """Returns the server's address and the client's version."""
        client = f"openai {version('openai')}"
        return {"path": SERVER, "reason": None, "device": self.url, "client": client}

    def length(self, text: str) -> int:
        """Returns the number of words: the server's tokenizer is not here."""
        return len(text.split())

    def answer(
        self,
        questions: Sequence[Conversation],
        waiting: Sequence[int],
        sampling: Sampling,
        keep: Keep,
    ) -> dict[int, ServerFailure]:
        """Asks the server; an answer is kept in the moment in which it is there."""
        call = _Call(self._connect(), sampling)

        calls = ask_each(
            call.endpoint,
            waiting,
            lambda index: call.answer(questions[index]),
            self.concurrency,
            served=len(waiting) < len(questions),
            keep=keep,
        )
        with closing(calls) as found:
            return {index: error for index, error in found if isinstance(error, ServerFailure)}

    def _connect(self) -> Endpoint:
        return Endpoint(
            self.url, self.model, seconds=self.seconds, key_over_http=self.key_over_http
        )


class _Call:
    """One question to a server, which may want the limit of tokens under its newer name."""

    def __init__(self, endpoint: Endpoint, sampling: Sampling) -> None:
        self.endpoint = endpoint
        self._limit, self._tokens = LIMIT, sampling.max_new_tokens
        self._settings = {"temperature": sampling.temperature}
        if sampling.temperature > 0:
            self._settings["seed"] = sampling.seed

    async def answer(self, question: Conversation) -> Answer:
        try:
            return await self._ask(question, self._limit)
        except RequestRefused as error:
            if NEW_LIMIT not in str(error):
                raise
        self._limit = NEW_LIMIT
        return await self._ask(question, NEW_LIMIT)

    async def _ask(self, question: Conversation, limit: str) -> Answer:
        return await self.endpoint.answer(question, **self._settings, **{limit: self._tokens})


class LocalAnswers:
    """Answers from a causal language model here, in batches, with its own chat template."""

    def __init__(self, generator: "LocalGenerator", name: str, revision: str | None) -> None:
        self._generator, self._name, self._revision = generator, name, revision

    def identity(self) -> dict[str, Any]:
        """Returns name, commit, dtype, and the fingerprint of config.json and the weights.

        Raises BadCheckpoint or Unreachable for weights that cannot be read.
        """
        return self._identity

    @cached_property
    def _identity(self) -> dict[str, Any]:
        from rmeval.models.checkpoints.checkpoint import open_checkpoint

        checkpoint = open_checkpoint(self._name, self._revision)
        read_by = self._generator.settings()
        return {
            "answers": self._name,
            "revision": checkpoint.revision,
            "weights": checkpoint.fingerprint(),
            **{key: read_by[key] for key in ("dtype", "tokenizer", "date") if key in read_by},
            "lengths": "tokens",
        }

    def engine(self) -> dict[str, Any]:
        """Returns the device, and how many questions share a batch."""
        where = self._generator.engine()
        return {"path": "transformers", "reason": None, **where}

    def length(self, text: str) -> int:
        """Returns the number of tokens."""
        return self._generator.count_tokens(text)

    def answer(
        self,
        questions: Sequence[Conversation],
        waiting: Sequence[int],
        sampling: Sampling,
        keep: Keep,
    ) -> dict[int, ServerFailure]:
        """Asks the model; questions that are too long for it are refused."""
        refused: dict[int, ServerFailure] = {}
        with closing(self._generator.answer(questions, waiting, sampling)) as found:
            for index, answer in found:
                if isinstance(answer, Answer):
                    keep(index, answer)
                else:
                    refused[index] = answer
        return refused
