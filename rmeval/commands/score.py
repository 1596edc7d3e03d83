"""Score conversations: {"messages": [{"role", "content"}, …]} a line in, with "score" out.

What else a message has, and a line's "tools", reach the chat template. A line's "reference", a text
or messages, reaches models that compare an answer with one.

Models that tell what their reward is made of add "objectives", in the order of the provenance.
"""

import argparse
from collections.abc import Sequence

from rmeval.commands.shared.lines import Fields, Verb
from rmeval.commands.shared.shards import add_shard_options, score_shard
from rmeval.conversations import BESIDE, to_conversation
from rmeval.errors import BadData
from rmeval.records import Conversation, Score


def run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    """Runs the verb. Order and unknown fields are kept; the output appears when it is whole."""
    add_shard_options(parser, "conversations.jsonl", "scores.jsonl")
    score_shard(parser.parse_args(arguments), Verb(_conversations, _add_score))
    return 0


def _conversations(fields: Fields, place: str) -> list[Conversation]:
    if "messages" not in fields:
        raise BadData(f"{place}: no field messages; found: {', '.join(fields) or 'none'}")
    beside = (fields.get(name) for name in BESIDE)
    return [to_conversation(fields["messages"], place, *beside)]


def _add_score(fields: Fields, scores: Sequence[Score]) -> Fields:
    objectives = {"objectives": list(scores[0].objectives)} if scores[0].objectives else {}
    return {**fields, "score": scores[0].value, **objectives}
