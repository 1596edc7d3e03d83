"""Prompts with candidate responses, and the preferences that ranked ones are worth."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isfinite
from random import Random
from sys import float_info
from typing import Any

from rmeval.conversations import to_conversation, to_reply
from rmeval.errors import BadData, BadOption, UnknownName, one_line
from rmeval.records import Conversation, Message, Reply, as_message, reference_of, tools_of

MARGIN = "score_margin"  # the column of score_chosen - score_rejected
STRATEGIES = ("best-worst", "best-random", "all")


@dataclass(frozen=True, slots=True)
class Candidates:
    """A prompt and the responses that are candidates for its answer."""

    prompt: Conversation
    responses: tuple[Reply, ...]

    def conversations(self) -> list[Conversation]:
        """Returns the prompt with each response as the assistant's turn, in order."""
        return [(*self.prompt, as_message(response)) for response in self.responses]


def to_prompt(fields: Mapping[str, Any], place: str) -> Conversation:
    """Returns the prompt of a line: a text in "prompt", or messages in either field.

    It offers the line's "tools", and holds its "reference", if any. Raises BadData where there is
    none, or both.
    """
    given = [name for name in ("prompt", "messages") if name in fields]
    if len(given) == 2:
        raise BadData(f"{place}: both prompt and messages; keep one")
    if not given:
        found = one_line(", ".join(fields))[:300] or "none"
        raise BadData(f"{place}: no prompt and no messages; found: {found}")
    prompt = fields[given[0]]
    if given == ["prompt"] and isinstance(prompt, str):
        prompt = [Message("user", prompt)]
    conversation = to_conversation(prompt, place, fields.get("tools"), fields.get("reference"))
    if conversation[-1].role == "assistant":
        raise BadData(f"{place}: the prompt ends with the assistant; it must end with the user")
    return conversation


def to_candidates(fields: Mapping[str, Any], place: str) -> Candidates:
    """Returns the prompt and responses of a line, texts or messages. Raises BadData."""
    prompt, responses = to_prompt(fields, place), fields.get("responses")
    if "responses" not in fields:
        raise BadData(f"{place}: no responses; found: {one_line(', '.join(fields))[:300]}")
    if not isinstance(responses, list | tuple) or not all(
        isinstance(response, str | Message | Mapping) for response in responses
    ):
        raise BadData(f'{place}: "responses" must be a list of texts, or of messages')
    if not responses:
        raise BadData(f"{place}: no responses, the list is empty")
    return Candidates(prompt, tuple(to_reply(response, place) for response in responses))


def ranks_of(values: Sequence[float]) -> list[int]:
    """Returns the rank of each value, 0 = highest; equal values share the better rank."""
    ordered = sorted(values, reverse=True)
    first = {value: place for place, value in reversed(list(enumerate(ordered)))}
    return [first[value] for value in values]


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """A preference made from scores."""

    prompt: Conversation
    chosen: Reply
    rejected: Reply
    chosen_score: float
    rejected_score: float

    @property
    def margin(self) -> float:
        """By how much the chosen response has the higher reward."""
        return self.chosen_score - self.rejected_score

    def as_row(self) -> dict[str, Any]:
        """Returns the preference in TRL's conversational layout with explicit prompt.

        Source: TRL, docs/source/dataset_formats.md. `score_chosen` and `score_rejected` are
        called as in UltraFeedback's binarized set. A column `margin` there must not be: TRL's
        RewardTrainer subtracts it within its loss.
        """
        tools, reference = tools_of(self.prompt), reference_of(self.prompt)
        return {
            "prompt": [message.fields() for message in self.prompt],
            "chosen": [as_message(self.chosen).fields()],
            "rejected": [as_message(self.rejected).fields()],
            **({} if tools is None else {"tools": tools}),
            **({"reference": reference} if reference else {}),
            "score_chosen": self.chosen_score,
            "score_rejected": self.rejected_score,
            MARGIN: self.margin,
        }


@dataclass(frozen=True, slots=True)
class PairRule:
    """Which preferences are made of scored responses.

    Two responses make one where their texts differ and their rewards by more than 0 and at least
    `min_margin`; of equal texts the first counts. Of these pairs, "best-worst" takes the one of
    the largest margin, "best-random" draws one with the best response, "all" takes all. The draw
    depends on `seed` and on the texts, not on what stands on other lines.

    Raises UnknownName for another strategy, BadOption for a margin below 0.
    """

    strategy: str = "best-worst"
    min_margin: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise UnknownName("strategy", self.strategy, STRATEGIES)
        if not (isfinite(self.min_margin) and self.min_margin >= 0):
            raise BadOption(f"`min_margin={self.min_margin}`: a number of at least 0 is needed")

    def pairs(self, candidates: Candidates, scores: Sequence[float]) -> list[ScoredPair]:
        """Returns the preferences of one prompt, the larger rewards first."""
        reward: dict[Reply, float] = {}  # the same text twice would make the same pair twice
        for text, score in zip(candidates.responses, scores, strict=True):
            reward.setdefault(text, score)
        ordered = sorted(reward, key=lambda text: -reward[text])
        made = [
            ScoredPair(candidates.prompt, better, worse, reward[better], reward[worse])
            for better, worse in self._held_together(ordered)
        ]
        made = [pair for pair in made if pair.margin > 0 and pair.margin >= self.min_margin]
        if self.strategy == "best-random" and made:
            texts = json.dumps([self.seed, candidates.prompt, candidates.responses])
            return [Random(texts).choice(made)]
        return made

    def _held_together(self, ordered: Sequence[Reply]) -> Iterable[tuple[Reply, Reply]]:
        if self.strategy == "all":
            return combinations(ordered, 2)
        worse = ordered[-1:] if self.strategy == "best-worst" else ordered[1:]
        return ((ordered[0], text) for text in worse)


def pairs(
    ranked: Iterable[Mapping[str, Any]],
    *,
    strategy: str = "best-worst",
    min_margin: float = 0.0,
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """Yields preference data, in TRL's conversational layout, of ranked responses.

    Args:
        ranked: lines as `rmeval rank` writes them: "prompt" or "messages", "responses", "scores".
        strategy: "best-worst" is one pair a prompt; "best-random" the best response with one
            drawn from the worse; "all" every two whose rewards differ.
        min_margin: two responses whose rewards differ by less make no pair.
        seed: for "best-random".

    Raises BadData for a line without scores, UnknownName for another strategy.
    """
    rule = PairRule(strategy, min_margin, seed)
    return (
        pair.as_row()
        for number, fields in enumerate(ranked)
        for pair in pairs_of_line(fields, f"ranked[{number}]", rule)
    )


def pairs_of_line(fields: Mapping[str, Any], place: str, rule: PairRule) -> list[ScoredPair]:
    """Returns the preferences that a line of `rmeval rank` is worth. Raises BadData."""
    candidates, scores = to_candidates(fields, place), fields.get("scores")
    if not isinstance(scores, list | tuple):
        raise BadData(f'{place}: no list of "scores"; `rmeval rank` adds them')
    for score in scores:
        if not (type(score) in (int, float) and abs(score) <= float_info.max):
            raise BadData(f"{place}: a score is {one_line(repr(score))[:40]}, not a finite number")
    if len(scores) != len(candidates.responses):
        raise BadData(f"{place}: {len(scores)} scores for {len(candidates.responses)} responses")
    return rule.pairs(candidates, scores)
