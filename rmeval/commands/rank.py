"""Rank the responses to each prompt: {"prompt" or "messages", "responses"} a line."""

import argparse

from rmeval.commands.shared.lines import Fields, Verb
from rmeval.commands.shared.shards import add_shard_options, score_shard
from rmeval.preferences import to_candidates
from rmeval.records import Conversation
from rmeval.verbs.lines import add_ranks


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb. The same fields come out with `scores`, `ranks` and `best`."""
    add_shard_options(parser, "candidates.jsonl", "ranked.jsonl")
    score_shard(parser.parse_args(arguments), Verb(_conversations, add_ranks))
    return 0


def _conversations(fields: Fields, place: str) -> list[Conversation]:
    return to_candidates(fields, place).conversations()
