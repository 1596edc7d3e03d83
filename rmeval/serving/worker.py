"""The one thread that a model has: it loads it, and computes what waits, as much as there is.

Nothing is delayed on purpose. While the model computes, others come, and all that has come is
planned and computed together by the engine: answers to one prompt share it.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from threading import Thread

from rmeval.engine.truncation import Encoded
from rmeval.errors import BadConversation, BadReward, RmevalError, ServerFailure
from rmeval.records import Score
from rmeval.serving.metrics import Metrics
from rmeval.serving.queue import Item, ModelEnded, Overloaded, Queue, Remembered, Request, digest_of
from rmeval.serving.settings import ServedModel

PASSES = 4  # whose tokens are taken from the queue at once
RATES = 16  # of the last full batches, of which the best says how fast the model is
LONGEST_PAUSE = 60  # seconds that a client is told to wait
LOADING, READY, DEAD = "loading", "ready", "dead"
Found = dict[bytes, Score | RmevalError]  # by digest


class Worker(Thread):
    """`state` is LOADING, READY or DEAD; `failure` is why a model could not be loaded.

    `loaded` says whether it ever was. `unanswered` is a sequence for which an engine elsewhere had
    no answer when it was asked last, None where it had.
    """

    def __init__(
        self,
        load: Callable[[], ServedModel],
        metrics: Metrics,
        *,
        max_wait: float,
        deterministic: bool = False,
    ) -> None:
        """Starts nothing yet."""
        super().__init__(name="rmeval model", daemon=True)
        self._load, self._metrics = load, metrics
        self._max_wait, self._deterministic = max_wait, deterministic
        self._queue, self._remembered = Queue(), Remembered()
        self._requests: set[Request] = set()
        self._rates: deque[float] = deque(maxlen=RATES)
        self._computing = 0  # tokens
        self.state, self.loaded = LOADING, False
        self.failure: RmevalError | None = None
        self.unanswered: Encoded | None = None

    def run(self) -> None:
        """Loads the model and computes until it is stopped; what waits at a failure, fails."""
        try:
            try:
                model = self._load()
            except RmevalError as error:
                self.failure = error
                return
            self.state, self.loaded = READY, True
            while items := self._queue.take(PASSES * model.batch_tokens):
                self._compute(model, items)
        finally:
            self.state = DEAD
            self._fail_all()

    def stop(self) -> None:
        """Has the thread end after what it computes now."""
        self._queue.close()

    @property
    def waiting(self) -> int:
        """The requests that are not answered yet."""
        return len(self._requests)

    @property
    def sequences_waiting(self) -> int:
        """The sequences that are not begun yet."""
        return len(self._queue)

    def estimated_wait(self) -> float:
        """Returns the seconds until what comes now is begun; 0 as long as nothing was measured."""
        ahead = self._queue.tokens + self._computing
        return ahead / max(self._rates) if self._rates else 0.0

    async def score(self, sequences: Sequence[Encoded]) -> list[Score]:
        """Returns the scores of sequences, when their turn has come.

        Raises Overloaded for what would wait too long, and has, and BadReward.
        """
        request = Request(sequences, asyncio.get_running_loop().create_future())
        left = self._look_up(request)
        if request.answer.done():
            return request.answer.result()
        self._admit()
        self._requests.add(request)
        self._queue.put(left)
        try:
            if self.state == DEAD:
                self._fail_all()
            await asyncio.wait([request.answer], timeout=self._max_wait)
            if not request.begun and not request.answer.done():
                raise self._overloaded()
            return await request.answer
        finally:
            self._requests.discard(request)
            request.answer.cancel()  # which does nothing to an answer
            if not request.whole:
                self._metrics.dropped.inc(self._queue.drop(request))

    def _look_up(self, request: Request) -> list[Item]:
        """Returns what of a request is not remembered."""
        items = [Item(request, i, digest_of(s)) for i, s in enumerate(request.sequences)]
        known = {
            item.place: score
            for item in items
            if (score := self._remembered.get(item.digest, item.sequence)) is not None
        }
        self._metrics.remembered.inc(len(known))
        request.take(known)
        return [item for item in items if item.place not in known]

    def _admit(self) -> None:
        if self.estimated_wait() > self._max_wait:
            raise self._overloaded()

    def _overloaded(self) -> Overloaded:
        over = math.ceil(self.estimated_wait() - self._max_wait)
        return Overloaded("too much waits: try again", min(max(over, 1), LONGEST_PAUSE))

    def _compute(self, model: ServedModel, items: Sequence[Item]) -> None:
        """Computes what is not known by now, each sequence once, and hands it out."""
        self._computing = sum(len(item.sequence.ids) for item in items)
        found: Found = {}
        wanted: dict[bytes, Encoded] = {}
        for item in items:
            if item.request.answer.done():  # whoever asked has left
                continue
            known = self._remembered.get(item.digest, item.sequence)
            if known is None:
                wanted[item.digest] = item.sequence
            else:
                found[item.digest] = known
        if wanted:
            found |= self._timed(model, wanted)
        self._computing = 0
        _hand_out(items, found)

    def _timed(self, model: ServedModel, wanted: Mapping[bytes, Encoded]) -> Found:
        """Returns what is computed of sequences, remembers it, and how long it took."""
        started = time.perf_counter()
        found = self._score(model, wanted)
        failed = (d for d, score in found.items() if isinstance(score, ServerFailure))
        self.unanswered = next((wanted[digest] for digest in failed), None)
        seconds = time.perf_counter() - started
        tokens = sum(len(sequence.ids) for sequence in wanted.values())
        if tokens >= model.batch_tokens:  # less says nothing of how fast it can be
            self._rates.append(tokens / seconds)
        self._remembered.put({d: score for d, score in found.items() if isinstance(score, Score)})
        self._metrics.computed(len(wanted), tokens, seconds)
        return found

    def _score(self, model: ServedModel, wanted: Mapping[bytes, Encoded]) -> Found:
        """Returns the scores of sequences by digest, and an error for each that has none."""
        if not self._deterministic:
            try:
                scores = model.score_fitted(list(wanted.values()))
                return dict(zip(wanted, scores, strict=True))
            except ServerFailure as error:  # of an engine elsewhere, which has been patient
                return dict.fromkeys(wanted, error)
            except RmevalError as error:
                if len(wanted) == 1:
                    return dict.fromkeys(wanted, error)
        return {digest: _alone(model, sequence) for digest, sequence in wanted.items()}

    def _fail_all(self) -> None:
        """Has every request fail that is not answered."""
        dead = ModelEnded("the model's thread has ended; see the server's log")
        for request in list(self._requests):
            request.tell({0: dead})


def _alone(model: ServedModel, sequence: Encoded) -> Score | RmevalError:
    try:
        return model.score_fitted([sequence])[0]
    except RmevalError as error:
        return error


def _hand_out(items: Sequence[Item], found: Found) -> None:
    """Tells each request what was found of it."""
    told: dict[Request, dict[int, Score | RmevalError]] = {}
    for item in items:
        if item.digest in found:
            score = found[item.digest]
            if isinstance(score, Score):
                score = score._replace(truncated=item.sequence.truncated)
            elif isinstance(score, BadReward):
                score = BadReward(item.place, score.value)
            elif isinstance(score, BadConversation):
                score = BadConversation(item.place, score.reason)
            told.setdefault(item.request, {})[item.place] = score
    for request, scores in told.items():
        request.tell(scores)
