"""The second way to score: no number for a response, but which of two responses is better.

Pairwise models and judges answer duels. The score of a response is the mean probability with which
it beats each of the row's others (a round robin), so that whatever is made of scores is made of
these too; of two responses they are P and 1 - P.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

from rmeval.conversations import ConversationLike
from rmeval.errors import BadData, one_line
from rmeval.preferences import to_candidates
from rmeval.records import (
    Comparisons,
    Preference,
    Score,
    ScoredPreference,
    as_message,
)

ORDERS = ("both", "random")
EVEN = 0.5
SERVER = "server"  # the path, in a provenance, of what is not computed here
UNKNOWN = "not known"  # the dtype of a model on a server
JUDGE = "judge:"  # what the name of a generative judge begins with


class Duel(NamedTuple):
    """Two responses of a row, by their places, in the order in which they are shown."""

    row: int
    first: int
    second: int


class Verdict(NamedTuple):
    """The probability that the response shown first is better; `parsed`: it is an answer at all.

    What is not parsed is half a win for each.
    """

    first: float
    parsed: bool = True


def one_pair(prompt: str | ConversationLike, a: str, b: str) -> Preference:
    """Returns two responses to a prompt as a row. Raises BadData for what is no text."""
    candidates = to_candidates({"prompt": prompt, "responses": [a, b]}, "compare")
    return Preference("compare", "", candidates.prompt, candidates.responses)


def texts_of(preference: Preference) -> tuple[str, ...]:
    """Returns the responses of a row, to be shown as text, which is all that a judge is shown.

    Raises BadData for a row that offers tools, or has messages with more than role and content.
    """
    messages = [*preference.prompt, *map(as_message, preference.responses)]
    for message in messages:
        if message.extra or message.tools:
            found = ["tools"] if message.tools else list(json.loads(message.extra))
            raise BadData(
                f"preference {preference.id} ({preference.subset}): has "
                f"{one_line(', '.join(found))[:80]}, and pairwise models and judges take text only"
            )
    return tuple(as_message(response).content for response in preference.responses)


def plan_duels(preferences: Sequence[Preference], order: str = "both", seed: int = 0) -> list[Duel]:
    """Returns every two responses of each row, shown in both orders, or in one at random.

    The random order depends on the seed, the row's texts and the two responses alone: not on what
    other rows there are.
    """
    duels = []
    for row, preference in enumerate(preferences):
        for a, b in combinations(range(len(preference.responses)), 2):
            if order == "both":
                duels += [Duel(row, a, b), Duel(row, b, a)]
            else:
                coin = hashlib.sha256(f"{seed} {preference.digest} {a} {b}".encode()).digest()[0]
                duels.append(Duel(row, b, a) if coin % 2 else Duel(row, a, b))
    return duels


def settle(
    preferences: Sequence[Preference],
    duels: Sequence[Duel],
    verdicts: Sequence[Verdict],
    lengths: Sequence[Sequence[int]],
    truncated: Sequence[bool] | None = None,
) -> tuple[ScoredPreference, ...]:
    """Returns the rows with each response's mean probability of beating the others.

    `lengths` are the tokens of each row's responses; `truncated` says of each duel whether its
    text was cut to fit, None that none was.
    """
    cut = truncated or [False] * len(duels)
    of_row: list[list[tuple[Duel, Verdict, bool]]] = [[] for _ in preferences]
    for duel, verdict, was_cut in zip(duels, verdicts, cut, strict=True):
        of_row[duel.row].append((duel, verdict, was_cut))
    return tuple(
        _settle_row(preference, rounds, tokens)
        for preference, rounds, tokens in zip(preferences, of_row, lengths, strict=True)
    )


def _settle_row(
    preference: Preference, rounds: Sequence[tuple[Duel, Verdict, bool]], tokens: Sequence[int]
) -> ScoredPreference:
    won: list[list[float]] = [[] for _ in tokens]
    cut = [False] * len(tokens)
    for duel, verdict, was_cut in rounds:
        won[duel.first].append(verdict.first)
        won[duel.second].append(1 - verdict.first)
        cut[duel.first] |= was_cut
        cut[duel.second] |= was_cut
    scores = (
        Score(sum(wins) / len(wins), size, was_cut)
        for wins, size, was_cut in zip(won, tokens, cut, strict=True)
    )
    return scored_row(preference, scores, count_verdicts(verdict for _, verdict, _ in rounds))


def count_verdicts(verdicts: Iterable[Verdict]) -> Comparisons:
    """Returns how many verdicts there were, and of which kinds."""
    found = list(verdicts)
    return Comparisons(
        made=len(found),
        first=sum(verdict.first > EVEN for verdict in found),
        tied=sum(verdict.parsed and verdict.first == EVEN for verdict in found),
        unparsed=sum(not verdict.parsed for verdict in found),
    )


def scored_row(
    preference: Preference, scores: Iterable[Score], comparisons: Comparisons | None = None
) -> ScoredPreference:
    """Returns a preference reduced to its scores."""
    return ScoredPreference(
        preference.id,
        preference.subset,
        preference.num_chosen,
        tuple(scores),
        preference.digest,
        preference.magnitude,
        preference.weight,
        comparisons,
        preference.cluster,
        same_answers(preference.answers),
    )


def same_answers(answers: Sequence[str]) -> tuple[int, ...]:
    """Returns a number for each answer, the same for equal ones."""
    known: dict[str, int] = {}
    return tuple(known.setdefault(answer, len(known)) for answer in answers)
