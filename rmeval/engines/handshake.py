"""What is found out about an engine before the first row: who it is, and whether rewards are raw.

An engine that puts rewards through a sigmoid or a softmax, normalises states, or counts other
tokens than were sent answers with numbers that look like rewards. Each is told by comparing a few
probes with each other; whether the rewards are the model's own, only a reference can say.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rmeval.engines.client import Answers, EngineClient, Guard
from rmeval.engines.parity import Parity, Told, judge, measure
from rmeval.engines.protocol import IDS, TEXTS, Facts, Mode
from rmeval.errors import ServerFailure
from rmeval.models.doctor.mistakes import Expected
from rmeval.records import Conversation, Message

PROBES: tuple[Conversation, ...] = tuple(
    (Message("user", question), Message("assistant", answer))
    for question, answer in (
        ("Hi", "Hello! How can I help you today?"),
        ("What is 7 times 8?", "56"),
        ("What is 7 times 8?", "I do not know, and I do not care."),
        ("Name a river in France.", "The Loire, which is the longest one."),
        ("Is the earth flat?", "Yes, of course it is, everybody knows that."),
        ("Write a haiku.", "An old silent pond\nA frog jumps into the pond\nSplash! Silence again"),
        ("def f(x):", "```python\ndef f(x):\n    return 2 * x\n```"),
        ("Say nothing.", "…"),
    )
)
GUARDS = 3  # of the probes: those that then travel with every request
NOISE, SHARE = 4.0, 1e-3  # of what was measured, and of the spread: what a guard may differ
ADVICE = "; pass `checks=False`"


class Met(NamedTuple):
    """An engine that was met: what it is, how it is asked, what travels with every request.

    `places` are the guard's among the probes. `noise` is the largest difference of one sequence's
    rewards alone and among others, `spread` that of the probes' rewards; `doubts` are what was
    found, where somebody insisted.
    """

    facts: Facts
    mode: Mode
    guard: Guard
    places: tuple[int, ...]
    noise: float
    spread: float
    doubts: tuple[str, ...]
    parity: Parity | None = None


class Held(NamedTuple):
    """What an engine is held to: rows as it is sent them, and what a model gives for these."""

    inputs: Sequence[Any]
    expected: Expected


async def meet(
    client: EngineClient,
    probes: Sequence[Sequence[int] | str],
    *,
    held_to: Callable[[int | None], Held] | None = None,
    insist: bool = False,
) -> Met:
    """Asks an engine the probes, token ids or texts, in several ways.

    `held_to` returns what of a reference has at most so many tokens. Raises ServerFailure for an
    engine that is not fit, unless somebody insists.
    """
    kind = TEXTS if isinstance(probes[0], str) else IDS
    facts = await client.facts()
    together = await _ask(client, kind, probes)
    alone = [(await _ask(client, kind, [probe])).rewards[0] for probe in probes]
    doubts = [*_token_doubts(kind, probes, together)]
    doubts += await _activation_doubts(client, kind, probes, together.rewards)
    parity = None
    if held_to is not None:
        held = held_to(facts.max_model_len)
        told = Told((await _ask(client, kind, held.inputs)).rewards)
        parity, check = measure(told.rewards, held.expected.right), judge(kind, told, held.expected)
        doubts += [f"{check.finding}; {check.advice}"] if check.status == "fail" else []
    if doubts and not insist:
        raise ServerFailure(f"{client.url}: {doubts[0]}")
    rewards = together.rewards
    noise = max(abs(one - other) for one, other in zip(alone, rewards, strict=True))
    spread = max(rewards) - min(rewards)
    tolerance = max(NOISE * noise, SHARE * spread)
    shortest = sorted(range(len(probes)), key=lambda place: len(probes[place]))[:GUARDS]
    inputs = tuple(probes[place] for place in shortest)
    guard = Guard(inputs, tuple(tuple(together.rows[place]) for place in shortest), tolerance)
    assert client.mode is not None
    return Met(facts, client.mode, guard, tuple(shortest), noise, spread, tuple(doubts), parity)


async def _ask(
    client: EngineClient, kind: str, probes: Sequence[Any], activation: bool | None = False
) -> Answers:
    ask = client.ask_text if kind == TEXTS else client.ask
    return await ask(probes, activation=activation)


def _token_doubts(kind: str, probes: Sequence[Any], found: Answers) -> list[str]:
    sent = sum(map(len, probes))
    if kind != IDS or found.tokens in (None, sent):
        return []
    return [
        f"counts {found.tokens} tokens where {sent} were sent: it adds or cuts tokens, and its "
        "rewards are of other texts"
    ]


async def _activation_doubts(
    client: EngineClient, kind: str, probes: Sequence[Any], raw: Sequence[float]
) -> list[str]:
    """Returns what says that raw rewards are none."""
    name, knows = client.protocol.name, client.protocol.activation
    if len(set(raw)) == 1:
        why = "a softmax over one label" if raw[0] == 1.0 else "no reward of a model"
        return [f"gives every conversation {raw[0]:g}, which is {why}"]
    if not all(0 <= reward <= 1 for reward in raw):
        return []
    if knows is None:
        return [
            f"all {len(raw)} probes are worth between 0 and 1, as after a sigmoid, and {name} has "
            f"no option for raw rewards{ADVICE} where the model's own are such"
        ]
    activated = (await _ask(client, kind, probes, activation=True)).rewards
    if list(activated) != list(raw):
        return []
    return [
        f"gives the same numbers between 0 and 1 with and without `{knows}`: it does not heed the "
        f"option, as vLLM before 0.11.1, or applies a sigmoid of its own{ADVICE} where the model's "
        "own are such"
    ]
