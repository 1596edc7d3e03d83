"""Rank the responses to each prompt: {"prompt" or "messages", "responses"} a line."""

import argparse
from collections.abc import Sequence

from rmeval.commands.lines import Fields, add_line_options, score_lines
from rmeval.preferences import ranks_of, to_candidates
from rmeval.types import Conversation, Score


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb. The same fields come out with `scores`, `ranks` and `best`."""
    add_line_options(parser, "candidates.jsonl", "ranked.jsonl")
    score_lines(parser.parse_args(arguments), _conversations, add_ranks)
    return 0


def _conversations(fields: Fields, place: str) -> list[Conversation]:
    return to_candidates(fields, place).conversations()


def add_ranks(fields: Fields, scores: Sequence[Score]) -> Fields:
    """Returns a line with `scores`, `ranks` (0 = best, equal ones share the better) and `best`."""
    values = [score.value for score in scores]
    ranks = ranks_of(values)
    return {**fields, "scores": values, "ranks": ranks, "best": ranks.index(0)}
