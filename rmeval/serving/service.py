"""A model with its thread, its readers and its numbers: what the routes of `app` talk to."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from anyio import CapacityLimiter, to_thread

from rmeval.conversations import parse_json
from rmeval.engine.truncation import Encoded
from rmeval.errors import BadConversation, BadData, BadReward, RmevalError, first_line
from rmeval.evaluation import scoring_provenance
from rmeval.records import Score
from rmeval.scorer import examine
from rmeval.serving.metrics import Metrics
from rmeval.serving.protocols import PROTOCOLS, Asked, Served
from rmeval.serving.queue import ModelEnded, Overloaded
from rmeval.serving.reading import Reader
from rmeval.serving.settings import ServedModel, Settings
from rmeval.serving.worker import DEAD, LOADING, READY, Worker

DRAINING = "draining"
AWAY = "away"  # as an engine elsewhere is that does not answer
PAUSE = {LOADING: 5, DRAINING: 1}  # seconds after which a client may try again
Load = Callable[[], ServedModel]


class Service:
    """`state` is LOADING, READY, AWAY, DRAINING or DEAD; `facts` are all a reward depends on."""

    def __init__(self, model: ServedModel | Load, settings: Settings) -> None:
        """Loads nothing yet: the model's own thread does."""
        self.settings, self.metrics = settings, Metrics()
        self._model, self._draining = model, False
        self.worker = Worker(
            self._load,
            self.metrics,
            max_wait=settings.max_wait,
            deterministic=settings.deterministic,
        )
        self.started = int(time.time())
        self.facts: dict[str, Any] = {}
        self.served: Served | None = None
        self._reader: Reader | None = None
        self._asking: asyncio.Future[None] | None = None
        self._reading = 0  # requests that are read just now
        self._one_at_a_time = CapacityLimiter(1)  # tokenizers are not for several threads
        self.metrics.waiting.set_function(lambda: self.worker.sequences_waiting)
        self.metrics.wait.set_function(self.worker.estimated_wait)
        self.metrics.ready.set_function(lambda: float(self.state == READY))

    @property
    def state(self) -> str:
        """How it stands."""
        if self.worker.state != READY:
            return self.worker.state
        if self._draining:
            return DRAINING
        return READY if self.worker.unanswered is None else AWAY

    def ask_again(self) -> None:
        """Asks an engine that is away, unless that is under way: nobody else may, as long as it is.

        To be called in the event loop.
        """
        if self.worker.unanswered is not None and not self.worker.waiting:
            self._asking = asyncio.ensure_future(self._ask_again(self.worker.unanswered))

    async def _ask_again(self, sequence: Encoded) -> None:
        with suppress(RmevalError):
            await self.worker.score([sequence])

    def drain(self) -> None:
        """Takes no more requests; those that wait are answered."""
        self._draining = True

    @property
    def ended(self) -> bool:
        """Whether it has nothing left to do: it is drained, or could not begin."""
        drained = self._draining and not self._reading and not self.worker.waiting
        return drained or (self.worker.state == DEAD and not self.worker.loaded)

    async def answer(self, path: str, body: bytes) -> Any:
        """Returns what a protocol's client is answered, to be written as JSON.

        Raises RmevalError: BadData for what cannot be read, Overloaded, BadReward.
        """
        if self.state in PAUSE:
            raise Overloaded(f"the server is {self.state}: try again", PAUSE[self.state])
        if self.state == DEAD:
            raise ModelEnded("the model's thread has ended; see the server's log")
        self._reading += 1
        try:
            asked, sequences = await to_thread.run_sync(
                self._read, path, body, limiter=self._one_at_a_time
            )
        finally:
            self._reading -= 1
        try:
            scores = await self.worker.score(sequences)
        except (BadConversation, BadReward) as error:
            raise error.at(f"{asked.word} {error.index}") from error
        self._count(scores)
        return asked.answer(scores)

    def _read(self, path: str, body: bytes) -> tuple[Asked, list[Encoded]]:
        """Returns what is asked for, and the ids of all of it. In a thread of its own."""
        try:
            fields = parse_json(body.decode())
        except (ValueError, RecursionError) as error:
            raise BadData(f"the body is not JSON ({first_line(error)})") from error
        if not isinstance(fields, dict):
            raise BadData("the body must be a JSON object")
        assert self.served is not None
        assert self._reader is not None
        asked = PROTOCOLS[path](fields, self.served)
        on_long = asked.on_long or self.settings.on_long
        return asked, self._reader.read(asked.items, asked.word, on_long)

    def _count(self, scores: list[Score]) -> None:
        self.metrics.sequences.inc(len(scores))
        self.metrics.tokens.inc(sum(score.tokens for score in scores))
        self.metrics.cut.inc(sum(score.truncated for score in scores))

    def _load(self) -> ServedModel:
        """Returns the model, checked, when all that is told of it is known. In its own thread."""
        model = self._model() if callable(self._model) else self._model
        template = None
        if self.settings.text_template is not None:
            from rmeval.models.text.rendered import open_template

            template = open_template(self.settings.text_template, model.tokenizer)
        if getattr(model, "checks", True):
            examine(model, [])
        name = self.settings.name or model.name
        self.served = Served(tuple(dict.fromkeys((name, model.name))), model.max_length)
        self._reader = Reader(model, template)
        self.facts = scoring_provenance(model)
        told = {"name": name, "fingerprint": self.facts["model"]["fingerprint"]}
        self.metrics.model.info(told)
        return model

    def describe(self) -> dict[str, Any]:
        """Returns what is served, and all that a reward of it depends on."""
        model = self.facts.get("model", {})
        told = ("fingerprint", "revision", "family", "dtype", "template_sha256", "max_length")
        return {
            "model": self.served.name if self.served else self.settings.name,
            "state": self.state,
            **{name: model.get(name) for name in told},
            "objectives": model.get("objectives", []),
            "versions": self.facts.get("versions", {}),
            "provenance": self.facts,
            "serving": {
                "on_long": self.settings.on_long,
                "text_template": self.settings.text_template,
                "deterministic": self.settings.deterministic,
                "max_wait": self.settings.max_wait,
                "max_body_mib": self.settings.max_body_mib,
                "started": self.started,
            },
        }


__all__ = ["AWAY", "DEAD", "DRAINING", "LOADING", "READY", "Service"]
