"""RLHFlow's pair-PM (arXiv 2405.07863): a language model that says "A" or "B"."""

import re
from collections.abc import Sequence
from typing import Any

import torch

from rmeval.engine.truncation import Encoded, truncate
from rmeval.errors import BadCheckpoint
from rmeval.models.families.logit_row import LogitRow
from rmeval.models.pairwise import PairwiseFamily, Shown
from rmeval.models.text.tokenizer import render
from rmeval.models.text.tokenizer_files import has_tokenizer, load_tokenizer
from rmeval.records import Message

LLAMA_3 = (32, 33)  # "A" and "B" in its vocabulary, for a folder without a tokenizer
# Of the prompt, and of what the user's turn then holds: the authors' pair_pm example.
CONTEXT = (
    "\n{% for message in messages %}\n\n<turn> {{ message['role'] }}\n {{ message['content'] }}"
    "{% endfor %}\n\n\n"
)
QUESTION = "[CONTEXT] {context} [RESPONSE A] {first} [RESPONSE B] {second} \n"


class PairPM(LogitRow, PairwiseFamily):
    """Body `model.*`; of `lm_head` only the rows of the tokens "A" and "B" count.

    P(A) = e^a / (e^a + e^b), so one linear head, row A minus row B, gives its log-odds.
    """

    name = "pair-pm"
    named = re.compile(r"pair-preference-model|(^|[/_-])pair[_-]?pm([_-]|$)", re.IGNORECASE)

    def row(self, logits: torch.Tensor) -> torch.Tensor:
        a, b = (logits[index].double() for index in self._answers())  # (H,)
        return (a - b)[None]

    def encode_pairs(
        self, tokenizer: Any, shown: Sequence[Shown], max_length: int
    ) -> list[Encoded]:
        probes = [Shown((Message("user", text),), text, text) for text in ("x", "7")]
        *rows, one, other = self._tokenise(tokenizer, [*shown, *probes])
        return [
            Encoded(tuple(ids), False)
            if len(ids) <= max_length
            else truncate(ids, one, other, max_length)  # the prompt's beginning goes first
            for ids in rows
        ]

    def _tokenise(self, tokenizer: Any, shown: Sequence[Shown]) -> list[list[int]]:
        """Returns the ids of each pair: the user's turn of the chat template, without any BOS."""
        texts = []
        for index, pair in enumerate(shown):
            context = render(tokenizer, pair.prompt, index, template=CONTEXT)
            question = QUESTION.format(context=context, first=pair.first, second=pair.second)
            text = render(tokenizer, (Message("user", question),), index)
            texts.append(text.replace(tokenizer.bos_token or "\0", ""))
        ids: list[list[int]] = tokenizer(
            texts, add_special_tokens=False, return_attention_mask=False, verbose=False
        )["input_ids"]
        return ids

    def _answers(self) -> tuple[int, int]:
        """Returns the ids of "A" and "B". Raises BadCheckpoint where they are no single tokens."""
        if not has_tokenizer(self.checkpoint.tokenizer_folder):
            return LLAMA_3
        tokenizer = load_tokenizer(self.checkpoint.tokenizer_folder)
        first, second = (tokenizer.encode(text, add_special_tokens=False) for text in "AB")
        if len(first) != 1 or len(second) != 1:
            raise BadCheckpoint(
                f'{self.checkpoint.folder}: "A" and "B" are not single tokens in its tokenizer; a '
                "pairwise preference model answers with one of them"
            )
        return first[0], second[0]
