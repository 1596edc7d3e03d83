"""What a server counts, as Prometheus reads it."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE

__all__ = ["CONTENT_TYPE", "Metrics"]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250)
SEQUENCES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096)


class Metrics:
    """The numbers of one server; each has a registry of its own."""

    def __init__(self) -> None:
        """All are 0."""
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)  # memory, CPU, open files
        self.model = Info("rmeval_model", "What is served", registry=self._registry)
        self.requests = self._counter("requests", "Requests answered", ("path", "status"))
        self.seconds = self._histogram(
            "request_seconds", "From a request's body to its answer", SECONDS, ("path",)
        )
        self.sequences = self._counter("sequences", "Sequences asked for")
        self.tokens = self._counter("tokens", "Tokens asked for")
        self.cut = self._counter("truncated", "Sequences cut to the model's length")
        self.remembered = self._counter("remembered", "Sequences whose reward was remembered")
        self.dropped = self._counter("dropped", "Sequences dropped since nobody waits any more")
        self.computed_tokens = self._counter("computed_tokens", "Tokens computed")
        self.batch_sequences = self._histogram(
            "batch_sequences", "Sequences computed together", SEQUENCES
        )
        self.batch_seconds = self._histogram("batch_seconds", "Time to compute them", SECONDS)
        self.waiting = self._gauge("waiting_sequences", "Sequences that wait")
        self.wait = self._gauge("estimated_wait_seconds", "What comes now would wait so long")
        self.ready = self._gauge("ready", "1 while requests are taken")

    def computed(self, sequences: int, tokens: int, seconds: float) -> None:
        """Counts what was computed together."""
        self.computed_tokens.inc(tokens)
        self.batch_sequences.observe(sequences)
        self.batch_seconds.observe(seconds)

    def written(self) -> bytes:
        """Returns all of them in Prometheus' text format."""
        return generate_latest(self._registry)

    def _counter(self, name: str, told: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"rmeval_{name}", told, labels, registry=self._registry)

    def _gauge(self, name: str, told: str) -> Gauge:
        return Gauge(f"rmeval_{name}", told, registry=self._registry)

    def _histogram(
        self, name: str, told: str, bounds: tuple[float, ...], labels: tuple[str, ...] = ()
    ) -> Histogram:
        return Histogram(f"rmeval_{name}", told, labels, buckets=bounds, registry=self._registry)
