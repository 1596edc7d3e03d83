"""Rank the responses to each prompt: {"prompt" or "messages", "responses"} a line."""

import argparse

from rmeval.commands.shared.lines import Fields, add_line_options, score_lines
from rmeval.preferences import to_candidates
from rmeval.records import Conversation
from rmeval.verbs.lines import add_ranks


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb. The same fields come out with `scores`, `ranks` and `best`."""
    add_line_options(parser, "candidates.jsonl", "ranked.jsonl")
    score_lines(parser.parse_args(arguments), _conversations, add_ranks)
    return 0


def _conversations(fields: Fields, place: str) -> list[Conversation]:
    return to_candidates(fields, place).conversations()
