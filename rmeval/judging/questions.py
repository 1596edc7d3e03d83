"""What a judge is asked about the rows of a benchmark, and where its answers are kept."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from rmeval.duels import plan_duels, texts_of
from rmeval.errors import BadOption
from rmeval.judging.formats import LISTWISE, PAIRWISE, PromptFormat, require_listable
from rmeval.llm.endpoint import Answer
from rmeval.records import Conversation, Preference, Sampling

if TYPE_CHECKING:
    from rmeval.engine.store import ScoreStore

BOTH, RANDOM, LATIN = JUDGE_ORDERS = ("both", "random", "latin")
USUAL_ORDER = {PAIRWISE: BOTH, LISTWISE: RANDOM}
ORDERS_OF = {PAIRWISE: (BOTH, RANDOM), LISTWISE: (RANDOM, LATIN)}


class Ask(NamedTuple):
    """What is sent: a conversation, how the answer is sampled, and which tokens it may begin with.

    `labels` are those whose probability is wanted, after thinking (`thinks`, as for readers) and
    `before` or `after`; None where text is.
    """

    conversation: Conversation
    sampling: Sampling
    labels: tuple[str, ...] | None = None
    before: str = ""
    after: str = ""
    thinks: bool | str = False


class Question(NamedTuple):
    """What is asked about a row: its place, and the responses shown, by theirs, in order.

    `digest` is that of exactly what is sent; `asked` reads the answer.
    """

    row: int
    shown: tuple[int, ...]
    criterion: int
    sample: int
    ask: Ask
    digest: bytes
    asked: PromptFormat


@dataclass(frozen=True, slots=True)
class Manner:
    """How questions are asked: in which order responses are shown, and how answers are sampled.

    `order` is that of `ORDERS_OF`, None the usual one of each format; None is also a format's own
    temperature or number of tokens. Each of the `samples` has a seed of its own, `seed` the first.
    """

    order: str | None = None
    seed: int = 0
    samples: int = 1
    temperature: float | None = None
    max_new_tokens: int | None = None

    def order_of(self, asked: PromptFormat) -> str | None:
        """Returns the order of a format's responses, None where it rates them one by one."""
        usual = USUAL_ORDER.get(asked.kind)
        known = ORDERS_OF.get(asked.kind, ())
        return self.order if self.order in known else usual

    def sampling(self, asked: PromptFormat, sample: int = 0) -> Sampling:
        """Returns how a sample of an answer is drawn."""
        temperature, tokens = self.temperature, self.max_new_tokens
        return Sampling(
            n=1,
            temperature=asked.temperature if temperature is None else temperature,
            top_k=0,
            top_p=1.0,
            max_new_tokens=asked.max_new_tokens if tokens is None else tokens,
            seed=self.seed + sample,
        )


def plan_questions(
    preferences: Sequence[Preference],
    prompt_format: PromptFormat,
    manner: Manner,
    settings: Mapping[str, Any],
) -> list[Question]:
    """Returns what is asked about each row, in order, as the format of its subset asks.

    `settings` say who answers; the digest is of these, of what is sent, and of how it is sampled.
    Raises BadData for a row that is more than text, or that the format cannot ask about.
    """
    questions = []
    for index, row in enumerate(preferences):
        asked = prompt_format.of_subset(row.subset)
        texts, criteria = texts_of(row), asked.criteria_of(row)
        for shown in _shown(row, asked, manner):
            for number, criterion in enumerate(criteria):
                conversation = asked.question(
                    row.prompt, [texts[place] for place in shown], row.subset, criterion.text
                )
                for sample in range(manner.samples):
                    ask = _ask(asked, conversation, manner.sampling(asked, sample), len(shown))
                    digest = _digest(ask, settings)
                    questions.append(Question(index, shown, number, sample, ask, digest, asked))
    return questions


def sampled(sampling: Sampling) -> dict[str, Any]:
    """Returns what of the sampling an answer depends on."""
    at = {"temperature": sampling.temperature, "max_new_tokens": sampling.max_new_tokens}
    return {**at, "seed": sampling.seed} if sampling.temperature > 0 else at


def _shown(row: Preference, asked: PromptFormat, manner: Manner) -> Iterator[tuple[int, ...]]:
    """Yields which responses of a row are shown, each time in which order."""
    order = manner.order_of(asked)
    if order is None:
        yield from ((place,) for place in range(len(row.responses)))
    elif asked.kind == PAIRWISE:
        yield from ((d.first, d.second) for d in plan_duels([row], order, manner.seed))
    else:
        if asked.verdict.scale is None:
            require_listable(row)
        yield from _orders(row, order, manner.seed)


def _orders(row: Preference, order: str, seed: int) -> Iterator[tuple[int, ...]]:
    """Yields a row's responses shuffled, by the seed and the row's texts alone.

    In a Latin square they are shuffled once and then turned round, so that each is once in each
    place.
    """

    def coin(place: int) -> bytes:
        return hashlib.sha256(f"{seed} {row.digest} {place}".encode()).digest()

    first = sorted(range(len(row.responses)), key=coin)
    for turn in range(len(first) if order == LATIN else 1):
        yield (*first[turn:], *first[:turn])


def _ask(asked: PromptFormat, conversation: Conversation, sampling: Sampling, shown: int) -> Ask:
    labels = asked.verdict.labels(shown)
    if labels is None:
        return Ask(conversation, sampling)
    reader = asked.verdict
    return Ask(conversation, sampling, tuple(labels), reader.before, reader.after, reader.thinks)


def _digest(ask: Ask, settings: Mapping[str, Any]) -> bytes:
    probed = {} if ask.labels is None else {"labels": ask[2:]}
    sent = {**settings, **sampled(ask.sampling), **probed}
    content = json.dumps([sent, ask.conversation], sort_keys=True)
    return hashlib.sha256(content.encode()).digest()


def require_order(order: str | None, asked: PromptFormat) -> None:
    """Raises BadOption for an order that a format does not have."""
    known = ORDERS_OF.get(asked.kind, ())
    if order is not None and order not in known:
        one = f"it shows responses as {' or '.join(known)}" if known else "it rates one by one"
        raise BadOption(f"order {order} is not of the {asked.kind} format {asked.name}: {one}")


class KeptAnswers:
    """Answers by the digest of their question: in memory, and in a store where there is one."""

    def __init__(self, store: "ScoreStore | None") -> None:
        self.store = store
        self._found: dict[bytes, Answer] = {}

    def get(self, digest: bytes) -> Answer | None:
        """Returns the answer, from this run or an earlier one, or None."""
        if digest not in self._found and self.store is not None:
            blob = self.store.get_bytes(digest)
            if blob is not None:
                self._found[digest] = Answer(*json.loads(blob))
        return self._found.get(digest)

    def put(self, digest: bytes, answer: Answer) -> None:
        """Keeps an answer; it survives a kill from now on. Raises OutputFailure."""
        if self.store is not None:
            self.store.put_bytes(digest, json.dumps(answer).encode())
        self._found[digest] = answer
