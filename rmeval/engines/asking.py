"""The ways in which conversations reach an engine, each tried on the same rows."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from rmeval.engines.client import Answers, EngineClient
from rmeval.engines.connection import Unserved
from rmeval.engines.parity import Told
from rmeval.engines.protocol import IDS, MESSAGES, TEXTS
from rmeval.errors import ServerFailure, first_line
from rmeval.llm.endpoint import RequestRefused
from rmeval.models.doctor.mistakes import RIGHT, Row

WAYS = {  # by the name that `--ways` knows, what a check of it is called
    "ids": "ids alone",
    "batch": "ids in a batch",
    "messages": "messages",
    "text": "rendered text",
    "unasked": "ids, nothing asked",
}
USUAL_WAYS = ("ids", "batch", "messages", "text")


class Replies(NamedTuple):
    """What an engine told of the rows at `places`, and why it refused the first of the others."""

    told: Told
    places: list[int]
    refused: str | None = None


async def ask_ways(
    client: EngineClient, rows: Sequence[Row], ways: Sequence[str]
) -> dict[str, Replies | str]:
    """Asks for rows in several ways; in place of one that the engine does not offer is why."""
    takes = set(client.protocol.takes)
    asks = _asks(client)
    found: dict[str, Replies | str] = {}
    for way in ways:
        kind, ask, inputs = asks[way]
        if kind not in takes:
            found[way] = f"{client.protocol.name} takes no {kind}"
            continue
        try:
            given = [inputs(row) for row in rows]
            found[way] = await (_together(ask, given) if way == "batch" else _alone(ask, given))
        except Unserved as error:
            found[way] = first_line(error)
        except ServerFailure as error:  # what was answered the other ways stays worth saying
            found[way] = Replies(Told([]), [], first_line(error))
    return found


Ask = Callable[[Sequence[Any]], Awaitable[Answers]]


def _asks(client: EngineClient) -> dict[str, tuple[str, Ask, Callable[[Row], Any]]]:
    """Returns how each way is asked: the kind of input, the call, and the input of a row."""

    def ids(row: Row) -> Any:
        return row.ids[RIGHT.text]

    return {
        "ids": (IDS, client.ask, ids),
        "batch": (IDS, client.ask, ids),
        "unasked": (IDS, lambda given: client.ask(given, activation=None), ids),
        "messages": (
            MESSAGES,
            client.ask_messages,
            lambda row: [message.fields() for message in row.conversation],
        ),
        "text": (TEXTS, client.ask_text, lambda row: row.text),
    }


async def _alone(ask: Ask, inputs: Sequence[Any]) -> Replies:
    """Asks for one input after the other, so that the tokens of each are counted by itself."""
    rewards: list[float] = []
    tokens: list[int | None] = []
    places, refused = [], None
    for place, given in enumerate(inputs):
        try:
            answers = await ask([given])
        except RequestRefused as error:
            refused = refused or first_line(error)
            continue
        rewards.append(answers.rewards[0])
        tokens.append(answers.tokens)
        places.append(place)
    counts = [count for count in tokens if count is not None]
    return Replies(Told(rewards, counts if len(counts) == len(rewards) else None), places, refused)


async def _together(ask: Ask, inputs: Sequence[Any]) -> Replies:
    answers = await ask(inputs)
    return Replies(Told(answers.rewards), list(range(len(inputs))))
