"""Verbs on lines, each a mapping: candidates ranked, pairs filtered, the best of N; and doctor."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rmeval.benchmarks import load_benchmark
from rmeval.benchmarks.reading.files import json_lines
from rmeval.checking import (
    ANSWERS,
    CORRECT,
    add_checks,
    as_checker,
    exact,
    require_answer,
)
from rmeval.duels import same_answers
from rmeval.errors import BadConversation, BadData, BadReward, ServerFailure
from rmeval.files import only_owner, prepared
from rmeval.filtering import KeepRule, PairReader
from rmeval.llm.generation import BATCH, Generator, Prompt, draw_candidates, write_candidates
from rmeval.metrics.best_of_n import CurvePoint, best_of_n_curve
from rmeval.metrics.correctness import Answered, describe_answers
from rmeval.preferences import ranks_of, to_candidates, to_prompt
from rmeval.records import Conversation, Sampling, Score
from rmeval.scorer import RewardScorer

if TYPE_CHECKING:
    from rmeval.models.doctor.check import Check
    from rmeval.models.reward_model import RewardModel

Fields = dict[str, Any]
PAIRS = 24  # of the demonstration benchmark, spread over its subsets, for `doctor`


class Filtered(NamedTuple):
    """The pairs that are kept, and the others."""

    kept: list[Fields]
    others: list[Fields]


class BestOfN(NamedTuple):
    """Every prompt with its candidates ranked, the best of each, and what N is worth.

    `answers` says how often the best of n is right, where a checker was given: the curve, pass@n,
    the majority and the AUC (`rmeval.metrics.correctness.describe_answers`).
    """

    ranked: list[Fields]
    best: list[str]
    curve: list[CurvePoint]
    answers: Fields | None = None


def rank(model: RewardScorer, candidates: Iterable[Mapping[str, Any]]) -> list[Fields]:
    """Returns lines with `scores`, `ranks` and `best` added, as `rmeval rank` writes them.

    A line is {"prompt": … or "messages": …, "responses": […]}. Raises BadData for anything else.
    """
    lines = [dict(fields) for fields in candidates]
    read = [
        to_candidates(fields, f"candidates[{i}]").conversations() for i, fields in enumerate(lines)
    ]
    found = _score(model, read, "candidates")
    return [add_ranks(fields, scores) for fields, scores in zip(lines, found, strict=True)]


def add_ranks(fields: Mapping[str, Any], scores: Sequence[Score]) -> Fields:
    """Returns a line with `scores`, `ranks` (0 = best, equal ones share the better) and `best`."""
    values = [score.value for score in scores]
    ranks = ranks_of(values)
    return {**fields, "scores": values, "ranks": ranks, "best": ranks.index(0)}


def filter(
    model: RewardScorer,
    pairs: Iterable[Mapping[str, Any]],
    *,
    keep: str = "agree",
    columns: Mapping[str, str] | None = None,
) -> Filtered:
    """Returns preference pairs with their scores: those that the model agrees with, and the others.

    Args:
        pairs: rows of any layout that `load_benchmark` reads, all of one.
        keep: "agree", "margin>=X", or "top=P%" for the P percent of largest margins.
        columns: which of their columns holds each of our fields.

    Raises BadData for rows that are not pairs, BadOption for an unknown `keep`.
    """
    rule, reader = KeepRule(keep), PairReader(columns or {})
    rows = [dict(fields) for fields in pairs]
    read = [reader.conversations(fields, f"pairs[{i}]") for i, fields in enumerate(rows)]
    if not rows:
        raise BadData("pairs: no rows")
    found = _score(model, read, "pairs")
    scored = [reader.add_margin(fields, scores) for fields, scores in zip(rows, found, strict=True)]
    least = rule.least(reader.margins)
    sides = Filtered([], [])
    for fields, margin in zip(scored, reader.margins, strict=True):
        (sides.kept if margin >= least else sides.others).append(fields)
    return sides


def best_of_n(
    model: RewardScorer,
    generator: "Generator | str | Path",
    prompts: Iterable[str | Mapping[str, Any]],
    *,
    output: str | Path,
    sampling: Sampling | None = None,
    answers: "str | Callable[[str, Any], object] | None" = None,
) -> BestOfN:
    """Draws candidates for each prompt, keeps them in `output`, ranks them, and returns the best.

    Args:
        generator: a causal language model, a folder or on the Hub; or an object that draws, such
            as `rmeval.llm.generation.ServerGenerator`.
        prompts: texts, or lines with "prompt" or "messages".
        output: a folder; an interrupted call is resumed there.
        sampling: how to draw; by default ten for each, as on InternLM2-Reward's card.
        answers: who says whether a response is right, by its line's `answer`: "exact", "numeric",
            "numeric:0.01", "choice", "command:…", or a function of response and answer.

    Raises ServerFailure for prompts that a server left without candidates; the others are kept.
    """
    lines = [{"prompt": p} if isinstance(p, str) else dict(p) for p in prompts]
    asked = [
        Prompt(f"prompts[{i}]", fields, to_prompt(fields, f"prompts[{i}]"))
        for i, fields in enumerate(lines)
    ]
    checker = None if answers is None else as_checker(answers)
    for place, fields, _ in asked if checker is not None else ():
        require_answer(fields, checker or exact, place)
    if isinstance(generator, str | Path):
        from rmeval.llm.generator import LocalGenerator

        generator = LocalGenerator(str(generator), batch=BATCH)
    folder = Path(output)
    with prepared(folder), only_owner(folder / ".lock", folder):
        how = sampling or Sampling()
        missing = draw_candidates(folder, asked, generator, how, lambda drawn: None)
        if missing:
            place, reason = missing[0]
            raise ServerFailure(
                f"{len(missing)} of {len(asked)} prompts have no candidates; {place}: "
                f"{reason or 'not asked'}; what was drawn is kept, call again for the rest"
            )
        ranked = rank(model, [fields for _, fields in json_lines(write_candidates(folder, asked))])
    best = [line["responses"][line["best"]] for line in ranked]
    curve = best_of_n_curve([line["scores"] for line in ranked])
    if checker is None:
        return BestOfN(ranked, best, curve)
    ranked = [add_checks(line, checker) for line in ranked]
    found = describe_answers([checked_line(line, str(i)) for i, line in enumerate(ranked)])
    return BestOfN(ranked, best, curve, found)


def checked_line(fields: Mapping[str, Any], unit: str) -> Answered:
    """Returns a ranked line whose responses were checked, as a prompt of its own."""
    known = fields.get(ANSWERS, [])
    told = [f"none {i}" if answer is None else f"is {answer}" for i, answer in enumerate(known)]
    rewards, right = (np.array(fields[name], float) for name in ("scores", CORRECT))
    return Answered(rewards, right, unit=("", unit), answers=same_answers(told))


def doctor(model: "RewardModel") -> "list[Check]":
    """Makes every check of a model before a long run, and returns how each went."""
    from rmeval.models.doctor.examination import check_model

    return check_model(model, load_benchmark("demo").limited(PAIRS).preferences)


def _score(
    model: RewardScorer, lines: Sequence[Sequence[Conversation]], kind: str
) -> list[list[Score]]:
    """Returns the scores of each line's conversations. Raises BadReward naming the line."""
    try:
        scores = iter(model.score_conversations([c for line in lines for c in line]))
    except (BadReward, BadConversation) as error:
        index = error.index
        for number, line in enumerate(lines):
            if index < len(line):
                raise error.at(f"{kind}[{number}]") from error
            index -= len(line)
        raise
    return [[next(scores) for _ in line] for line in lines]
