"""Is what an engine serves what was evaluated? Asked of it, and of the model or a record of it."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rmeval import __version__
from rmeval.engines.asking import USUAL_WAYS, WAYS, Replies, ask_ways
from rmeval.engines.client import EngineClient
from rmeval.engines.parity import FEWEST, SAME, explain, is_same, judge, percent, spread_of
from rmeval.engines.parity_file import write_record
from rmeval.engines.protocol import Facts
from rmeval.errors import BadCheckpoint, BadData, UnknownName
from rmeval.models.doctor.check import Check
from rmeval.models.doctor.mistakes import RIGHT, Expected, Row

if TYPE_CHECKING:
    from rmeval.models.reward_model import RewardModel

PACKAGES = ("torch", "transformers", "tokenizers")
AGAIN = "asked again"


class Asked(NamedTuple):
    """What an engine says of itself, the rows it was asked, and what it said in each way."""

    facts: Facts
    rows: tuple[Row, ...]
    replies: dict[str, Replies | str]
    again: Replies | None = None


def check_engine(
    client: EngineClient, held_to: "RewardModel | Expected", *, ways: Sequence[str] = USUAL_WAYS
) -> list[Check]:
    """Says of each way to ask an engine whether its rewards are a model's, and if not, why not.

    They are `held_to` a model in memory, or to what `parity_file.read_record` returns of one. The
    client is closed. Raises ServerFailure where nobody answers.
    """
    for way in ways:
        if way not in WAYS:
            raise UnknownName("way of `ways=`", way, WAYS)
    asked = asyncio.run(_ask(client, held_to, ways))
    steps = _Steps(held_to, asked)
    ways_checked = [_of_way(WAYS[way], reply, steps) for way, reply in asked.replies.items()]
    again = [_of_again(asked)] if asked.again is not None else []
    return [_of_engine(asked, steps.fingerprint), *ways_checked, *again]


def record_parity(model: "RewardModel", path: str | Path) -> Expected:
    """Writes what a model gives, rightly and by each known mistake, for `check_engine`.

    Raises OutputFailure.
    """
    from rmeval.models.doctor.expected import expect, in_other_dtypes, probe_rows

    found = in_other_dtypes(model, expect(model, probe_rows(model)))
    expected = replace(found, model=model.provenance())
    versions = {"rmeval": __version__, **{name: version(name) for name in PACKAGES}}
    write_record(Path(path), expected, versions)
    return expected


def say_parity(checks: Sequence[Check]) -> str:
    """Returns what the checks come to, in one line."""
    wrong = [check.name for check in checks if check.status == "fail"]
    if wrong:
        return f"not what was evaluated: {', '.join(wrong)}"
    if any("rounding" in check.finding for check in checks if check.status == "warn"):
        return "what was evaluated, up to rounding"
    return "what was evaluated"


class _Steps:
    """What a model gives for the rows, computed as far as what was told needs explaining.

    First the rewards alone, then those under each mistake, then all that in other dtypes. Of a
    record everything is there at once.
    """

    def __init__(self, held_to: "RewardModel | Expected", asked: Asked) -> None:
        self._further: Iterator[Callable[[], Expected]] = iter(())
        self.fingerprint: str | None = None
        if isinstance(held_to, Expected):
            self.expected = _only_rows(held_to, asked.rows)
            self.fingerprint = held_to.model.get("fingerprint")
        else:
            self._start(held_to, asked)
        if len(set(self.expected.right)) == 1:
            raise BadCheckpoint("the model gives every row the same reward; see `rmeval doctor`")

    def _start(self, model: "RewardModel", asked: Asked) -> None:
        from rmeval.models.doctor.expected import expect, expect_right, in_other_dtypes

        told = [reply.told.tokens for reply in asked.replies.values() if isinstance(reply, Replies)]
        lengths = [max(tokens) for tokens in told if tokens]
        self.expected = expect_right(model, asked.rows)
        if asked.facts.fingerprint is not None:  # it reads every weight
            self.fingerprint = model.fingerprint
        self._further = iter(
            [
                lambda: expect(model, asked.rows, lengths),
                lambda: in_other_dtypes(model, self.expected),
            ]
        )

    def explaining(self, reply: Replies) -> Expected:
        """Returns what explains a reply, or everything where nothing does; of its rows."""
        while not self._explains(reply) and (further := next(self._further, None)):
            self.expected = further()
        return self.expected.only(reply.places)

    def _explains(self, reply: Replies) -> bool:
        expected = self.expected.only(reply.places)
        if is_same(reply.told, expected):
            return True
        best = explain(reply.told, expected)
        return best is not None and best.mistake != RIGHT


def _only_rows(expected: Expected, rows: Sequence[Row]) -> Expected:
    return expected.only([at for at, row in enumerate(expected.rows) if row in rows])


async def _ask(
    client: EngineClient, held_to: "RewardModel | Expected", ways: Sequence[str]
) -> Asked:
    try:
        facts = await client.facts()
        rows = _rows(held_to, facts.max_model_len)
        replies = await ask_ways(client, rows, ways)
        first = next((way for way, reply in replies.items() if _is_answered(reply)), None)
        again = None if first is None else (await ask_ways(client, rows, [first]))[first]
        return Asked(facts, rows, replies, again if isinstance(again, Replies) else None)
    finally:
        await client.close()


def _rows(held_to: "RewardModel | Expected", longest: int | None) -> tuple[Row, ...]:
    """Returns the rows to ask for, none longer than the engine takes. Raises BadData for too few.

    A token is left free, for engines that add one to a text.
    """
    most = None if longest is None else longest - 1
    if isinstance(held_to, Expected):
        rows = tuple(row for row in held_to.rows if most is None or row.length <= most)
    else:
        from rmeval.models.doctor.expected import probe_rows

        rows = probe_rows(held_to, most)
    if len(rows) < FEWEST:
        raise BadData(
            f"only {len(rows)} conversations fit into {longest} tokens: nothing to compare"
        )
    return rows


def _is_answered(reply: Replies | str) -> bool:
    return isinstance(reply, Replies) and len(reply.places) >= FEWEST


def _of_engine(asked: Asked, ours: str | None) -> Check:
    """Says who was asked, and what; another fingerprint is another checkpoint."""
    facts, lengths = asked.facts, [row.length for row in asked.rows]
    limit = f", at most {facts.max_model_len} tokens" if facts.max_model_len else ""
    name = f", model {facts.model}" if facts.model else ""
    finding = (
        f"{facts.server}{name}{limit}; {len(lengths)} conversations of {min(lengths)} to "
        f"{max(lengths)} tokens"
    )
    if facts.fingerprint and ours and facts.fingerprint != ours:
        told = f"{finding}; fingerprint {facts.fingerprint[:12]}, evaluated was {ours[:12]}"
        return Check("engine", "fail", told, "another checkpoint is loaded there")
    return Check("engine", "pass", finding)


def _of_way(name: str, reply: Replies | str, steps: _Steps) -> Check:
    if isinstance(reply, str):
        return Check(name, "skipped", reply)
    if not _is_answered(reply):
        return Check(name, "fail", f"{len(reply.places)} rows answered: {reply.refused}")
    check = judge(name, reply.told, steps.explaining(reply))
    refused = len(steps.expected.rows) - len(reply.places)
    if refused:
        status = "warn" if check.status == "pass" else check.status
        finding = f"{check.finding}; {refused} rows refused: {reply.refused}"
        return replace(check, status=status, finding=finding)
    return check


def _of_again(asked: Asked) -> Check:
    """Says whether an engine gives one sequence one number."""
    assert asked.again is not None
    first = next(reply for reply in asked.replies.values() if _is_answered(reply))
    assert isinstance(first, Replies)
    before, now = dict(zip(first.places, first.told.rewards, strict=True)), asked.again
    pairs = [
        (before[p], r) for p, r in zip(now.places, now.told.rewards, strict=True) if p in before
    ]
    largest = max((abs(a - b) for a, b in pairs), default=0.0)
    if largest == 0:
        return Check(AGAIN, "pass", "the same rewards, to the last digit")
    share = largest / spread_of([a for a, _ in pairs])
    told = f"largest difference {largest:.1e} ({percent(share)} of the spread)"
    if share <= SAME:
        return Check(AGAIN, "pass", told)
    advice = (
        "the engine gives one sequence two rewards (a cache of prefixes, batches in half precision)"
    )
    return Check(AGAIN, "warn", told, advice)
