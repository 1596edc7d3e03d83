"""Who answers a judge's questions: a server, or a language model on this machine."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol, Self

from rmeval.duels import SERVER, UNKNOWN
from rmeval.errors import BadOption, ServerFailure
from rmeval.judging.budget import Budget
from rmeval.judging.likelihood import with_labels
from rmeval.judging.questions import Ask
from rmeval.llm.address import plain_url
from rmeval.llm.calls import ask_each
from rmeval.llm.endpoint import Answer, Endpoint, RequestRefused

if TYPE_CHECKING:
    from rmeval.engine.scoring import Store
    from rmeval.llm.generator import LocalGenerator
    from rmeval.llm.likelihoods import LocalLikelihoods

LIKELIEST, FEWER = 20, 5  # tokens in a place; some servers give no more than the second
LIMIT, NEW_LIMIT = "max_tokens", "max_completion_tokens"  # OpenAI's later models refuse the first
Keep = Callable[[int, Answer], None]
"""Called with each answer as it comes, and the place of its question."""


class Answers(Protocol):
    """Who answers questions."""

    @property
    def budget(self) -> Budget | None:
        """What may be spent on it, if that is bounded."""

    def identity(self) -> dict[str, Any]:
        """Returns all that its answers depend on, as far as it can be known."""

    def engine(self) -> dict[str, Any]:
        """Returns how answers are made, and where."""

    def length(self, text: str) -> int:
        """Returns the length of a response, in the unit that `identity` names."""

    def answer(
        self,
        asks: Sequence[Ask],
        waiting: Sequence[int],
        keep: Keep,
        store: "Store | None" = None,
    ) -> dict[int, ServerFailure]:
        """Answers those questions that are `waiting`; returns the calls that failed, and why.

        A question that is neither kept nor failed was not asked. What is computed here on the way
        to answers is kept in `store` until they are whole.
        """

    def repeats(self, ask: Ask, answer: Answer) -> bool | None:
        """Returns whether the same question and seed give the same answer; None: no need to ask."""

    def account(self) -> dict[str, Any]:
        """Returns what is known only after it has answered."""


@dataclass(frozen=True)
class ServerAnswers:
    """Answers from an OpenAI-compatible server, several calls at once; `seconds` are of one."""

    url: str
    model: str
    concurrency: int
    seconds: float
    key_over_http: bool = False
    budget: Budget | None = None

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
        asks: Sequence[Ask],
        waiting: Sequence[int],
        keep: Keep,
        store: "Store | None" = None,
    ) -> dict[int, ServerFailure]:
        """Asks the server; an answer is kept in the moment in which it is there."""
        call = _Call(self._connect())

        async def answer(index: int) -> Answer:
            found = None
            try:
                found = await call.answer(asks[index])
                return found
            finally:
                if self.budget is not None:
                    self.budget.settle(index, found)

        calls = ask_each(
            call.endpoint,
            waiting if self.budget is None else _Affordable(waiting, asks, self.budget),
            answer,
            self.concurrency,
            served=len(waiting) < len(asks),
            keep=keep,
        )
        with closing(calls) as found:
            return {index: error for index, error in found if isinstance(error, ServerFailure)}

    def repeats(self, ask: Ask, answer: Answer) -> bool | None:
        """Asks once more; None where that call fails, since nothing depends on it."""
        again: list[Answer] = []
        self.answer([ask], [0], lambda index, found: again.append(found))
        return again[0].text == answer.text if again else None

    def request(self, ask: Ask) -> dict[str, Any]:
        """Returns what is sent for a question, without the model's name."""
        messages = [message.fields() for message in ask.conversation]
        return {"messages": messages, **_settings(ask, LIMIT, LIKELIEST)}

    def read(self, body: Mapping[str, Any], ask: Ask) -> Answer:
        """Returns the answer in what a server sent. Raises ServerFailure for none."""
        endpoint = self._connect()
        if ask.labels is None:
            return endpoint.read(body)
        return with_labels(*endpoint.read_by_token(body), ask)

    def account(self) -> dict[str, Any]:
        """Nothing: every answer says what it took."""
        return {}

    def _connect(self) -> Endpoint:
        return Endpoint(
            self.url, self.model, seconds=self.seconds, key_over_http=self.key_over_http
        )


class _Affordable:
    """Those questions that a budget allows for. When it does again, after answers came, it goes on.

    So it is asked for the next one anew each time, as `ask_each` does.
    """

    def __init__(self, waiting: Sequence[int], asks: Sequence[Ask], budget: Budget) -> None:
        self._left, self._asks, self._budget = list(reversed(waiting)), asks, budget

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> int:
        if not self._left or not self._budget.promise(self._left[-1], self._asks[self._left[-1]]):
            raise StopIteration
        self._budget.stopped = False
        return self._left.pop()


class _Call:
    """Questions to a server, which may want the limit of tokens under its newer name.

    Or give the probabilities of fewer tokens.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._limit, self._likeliest = LIMIT, LIKELIEST

    async def answer(self, ask: Ask) -> Answer:
        while True:
            limit, likeliest = self._limit, self._likeliest
            try:
                return await self._ask(ask, limit, likeliest)
            except RequestRefused as error:
                if NEW_LIMIT in str(error) and limit == LIMIT:
                    self._limit = NEW_LIMIT
                elif "logprobs" in str(error) and ask.labels and likeliest == LIKELIEST:
                    self._likeliest = FEWER
                else:
                    raise

    async def _ask(self, ask: Ask, limit: str, likeliest: int) -> Answer:
        settings = _settings(ask, limit, likeliest)
        if ask.labels is None:
            return await self.endpoint.answer(ask.conversation, **settings)
        answer, tokens = await self.endpoint.answer_by_token(ask.conversation, **settings)
        return with_labels(answer, tokens, ask)


def _settings(ask: Ask, limit: str, likeliest: int) -> dict[str, Any]:
    """Returns how a question is sampled, in a server's words."""
    sampling = ask.sampling
    settings: dict[str, Any] = {limit: sampling.max_new_tokens, "temperature": sampling.temperature}
    if sampling.temperature > 0:
        settings["seed"] = sampling.seed
    probed = {"logprobs": True, "top_logprobs": likeliest}
    return settings if ask.labels is None else {**settings, **probed}


class LocalAnswers:
    """Answers from a causal language model here, in batches, with its own chat template."""

    budget: Budget | None = None  # it costs nothing

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

    def repeats(self, ask: Ask, answer: Answer) -> None:
        """Nothing is asked: here the seed is obeyed."""

    def answer(
        self,
        asks: Sequence[Ask],
        waiting: Sequence[int],
        keep: Keep,
        store: "Store | None" = None,
    ) -> dict[int, ServerFailure]:
        """Asks the model; questions that are too long for it are refused.

        Those that are sampled alike share batches, each sample of a question with its own seed.
        """
        told = set(waiting)
        written = [index for index, ask in enumerate(asks) if ask.labels is None]
        found: dict[int, ServerFailure] = {}
        for sampling in dict.fromkeys(asks[index].sampling for index in written):
            alike = [index for index in written if asks[index].sampling == sampling]
            found |= self._write(asks, alike, told, keep)
        for labels, before in dict.fromkeys(ask[2:4] for ask in asks if ask.labels is not None):
            alike = [i for i, ask in enumerate(asks) if ask[2:4] == (labels, before)]
            found |= self._weigh([*asks], alike, told, keep, store)
        return found

    def _write(
        self, asks: Sequence[Ask], alike: Sequence[int], waiting: set[int], keep: Keep
    ) -> dict[int, ServerFailure]:
        """Has the model write answers to questions that are sampled alike."""
        refused: dict[int, ServerFailure] = {}
        questions = [asks[index].conversation for index in alike]
        wanted = [place for place, index in enumerate(alike) if index in waiting]
        sampling = asks[alike[0]].sampling
        with closing(self._generator.answer(questions, wanted, sampling)) as found:
            for place, answer in found:
                if isinstance(answer, Answer):
                    keep(alike[place], answer)
                else:
                    refused[alike[place]] = answer
        return refused

    def _weigh(
        self,
        asks: Sequence[Ask],
        alike: Sequence[int],
        waiting: set[int],
        keep: Keep,
        store: "Store | None",
    ) -> dict[int, ServerFailure]:
        """Keeps how probable the labels of questions are. All are planned: none moves another."""
        if waiting.isdisjoint(alike):
            return {}
        questions = [asks[index].conversation for index in alike]
        first = asks[alike[0]]
        if first.after:
            raise BadOption(
                "the prompt format finds its token within an answer that is written first "
                "([verdict] after), which takes a server; here it can only be given `before`"
            )
        found = self._likelihoods.answers(questions, first.labels or (), first.before, store=store)
        refused: dict[int, ServerFailure] = {}
        for index, answer in zip(alike, found, strict=True):
            if isinstance(answer, RequestRefused):
                refused |= {index: answer} if index in waiting else {}
            elif index in waiting:
                keep(index, answer)
        return refused

    def account(self) -> dict[str, Any]:
        """Returns how passes were made, where probabilities were asked for."""
        asked = "_likelihoods" in vars(self)
        return {"passes": self._likelihoods.engine()} if asked else {}

    @cached_property
    def _likelihoods(self) -> "LocalLikelihoods":
        from rmeval.llm.likelihoods import LocalLikelihoods

        return LocalLikelihoods(self._generator)
