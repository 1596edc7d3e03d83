"""What a run will take, before anything is loaded: tokens, forward passes, memory, time."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from rmeval.benchmarks import Benchmark
from rmeval.cards import Card, find_card
from rmeval.known import KnownCheckpoint
from rmeval.load_options import LoadOptions

if TYPE_CHECKING:
    from rmeval.models.model import Plan
    from rmeval.models.pairwise import PairwiseModel
    from rmeval.models.reward_model import RewardModel


USUAL_LAYERS = 32  # of a checkpoint of which only the name is known


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A run's tokens, forward passes, bytes and seconds; nothing of it has been computed.

    `computed` are the tokens that go through the network, unique ones where it is `packed`. The
    seconds of a card by name are those of `rmeval.engine.estimate`, on `cards` of it, or None where
    that has no figures (float32). Of this machine they are a lower bound: every matrix product at
    the `rate`, in FLOP/s, that the device reaches on large ones.
    """

    model: str
    benchmark: str
    dtype: str
    device: str
    packed: bool
    texts: int
    tokens: int
    computed: int
    passes: int
    batch_tokens: int
    weight_bytes: int
    activation_bytes: int
    flops: int
    cards: int
    seconds: float | None
    rate: float | None = None

    def describe(self) -> str:
        """Returns the plan as `rmeval run --dry-run` prints it."""
        kind = "tokens with padding"
        if self.packed:
            kind = "unique tokens, shared prefixes once, if the model is found to allow it"
        lines = [
            f"{self.model} on {self.benchmark}, nothing loaded",
            f"  texts           {self.texts:,}, of {self.tokens:,} tokens",
            f"  to compute      {self.computed:,} {kind}",
            f"  forward passes  {self.passes:,} of up to {self.batch_tokens:,} tokens",
            f"  weights         {self.weight_bytes / 2**30:.2f} GiB in {self.dtype}",
            f"  activations     up to {self.activation_bytes / 2**30:.2f} GiB in a forward pass",
        ]
        return "\n".join(lines + (self._here() if self.rate else self._there()))

    def _here(self) -> list[str]:
        return [
            f"  arithmetic      {self.flops / 1e12:,.1f} TFLOP, at least {self.seconds:,.1f} s at "
            "the",
            f"                  {(self.rate or 0) / 1e12:,.2f} TFLOP/s that {self.device} reaches "
            "now",
        ]

    def _there(self) -> list[str]:
        room = find_card(self.device).memory / 2**30
        fits = f"{self.device} ({room:.0f} GiB): " + (
            "fits one" if self.cards == 1 else f"is spread over {self.cards}, by one process"
        )
        spent = "no figures in this dtype"
        if self.seconds is not None:
            digits = 0 if self.seconds >= 10 else 1
            spent = f"about {self.seconds:,.{digits}f} s by arithmetic, see docs/large-runs.md"
        return [
            f"  arithmetic      {self.flops / 1e12:,.1f} TFLOP",
            f"  placement       {fits}",
            f"  scoring         {spent}",
        ]


def plan_run(model: str | Path, benchmark: Benchmark, **options: Unpack[LoadOptions]) -> RunPlan:
    """Returns what scoring a benchmark will take; no weights are downloaded or read.

    Args:
        model: a folder, or a name on the Hub, whose config.json and weights' shapes are asked for.
        benchmark: from `rmeval.load_benchmark`.
        options: as for `rmeval.load_model`; with `on`, a GPU by name ("h100-80gb"), the plan is for
            that, which does not need to be here.

    Raises UnknownName for a card that is not known, with the names, and as `load_model` does.
    """
    from rmeval.models.load import load_scorer

    given = {**options, "weights": False}
    return plan_of(load_scorer(model, given), benchmark, options.get("on"))


def plan_of(model: "RewardModel | PairwiseModel", benchmark: Benchmark, on: str | None) -> RunPlan:
    """Returns the plan of a model that was loaded without weights, for here or for a card."""
    from rmeval.engine.memory import bytes_per_token, matrix_rate, planned_cards, weight_bytes

    plan, network, engine = model.plan(benchmark.preferences), model.network, model.engine
    rate = None if on else matrix_rate(model.device, model.dtype)
    card = find_card(on) if on else None
    cards = planned_cards(network, card) if card else 1
    return RunPlan(
        model=model.name,
        benchmark=benchmark.name,
        dtype=model.dtype_name,
        device=on or str(model.device),
        packed=engine.packed,
        texts=plan.texts,
        tokens=plan.tokens,
        computed=sum(plan.passes),
        passes=len(plan.passes),
        batch_tokens=engine.batch_tokens,
        weight_bytes=weight_bytes(network),
        activation_bytes=engine.batch_tokens * bytes_per_token(network, model.dtype),
        flops=plan.flops,
        cards=cards,
        seconds=_seconds(model, plan, card, cards) if card else plan.flops / (rate or 1),
        rate=rate,
    )


def describe_known(known: KnownCheckpoint, on: str) -> str:
    """Returns what can be said of a checkpoint of which no file is here: whether it fits a card."""
    from rmeval.engine.memory import cards_for

    card, weights = find_card(on), int(known.memory * 2**30)
    count = cards_for(weights, weights // USUAL_LAYERS, card)
    fits = "fits one" if count == 1 else f"is spread over {count}, by one process"
    return "\n".join(
        [
            f"{known.name}, of which no file is here, and the Hub cannot be reached",
            f"  weights         {known.memory:.1f} GiB in {known.dtype or '16 bits'}, by its name",
            f"  placement       {on} ({card.memory / 2**30:.0f} GiB): {fits}",
            "  scoring         needs config.json and the tokenizer",
        ]
    )


def _seconds(
    model: "RewardModel | PairwiseModel", plan: "Plan", card: Card, cards: int
) -> float | None:
    from rmeval.engine.estimate import estimate, over_cards, shape_of

    if model.dtype.itemsize != 2:
        return None
    shapes = [shape_of(body.config.get_text_config()) for body in model.network.bodies]
    parts = estimate(plan.work, shapes, card)
    return over_cards(sum(parts.values()), len(plan.passes), cards)
