"""Which special tokens stand around a text: those of the chat template, of the tokenizer, or both.

A template may write BOS, and a tokenizer may add one: rendering and then tokenising with special
tokens gives two. Some authors trained and published exactly so, others took one out, others have
neither. So it is a policy, of a family or a checkpoint, with its source in their files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from rmeval.errors import BadOption


class Around(NamedTuple):
    """Token ids before and after a text."""

    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()


@dataclass(frozen=True)
class Specials:
    """A policy (see `rmeval.records.SPECIALS`) at work with a tokenizer."""

    policy: str
    tokenizer: Any

    @cached_property
    def of_tokenizer(self) -> Around:
        """What the tokenizer adds to a text by itself: BOS, EOS, [CLS] and [SEP], or nothing."""
        bare = list(self.tokenizer("x", add_special_tokens=False)["input_ids"])
        whole = list(self.tokenizer("x", add_special_tokens=True)["input_ids"])
        starts = range(len(whole) - len(bare) + 1)
        start = next((at for at in starts if whole[at : at + len(bare)] == bare), 0)
        return Around(tuple(whole[:start]), tuple(whole[start + len(bare) :]))

    @cached_property
    def around(self) -> Around:
        """The ids that the policy puts around the ids of every text."""
        if self.policy == "template":
            return Around()
        if self.policy in ("tokenizer", "once"):
            return self.of_tokenizer
        stated = self.policy.split("+")
        return Around(*(self._one(name) if name in stated else () for name in ("bos", "eos")))

    def _one(self, name: str) -> tuple[int]:
        token = getattr(self.tokenizer, f"{name}_token_id")
        if token is None:
            raise BadOption(f"special tokens {self.policy!r}: the tokenizer has no {name}_token")
        return (int(token),)

    def bare(self, text: str) -> str:
        """Returns a text without what the policy puts around it, where that may stand but once."""
        if self.policy in ("template", "tokenizer"):
            return text
        first, last = (
            "".join(map(str, self.tokenizer.convert_ids_to_tokens(list(ids))))
            for ids in self.around
        )
        return text.removeprefix(first).removesuffix(last)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns the ids of texts, in one call of the tokenizer, which uses every core."""
        ids: list[list[int]] = self.tokenizer(
            [self.bare(text) for text in texts],
            add_special_tokens=False,
            return_attention_mask=False,
            verbose=False,
        )["input_ids"]
        before, after = self.around
        return [[*before, *row, *after] for row in ids] if before or after else ids
